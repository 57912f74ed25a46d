"""Fills and reads the projections; a fill locks the rows it touches in the order of their keys.

A fact is told once, so a column keeps the first value it got; figures that go up and down come with a version, and the
newest holds. Therefore the order of events between topics does not matter, and neither does a repeated one.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from services.alerts.queries.scope import within
from services.alerts.rules.recalls import HeldLot, RecalledLot
from services.alerts.rules.receipts import WatchedReceipt
from services.alerts.rules.sheets import CONFIRMED, NAMED, WatchedSheet
from services.alerts.rules.watches import WatchedLine, unconfirmed_key
from services.alerts.tables import accounts, order_lines, organisations, recalled_lots, receipts, sheets
from shared.db import Tx, lock_number

T = TypeVar("T")
Row = Mapping[str, Any]

VERSIONED = {
    "quantity_covered": "covered_version",
    "covered": "covered_version",
    "covered_version": "covered_version",
    "quantity_released": "released_version",
    "quantity_uncovered": "released_version",
    "released": "released_version",
    "released_yuan": "released_version",
    "released_version": "released_version",
    "disputed": "disputed_version",
    "resolve_by": "disputed_version",
    "on_sheets": "disputed_version",
    "moved_at": "disputed_version",
    "disputed_version": "disputed_version",
    "state": "version",
    "name": "version",
    "region": "version",
    "active": "version",
    "uscc": "version",
    "version": "version",
}
"""Columns that follow the newest version, and which column tells it; `organisations` and `accounts` have a plain version. One
version says one thing: told again, it fills what was not kept at first."""

PAID = ("paid_step", "paid_yuan")
"""A total and the step of the payable's money that it is of: the newest step holds, and of one step the largest total."""

LAST = (
    "answered_at",
    "confirmed_at",
    "returned_at",
    "sent_at",
    "paid_at",
    "unpaid_at",
    "doubted_at",
    "undoubted_at",
)
"""Of a sheet, which the agency may send back and whose payment may fail: the last time counts."""

OF_LAST = {"confirm_by": "returned_at", "failed_account_id": "unpaid_at", "failed_reason": "unpaid_at"}
"""Of a sheet, what the last of these times tells: by when it is to be confirmed, what the last payment that failed went to."""

RECALLS = lock_number("alerts:recalls")
TURN = lock_number("alerts:turn")
"""A recall takes this lock alone, deliveries share it, so that neither overlooks the other."""

_dialect = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]

_LINES = (
    sa.select(order_lines)
    .where(order_lines.c.line_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(order_lines.c.line_id)
    .with_for_update()
)
_LINES_OF_ORDERS = (
    sa.select(order_lines)
    .where(order_lines.c.order_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(order_lines.c.line_id)
    .with_for_update()
)
_ON_THE_WAY = sa.and_(
    receipts.c.quantity_accepted.is_(None), receipts.c.rejected_at.is_(None), receipts.c.cancelled_at.is_(None)
)
_ARRIVING = (
    sa.select(
        receipts.c.order_line_id,
        sa.func.sum(receipts.c.quantity_accepted).label("accepted"),
        sa.func.sum(receipts.c.quantity_shipped).filter(_ON_THE_WAY).label("on_the_way"),
    )
    .where(receipts.c.order_line_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .group_by(receipts.c.order_line_id)
)
_NAMED_RECEIPT = sa.select(
    *receipts.c,
    *(
        sa.select(order_lines.c[name])
        .where(order_lines.c.line_id == receipts.c.order_line_id)
        .scalar_subquery()
        .label(name)
        for name in ("order_number", "product_name")
    ),
)
"""A receipt with what its order line is called by."""
_RECEIPTS = (
    _NAMED_RECEIPT.where(receipts.c.shipment_line_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(receipts.c.shipment_line_id)
    .with_for_update()
)
_SHEETS = (
    sa.select(sheets)
    .where(sheets.c.sheet_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(sheets.c.sheet_id)
    .with_for_update()
)
_RECEIVING = (
    sa.select(
        sa.case(
            (sa.func.bool_or(accounts.c.state == CONFIRMED), CONFIRMED),
            (sa.func.bool_or(accounts.c.state == NAMED), NAMED),
        )
    )
    .where(accounts.c.supplier_code == sheets.c.supplier_code, sheets.c.region.op("^@")(accounts.c.region_prefix))
    .scalar_subquery()
    .label("receiving")
)
"""How far the account is that the supplier of a sheet is paid to, as settlement finds it; None before one is named."""
_FAILED_TO = (
    sa.select(accounts.c.state)
    .where(accounts.c.account_id == sheets.c.failed_account_id)
    .scalar_subquery()
    .label("failed_to")
)
"""What the account is now that the last payment of a sheet went to that failed."""
_ANSWERED_ORDERS = (
    sa.select(order_lines.c.order_id, order_lines.c.supplier_code)
    .where(order_lines.c.order_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .group_by(order_lines.c.order_id, order_lines.c.supplier_code)
    .having(
        sa.func.bool_and(
            sa.func.coalesce(
                order_lines.c.confirmed_at,
                order_lines.c.refused_at,
                order_lines.c.cancelled_at,
                order_lines.c.closed_at,
            ).is_not(None)
        )
    )
)


_HOLDERS = (
    "SELECT DISTINCT r.institution_code, r.supplier_code, r.region, r.product_code, r.lot_number FROM receipts r"
    " JOIN unnest($1::text[], $2::text[]) AS u(product_code, lot_number) USING (product_code, lot_number)"
    " WHERE r.quantity_accepted > 0 ORDER BY 1, 5"
)
_RECALLED = (
    f"SELECT {', '.join(map(str, recalled_lots.c))}"  # noqa: S608  names are declared
    " FROM recalled_lots JOIN unnest($1::text[], $2::text[]) AS u(product_code, lot_number)"
    " USING (product_code, lot_number) WHERE opened_at IS NOT NULL AND closed_at IS NULL"
)


@lru_cache(maxsize=64)
def _fill(table: sa.Table, names: tuple[str, ...]) -> str:
    keys = [column.name for column in table.primary_key]
    shown = [table.c[name].type.compile(dialect=_dialect) for name in names]
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(shown, 1))
    columns = ", ".join(names)
    changes = ", ".join(f"{name} = {_kept(table, name)}" for name in names if name not in keys)
    key = ", ".join(keys)
    kept = ", ".join(f"t.{column.name}" for column in table.c)
    return (
        f"INSERT INTO {table.name} AS t ({columns}) SELECT * FROM unnest({arrays}) AS u({columns}) ORDER BY {key}"  # noqa: S608  names are declared
        f" ON CONFLICT ({key}) DO UPDATE SET {changes} RETURNING {kept}"
    )


def _kept(table: sa.Table, name: str) -> str:
    if name in PAID:
        newer = "(excluded.paid_step, excluded.paid_yuan) > (coalesce(t.paid_step, -1), coalesce(t.paid_yuan, -1))"
        return f"CASE WHEN {newer} THEN excluded.{name} ELSE t.{name} END"
    if table is sheets and name in LAST:
        return f"greatest(t.{name}, excluded.{name})"
    if table is sheets and name in OF_LAST:
        newer = f"excluded.{OF_LAST[name]} >= coalesce(t.{OF_LAST[name]}, '-infinity')"
        return f"CASE WHEN {newer} THEN excluded.{name} ELSE coalesce(t.{name}, excluded.{name}) END"
    version = VERSIONED.get(name)
    if version is None or version not in table.c:
        return f"coalesce(t.{name}, excluded.{name})"
    return f"CASE WHEN excluded.{version} >= coalesce(t.{version}, 0) THEN excluded.{name} ELSE t.{name} END"


async def _filled(tx: Tx, table: sa.Table, rows: Sequence[Row], into: type[T]) -> list[T]:
    """Fills one row per key from `rows`, of which the last of a key counts, and returns them as they are now."""
    if not rows:
        return []
    keys = [column.name for column in table.primary_key]
    last = {tuple(row[key] for key in keys): row for row in rows}
    names = tuple(rows[0])
    columns = [[row[name] for row in last.values()] for name in names]
    return [into(**record) for record in await tx.sql(_fill(table, names), *columns)]


async def fill_lines(tx: Tx, rows: Sequence[Row]) -> list[WatchedLine]:
    """What is now known of these order lines, with these facts added; their rows are locked."""
    return await _filled(tx, order_lines, rows, WatchedLine)


async def fill_receipts(tx: Tx, rows: Sequence[Row]) -> list[WatchedReceipt]:
    """What is now known of these receipts, with these facts added; their rows are locked."""
    return await _filled(tx, receipts, rows, WatchedReceipt)


async def fill_organisations(tx: Tx, rows: Sequence[Row]) -> None:
    """Adds organisations, or what the newest version says of them."""
    await _filled(tx, organisations, sorted(rows, key=lambda row: row["version"]), dict)


async def fill_accounts(tx: Tx, rows: Sequence[Row]) -> None:
    """Adds receiving accounts, or what the newest version says of them."""
    await _filled(tx, accounts, sorted(rows, key=lambda row: row["version"]), dict)


async def lines_of_orders(tx: Tx, order_ids: Sequence[UUID]) -> list[WatchedLine]:
    """All lines of these orders, locked."""
    return await tx.all(WatchedLine, _LINES_OF_ORDERS, ids=order_ids)


async def watched_lines(tx: Tx, line_ids: Sequence[UUID]) -> list[WatchedLine]:
    """These lines with what has come and is to come of each, locked before the sums are taken."""
    return await with_shipments(tx, await tx.all(WatchedLine, _LINES, ids=line_ids))


async def with_shipments(tx: Tx, lines: Sequence[WatchedLine]) -> list[WatchedLine]:
    """The lines with what was accepted and what is on the way of each, over all shipments that the caller may see."""
    wanted = _ARRIVING if tx.scope.reach == "all" else _ARRIVING.where(within(tx.scope, receipts))
    found = {row["order_line_id"]: row for row in await tx.rows(wanted, ids=[line.line_id for line in lines])}
    return [
        line.arriving(row["accepted"] or 0, row["on_the_way"] or 0) if (row := found.get(line.line_id)) else line
        for line in lines
    ]


async def seen_lines(tx: Tx, line_ids: Sequence[UUID]) -> dict[str, WatchedLine]:
    """These order lines within reach with what has come and is to come of each, by their id."""
    wanted = sa.select(order_lines).where(
        order_lines.c.line_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), within(tx.scope, order_lines)
    )
    lines = await tx.all(WatchedLine, wanted, ids=list(line_ids))
    return {str(line.line_id): line for line in await with_shipments(tx, lines)}


async def watched_receipts(tx: Tx, shipment_line_ids: Sequence[UUID]) -> list[WatchedReceipt]:
    """These receipts with what their order lines are called by, locked."""
    return await tx.all(WatchedReceipt, _RECEIPTS, ids=shipment_line_ids)


async def receipts_of_payables(tx: Tx, payable_ids: Sequence[UUID]) -> dict[str, WatchedReceipt]:
    """What is known of these payables within reach, by their id."""
    wanted = _NAMED_RECEIPT.where(
        receipts.c.payable_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), within(tx.scope, receipts)
    )
    return {str(one.payable_id): one for one in await tx.all(WatchedReceipt, wanted, ids=list(payable_ids))}


async def sheets_between(tx: Tx, receipts: Sequence[WatchedReceipt]) -> list[WatchedSheet]:
    """The sheets within reach of the parties of these receipts, the oldest month first."""
    wanted = (
        sa.select(*sheets.c, _RECEIVING, _FAILED_TO)
        .where(
            sheets.c.institution_code == sa.any_(sa.bindparam("hospitals", type_=sa.ARRAY(sa.Text))),
            sheets.c.supplier_code == sa.any_(sa.bindparam("suppliers", type_=sa.ARRAY(sa.Text))),
            within(tx.scope, sheets),
        )
        .order_by(sheets.c.month, sheets.c.sheet_id)
    )
    hospitals = sorted({receipt.institution_code for receipt in receipts})
    suppliers = sorted({receipt.supplier_code for receipt in receipts})
    return await tx.all(WatchedSheet, wanted, hospitals=hospitals, suppliers=suppliers)


async def seen_sheets(tx: Tx, sheet_ids: Sequence[UUID]) -> dict[str, WatchedSheet]:
    """What is known of these sheets within reach, by their id."""
    wanted = sa.select(*sheets.c, _RECEIVING, _FAILED_TO).where(
        sheets.c.sheet_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), within(tx.scope, sheets)
    )
    return {str(one.sheet_id): one for one in await tx.all(WatchedSheet, wanted, ids=list(sheet_ids))}


async def fill_sheets(tx: Tx, rows: Sequence[Row]) -> list[WatchedSheet]:
    """What is now known of these sheets, with these facts added; their rows are locked."""
    return await _filled(tx, sheets, rows, WatchedSheet)


async def watched_sheets(tx: Tx, sheet_ids: Sequence[UUID]) -> list[WatchedSheet]:
    """These sheets, locked."""
    return await tx.all(WatchedSheet, _SHEETS, ids=sheet_ids)


async def answered_keys(tx: Tx, order_ids: Sequence[UUID]) -> list[str]:
    """The orders at the distributors that have answered every line, as an unconfirmed alert names them."""
    found = await tx.rows(_ANSWERED_ORDERS, ids=order_ids)
    return [unconfirmed_key(row["order_id"], row["supplier_code"]) for row in found]


async def take_turn(tx: Tx) -> None:
    """Lets one transaction at a time change what is watched. Facts about one order line come by five subjects, and so in
    several partitions at once; each batch locks lines wave after wave, and no order of ids within a wave keeps two batches
    from waiting for each other."""
    await tx.sql("SELECT pg_advisory_xact_lock($1)", TURN)


async def recall_lock(tx: Tx, *, alone: bool) -> None:
    """Keeps recalls and deliveries from overlooking each other until the end of the transaction."""
    mode = "" if alone else "_shared"
    await tx.sql(f"SELECT pg_advisory_xact_lock{mode}($1)", RECALLS)


async def fill_recalled_lots(tx: Tx, rows: Sequence[Row]) -> list[RecalledLot]:
    """What is now known of these recalled lots."""
    return await _filled(tx, recalled_lots, rows, RecalledLot)


async def holders(tx: Tx, lots: Sequence[RecalledLot]) -> list[HeldLot]:
    """The institutions that accepted goods of these lots."""
    codes, numbers = [lot.product_code for lot in lots], [lot.lot_number for lot in lots]
    return [HeldLot(**row) for row in await tx.sql(_HOLDERS, codes, numbers)]


async def recalls_of_receipts(tx: Tx, found: Sequence[WatchedReceipt]) -> list[RecalledLot]:
    """The open recalls of the lots that these receipts are of."""
    lots = sorted({(one.product_code, one.lot_number) for one in found if one.product_code and one.lot_number})
    codes, numbers = [code for code, _ in lots], [number for _, number in lots]
    return [RecalledLot(**row) for row in await tx.sql(_RECALLED, codes, numbers)]


async def recalls_of(tx: Tx, held: Sequence[HeldLot]) -> list[RecalledLot]:
    """The open recalls of these lots."""
    codes, numbers = [lot.product_code for lot in held], [lot.lot_number for lot in held]
    return [RecalledLot(**row) for row in await tx.sql(_RECALLED, codes, numbers)]
