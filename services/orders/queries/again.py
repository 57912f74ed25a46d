"""Walks through orders and shipments in the order of ids, and finds in history when something came true; nothing is said of
an order whose lock is not held, so the keys alone are read here."""

from collections.abc import Collection, Sequence
from uuid import UUID

import sqlalchemy as sa

from services.orders.tables import orders, shipments
from shared.db import Record, Tx

_FIRST = UUID(int=0)
_WALKS = {
    table.name: sa.select(table.c.id)
    .where(table.c.id > sa.bindparam("after"))
    .order_by(table.c.id)
    .limit(sa.bindparam("rows"))
    for table in (orders, shipments)
}
_DEEDS = (
    "SELECT about::uuid AS about, action, at, detail FROM history"
    " WHERE about = ANY($1::uuid[]::text[]) AND action = ANY($2::text[]) ORDER BY id"
)


async def ids_after(tx: Tx, kind: str, after: str, rows: int) -> tuple[list[UUID], str | None]:
    """The ids of the next orders or shipments, and where to go on; None: these were the last."""
    found = await tx.rows(_WALKS[kind], after=UUID(after) if after else _FIRST, rows=rows)
    ids: list[UUID] = [row["id"] for row in found]
    return ids, str(ids[-1]) if len(ids) == rows else None


async def deeds_of(tx: Tx, ids: Collection[UUID], actions: Sequence[str]) -> list[Record]:
    """What history tells of these things: `about`, `action`, `at` and `detail`, the oldest first."""
    return list(await tx.sql(_DEEDS, sorted(ids), list(actions)))
