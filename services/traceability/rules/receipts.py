"""How far codes cover a shipment line: its state follows from what is known of it, in whatever order that was learnt.

What is known once is never overwritten, so that a fact that comes twice, or after one that builds on it, changes nothing.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.traceability.settings import CLOCK_SKEW, ON_ITS_WAY
from shared.values import frozen


class ReceiptState(StrEnum):
    EXPECTED = "expected"
    SHORT = "short"
    COVERED = "covered"
    EXEMPT = "exempt"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


UUID_WITH_TIME = 7
CLOSED = {ReceiptState.REJECTED, ReceiptState.WITHDRAWN}
"""Nothing is received for these."""


@frozen
class Receipt:
    """A shipment line at a hospital. None: not learnt yet. `version` counts the events said of it."""

    id: UUID
    shipment_line_id: UUID
    order_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    order_line_id: UUID | None = None
    product_code: str | None = None
    product_kind: str | None = None
    product_name: str | None = None
    unit: str | None = None
    lot_number: str | None = None
    expires_on: date | None = None
    quantity_shipped: int | None = None
    quantity_accepted: int | None = None
    quantity_rejected: int | None = None
    packs_captured: int = 0
    exempt: bool = False
    withdrawn: bool = False
    state: str = ReceiptState.EXPECTED
    dispatched_at: datetime | None = None
    accepted_at: datetime | None = None
    version: int = 0

    @property
    def quantity_covered(self) -> int:
        """Sale units covered by valid codes, never more than were accepted."""
        if self.quantity_accepted is None:
            return self.packs_captured
        return min(self.packs_captured, self.quantity_accepted)

    @property
    def quantity_awaited(self) -> int | None:
        """Sale units that codes may be captured for: what was accepted, or until that is known, shipped and not rejected."""
        if self.withdrawn:
            return 0
        if self.quantity_accepted is not None or self.quantity_shipped is None:
            return self.quantity_accepted
        return max(0, self.quantity_shipped - (self.quantity_rejected or 0))

    @property
    def surplus(self) -> int:
        """Sale units captured beyond those; where no codes are asked for, none are too many."""
        if self.exempt or self.quantity_awaited is None:
            return 0
        return max(0, self.packs_captured - self.quantity_awaited)


def learn(receipt: Receipt, **facts: Any) -> Receipt:
    """The receipt with what was unknown filled in; what is known stays."""
    news = {name: fact for name, fact in facts.items() if getattr(receipt, name) is None and fact is not None}
    return _settled(replace(receipt, **news)) if news else receipt


def excuse(receipt: Receipt, *, exempt: bool) -> Receipt:
    """Whether codes are asked for at all: the day of dispatch says so until the day of acceptance decides."""
    if receipt.exempt is exempt or receipt.quantity_accepted is not None:
        return receipt
    return _settled(replace(receipt, exempt=exempt))


def withdraw(receipt: Receipt) -> Receipt:
    """The shipment was taken back before anything of it was received."""
    return receipt if receipt.withdrawn else _settled(replace(receipt, withdrawn=True))


def count(receipt: Receipt, packs: int) -> Receipt:
    """So many more sale units have valid codes; fewer, when packs went back to where they came from."""
    return _settled(replace(receipt, packs_captured=receipt.packs_captured + packs)) if packs else receipt


def coverage_news(before: Receipt | None, after: Receipt) -> bool:
    """Whether there is coverage to tell of: what was accepted is known, and another quantity of it is covered."""
    return (_told(before) if before else 0) != _told(after)


def may_be_on_its_way(shipment_line_id: UUID, wall_seconds: float) -> bool:
    """Whether an unknown line may still arrive: its id, a UUIDv7, tells when orders made it (in real time).

    What the id says is the same for a line of somebody else, so the answer tells nothing of it.
    """
    if shipment_line_id.version != UUID_WITH_TIME:
        return False
    age = timedelta(seconds=wall_seconds - (shipment_line_id.int >> 80) / 1000)
    return -CLOCK_SKEW <= age <= ON_ITS_WAY


def is_complete(receipt: Receipt) -> bool:
    """Whether nothing is left to cover."""
    return receipt.state == ReceiptState.COVERED


def _told(receipt: Receipt) -> int:
    asked = receipt.state in {ReceiptState.SHORT, ReceiptState.COVERED}
    return receipt.quantity_covered if asked else 0


def _settled(receipt: Receipt) -> Receipt:
    return replace(receipt, state=_state_of(receipt))


def _state_of(receipt: Receipt) -> ReceiptState:
    if receipt.withdrawn:
        return ReceiptState.WITHDRAWN
    if receipt.quantity_rejected is not None and receipt.quantity_rejected == receipt.quantity_shipped:
        return ReceiptState.REJECTED
    if receipt.exempt:
        return ReceiptState.EXEMPT
    if receipt.quantity_accepted is None:
        return ReceiptState.EXPECTED
    return ReceiptState.COVERED if receipt.packs_captured >= receipt.quantity_accepted else ReceiptState.SHORT
