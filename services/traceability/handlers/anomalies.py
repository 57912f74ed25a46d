"""Writes down what documents bring to light, and what becomes of it: explained, closed, or solved by knowledge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.traceability.queries.anomalies import get_anomaly, surplus_of, unknown_of
from services.traceability.rules import anomalies as rules
from services.traceability.rules.anomalies import Anomaly, AnomalyState, Finding
from services.traceability.rules.receipts import Receipt
from services.traceability.tables import anomalies
from shared import clock, history, outbox
from shared.db import Tx
from shared.events.traceability import CodeFlagged
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller


@dataclass(frozen=True, slots=True)
class Where:
    """Whose document brought it to light, and for which line; without a document, the line itself is what is wrong."""

    document_id: UUID | None
    institution_code: str
    region: str
    product_code: str | None
    receipt_id: UUID | None

    @property
    def parties(self) -> Parties:
        return Parties(self.institution_code, None, self.region)


def flag(tx: Tx, where: Where, findings: Sequence[Finding]) -> None:
    """One anomaly and one event per finding; a line's timeline tells of each kind once. Natural key: document, kind, code."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
        anomaly_id = uuid7()
        row = _row_of(anomaly_id, where, finding)
        tx.add(anomalies, row, skip_repeated=True)
        history.note(tx, BY_ITSELF, anomaly_id, "found", where.parties, {"detail": finding.detail})
        outbox.record(tx, flagged_fact(row), 1)
    for kind, same in kinds.items() if where.receipt_id is not None else ():
        detail = {"kind": kind, "severity": same[0].severity, "codes": sum(one.codes for one in same)}
        detail |= {"first_code": same[0].code, "detail": same[0].detail}
        history.note(tx, BY_ITSELF, where.receipt_id or "", "anomaly_found", where.parties, detail)


def flagged_fact(row: Mapping[str, Any]) -> CodeFlagged:
    """What the row of an anomaly tells the others."""
    more = f" (and {row['codes'] - 1} more codes)" if row["code"] and row["codes"] > 1 else ""
    return CodeFlagged(
        anomaly_id=row["id"],
        code=row["code"] or "",
        kind=row["kind"],
        institution_code=row["institution_code"],
        region=row["region"],
        product_code=row["product_code"],
        detail=row["detail"] + more,
    )


def _row_of(anomaly_id: UUID, where: Where, finding: Finding) -> dict[str, Any]:
    return {
        "id": anomaly_id,
        "kind": finding.kind,
        "severity": finding.severity,
        "code": finding.code,
        "codes": finding.codes,
        "ident": finding.ident,
        "product_code": where.product_code,
        "document_id": where.document_id,
        "recall_id": None,
        "receipt_id": where.receipt_id,
        "institution_code": where.institution_code,
        "manufacturer_code": None,
        "region": where.region,
        "detail": finding.detail,
        "state": AnomalyState.OPEN,
        "explanation": None,
        "finding": None,
        "found_at": clock.now(),
        "version": 1,
    }


async def watch_surplus(tx: Tx, changes: Sequence[tuple[Receipt | None, Receipt]]) -> None:
    """More codes than goods are an anomaly of the line, one at a time: it follows the surplus, and ends with it."""
    moved = [after for before, after in changes if (before.surplus if before else 0) != after.surplus]
    if not moved:
        return
    standing = await surplus_of(tx, [receipt.id for receipt in moved])
    followed: list[tuple[Anomaly, Anomaly]] = []
    for receipt in moved:
        known = standing.get(receipt.id)
        if known is not None:
            followed.append((known, rules.follow_surplus(known, receipt.surplus, receipt.quantity_awaited)))
        elif receipt.surplus:
            where = Where(None, receipt.institution_code, receipt.region, receipt.product_code, receipt.id)
            words = rules.surplus_words(receipt.surplus, receipt.quantity_awaited)
            flag(tx, where, [Finding(rules.SURPLUS, rules.MEDIUM, None, receipt.surplus, words)])
    for before, after in followed:
        action = "closed" if after.state == AnomalyState.CLOSED else "changed"
        _note(tx, BY_ITSELF, before, after, action, after.detail)
    await tx.change(anomalies, [_row(after) for _, after in followed])


async def explain_anomaly(tx: Tx, caller: Caller, anomaly_id: UUID, text: str) -> Anomaly:
    """Raises AnomalyNotFound, AnomalyNotOpen."""
    before = await get_anomaly(tx, anomaly_id, lock=True)
    return await _decide(tx, caller, "explained", before, rules.explain(before, text), text)


async def close_anomaly(tx: Tx, caller: Caller, anomaly_id: UUID, finding: str) -> Anomaly:
    """Raises AnomalyNotFound, AnomalyNotOpen."""
    before = await get_anomaly(tx, anomaly_id, lock=True)
    return await _decide(tx, caller, "closed", before, rules.close(before, finding), finding)


async def _decide(tx: Tx, caller: Caller, action: str, before: Anomaly, after: Anomaly, words: str) -> Anomaly:
    await tx.change(anomalies, [_row(after)])
    _note(tx, caller, before, after, action, words)
    return after


async def close_unknown(tx: Tx, idents: Sequence[str]) -> None:
    """The meaning of these identification codes is known now: nothing is strange about them any more."""
    known = await unknown_of(tx, idents)
    closed = [rules.close(one, f"identification code {one.ident} was uploaded") for one in known]
    for before, after in zip(known, closed, strict=True):
        _note(tx, BY_ITSELF, before, after, "closed", after.finding)
    await tx.change(anomalies, [_row(after) for after in closed])


def _row(anomaly: Anomaly) -> dict[str, Any]:
    changing = ("id", "codes", "detail", "state", "explanation", "finding", "version")
    return {name: getattr(anomaly, name) for name in changing}


def _note(tx: Tx, who: Caller, before: Anomaly, after: Anomaly, action: str, words: str | None) -> None:
    """Into the anomaly's timeline, and into its line's."""
    said = {"words": words, "changes": history.changes(before, after, "state", "codes", "explanation")}
    history.note(tx, who, after.id, action, _parties(after), said)
    if after.receipt_id is not None:
        detail = {"kind": after.kind, "codes": after.codes, "first_code": after.code, **said}
        history.note(tx, who, after.receipt_id, f"anomaly_{action}", _parties(after), detail)


def _parties(anomaly: Anomaly) -> Parties:
    return Parties(anomaly.institution_code, anomaly.manufacturer_code, anomaly.region)
