"""Says again what orders has said, as it stands now: each fact at the time at which history has it, so that whoever asks
which of two came later is told the same as at first."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.orders.handlers.acceptances import received
from services.orders.handlers.confirmations import answer_to
from services.orders.handlers.desk import line_closed
from services.orders.handlers.orders import cancelled, placed
from services.orders.handlers.shipments import called_back, dispatched
from services.orders.queries.again import deeds_of, ids_after
from services.orders.queries.orders import lock_books
from services.orders.queries.shipments import loads
from services.orders.rules.lines import CANCELLED, ENDED, Line
from services.orders.rules.orders import Book
from services.orders.rules.shipments import CANCELLED as CALLED_BACK
from services.orders.rules.shipments import Load, ShipmentLine
from shared.db import Record, Tx
from shared.republish import Again, Page

ANSWERS = ("confirmed", "refused")
ENDS = ("accepted", "rejected", "closed", "shipment_cancelled")


@dataclass(slots=True)
class _Told:
    """What history has of the lines of one order, by line number: when each was answered and why in part, and its end."""

    answered_at: dict[int, datetime] = field(default_factory=dict)
    reasons: dict[int, str | None] = field(default_factory=dict)
    ended_at: dict[int, datetime] = field(default_factory=dict)
    cancelled_at: datetime | None = None
    shipments_cancelled_at: datetime | None = None

    def end_of(self, line: Line) -> datetime | None:
        """A line that is being closed may end with goods that were called back; history names no line there."""
        known = [self.ended_at.get(line.line_number), self.shipments_cancelled_at if line.quantity_closed else None]
        return max((at for at in known if at is not None), default=None)


async def orders_again(tx: Tx, after: str, rows: int) -> Page:
    """Every order with its lines, the answers to them, what was taken back of it, and the lines that have ended."""
    ids, last = await ids_after(tx, "orders", after, rows)
    books = await lock_books(tx, ids)
    told = _told(await deeds_of(tx, ids, (*ANSWERS, "cancelled", *ENDS)))
    return Page([fact for order_id in ids for fact in _of_order(books[order_id], told[order_id])], last)


async def shipments_again(tx: Tx, after: str, rows: int) -> Page:
    """Every shipment, what was accepted and rejected of it, or that it was called back."""
    ids, last = await ids_after(tx, "shipments", after, rows)
    books = await lock_books(tx, shipment_ids=ids)
    lines = {line.id: line for book in books.values() for line in book.lines}
    found = await loads(tx, ids)
    called = {row["about"]: row["at"] for row in await deeds_of(tx, ids, ("shipment_cancelled",))}
    return Page([fact for key in ids for fact in _of_shipment(found[key], lines, called.get(key))], last)


def _told(deeds: Iterable[Record]) -> Mapping[UUID, _Told]:
    told: defaultdict[UUID, _Told] = defaultdict(_Told)
    for deed in deeds:
        order, at = told[deed["about"]], deed["at"]
        if deed["action"] == "cancelled":
            order.cancelled_at = at
        elif deed["action"] == "shipment_cancelled":
            order.shipments_cancelled_at = at
        elif deed["action"] in ANSWERS:
            for line in deed["detail"]["lines"]:
                order.answered_at[line["line_number"]] = at
                order.reasons[line["line_number"]] = line["reason"]
        else:
            order.ended_at.update((_number(line), at) for line in deed["detail"]["lines"])
    return told


def _number(line: Any) -> int:
    """Deeds name lines by their number, alone or among figures."""
    return int(line["line_number"] if isinstance(line, dict) else line)


def _of_order(book: Book, told: _Told) -> list[Again]:
    order = book.order
    said = [Again(placed(book), order.version, order.placed_at)]
    for line in book.lines:
        answered = replace(line, reason=told.reasons.get(line.line_number, line.reason))
        at = told.answered_at.get(line.line_number)
        said += [Again(fact, order.version, at) for fact in answer_to(order, answered)]
    if taken := [line for line in book.lines if line.state == CANCELLED]:
        said.append(Again(cancelled(order, taken, taken[0].reason or ""), order.version, told.cancelled_at))
    ended = [line for line in book.lines if line.state in ENDED]
    return said + [Again(line_closed(order, line), order.version, told.end_of(line)) for line in ended]


def _of_shipment(load: Load, lines: Mapping[UUID, Line], called_back_at: datetime | None) -> list[Again]:
    shipment = load.shipment
    kinds = {line_id: line.product_kind for line_id, line in lines.items()}
    said = [Again(dispatched(load, kinds), shipment.version, shipment.dispatched_at)]
    if shipment.state == CALLED_BACK:
        said.append(Again(called_back(load), shipment.version, called_back_at))
    together: defaultdict[datetime, list[ShipmentLine]] = defaultdict(list)
    for line in load.lines:
        if line.received_at is not None:
            together[line.received_at].append(line)
    for at, arrived in sorted(together.items()):
        said += [Again(fact, shipment.version, at) for fact in received(shipment, arrived, lines, at)]
    return said
