"""Recalls of lots: open until closed, and closed for good."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.traceability.errors import RecallNotOpen
from services.traceability.rules.units import UnitState
from shared.errors import Said
from shared.values import frozen


class RecallState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


TO_DO = {
    UnitState.HELD: Said("set the pack aside, neither use nor sell it, and send it back (202) or destroy it (205)"),
    UnitState.SOLD: Said("find out who was given the pack, and take it back (103, 116)"),
    UnitState.WRITTEN_OFF: Said("nothing is left to do: the pack was destroyed or sampled"),
}
"""What is to be done with a recalled pack of one's own, by its state."""
ANYWHERE = Said("neither receive, use nor sell the pack; whoever has it sets it aside and sends it back")
NEXT = {(RecallState.OPEN, "close"): RecallState.CLOSED}


@frozen
class Recall:
    """Lots of one product that may not be received, used or sold while it is open."""

    id: UUID
    product_code: str
    manufacturer_code: str
    lot_numbers: tuple[str, ...]
    reason: str
    state: str
    opened_by: str
    opened_at: datetime
    closed_at: datetime | None
    version: int
    closed_by: str | None = None
    closing_reason: str | None = None


def to_do(recall: Recall, state: str | None) -> Said | None:
    """What is to be done with a pack of a recall's lots; `state` where it is in the stock of who asks. None: nothing any more."""
    if recall.state != RecallState.OPEN:
        return None
    return TO_DO[UnitState(state)] if state else ANYWHERE


def close(recall: Recall, now: datetime, organisation: str, reason: str) -> Recall:
    """Raises RecallNotOpen."""
    after = NEXT.get((RecallState(recall.state), "close"))
    if after is None:
        raise RecallNotOpen("Recall {id} was closed at {closed_at}.", id=recall.id, closed_at=recall.closed_at)
    return replace(
        recall,
        state=after,
        closed_at=now,
        closed_by=organisation,
        closing_reason=reason,
        version=recall.version + 1,
    )
