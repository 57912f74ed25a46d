"""Hospitals accept or reject what arrives; with the last unit of a line accepted the line ends by itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.orders.handlers.desk import Desk, acting_as, by_supply, moved
from services.orders.queries.orders import lock_books
from services.orders.queries.recalls import recalled_now
from services.orders.queries.shipments import loads
from services.orders.rules.lines import Line
from services.orders.rules.lines import receive as receive_line
from services.orders.rules.orders import Book
from services.orders.rules.recalls import Recalled
from services.orders.rules.shipments import Load, Shipment, ShipmentLine, receive
from services.orders.schemas.shipments import AcceptShipmentOf
from shared import clock, history
from shared.db import Tx
from shared.errors import ServiceError
from shared.events.orders import AcceptedLine, DeliveryAccepted, DeliveryRejected, RejectedLine
from shared.identity import Caller


async def accept_shipments(tx: Tx, caller: Caller, commands: Sequence[AcceptShipmentOf]) -> list[Load | ServiceError]:
    """Takes decisions on lines of many shipments at once; the same figures again change nothing."""
    ids = [command.shipment_id for command in commands]
    desk = Desk(tx, caller, clock.now(), await lock_books(tx, shipment_ids=ids))
    desk.loads = await loads(tx, ids)
    goods = [line for load in desk.loads.values() for line in load.lines]
    recalled = await recalled_now(tx, {one.product_code for one in goods}, {one.lot_number for one in goods})
    outcomes: list[Load | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(_accept(desk, command, recalled))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await desk.store()
    return outcomes


def _accept(desk: Desk, command: AcceptShipmentOf, recalled: Recalled) -> Load:
    before = desk.load(command.shipment_id)
    acting_as(desk.tx, desk.caller, before.shipment.institution_code)
    after = receive(before, command.lines, recalled, desk.at, clock.local_date(desk.at))
    if after is before:
        return before
    arrived = [new for old, new in zip(before.lines, after.lines, strict=True) if old is not new]
    book = desk.books[before.shipment.order_id]
    lines = {line.id: line for line in book.lines}
    for one in arrived:
        accepted, rejected = one.quantity_accepted or 0, one.quantity_rejected or 0
        lines[one.order_line_id] = receive_line(lines[one.order_line_id], accepted, rejected)
    desk.lay(Book(book.order, tuple(lines[line.id] for line in book.lines)))
    _note(desk, book, lines, before.shipment, after.shipment, arrived)
    return desk.send(after, *received(after.shipment, arrived, lines, desk.at))


def _note(
    desk: Desk,
    book: Book,
    lines: Mapping[UUID, Line],
    before: Shipment,
    shipment: Shipment,
    arrived: Sequence[ShipmentLine],
) -> None:
    whole = {**_told(shipment, arrived), "changes": history.changes(before, shipment, "state")}
    desk.note(shipment.id, _action(arrived), book.order, (shipment.distributor_code, None), whole)
    for supply, goods in by_supply(arrived).items():
        detail = {**_told(shipment, goods), "changes": moved(book, [lines[one.order_line_id] for one in goods])}
        desk.note(book.order.id, _action(goods), book.order, supply, detail)


def _action(goods: Sequence[ShipmentLine]) -> str:
    return "accepted" if any(one.quantity_accepted for one in goods) else "rejected"


def _told(shipment: Shipment, goods: Sequence[ShipmentLine]) -> dict[str, Any]:
    told = [
        {
            "line_number": one.line_number,
            "lot_number": one.lot_number,
            "accepted": one.quantity_accepted,
            "rejected": one.quantity_rejected,
            "reason": one.reason,
        }
        for one in goods
    ]
    return {"shipment_number": shipment.shipment_number, "lines": told}


def received(
    shipment: Shipment, arrived: Sequence[ShipmentLine], lines: Mapping[UUID, Line], at: datetime
) -> list[DeliveryAccepted | DeliveryRejected]:
    """What the hospital took of goods that arrived together, what it did not take, or both; `lines` of the order by id."""
    said: list[DeliveryAccepted | DeliveryRejected] = []
    if taken := tuple(_accepted(one, lines[one.order_line_id]) for one in arrived if one.quantity_accepted):
        said.append(
            DeliveryAccepted(
                shipment_id=shipment.id,
                order_id=shipment.order_id,
                order_number=shipment.order_number,
                institution_code=shipment.institution_code,
                institution_name=shipment.institution_name,
                distributor_code=shipment.distributor_code,
                distributor_name=shipment.distributor_name,
                region=shipment.region,
                accepted_at=at,
                lines=taken,
            )
        )
    if left := tuple(_rejected(one) for one in arrived if one.quantity_rejected):
        said.append(
            DeliveryRejected(
                shipment_id=shipment.id,
                order_id=shipment.order_id,
                order_number=shipment.order_number,
                institution_code=shipment.institution_code,
                distributor_code=shipment.distributor_code,
                region=shipment.region,
                rejected_at=at,
                lines=left,
            )
        )
    return said


def _accepted(one: ShipmentLine, line: Line) -> AcceptedLine:
    return AcceptedLine(
        shipment_line_id=one.id,
        order_line_id=line.id,
        product_code=line.product_code,
        product_kind=line.product_kind,
        product_name=line.product_name,
        manufacturer_code=line.manufacturer_code,
        unit=line.unit,
        lot_number=one.lot_number,
        expires_on=one.expires_on,
        quantity_accepted=one.quantity_accepted or 0,
        unit_price_yuan=line.unit_price_yuan,
    )


def _rejected(one: ShipmentLine) -> RejectedLine:
    return RejectedLine(
        shipment_line_id=one.id,
        order_line_id=one.order_line_id,
        product_code=one.product_code,
        lot_number=one.lot_number,
        quantity_rejected=one.quantity_rejected or 0,
        reason=one.reason or "",
    )
