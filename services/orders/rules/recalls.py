"""A lot under recall: nothing of it leaves or is accepted until the recall is closed; what arrives of it is rejected.

What a recall does is read from the recalls that stand, never written into a line, so that one that is closed leaves no trace.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from shared import clock
from shared.errors import Fault, Said
from shared.next_steps import Actor, NextStep, recall_words
from shared.values import frozen

Lot = tuple[str, str]
"""Product code and lot number."""


@frozen
class RecalledLot:
    """One lot of a recall; `opened_at` is None while only its end has arrived, `opened_by` where that was not told."""

    recall_id: UUID
    lot_number: str
    product_code: str
    reason: str | None = None
    opened_by: str | None = None
    opened_by_name: str | None = None
    manufacturer_code: str | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None


Recalled = Mapping[Lot, RecalledLot]
"""The open recall of each lot that has one."""


def open_now(recalls: Iterable[RecalledLot]) -> Recalled:
    """Of these recalls, the earliest first, the one of each lot that is open."""
    found: dict[Lot, RecalledLot] = {}
    for one in recalls:
        if one.opened_at is not None and one.closed_at is None:
            found.setdefault((one.product_code, one.lot_number), one)
    return found


def recall_fault(pointer: str, given: object, recall: RecalledLot, allowed: str) -> Fault:
    """What speaks against goods of the lot: which recall, since when, who opened it and why, and what may be done."""
    rule = Said(
        "lot {lot_number} is recalled since {day} by {by}: {reason} (recall {recall_id})",
        lot_number=recall.lot_number,
        day=clock.local_date(recall.opened_at) if recall.opened_at else None,
        by=recall.opened_by_name or recall.opened_by or recall.manufacturer_code,
        reason=recall.reason,
        recall_id=recall.recall_id,
    )
    return Fault(pointer, given, rule, allowed, "recalled")


def reject_step(buyer: Actor, goods: Said, recall: RecalledLot) -> NextStep:
    """What the hospital does with goods of the lot that are on the way."""
    what = Said(
        "reject {goods}, on the way, or wait for the end of the recall: {recall}",
        goods=goods,
        recall=recall_words(recall),
    )
    return NextStep(who=buyer, what=what)
