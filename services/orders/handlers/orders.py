"""Places orders, takes back what nobody confirmed, closes the remainder of lines."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from services.orders.errors import LineNotOpen
from services.orders.handlers.desk import Desk, acting_as, by_supply
from services.orders.queries.lines import row_of
from services.orders.queries.market import gather
from services.orders.queries.orders import books, lock_books
from services.orders.rules import orders as rules
from services.orders.rules.lines import CLOSED, CLOSING, PENDING, Line, close
from services.orders.rules.market import Institution, Market, Offer, institution_of
from services.orders.rules.orders import Book, Order
from services.orders.schemas.lines import OrderNamed
from services.orders.schemas.orders import PlaceOrder, PlaceOrderLine, UnreadableOrder
from services.orders.tables import order_lines, orders
from shared import clock, history, outbox
from shared.db import Tx
from shared.errors import Fault, ServiceError
from shared.events.orders import OrderCancelled, OrderedLine, OrderPlaced
from shared.history import Parties
from shared.http.invalid import InvalidRequest
from shared.identity import Caller
from shared.values import frozen, names_of

_COLUMNS = names_of(Order)


@frozen
class Cancelling:
    """An order whose pending lines are taken back."""

    order_id: UUID
    reason: str


@frozen
class Closing:
    """A line whose remainder is given up."""

    order_id: UUID
    line_number: int
    reason: str


async def place_orders(
    tx: Tx, caller: Caller, commands: Sequence[PlaceOrder | UnreadableOrder]
) -> list[Book | ServiceError]:
    """Places many at once: one statement reads, one writes. A number that stands answers its order, or OrderNumberUsed.

    What cannot be read is refused, with what the market has against the lines of it that can.
    Two that place the same number at the same time meet at the unique key of orders; the edge tries the later one again.
    """
    at = clock.now()
    buyers: list[str | ServiceError] = []
    for command in commands:
        try:
            buyers.append(acting_as(tx, caller, command.institution_code))
        except ServiceError as refusal:
            buyers.append(refusal)
    asked = [
        (buyer, command.order_number if isinstance(command, PlaceOrder) else "")
        for buyer, command in zip(buyers, commands, strict=True)
        if isinstance(buyer, str)
    ]
    lines = [line for command in commands for line in _lines(command)]
    products, distributors = {line.product_code for line in lines}, {line.distributor_code for line in lines}
    market, stand = await tx.merged(gather, asked, products, distributors)
    known = {pair: stand[pair] for pair in asked if pair in stand}  # and none of those that were asked for beside
    found = await books(tx, set(known.values())) if known else {}
    standing = {pair: found[order_id] for pair, order_id in known.items() if order_id in found}
    outcomes: list[Book | ServiceError] = []
    for command, buyer in zip(commands, buyers, strict=True):
        try:
            if isinstance(command, UnreadableOrder):
                raise _refusal(tx, market, command, buyer, at)
            if isinstance(buyer, ServiceError):
                raise buyer
            outcomes.append(_place_once(tx, caller, market, command, buyer, at, standing))
        except ServiceError as refusal:
            outcomes.append(refusal)
    return outcomes


def _lines(command: PlaceOrder | UnreadableOrder) -> Iterable[PlaceOrderLine]:
    return command.lines if isinstance(command, PlaceOrder) else command.lines.values()


def _refusal(
    tx: Tx, market: Market, command: UnreadableOrder, buyer: str | ServiceError, at: datetime
) -> InvalidRequest:
    if isinstance(buyer, ServiceError):
        return command.refusal
    against: list[Fault] = []
    institution, _ = institution_of(market, buyer, command.delivery_point, against)
    day = clock.local_date(at)
    trade = _trade(tx, institution, day)
    rules.offers_of(market, institution, command.lines, day, provisional_trade=trade, faults=against)
    return InvalidRequest.with_faults([*command.refusal.faults, *against])


def _trade(tx: Tx, institution: Institution | None, day: date) -> bool:
    """Whether who is known by its name alone may trade there."""
    return institution is not None and tx.policy.flag("orders.provisional_enterprises_trade", institution.region, day)


def _place_once(
    tx: Tx,
    caller: Caller,
    market: Market,
    command: PlaceOrder,
    buyer: str,
    at: datetime,
    standing: dict[tuple[str, str], Book],
) -> Book:
    pair = (buyer, command.order_number)
    if pair in standing:
        rules.check_same(standing[pair], command.delivery_point, command.lines)
        return standing[pair]
    day = clock.local_date(at)
    trade = _trade(tx, market.institutions.get(buyer), day)
    institution, delivery_point, offers = rules.offers_for(
        market, buyer, command.delivery_point, command.lines, day, provisional_trade=trade
    )
    hours = tx.policy.integer("orders.confirm_hours", institution.region, day)
    book = _book(institution, command.order_number, delivery_point, offers, at, at + timedelta(hours=hours))
    _tell_placed(tx, caller, book)
    tx.add(orders, {name: getattr(book.order, name) for name in _COLUMNS})
    tx.add(order_lines, *(row_of(line) for line in book.lines))
    standing[pair] = book
    return book


def _book(
    institution: Institution,
    order_number: str,
    delivery_point: str | None,
    offers: Sequence[Offer],
    at: datetime,
    confirm_by: datetime,
) -> Book:
    order = Order(
        id=uuid7(),
        order_number=order_number,
        institution_code=institution.code,
        institution_name=institution.name,
        region=institution.region,
        delivery_point=delivery_point,
        distributor_codes=tuple(dict.fromkeys(offer.distributor.code for offer in offers)),
        manufacturer_codes=tuple(dict.fromkeys(offer.listing.manufacturer_code for offer in offers)),
        placed_at=at,
        confirm_by=confirm_by,
        line_count=len(offers),
        lines_pending=len(offers),
        lines_active=0,
        lines_cancelled=0,
        version=1,
    )
    return Book(order, tuple(_line(order, number, offer) for number, offer in enumerate(offers, 1)))


def _line(order: Order, number: int, offer: Offer) -> Line:
    listing = offer.listing
    return Line(
        id=uuid7(),
        order_id=order.id,
        line_number=number,
        institution_code=order.institution_code,
        distributor_code=offer.distributor.code,
        distributor_name=offer.distributor.name,
        manufacturer_code=listing.manufacturer_code,
        manufacturer_name=listing.manufacturer_name,
        region=order.region,
        listing_id=listing.listing_id,
        product_code=listing.product_code,
        product_kind=listing.product_kind,
        product_name=listing.product_name,
        specification=listing.specification,
        unit=listing.unit,
        unit_price_yuan=listing.price_yuan,
        amount_yuan=offer.amount_yuan,
        state=PENDING,
        quantity_ordered=offer.quantity,
    )


def _tell_placed(tx: Tx, caller: Caller, book: Book) -> None:
    """Raises EventTooLarge before anything is added."""
    order = book.order
    outbox.record(tx, placed(book), order.version)
    for (distributor_code, manufacturer_code), lines in by_supply(book.lines).items():
        detail = {
            "order_number": order.order_number,
            "lines": [line.line_number for line in lines],
            "amount_yuan": str(sum(line.amount_yuan for line in lines)),
            "distributor_code": distributor_code,
        }
        parties = Parties(order.institution_code, distributor_code, order.region, manufacturer_code)
        history.note(tx, caller, order.id, "placed", parties, detail)


def placed(book: Book) -> OrderPlaced:
    """That an order stands, with every line as it was ordered."""
    order = book.order
    return OrderPlaced(
        order_id=order.id,
        order_number=order.order_number,
        institution_code=order.institution_code,
        institution_name=order.institution_name,
        region=order.region,
        delivery_point=order.delivery_point,
        placed_at=order.placed_at,
        confirm_by=order.confirm_by,
        lines=tuple(_told(line) for line in book.lines),
    )


def _told(line: Line) -> OrderedLine:
    return OrderedLine(
        line_id=line.id,
        line_number=line.line_number,
        listing_id=line.listing_id,
        product_code=line.product_code,
        product_kind=line.product_kind,
        product_name=line.product_name,
        unit=line.unit,
        quantity=line.quantity_ordered,
        unit_price_yuan=line.unit_price_yuan,
        amount_yuan=line.amount_yuan,
        distributor_code=line.distributor_code,
        distributor_name=line.distributor_name,
        manufacturer_code=line.manufacturer_code,
    )


async def cancel_orders(tx: Tx, caller: Caller, commands: Sequence[Cancelling]) -> list[Book | ServiceError]:
    """Takes back every pending line of orders; what was confirmed goes on."""
    desk = Desk(tx, caller, clock.now(), await lock_books(tx, [command.order_id for command in commands]))
    outcomes: list[Book | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(_cancel(desk, command))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await desk.store()
    return outcomes


def _cancel(desk: Desk, command: Cancelling) -> Book:
    before = desk.book(OrderNamed(order_id=command.order_id))
    acting_as(desk.tx, desk.caller, before.order.institution_code)
    after = rules.cancel(before, command.reason)
    if after is before:
        return before
    taken = [new for old, new in zip(before.lines, after.lines, strict=True) if old is not new]
    desk.note_each("cancelled", before, taken, {"reason": command.reason})
    return desk.lay(after, cancelled(before.order, taken, command.reason))


def cancelled(order: Order, taken: Sequence[Line], reason: str) -> OrderCancelled:
    """That lines were taken back."""
    return OrderCancelled(
        order_id=order.id,
        order_number=order.order_number,
        institution_code=order.institution_code,
        region=order.region,
        line_ids=tuple(line.id for line in taken),
        reason=reason,
    )


async def close_lines(tx: Tx, caller: Caller, commands: Sequence[Closing]) -> list[Book | ServiceError]:
    """Gives up what was not shipped of lines; a line with goods on the way ends when they have arrived."""
    desk = Desk(tx, caller, clock.now(), await lock_books(tx, [command.order_id for command in commands]))
    outcomes: list[Book | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(_close(desk, command))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await desk.store()
    return outcomes


def _close(desk: Desk, command: Closing) -> Book:
    before = desk.book(OrderNamed(order_id=command.order_id))
    acting_as(desk.tx, desk.caller, before.order.institution_code)
    line = before.get_line(command.line_number)
    if line.state in (CLOSING, CLOSED):
        return before
    if line.state == PENDING:
        raise LineNotOpen(
            "Line {line_number} is pending: nobody has confirmed it yet, cancel the order instead.",
            line_number=line.line_number,
        )
    closed = close(line, command.reason)
    detail = {"reason": command.reason, "quantity_closed": closed.quantity_closed, "on_the_way": closed.on_the_way}
    desk.note_each("closed", before, [closed], detail)
    return desk.lay(Book(before.order, tuple(closed if one is line else one for one in before.lines)))
