"""Writes down what documents bring to light, and what becomes of it: explained, closed, or solved by knowledge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.traceability.queries.anomalies import get_anomaly, unknown_of
from services.traceability.rules import anomalies as rules
from services.traceability.rules.anomalies import Anomaly, AnomalyState, Finding
from services.traceability.tables import anomalies
from shared import clock, history, outbox
from shared.db import Tx
from shared.events.traceability import CodeFlagged
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller


@dataclass(frozen=True, slots=True)
class Where:
    """Whose document brought it to light."""

    document_id: UUID
    institution_code: str
    region: str
    product_code: str | None


def flag(tx: Tx, where: Where, findings: Sequence[Finding]) -> None:
    """One anomaly and one event per finding. Natural key: document, kind and code."""
    now = clock.now()
    for finding in findings:
        anomaly_id = uuid7()
        row: dict[str, Any] = {
            "id": anomaly_id,
            "kind": finding.kind,
            "severity": finding.severity,
            "code": finding.code,
            "codes": finding.codes,
            "ident": finding.ident,
            "product_code": where.product_code,
            "document_id": where.document_id,
            "recall_id": None,
            "institution_code": where.institution_code,
            "manufacturer_code": None,
            "region": where.region,
            "detail": finding.detail,
            "state": AnomalyState.OPEN,
            "explanation": None,
            "finding": None,
            "found_at": now,
            "version": 1,
        }
        tx.add(anomalies, row, skip_repeated=True)
        more = f" (and {finding.codes - 1} more codes)" if finding.codes > 1 else ""
        flagged = CodeFlagged(
            anomaly_id=anomaly_id,
            code=finding.code,
            kind=finding.kind,
            institution_code=where.institution_code,
            region=where.region,
            product_code=where.product_code,
            detail=finding.detail + more,
        )
        outbox.record(tx, flagged, 1)


async def explain_anomaly(tx: Tx, caller: Caller, anomaly_id: UUID, text: str) -> Anomaly:
    """Raises AnomalyNotFound, AnomalyNotOpen."""
    return await _decide(
        tx, caller, "explained", rules.explain(await get_anomaly(tx, anomaly_id, lock=True), text), text
    )


async def close_anomaly(tx: Tx, caller: Caller, anomaly_id: UUID, finding: str) -> Anomaly:
    """Raises AnomalyNotFound, AnomalyNotOpen."""
    return await _decide(
        tx, caller, "closed", rules.close(await get_anomaly(tx, anomaly_id, lock=True), finding), finding
    )


async def _decide(tx: Tx, caller: Caller, action: str, after: Anomaly, words: str) -> Anomaly:
    await tx.change(anomalies, [_row(after)])
    history.note(tx, caller, after.id, action, _parties(after), {"words": words})
    return after


async def close_unknown(tx: Tx, idents: Sequence[str]) -> None:
    """The meaning of these identification codes is known now: nothing is strange about them any more."""
    closed = [rules.close(one, f"identification code {one.ident} was uploaded") for one in await unknown_of(tx, idents)]
    for anomaly in closed:
        history.note(tx, BY_ITSELF, anomaly.id, "closed", _parties(anomaly), {"words": anomaly.finding})
    await tx.change(anomalies, [_row(anomaly) for anomaly in closed])


def _row(anomaly: Anomaly) -> dict[str, Any]:
    changing = ("id", "state", "explanation", "finding", "version")
    return {name: getattr(anomaly, name) for name in changing}


def _parties(anomaly: Anomaly) -> Parties:
    return Parties(anomaly.institution_code, anomaly.manufacturer_code, anomaly.region)
