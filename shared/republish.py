"""State sent again as ordinary events, for a consumer that is new, was rebuilt, or was restored to an earlier hour.

Each thing is said as it stands, under the sequence that was told last of it, its own time and a new event id: inboxes take it,
version guards and natural keys see that nothing happens twice. It is read under its lock, so that it never overtakes a change
of the same thing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from shared import outbox
from shared.db import Database, Tx
from shared.events import Event
from shared.values import frozen

ROWS = 500
"""Things read and said in one transaction."""


class Again(NamedTuple):
    """A fact with its sequence, and when it came true where that is known; None: now."""

    fact: Event
    sequence: int
    happened_at: datetime | None = None


@frozen
class Page:
    """Facts in the order in which they are said; `last` is the key of the last thing looked at, None behind the last."""

    facts: Sequence[Again]
    last: str | None


Read = Callable[[Tx, str, int], Awaitable[Page]]
"""Reads up to so many things after a key (the first call: ""), each locked."""
Republish = Mapping[str, Read]
"""What a service can say again, by kind."""


@frozen
class Projection:
    """Tables that hold nothing but what other services said, and the kinds that each says again to fill them."""

    tables: tuple[sa.Table, ...]
    sources: Mapping[str, tuple[str, ...]]


async def republish(database: Database, read: Read) -> int:
    """Says every thing of a kind again; returns how many facts were recorded. Ended half-way, it may be begun anew."""
    count, after = 0, ""
    while True:
        async with database.transaction() as tx:
            page = await read(tx, after, ROWS)
            for fact, sequence, happened_at in page.facts:
                outbox.record(tx, fact, sequence, happened_at=happened_at)
        count += len(page.facts)
        if page.last is None:
            return count
        after = page.last


async def says_anything(database: Database, read: Read) -> bool:
    """Whether there is a thing of a kind that would be said again."""
    async with database.transaction() as tx:
        page = await read(tx, "", 1)
    return bool(page.facts) or page.last is not None


async def holds_rows(database: Database, projection: Projection) -> bool:
    """Whether a projection knows anything."""
    async with database.transaction() as tx:
        return any([await tx.sql(f'SELECT 1 FROM "{table.name}" LIMIT 1') for table in projection.tables])  # noqa: S608


async def empty(database: Database, projection: Projection) -> None:
    """Removes every row of a projection, in one transaction."""
    async with database.transaction() as tx:
        for table in projection.tables:
            await tx.sql(f'DELETE FROM "{table.name}"')  # noqa: S608  a declared table
