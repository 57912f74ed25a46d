"""Recalls of lots: open until closed, and closed for good."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.traceability.errors import RecallNotOpen
from shared.values import frozen


class RecallState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


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
