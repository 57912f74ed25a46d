"""HTTP for orders."""

from datetime import timedelta
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from services.orders.handlers.orders import Cancelling, Closing, cancel_orders, close_lines, place_orders
from services.orders.queries import orders as queries
from services.orders.queries.orders import OrderState
from services.orders.queries.payables import known_of
from services.orders.queries.recalls import deeds_of
from services.orders.rules.lines import is_about
from services.orders.rules.orders import Book, next_steps
from services.orders.schemas.fields import MOST_LINES, Day
from services.orders.schemas.lines import CloseLine
from services.orders.schemas.orders import AnyOrder, CancelOrder, OrderHeadView, OrderView
from shared import clock, history
from shared.history import TimelineView
from shared.http import (
    BulkAnswer,
    CallerHere,
    Code,
    Edge,
    InCompany,
    Items,
    Page,
    PagingHere,
    TxHere,
    answers,
    check_period,
    only,
)

router = APIRouter(route_class=Edge, prefix="/orders", tags=["orders"])

LinePath = Annotated[int, Path(ge=1, le=MOST_LINES)]


@router.post("", status_code=201, dependencies=[InCompany])
async def place_order(command: AnyOrder, caller: CallerHere, tx: TxHere) -> OrderView:
    """Orders at the listed prices; the same number with the same content answers the same order again."""
    return OrderView.of(only(await place_orders(tx, caller, [command])))


@router.post("/bulk")
async def place_orders_in_bulk(commands: Items[AnyOrder], caller: CallerHere, tx: TxHere) -> BulkAnswer[OrderView]:
    """Up to 1,000 orders, each answered by itself."""
    return answers(await commands.each(partial(place_orders, tx, caller)), OrderView.of, success=201)


@router.get("")
async def list_orders(
    tx: TxHere,
    paging: PagingHere,
    state: Annotated[OrderState | None, Query()] = None,
    product_code: Annotated[Code | None, Query(description="orders with a line of this product")] = None,
    placed_from: Annotated[Day | None, Query(description="first day")] = None,
    placed_to: Annotated[Day | None, Query(description="last day, inclusive")] = None,
) -> Page[OrderHeadView]:
    """Orders, the newest first."""
    check_period(("placed_from", placed_from), ("placed_to", placed_to))
    found = await queries.heads_page(
        tx,
        state=state,
        rows=paging.rows,
        product_code=product_code,
        placed_since=clock.start_of_day(placed_from) if placed_from else None,
        placed_before=clock.start_of_day(placed_to + timedelta(days=1)) if placed_to else None,
        after=UUID(paging.after[0]) if paging.after else None,
    )
    return paging.page_of(OrderHeadView, found, key=lambda head: [head.id])


@router.get("/by-number/{order_number:path}")
async def get_order_by_number(
    order_number: Code,
    caller: CallerHere,
    tx: TxHere,
    institution_code: Annotated[Code | None, Query(description="the caller's own when left out")] = None,
) -> OrderView:
    """The order of a number: what to ask after a time-out."""
    return OrderView.of(await queries.get_book_by_number(tx, institution_code or caller.organisation, order_number))


@router.get("/{order_id}")
async def get_order(order_id: UUID, tx: TxHere) -> OrderView:
    """One order, with the lines that the caller is a party of."""
    return OrderView.of(await queries.get_book(tx, order_id))


@router.get("/{order_id}/timeline")
async def get_order_timeline(order_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to an order so far, and who must act by when."""
    book = await queries.get_book(tx, order_id)
    known = await known_of(tx, book)
    steps = next_steps(book, known, clock.now())
    return await history.timeline(tx, order_id, book.order.state, steps, also=deeds_of(known.recalls, known.sent))


@router.get("/{order_id}/lines/{line_number}/timeline")
async def get_line_timeline(order_id: UUID, line_number: LinePath, tx: TxHere) -> TimelineView:
    """What happened to a line of an order so far, by itself or with others, and who must act on it by when."""
    book = await queries.get_book(tx, order_id)
    line = book.get_line(line_number)
    known = await known_of(tx, book)
    steps = next_steps(Book(book.order, (line,)), known, clock.now())
    view = await history.timeline(tx, order_id, line.state, steps, also=deeds_of(known.recalls, known.sent))
    deeds = [deed for deed in view.deeds if is_about(deed.detail, line_number)]
    return view.model_copy(update={"id": str(line.id), "deeds": deeds})


@router.post("/{order_id}/cancellation")
async def cancel_order(order_id: UUID, command: CancelOrder, caller: CallerHere, tx: TxHere) -> OrderView:
    """Takes back every line that nobody has confirmed."""
    return OrderView.of(only(await cancel_orders(tx, caller, [Cancelling(order_id, command.reason)])))


@router.post("/{order_id}/lines/{line_number}/closure")
async def close_line(
    order_id: UUID, line_number: LinePath, command: CloseLine, caller: CallerHere, tx: TxHere
) -> OrderView:
    """Gives up what was not shipped of a line."""
    return OrderView.of(only(await close_lines(tx, caller, [Closing(order_id, line_number, command.reason)])))
