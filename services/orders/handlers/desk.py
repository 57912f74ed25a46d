"""The orders and shipments a call has in hand: what was loaded and locked, as it stands after each item of the call.

Every event about an order or a shipment raises its version by one here, and only here, so that sequences have no gaps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from services.orders.errors import NotYourOrganisation, OrderNotFound, ShipmentNotFound
from services.orders.queries.changes import store
from services.orders.rules.lines import Line
from services.orders.rules.orders import Book, Order, closing_reason, counted, newly_ended
from services.orders.rules.shipments import Load, Shipment, ShipmentLine
from services.orders.schemas.lines import OrderNamed
from shared import history, outbox
from shared.db import Tx
from shared.errors import Said
from shared.events import Event
from shared.events.orders import LineClosed
from shared.history import Parties
from shared.identity import Caller

EDITED = (
    *("state", "deliver_by", "quantity_confirmed", "quantity_refused", "quantity_shipped"),
    *("quantity_accepted", "quantity_rejected", "quantity_closed"),
)
"""Of a line, what the deeds of its order tell from and to."""
L = TypeVar("L", Line, ShipmentLine)
Supply = tuple[str, str | None]
"""Who supplies a line: its distributor and its maker; no maker for what is the distributor's alone, a shipment."""


def acting_as(tx: Tx, caller: Caller, named: str | None) -> str:
    """The organisation a caller acts for: its own, or the one named by who may see everything.

    Raises NotYourOrganisation.
    """
    code = named or caller.organisation
    if not tx.scope.covers(code):
        raise NotYourOrganisation(
            "You are {organisation} and cannot act for {code}.", organisation=caller.organisation, code=code
        )
    return code


def by_supply(lines: Iterable[L]) -> dict[Supply, list[L]]:
    """Lines of orders or shipments by who supplies them: a deed about many is told to each about its own."""
    groups: dict[Supply, list[L]] = {}
    for line in lines:
        groups.setdefault((line.distributor_code, line.manufacturer_code), []).append(line)
    return groups


@dataclass(slots=True)
class Desk:
    """What one call works on; `lay` and `send` take a new value in, `store` writes all of them at the end."""

    tx: Tx
    caller: Caller
    at: datetime
    books: dict[UUID, Book]
    loads: dict[UUID, Load] = field(default_factory=dict)
    _orders: dict[UUID, Order] = field(default_factory=dict)
    _lines: dict[UUID, Line] = field(default_factory=dict)
    _shipments: dict[UUID, Shipment] = field(default_factory=dict)
    _shipment_lines: dict[UUID, ShipmentLine] = field(default_factory=dict)
    _ids: dict[tuple[str, str], UUID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for book in self.books.values():
            self._ids[book.order.institution_code, book.order.order_number] = book.order.id

    def book(self, named: OrderNamed) -> Book:
        """The order that is meant; raises OrderNotFound."""
        order_id = named.order_id or self._ids.get((named.institution_code or "", named.order_number or ""))
        if order_id is None or order_id not in self.books:
            of = Said("{number!j} of {institution}", number=named.order_number, institution=named.institution_code)
            raise OrderNotFound("There is no order {order} that you may see.", order=named.order_id or of)
        return self.books[order_id]

    def load(self, shipment_id: UUID) -> Load:
        """The shipment that is meant; raises ShipmentNotFound."""
        if shipment_id not in self.loads:
            raise ShipmentNotFound("There is no shipment {shipment_id} that you may see.", shipment_id=shipment_id)
        return self.loads[shipment_id]

    def lay(self, after: Book, *events: Event) -> Book:
        """An order and its lines as they now stand, with what is to be said of it; what ended of it is said by itself."""
        before = self.books[after.order.id]
        changed = [(old, new) for old, new in zip(before.lines, after.lines, strict=True) if old is not new]
        ended = [line_closed(after.order, new) for old, new in changed if newly_ended(old, new)]
        said = [*events, *ended]
        order = counted(before.order, *zip(*changed, strict=True)) if changed else before.order
        for version, event in enumerate(said, order.version + 1):
            outbox.record(self.tx, event, version)
        order = replace(order, version=order.version + len(said))
        self._lines.update((new.id, new) for _, new in changed)
        if order != before.order:
            self._orders[order.id] = order
        book = self.books[order.id] = Book(order, after.lines)
        return book

    def send(self, after: Load, *events: Event) -> Load:
        """A shipment and its lines as they now stand, with what is to be said of it."""
        before = self.loads[after.shipment.id]
        shipment = after.shipment
        for version, event in enumerate(events, shipment.version + 1):
            outbox.record(self.tx, event, version)
        shipment = self._shipments[shipment.id] = replace(shipment, version=shipment.version + len(events))
        changed = (new for old, new in zip(before.lines, after.lines, strict=True) if old is not new)
        self._shipment_lines.update((line.id, line) for line in changed)
        load = self.loads[shipment.id] = Load(shipment, after.lines)
        return load

    def note(self, about: UUID, action: str, order: Order, supply: Supply, detail: dict[str, Any]) -> None:
        """Writes down a deed about an order or a shipment of it, for the hospital and who supplies the goods to see."""
        distributor_code, manufacturer_code = supply
        parties = Parties(order.institution_code, distributor_code, order.region, manufacturer_code)
        history.note(self.tx, self.caller, about, action, parties, detail)

    def note_each(self, action: str, book: Book, lines: Sequence[Line], detail: dict[str, Any]) -> None:
        """Writes down a deed about some lines, which were as they stand in the book, for who supplies each."""
        for supply, its in by_supply(lines).items():
            lines_moved = {"lines": [line.line_number for line in its], "changes": moved(book, its)}
            self.note(
                book.order.id, action, book.order, supply, {**detail, "distributor_code": supply[0], **lines_moved}
            )

    async def store(self) -> None:
        """Writes what changed, in one statement."""
        await store(
            self.tx,
            list(self._orders.values()),
            list(self._lines.values()),
            list(self._shipments.values()),
            list(self._shipment_lines.values()),
        )


def moved(before: Book, after: Iterable[Line]) -> dict[str, dict[str, list[Any]]]:
    """What a deed about an order changes: from and to, by the number of the line; lines that stay as they are left out."""
    was = {line.id: line for line in before.lines}
    changes = {str(line.line_number): history.changes(was[line.id], line, *EDITED) for line in after}
    return {number: pairs for number, pairs in changes.items() if pairs}


def line_closed(order: Order, line: Line) -> LineClosed:
    """That nothing more will come for a line."""
    return LineClosed(
        order_id=order.id,
        line_id=line.id,
        order_number=order.order_number,
        institution_code=order.institution_code,
        distributor_code=line.distributor_code,
        region=order.region,
        product_code=line.product_code,
        quantity_ordered=line.quantity_ordered,
        quantity_accepted=line.quantity_accepted,
        quantity_unfulfilled=line.unfulfilled,
        reason=closing_reason(line),
    )
