"""Says again what traceability has said of receipts, recalls and anomalies, as they stand now."""

from collections.abc import Mapping
from datetime import datetime

from services.traceability.handlers.anomalies import cleared_fact, flagged_fact
from services.traceability.handlers.recalls import closed_fact, opened_fact
from services.traceability.handlers.receipts import coverage_fact, expected_fact
from services.traceability.queries.again import (
    anomalies_after,
    last_deeds,
    last_finds,
    last_lines,
    recalls_after,
    receipts_after,
)
from services.traceability.queries.anomalies import suppliers_of
from services.traceability.queries.organisations import names_of
from services.traceability.rules.anomalies import Anomaly, AnomalyState, Suppliers, line_concerned
from services.traceability.rules.recalls import Recall
from services.traceability.rules.receipts import Receipt
from shared.db import Tx
from shared.republish import Again, Page


async def receipts_again(tx: Tx, after: str, rows: int) -> Page:
    """Every receipt that is awaited, and how far codes cover it where that was said before."""
    found, last = await receipts_after(tx, after, rows)
    deeds = await last_deeds(tx, [receipt.id for receipt in found])
    return Page([fact for receipt in found for fact in _of_receipt(receipt, deeds.get(receipt.id))], last)


async def recalls_again(tx: Tx, after: str, rows: int) -> Page:
    """Every recall, and its end."""
    found, last = await recalls_after(tx, after, rows)
    names = await names_of(tx, [recall.opened_by for recall in found])
    return Page([fact for recall in found for fact in _of_recall(recall, names)], last)


async def anomalies_again(tx: Tx, after: str, rows: int) -> Page:
    """Every code that was found where it should not be, as it was found last; of what is cleared up, that it is."""
    found, last = await anomalies_after(tx, after, rows)
    told_at = await last_deeds(tx, [one.id for one in found if one.state == AnomalyState.CLOSED])
    told_at |= await last_finds(tx, [one.id for one in found if one.state != AnomalyState.CLOSED])
    bills = await last_lines(tx, [one.id for one in found])
    lines = {one.id: line_concerned(one.kind, bills.get(one.id)) for one in found}
    suppliers = await suppliers_of(tx, lines.values())
    facts = [_of_anomaly(one, told_at.get(one.id, one.found_at), suppliers.get(lines[one.id])) for one in found]
    return Page(facts, last)


def _of_receipt(receipt: Receipt, last_deed_at: datetime | None) -> list[Again]:
    """The first version is of the expectation; every other is of coverage."""
    said = [Again(expected_fact(receipt), receipt.version)]
    if receipt.version > 1 and receipt.quantity_accepted is not None and last_deed_at is not None:
        said.append(Again(coverage_fact(receipt, last_deed_at), receipt.version, last_deed_at))
    return said


def _of_anomaly(anomaly: Anomaly, told_at: datetime, suppliers: Suppliers | None) -> Again:
    """`told_at`: when it was closed, or else found last."""
    if anomaly.state == AnomalyState.CLOSED:
        return Again(cleared_fact(anomaly, told_at), anomaly.finds + 1, told_at)
    return Again(flagged_fact(anomaly, suppliers), anomaly.finds, told_at)


def _of_recall(recall: Recall, names: Mapping[str, str]) -> list[Again]:
    said = [Again(opened_fact(recall, names), recall.version, recall.opened_at)]
    if recall.closed_at is not None:
        said.append(Again(closed_fact(recall), recall.version, recall.closed_at))
    return said
