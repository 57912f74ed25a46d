"""Writes down what documents bring to light, and what becomes of it: explained, closed, or solved by knowledge."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.traceability.queries.anomalies import find_again, get_anomaly, suppliers_of, surplus_of, unknown_of
from services.traceability.rules import anomalies as rules
from services.traceability.rules.anomalies import Anomaly, AnomalyState, Finding, Suppliers
from services.traceability.rules.receipts import Receipt
from services.traceability.tables import anomalies
from shared import clock, history, outbox
from shared.db import Tx
from shared.errors import Said
from shared.events.traceability import CodeCleared, CodeFlagged
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller
from shared.values import frozen


@frozen
class Where:
    """Whose document brought it to light, and for which line; without a document, the line itself is what is wrong."""

    document_id: UUID | None
    institution_code: str
    region: str
    product_code: str | None
    receipt_id: UUID | None
    bill_number: str | None = None
    captured_by: str | None = None

    @property
    def parties(self) -> Parties:
        return Parties(self.institution_code, None, self.region)


async def flag(tx: Tx, found: Sequence[tuple[Where, Finding]]) -> None:
    """One anomaly for each institution, kind and code, and one event per finding: what stands unclosed is found once more.

    A line's timeline tells of each kind once.
    """
    same: dict[tuple[str, str, str | UUID | None], list[tuple[Where, Finding]]] = {}
    for where, finding in found:
        key = (where.institution_code, finding.kind, finding.code or where.receipt_id)
        same.setdefault(key, []).append((where, finding))
    rows = [_row_of(uuid7(), *group[0], group[-1][0], len(group)) for group in same.values()]
    kept = await find_again(tx, rows)
    suppliers = await suppliers_of(tx, [rules.line_concerned(one.kind, where.receipt_id) for where, one in found])
    for anomaly in kept:
        group = same[anomaly.institution_code, anomaly.kind, anomaly.code or anomaly.receipt_id]
        for finds, (where, finding) in enumerate(group, anomaly.finds - len(group) + 1):
            line = rules.line_concerned(finding.kind, where.receipt_id)
            _tell(tx, replace(anomaly, finds=finds), where, finding, suppliers.get(line))
    _tell_lines(tx, found)


def _tell(tx: Tx, anomaly: Anomaly, where: Where, finding: Finding, suppliers: Suppliers | None) -> None:
    action = "found" if anomaly.finds == 1 else "found_again"
    detail = {"detail": finding.detail, "finds": anomaly.finds}
    detail |= {"bill_number": where.bill_number, "captured_by": where.captured_by}
    history.note(tx, BY_ITSELF, anomaly.id, action, where.parties, detail)
    told = replace(anomaly, bill_number=where.bill_number, captured_by=where.captured_by)
    outbox.record(tx, flagged_fact(told, suppliers), anomaly.finds)


def _tell_lines(tx: Tx, found: Sequence[tuple[Where, Finding]]) -> None:
    kinds: dict[tuple[Where, str], list[Finding]] = {}
    for where, finding in found:
        if where.receipt_id is not None:
            kinds.setdefault((where, finding.kind), []).append(finding)
    for (where, kind), same in kinds.items():
        detail = {"kind": kind, "severity": same[0].severity, "codes": sum(one.codes for one in same)}
        detail |= {"first_code": same[0].code, "detail": same[0].detail}
        history.note(tx, BY_ITSELF, where.receipt_id or "", "anomaly_found", where.parties, detail)


def flagged_fact(anomaly: Anomaly, suppliers: Suppliers | None) -> CodeFlagged:
    """What an anomaly tells the others; `suppliers` of the goods, where it concerns them."""
    detail = anomaly.detail
    if anomaly.code and anomaly.codes > 1:
        detail = Said("{detail} (and {count} more codes)", detail=detail, count=anomaly.codes - 1)
    return CodeFlagged(
        anomaly_id=anomaly.id,
        code=anomaly.code or "",
        kind=anomaly.kind,
        institution_code=anomaly.institution_code,
        region=anomaly.region,
        product_code=anomaly.product_code,
        detail=str(detail),
        finds=anomaly.finds,
        bill_number=anomaly.bill_number,
        captured_by=anomaly.captured_by,
        distributor_code=suppliers.distributor_code if suppliers else None,
        manufacturer_code=suppliers.manufacturer_code if suppliers else None,
    )


def cleared_fact(anomaly: Anomaly, at: datetime) -> CodeCleared:
    """That an anomaly is closed."""
    return CodeCleared(
        anomaly_id=anomaly.id,
        code=anomaly.code or "",
        kind=anomaly.kind,
        institution_code=anomaly.institution_code,
        region=anomaly.region,
        product_code=anomaly.product_code,
        finding=str(anomaly.finding or ""),
        cleared_at=at,
    )


def _row_of(anomaly_id: UUID, where: Where, finding: Finding, last: Where, finds: int) -> dict[str, Any]:
    return {
        "id": anomaly_id,
        "kind": finding.kind,
        "severity": finding.severity,
        "code": finding.code,
        "codes": finding.codes,
        "ident": finding.ident,
        "product_code": where.product_code,
        "document_id": where.document_id,
        "receipt_id": where.receipt_id,
        "institution_code": where.institution_code,
        "region": where.region,
        "detail": finding.detail,
        "found_at": clock.now(),
        "finds": finds,
        "last_document_id": last.document_id,
        "bill_number": last.bill_number,
        "captured_by": last.captured_by,
    }


async def watch_surplus(tx: Tx, changes: Sequence[tuple[Receipt | None, Receipt]]) -> None:
    """More codes than goods are an anomaly of the line, one at a time: it follows the surplus, and ends with it."""
    moved = [after for before, after in changes if (before.surplus if before else 0) != after.surplus]
    if not moved:
        return
    standing = await surplus_of(tx, [receipt.id for receipt in moved])
    followed: list[tuple[Anomaly, Anomaly]] = []
    found: list[tuple[Where, Finding]] = []
    for receipt in moved:
        known = standing.get(receipt.id)
        if known is not None:
            followed.append((known, rules.follow_surplus(known, receipt.surplus, receipt.quantity_awaited)))
        elif receipt.surplus:
            where = Where(None, receipt.institution_code, receipt.region, receipt.product_code, receipt.id)
            words = rules.surplus_words(receipt.surplus, receipt.quantity_awaited)
            found.append((where, Finding(rules.SURPLUS, rules.MEDIUM, None, receipt.surplus, words)))
    await flag(tx, found)
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
    closed = [rules.close(one, Said("identification code {ident} was uploaded", ident=one.ident)) for one in known]
    for before, after in zip(known, closed, strict=True):
        _note(tx, BY_ITSELF, before, after, "closed", after.finding)
    await tx.change(anomalies, [_row(after) for after in closed])


def _row(anomaly: Anomaly) -> dict[str, Any]:
    changing = ("id", "codes", "detail", "state", "explanation", "finding", "version")
    return {name: getattr(anomaly, name) for name in changing}


def _note(tx: Tx, who: Caller, before: Anomaly, after: Anomaly, action: str, words: str | None) -> None:
    """Into the anomaly's timeline, and into its line's; the end of what others were told of is told them too."""
    said = {"words": words, "changes": history.changes(before, after, "state", "codes", "explanation")}
    history.note(tx, who, after.id, action, _parties(after), said)
    if after.receipt_id is not None:
        detail = {"kind": after.kind, "codes": after.codes, "first_code": after.code, **said}
        history.note(tx, who, after.receipt_id, f"anomaly_{action}", _parties(after), detail)
    if after.state == AnomalyState.CLOSED and after.recall_id is None:
        outbox.record(tx, cleared_fact(after, clock.now()), after.finds + 1)


def _parties(anomaly: Anomaly) -> Parties:
    return Parties(anomaly.institution_code, anomaly.manufacturer_code, anomaly.region)
