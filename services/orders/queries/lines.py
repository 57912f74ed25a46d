"""Reads lines of orders, with what traceability and settlement said of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.orders.queries.scope import Reach, of_party, reach_of, scoped, within
from services.orders.rules.lines import Line, LineState
from services.orders.tables import line_payments, order_lines, orders, shipment_lines
from shared.db import Tx
from shared.values import frozen

_TRACED = (
    sa.select(sa.func.coalesce(sa.func.sum(shipment_lines.c.quantity_traced), 0).cast(sa.Integer))
    .where(shipment_lines.c.order_line_id == order_lines.c.id)
    .scalar_subquery()
    .label("quantity_traced")
)
_PAID = (
    sa.select(sa.func.coalesce(sa.func.sum(line_payments.c.amount_yuan), 0))
    .where(line_payments.c.order_line_id == order_lines.c.id)
    .scalar_subquery()
    .label("paid_yuan")
)
COLUMNS = tuple(field.name for field in fields(Line) if field.name in order_lines.c)
_PLACED = tuple(field.name for field in fields(Line) if field.name in order_lines.c and field.default is MISSING)
"""What a line is placed with: the rest begins as the table's own defaults say, and need not travel."""
SHOWN = (*(order_lines.c[name] for name in COLUMNS), _TRACED, _PAID)
"""A line as it is shown: its own columns, and what the other services said of it."""
_ALL = sa.select(*SHOWN)


@frozen
class InboxLine:
    """A line with the order it is of."""

    line: Line
    order_number: str
    institution_name: str
    delivery_point: str | None
    placed_at: datetime
    confirm_by: datetime


_HEAD = tuple(field.name for field in fields(InboxLine) if field.name != "line")


def row_of(line: Line) -> dict[str, Any]:
    """The row of a line that is placed now."""
    return {name: getattr(line, name) for name in _PLACED}


@lru_cache
def _of_orders(reach: Reach) -> sa.Executable:
    ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
    wanted = _ALL.where(order_lines.c.order_id == sa.any_(ids), of_party(reach, order_lines))
    return wanted.order_by(order_lines.c.order_id, order_lines.c.line_number)


async def lines_of(tx: Tx, order_ids: Collection[UUID]) -> list[Line]:
    """The lines of some orders within reach, in their order."""
    return await tx.all(Line, _of_orders(reach_of(tx)), ids=list(order_ids), **scoped(tx))


async def lines_page(
    tx: Tx, *, state: LineState | None, product_code: str | None, after: UUID | None, rows: int
) -> list[InboxLine]:
    """Up to `rows` lines after a key, the oldest first: what waits longest stands on top."""
    wanted = _ALL.add_columns(*(orders.c[name] for name in _HEAD)).join(orders, orders.c.id == order_lines.c.order_id)
    wanted = wanted.where(within(reach_of(tx), order_lines)).order_by(order_lines.c.id).limit(rows)
    if state is not None:
        wanted = wanted.where(order_lines.c.state == state.value)
    if product_code is not None:
        wanted = wanted.where(order_lines.c.product_code == product_code)
    if after is not None:
        wanted = wanted.where(order_lines.c.id > after)
    found = await tx.rows(wanted, **scoped(tx))
    return [
        InboxLine(
            Line(**{name: value for name, value in row.items() if name not in _HEAD}),
            **{name: row[name] for name in _HEAD},
        )
        for row in found
    ]


# What is paid of a payable is a total that rises, and falls when money comes back: the newest step counts, and of one step
# the largest total, in whichever order payments are told.
_PAY = """
WITH was AS (SELECT payable_id, amount_yuan FROM line_payments WHERE payable_id = ANY($1))
INSERT INTO line_payments (payable_id, payment_id, order_id, order_line_id, institution_code, distributor_code,
    manufacturer_code, region, amount_yuan, step)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::numeric[], $10::int[])
ON CONFLICT (payable_id) DO UPDATE
SET payment_id = excluded.payment_id, amount_yuan = excluded.amount_yuan, step = excluded.step
WHERE (line_payments.step, line_payments.amount_yuan) < (excluded.step, excluded.amount_yuan)
RETURNING payable_id, coalesce((SELECT amount_yuan FROM was WHERE was.payable_id = line_payments.payable_id), 0.00) AS was
"""


async def pay(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> dict[UUID, Decimal]:
    """Keeps what is paid of payables, one row each; returns those of which that is news, with what was paid before."""
    columns = [[row[column.name] for row in rows] for column in line_payments.c]
    return {row["payable_id"]: row["was"] for row in await tx.sql(_PAY, *columns)}
