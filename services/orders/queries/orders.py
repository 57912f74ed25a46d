"""Reads orders with their lines, locks them for handlers, and writes what changed in one statement."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from services.orders.errors import OrderNotFound
from services.orders.queries.lines import SHOWN, lines_of
from services.orders.queries.scope import Reach, is_institution, of_party, reach_of, scoped, within
from services.orders.rules.lines import ACTIVE, CANCELLED, PENDING, Line
from services.orders.rules.orders import COUNTS, Book, Order
from services.orders.tables import order_lines, orders
from shared.db import Record, Tx
from shared.values import frozen, names_of

OrderState = Literal["placed", "confirmed", "closed", "cancelled"]


@frozen
class OrderHead:
    """An order without its lines; the counts are of those within reach."""

    id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    region: str
    delivery_point: str | None
    placed_at: datetime
    confirm_by: datetime
    state: str
    line_count: int
    lines_pending: int
    lines_active: int
    lines_cancelled: int


_IN_STATE: dict[OrderState, sa.ColumnElement[bool]] = {
    "placed": orders.c.lines_pending > 0,
    "confirmed": sa.and_(orders.c.lines_pending == 0, orders.c.lines_active > 0),
    "closed": sa.and_(
        orders.c.lines_pending == 0, orders.c.lines_active == 0, orders.c.lines_cancelled < orders.c.line_count
    ),
    "cancelled": orders.c.lines_cancelled == orders.c.line_count,
}
_ALL = sa.select(orders)
_IDS = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))


_OF_ORDER = tuple(orders.c[name].label(f"of_{name}") for name in names_of(Order))


@lru_cache
def _whole(reach: Reach) -> sa.Executable:
    """Orders with their lines, a row a line; one row without a line where none is within reach."""
    of_order = sa.and_(order_lines.c.order_id == orders.c.id, of_party(reach, order_lines))
    return (
        sa.select(*_OF_ORDER, *SHOWN)
        .select_from(orders.outerjoin(order_lines, of_order))
        .where(orders.c.id == sa.any_(_IDS), of_party(reach, orders))
        .order_by(orders.c.id, order_lines.c.line_number)
    )


# Each number is looked up by itself (OFFSET keeps the planner from joining otherwise) and by the index of numbers (the
# empty text keeps it from the one of institutions), so that the plan is right from the first order on: plans are made
# once, maybe while the tables are empty.
_MEANT = sa.text("""orders.id = ANY (ARRAY(
    SELECT unnest(CAST(:ids AS uuid[]))
    UNION ALL
    SELECT named.id FROM unnest(CAST(:codes AS text[]), CAST(:numbers AS text[])) AS asked (code, number)
    CROSS JOIN LATERAL (
        SELECT id FROM orders WHERE order_number = asked.number AND institution_code || '' = asked.code OFFSET 0
    ) AS named
    UNION ALL
    SELECT order_id FROM shipments WHERE id = ANY (CAST(:shipment_ids AS uuid[]))
))""")


@lru_cache
def _locked(reach: Reach) -> sa.Executable:
    return _ALL.where(_MEANT, of_party(reach, orders)).order_by(orders.c.id).with_for_update()


@lru_cache
def _by_number(reach: Reach) -> sa.Executable:
    return _ALL.where(
        orders.c.order_number == sa.bindparam("order_number"),
        orders.c.institution_code + "" == sa.bindparam("institution_code"),
        of_party(reach, orders),
    )


async def lock_books(
    tx: Tx,
    ids: Iterable[UUID] = (),
    numbers: Collection[tuple[str, str]] = (),
    shipment_ids: Iterable[UUID] = (),
) -> dict[UUID, Book]:
    """The orders meant by id, by (institution code, order number) or by a shipment, locked; two statements for all.

    The order's row is the one lock of this service: whoever changes an order, its lines, its shipments or what is
    received of them holds it, taken in the order of ids. Lines are read by a statement of their own after the lock,
    because a statement that waited for it would still see them as they were before.
    """
    found = await tx.all(
        Order,
        _locked(reach_of(tx)),
        ids=sorted(set(ids)),
        codes=[code for code, _ in numbers],
        numbers=[number for _, number in numbers],
        shipment_ids=sorted(set(shipment_ids)),
        **scoped(tx),
    )
    return await _with_lines(tx, found)


async def books(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Book]:
    """Orders within reach, with their lines within reach; one statement."""
    rows = await tx.rows(_whole(reach_of(tx)), ids=sorted(ids), **scoped(tx))
    return {order_id: _book(list(those)) for order_id, those in groupby(rows, key=itemgetter("of_id"))}


def _book(rows: Sequence[Record]) -> Book:
    head: list[Any] = [tuple(one) if isinstance(one, list) else one for one in tuple(rows[0])[: len(_OF_ORDER)]]
    return Book(Order(*head), tuple(Line(*tuple(row)[len(_OF_ORDER) :]) for row in rows if row["id"] is not None))


async def get_book(tx: Tx, order_id: UUID) -> Book:
    """Raises OrderNotFound."""
    found = await books(tx, [order_id])
    if order_id not in found:
        raise OrderNotFound("There is no order {order_id} that you may see.", order_id=order_id)
    return found[order_id]


async def get_book_by_number(tx: Tx, institution_code: str, order_number: str) -> Book:
    """Raises OrderNotFound."""
    found = await tx.all(
        Order,
        _by_number(reach_of(tx)),
        institution_code=institution_code,
        order_number=order_number,
        **scoped(tx),
    )
    if not found and not is_institution(institution_code):
        raise OrderNotFound(
            "Order numbers are of institutions, and {institution_code} is none: say with `institution_code` whose "
            "{order_number!j} is meant.",
            order_number=order_number,
            institution_code=institution_code,
        )
    if not found:
        raise OrderNotFound(
            "There is no order {order_number!j} of {institution_code} that you may see.",
            order_number=order_number,
            institution_code=institution_code,
        )
    return (await _with_lines(tx, found))[found[0].id]


async def _with_lines(tx: Tx, found: Sequence[Order]) -> dict[UUID, Book]:
    by_order: dict[UUID, list[Any]] = defaultdict(list)
    if found:
        for line in await lines_of(tx, [order.id for order in found]):
            by_order[line.order_id].append(line)
    return {order.id: Book(order, tuple(by_order[order.id])) for order in found}


async def heads_page(tx: Tx, *, state: OrderState | None, rows: int, **asked: Any) -> list[OrderHead]:
    """Up to `rows` heads of orders, the newest first, with counts of the lines within reach.

    `asked`: the filters of _FILTERS, None where nothing is asked.
    """
    given = {name: value for name, value in asked.items() if value is not None}
    return await tx.all(OrderHead, _heads(reach_of(tx), state, frozenset(given)), rows=rows, **given, **scoped(tx))


@lru_cache
def _heads(reach: Reach, state: OrderState | None, filters: frozenset[str]) -> sa.Executable:
    wanted = sa.select(*_HEAD, _STATE, *(orders.c[name] for name in COUNTS)).where(within(reach, orders))
    if state is not None:
        wanted = wanted.where(_IN_STATE[state])
    for name in sorted(filters):
        wanted = wanted.where(_FILTERS[name](reach))
    wanted = wanted.order_by(orders.c.id.desc()).limit(sa.bindparam("rows", type_=sa.Integer))
    return wanted if reach is Reach.INSTITUTION else _with_counts(reach, wanted.subquery("here"))


def _with_counts(reach: Reach, here: sa.Subquery) -> sa.Executable:
    """A page with counts of the lines within reach; an institution alone sees every line of its orders."""
    state = order_lines.c.state
    parts = [sa.true(), state == PENDING, sa.or_(*(state == one for one in ACTIVE)), state == CANCELLED]
    counted = (
        sa.select(
            *(sa.func.count().filter(part).label(name) for name, part in zip(COUNTS, parts, strict=True)),
        )
        .where(order_lines.c.order_id == here.c.id, of_party(reach, order_lines))
        .lateral("counted")
    )
    own = [column for column in here.c if column.name not in COUNTS]
    return sa.select(*own, *counted.c).select_from(here.join(counted, sa.true())).order_by(here.c.id.desc())


def _has_product(reach: Reach) -> sa.ColumnElement[bool]:
    lines = sa.select(order_lines.c.order_id).where(
        order_lines.c.product_code == sa.bindparam("product_code", type_=sa.Text),
        order_lines.c.order_id == orders.c.id,
        within(reach, order_lines),
    )
    return lines.exists()


_HEAD = tuple(orders.c[name] for name in names_of(OrderHead) if name in orders.c and name not in COUNTS)
_STATE = sa.case(*((condition, name) for name, condition in _IN_STATE.items())).label("state")
_FILTERS: dict[str, Callable[[Reach], sa.ColumnElement[bool]]] = {
    "product_code": _has_product,
    "placed_since": lambda _: orders.c.placed_at >= sa.bindparam("placed_since", type_=sa.DateTime(timezone=True)),
    "placed_before": lambda _: orders.c.placed_at < sa.bindparam("placed_before", type_=sa.DateTime(timezone=True)),
    "after": lambda _: orders.c.id < sa.bindparam("after", type_=sa.Uuid),
}
"""What may be asked of a page of orders, by the parameter that it takes."""
