"""State sent again as ordinary events, for a consumer that is new, was rebuilt, or was restored to an earlier hour.

Each thing is said as it stands, under its present version and a new event id: inboxes take it, version guards and natural
keys see that nothing happens twice. It is read under its lock, so that it never overtakes a change of the same thing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from shared import outbox
from shared.db import Database, Tx
from shared.events import Event

ROWS = 500
"""Things read and said in one transaction."""


@dataclass(frozen=True, slots=True)
class Page:
    """Facts with their sequences; `last` is the key of the last thing looked at, None behind the last one."""

    facts: Sequence[tuple[Event, int]]
    last: str | None


Read = Callable[[Tx, str, int], Awaitable[Page]]
"""Reads up to so many things after a key (the first call: ""), each locked."""
Republish = Mapping[str, Read]
"""What a service can say again, by kind."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Tables that hold nothing but what another service said, and the kinds it says again to fill them."""

    tables: tuple[sa.Table, ...]
    source: str
    kinds: tuple[str, ...]


async def republish(database: Database, read: Read) -> int:
    """Says every thing of a kind again; returns how many facts were recorded. Ended half-way, it may be begun anew."""
    count, after = 0, ""
    while True:
        async with database.transaction() as tx:
            page = await read(tx, after, ROWS)
            for fact, sequence in page.facts:
                outbox.record(tx, fact, sequence)
        count += len(page.facts)
        if page.last is None:
            return count
        after = page.last


async def empty(database: Database, projection: Projection) -> None:
    """Removes every row of a projection, in one transaction."""
    async with database.transaction() as tx:
        for table in projection.tables:
            await tx.sql(f'DELETE FROM "{table.name}"')  # noqa: S608  a declared table
