"""One line of an order: its states, and what becomes of every sale unit ordered.

A unit ordered is awaited (pending), refused, accepted, on the way, to be shipped, or closed; it is counted exactly once,
so nothing is shipped over what was confirmed and nothing is accepted twice. A rejected unit may be shipped again until
the remainder of the line is closed.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from services.orders.errors import LineNotOpen
from shared.errors import Said
from shared.values import frozen


class LineState(StrEnum):
    PENDING = "pending"
    """awaits the distributor (20 待企业接受确认)"""
    CONFIRMED = "confirmed"
    """is being delivered (21 企业已接收确认配送)"""
    REFUSED = "refused"
    """will not be delivered (22 企业已接收确认不予配送)"""
    CANCELLED = "cancelled"
    """taken back before it was confirmed (01 已作废)"""
    FULFILLED = "fulfilled"
    """everything confirmed was accepted (23 企业已配送完成)"""
    CLOSING = "closing"
    """the remainder is closed, goods are still on the way"""
    CLOSED = "closed"
    """the remainder is closed and nothing is on the way"""


PENDING, CONFIRMED, REFUSED, CANCELLED, FULFILLED, CLOSING, CLOSED = LineState

NEXT = {
    (PENDING, "confirm"): CONFIRMED,
    (PENDING, "refuse"): REFUSED,
    (PENDING, "cancel"): CANCELLED,
    (CONFIRMED, "ship"): CONFIRMED,
    (CONFIRMED, "call back"): CONFIRMED,
    (CONFIRMED, "receive"): CONFIRMED,
    (CONFIRMED, "fulfil"): FULFILLED,
    (CONFIRMED, "close"): CLOSING,
    (CLOSING, "call back"): CLOSING,
    (CLOSING, "receive"): CLOSING,
    (CLOSING, "settle"): CLOSED,
}
"""Source: domain rules 4.4, the states of 采购明细; shipping and receiving may repeat, and nothing goes back."""

ACTIVE = frozenset({CONFIRMED, CLOSING})
ENDED = frozenset({FULFILLED, CLOSED})


@frozen
class Line:
    """A line as it stands; quantities are whole sale units."""

    id: UUID
    order_id: UUID
    line_number: int
    institution_code: str
    distributor_code: str
    distributor_name: str
    manufacturer_code: str
    manufacturer_name: str
    region: str
    listing_id: UUID
    product_code: str
    product_kind: str
    product_name: str
    specification: str | None
    unit: str
    unit_price_yuan: Decimal
    amount_yuan: Decimal
    state: str
    quantity_ordered: int
    quantity_confirmed: int = 0
    quantity_refused: int = 0
    quantity_shipped: int = 0
    """less what was called back"""
    quantity_accepted: int = 0
    quantity_rejected: int = 0
    quantity_closed: int = 0
    """what the hospital gave up: cancelled before, or closed after confirmation"""
    deliver_by: datetime | None = None
    reason: str | None = None
    """why it was refused, cancelled or closed"""
    quantity_traced: int = 0
    """covered by valid codes, as traceability says; not kept in the line's own row, like the next"""
    paid_yuan: Decimal = Decimal(0)
    """paid, as settlement says"""

    @property
    def on_the_way(self) -> int:
        """Shipped and neither accepted nor rejected."""
        return self.quantity_shipped - self.quantity_accepted - self.quantity_rejected

    @property
    def shippable(self) -> int:
        """Confirmed, neither on the way nor accepted nor closed: what may be shipped now."""
        if self.state != CONFIRMED:
            return 0
        return self.quantity_confirmed - self.quantity_accepted - self.on_the_way

    @property
    def unfulfilled(self) -> int:
        """Ordered and never accepted."""
        return self.quantity_ordered - self.quantity_accepted


class Measured(Protocol):
    """A line of an order, or of a shipment."""

    @property
    def line_number(self) -> int: ...
    @property
    def unit(self) -> str: ...


def goods_of(line: Measured, quantity: int) -> Said:
    """So much of a line, in words."""
    return Said("{quantity} {unit} of line {line}", quantity=quantity, unit=line.unit, line=line.line_number)


def step(line: Line, verb: str) -> LineState:
    """The state after a verb; raises LineNotOpen."""
    after = NEXT.get((LineState(line.state), verb))
    if after is None:
        raise LineNotOpen(
            "Line {line_number} is {state}; it cannot {verb} now.",
            line_number=line.line_number,
            state=line.state,
            verb=verb,
        )
    return after


def confirm(line: Line, quantity: int, deliver_by: datetime, reason: str | None) -> Line:
    """The distributor takes on `quantity` (0: none) and refuses the rest; raises LineNotOpen."""
    if quantity == 0:
        return replace(line, state=step(line, "refuse"), quantity_refused=line.quantity_ordered, reason=reason)
    return replace(
        line,
        state=step(line, "confirm"),
        quantity_confirmed=quantity,
        quantity_refused=line.quantity_ordered - quantity,
        deliver_by=deliver_by,
        reason=reason,
    )


def cancel(line: Line, reason: str) -> Line:
    """The hospital takes the line back; raises LineNotOpen when somebody has decided on it."""
    return replace(line, state=step(line, "cancel"), quantity_closed=line.quantity_ordered, reason=reason)


def ship(line: Line, quantity: int) -> Line:
    """Goods leave; raises LineNotOpen over what is shippable."""
    if quantity > line.shippable:
        raise LineNotOpen(
            "Line {line_number} has {shippable} left to ship, not {quantity}.",
            line_number=line.line_number,
            shippable=line.shippable,
            quantity=quantity,
        )
    return replace(line, state=step(line, "ship"), quantity_shipped=line.quantity_shipped + quantity)


def call_back(line: Line, quantity: int) -> Line:
    """Goods that were on the way will not come: to be shipped again, or closed when the remainder is closed."""
    called = replace(line, state=step(line, "call back"), quantity_shipped=line.quantity_shipped - quantity)
    return _settled(called, quantity)


def receive(line: Line, accepted: int, rejected: int) -> Line:
    """Goods arrived; raises LineNotOpen over what is on the way."""
    if accepted + rejected > line.on_the_way:
        raise LineNotOpen(
            "Line {line_number} has {on_the_way} on the way, not {received}.",
            line_number=line.line_number,
            on_the_way=line.on_the_way,
            received=accepted + rejected,
        )
    received = replace(
        line,
        state=step(line, "receive"),
        quantity_accepted=line.quantity_accepted + accepted,
        quantity_rejected=line.quantity_rejected + rejected,
    )
    return _settled(received, rejected)


def close(line: Line, reason: str) -> Line:
    """The hospital gives up what was not shipped; the line ends when nothing is on the way. Raises LineNotOpen."""
    state = step(line, "close")
    return _settled(replace(line, state=state, quantity_closed=line.shippable, reason=reason), 0)


def _settled(line: Line, freed: int) -> Line:
    """The line after `freed` units stopped being on the way: a closing line gives them up, and ends with the last one."""
    if line.state == CLOSING:
        line = replace(line, quantity_closed=line.quantity_closed + freed)
        return replace(line, state=step(line, "settle")) if line.on_the_way == 0 else line
    if line.quantity_accepted == line.quantity_confirmed:
        return replace(line, state=step(line, "fulfil"))
    return line


def is_about(detail: Mapping[str, Any], line_number: int) -> bool:
    """Whether what a deed tells names the line: `line_number`, or `lines` as numbers or with their figures."""
    named = (one["line_number"] if isinstance(one, Mapping) else one for one in detail.get("lines", ()))
    return detail.get("line_number") == line_number or line_number in named
