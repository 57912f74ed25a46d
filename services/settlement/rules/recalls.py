"""A lot under recall: nothing of it goes onto a sheet, and none of it that is on one goes to the bank, until it is closed.

What a recall does is read from the recalls that stand, never written into a payable, so that recalls, deliveries and
coverage come to the same in whichever order they arrive.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from shared.next_steps import Actor, NextStep, Role


@dataclass(frozen=True, slots=True)
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


def words(recall: RecalledLot) -> str:
    """Why nothing is paid for goods of the lot."""
    return f"lot {recall.lot_number} is recalled: {recall.reason} (recall {recall.recall_id})"


def next_step(recall: RecalledLot, unpaid_yuan: Decimal) -> NextStep:
    """Who ends the recall: the maker or the authority that opened it."""
    own = recall.opened_by == recall.manufacturer_code
    role = Role.MANUFACTURER if own else Role.AUTHORITY
    who = Actor(role=role, code=recall.opened_by, name=recall.opened_by_name)
    what = f"close the recall when the goods are back or destroyed; {unpaid_yuan} yuan are not paid until then: {words(recall)}"
    return NextStep(who=who, what=what)
