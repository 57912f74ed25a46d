"""Walks through everything listing has said, in the order of ids, so that it can be said again; whatever it hands out is
locked until the end of the transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.listing.tables import distributions, enterprises, institutions, listings
from shared.db import Tx

_FIRST = UUID(int=0)


def _walk(table: sa.Table, key: str, *said: sa.ColumnElement[bool]) -> sa.Select[Any]:
    wanted = sa.select(table.c.id, table.c[key].label("key")).where(table.c.id > sa.bindparam("after"), *said)
    return wanted.order_by(table.c.id).limit(sa.bindparam("rows")).with_for_update()


_WALKS = {
    "enterprises": _walk(enterprises, "code"),
    "institutions": _walk(institutions, "code"),
    "listings": _walk(listings, "id", listings.c.version > 0),
    "distributions": _walk(distributions, "id", distributions.c.version > 0),
}


# Every deed about a listing names the state after it.
_SINCE = """
SELECT about::uuid AS about, max(at) AS at FROM (
    SELECT about, at, detail->>'state' AS state, lag(detail->>'state') OVER (PARTITION BY about ORDER BY id) AS before
    FROM history WHERE about = ANY($1::uuid[]::text[])
) AS deeds WHERE state IS DISTINCT FROM before GROUP BY about
"""


async def in_state_since(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Since when each of these listings has been in its state."""
    return {row["about"]: row["at"] for row in await tx.sql(_SINCE, list(ids))}


async def keys_after(tx: Tx, kind: str, after: str, rows: int) -> tuple[Sequence[Any], str | None]:
    """The keys of the next things of a kind, and where to go on; None: these were the last."""
    found = await tx.rows(_WALKS[kind], after=UUID(after) if after else _FIRST, rows=rows)
    return [row["key"] for row in found], str(found[-1]["id"]) if len(found) == rows else None
