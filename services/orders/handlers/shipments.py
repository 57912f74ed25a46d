"""Distributors send goods for orders, and call back what was not received."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.orders.errors import ShipmentRefused
from services.orders.handlers.desk import Desk, acting_as, by_supply, moved
from services.orders.queries import shipments as queries
from services.orders.queries.orders import lock_books
from services.orders.queries.recalls import recalled_now
from services.orders.rules import shipments as rules
from services.orders.rules.lines import Line, call_back, ship
from services.orders.rules.orders import Book, said
from services.orders.rules.recalls import Recalled
from services.orders.rules.shipments import Load, Shipment, ShipmentLine
from services.orders.schemas.shipments import DispatchLine, DispatchShipment
from services.orders.tables import shipment_lines, shipments
from shared import clock, history, outbox
from shared.db import Tx
from shared.errors import ServiceError
from shared.events.orders import ShipmentCancelled, ShipmentDispatched, ShippedLine
from shared.identity import Caller
from shared.values import frozen, names_of

_COLUMNS = names_of(Shipment)
_LINE_COLUMNS = names_of(ShipmentLine)


@frozen
class CallingBack:
    """A shipment that is called back."""

    shipment_id: UUID
    reason: str


async def dispatch_shipments(tx: Tx, caller: Caller, commands: Sequence[DispatchShipment]) -> list[Load | ServiceError]:
    """Sends many at once. A number that stands answers its shipment, or ShipmentNumberUsed."""
    ids = [command.order_id for command in commands if command.order_id]
    numbers = [
        (one.institution_code, one.order_number) for one in commands if one.institution_code and one.order_number
    ]
    desk = Desk(tx, caller, clock.now(), await lock_books(tx, ids, numbers))
    asked = [(command.distributor_code or caller.organisation, command.shipment_number) for command in commands]
    standing = await queries.loads_by_number(tx, asked)
    products = {line.product_code for book in desk.books.values() for line in book.lines}
    numbers_of_lots = {goods.lot_number for command in commands for goods in command.lines}
    recalled = await recalled_now(tx, products, numbers_of_lots)
    outcomes: list[Load | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(_dispatch_once(desk, command, standing, recalled))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await desk.store()
    return outcomes


def _dispatch_once(
    desk: Desk, command: DispatchShipment, standing: dict[tuple[str, str], Load], recalled: Recalled
) -> Load:
    distributor = acting_as(desk.tx, desk.caller, command.distributor_code)
    book = desk.book(command)
    pair = (distributor, command.shipment_number)
    if pair in standing:
        rules.check_same(standing[pair], book.order.id, command.lines)
        return standing[pair]
    own = {line.line_number: line for line in book.lines if line.distributor_code == distributor}
    today = clock.local_date(desk.at)
    longest = desk.tx.policy.integer("orders.longest_shelf_life_days", book.order.region, today)
    if faults := rules.goods_faults(command.lines, own, recalled, today, longest):
        raise ShipmentRefused(said(faults), faults=faults)
    load = standing[pair] = _dispatch(desk, book, command, own)
    return load


def _dispatch(desk: Desk, book: Book, command: DispatchShipment, own: dict[int, Line]) -> Load:
    order = book.order
    first = own[command.lines[0].line_number]
    shipment = Shipment(
        id=uuid7(),
        shipment_number=command.shipment_number,
        order_id=order.id,
        order_number=order.order_number,
        institution_code=order.institution_code,
        institution_name=order.institution_name,
        distributor_code=first.distributor_code,
        distributor_name=first.distributor_name,
        region=order.region,
        dispatched_at=desk.at,
        state=rules.DISPATCHED,
        reason=None,
        version=1,
    )
    lines: list[ShipmentLine] = []
    for place, goods in enumerate(command.lines):
        own[goods.line_number] = ship(own[goods.line_number], goods.quantity)
        lines.append(_shipment_line(shipment, own[goods.line_number], goods, place))
    desk.tx.add(shipments, {name: getattr(shipment, name) for name in _COLUMNS})
    desk.tx.add(shipment_lines, *({name: getattr(line, name) for name in _LINE_COLUMNS} for line in lines))
    load = Load(shipment, tuple(lines))
    _tell_dispatched(desk, book, load, own)
    desk.lay(Book(order, tuple(own.get(line.line_number, line) for line in book.lines)))
    return load


def _shipment_line(shipment: Shipment, line: Line, goods: DispatchLine, place: int) -> ShipmentLine:
    return ShipmentLine(
        id=uuid7(),
        shipment_id=shipment.id,
        order_id=shipment.order_id,
        order_line_id=line.id,
        line_number=line.line_number,
        place=place,
        institution_code=line.institution_code,
        distributor_code=line.distributor_code,
        manufacturer_code=line.manufacturer_code,
        region=line.region,
        product_code=line.product_code,
        product_name=line.product_name,
        unit=line.unit,
        lot_number=goods.lot_number,
        produced_on=goods.produced_on,
        expires_on=goods.expires_on,
        quantity=goods.quantity,
    )


def _tell_dispatched(desk: Desk, book: Book, load: Load, own: dict[int, Line]) -> None:
    order, shipment = book.order, load.shipment
    about = {"shipment_id": str(shipment.id), "shipment_number": shipment.shipment_number}
    whole = (shipment.distributor_code, None)
    desk.note(shipment.id, "dispatched", order, whole, {**about, "lines": _goods(load.lines)})
    for supply, goods in by_supply(load.lines).items():
        its = {"lines": _goods(goods), "changes": moved(book, [own[one.line_number] for one in goods])}
        desk.note(order.id, "dispatched", order, supply, {**about, **its})
    kinds = {line.id: line.product_kind for line in own.values()}
    outbox.record(desk.tx, dispatched(load, kinds), shipment.version)


def _goods(lines: Sequence[ShipmentLine]) -> list[dict[str, Any]]:
    return [
        {"line_number": line.line_number, "lot_number": line.lot_number, "quantity": line.quantity} for line in lines
    ]


def dispatched(load: Load, kinds: Mapping[UUID, str]) -> ShipmentDispatched:
    """That goods have left; `kinds` of product by order line."""
    shipment = load.shipment
    return ShipmentDispatched(
        shipment_id=shipment.id,
        shipment_number=shipment.shipment_number,
        order_id=shipment.order_id,
        order_number=shipment.order_number,
        institution_code=shipment.institution_code,
        institution_name=shipment.institution_name,
        distributor_code=shipment.distributor_code,
        distributor_name=shipment.distributor_name,
        region=shipment.region,
        dispatched_at=shipment.dispatched_at,
        lines=tuple(
            ShippedLine(
                shipment_line_id=line.id,
                order_line_id=line.order_line_id,
                product_code=line.product_code,
                product_kind=kinds[line.order_line_id],
                product_name=line.product_name,
                unit=line.unit,
                lot_number=line.lot_number,
                produced_on=line.produced_on,
                expires_on=line.expires_on,
                quantity=line.quantity,
            )
            for line in load.lines
        ),
    )


async def cancel_shipments(tx: Tx, caller: Caller, commands: Sequence[CallingBack]) -> list[Load | ServiceError]:
    """Calls shipments back of which nothing was received; their goods may be shipped again."""
    ids = [command.shipment_id for command in commands]
    desk = Desk(tx, caller, clock.now(), await lock_books(tx, shipment_ids=ids))
    desk.loads = await queries.loads(tx, ids)
    outcomes: list[Load | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(_cancel(desk, command))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await desk.store()
    return outcomes


def _cancel(desk: Desk, command: CallingBack) -> Load:
    before = desk.load(command.shipment_id)
    acting_as(desk.tx, desk.caller, before.shipment.distributor_code)
    after = rules.cancel(before, command.reason)
    if after is before:
        return before
    shipment = before.shipment
    book = desk.books[shipment.order_id]
    lines = {line.id: line for line in book.lines}
    for one in before.lines:
        lines[one.order_line_id] = call_back(lines[one.order_line_id], one.quantity)
    desk.lay(Book(book.order, tuple(lines[line.id] for line in book.lines)))
    detail = {"shipment_number": shipment.shipment_number, "reason": command.reason}
    of_shipment = {**detail, "changes": history.changes(shipment, after.shipment, "state")}
    desk.note(shipment.id, "shipment_cancelled", book.order, (shipment.distributor_code, None), of_shipment)
    for supply, goods in by_supply(before.lines).items():
        its = {"lines": _goods(goods), "changes": moved(book, [lines[one.order_line_id] for one in goods])}
        desk.note(book.order.id, "shipment_cancelled", book.order, supply, {**detail, **its})
    return desk.send(after, called_back(after))


def called_back(load: Load) -> ShipmentCancelled:
    """That goods which were on the way will not come."""
    shipment = load.shipment
    return ShipmentCancelled(
        shipment_id=shipment.id,
        shipment_number=shipment.shipment_number,
        order_id=shipment.order_id,
        institution_code=shipment.institution_code,
        distributor_code=shipment.distributor_code,
        region=shipment.region,
        shipment_line_ids=tuple(line.id for line in load.lines),
        reason=shipment.reason or "",
    )
