"""What outboxes, inboxes and topics say, copied into one session of a database, so that a million events fit beside it.

Invariant: `place` numbers what one producer said, or what stands on the topics, in the order in which it was said or stands.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from tempfile import TemporaryFile
from typing import Any

import asyncpg

from shared.bus import Message
from shared.envelope import unseal
from shared.events import version_of

COPY_SECONDS = 1_800
_TABLES = """
SET work_mem = '64MB';
CREATE TEMP TABLE said (
  source text, place bigint, event_id uuid, stem text, version text, subject text, sequence int, sent boolean, at timestamptz
);
CREATE TEMP TABLE stood (
  source text, place bigint GENERATED ALWAYS AS IDENTITY, event_id uuid, stem text, version text, subject text, sequence int
);
CREATE TEMP TABLE applied (consumer text, event_id uuid, at timestamptz);
CREATE TEMP TABLE done (consumer text, event_id uuid);
CREATE TEMP TABLE heard (consumer text, stem text, version text);
"""
_OUTBOX = """
SELECT $1::text, id, event_id, substring(type from '^(.*)\\.v\\d+$'), substring(type from '\\.v(\\d+)$'), subject, sequence,
  sent_at IS NOT NULL, recorded_at
FROM outbox
"""
_INBOX = "SELECT $1::text, event_id, received_at FROM inbox"
_WITNESS = "SELECT $1::text, event_id FROM witness"
_STOOD = ("source", "event_id", "stem", "version", "subject", "sequence")


class Books:
    """The copies: `said` by each outbox, what `stood` on the topics, `applied` by each inbox,
    `done` beside each effect (`witness.py`), `heard`: who handles what."""

    def __init__(self, session: asyncpg.Connection) -> None:
        self.session = session
        self._one_at_a_time = asyncio.Lock()

    async def copy_outbox(self, source: str, url: str) -> None:
        """Copies what a service has said; `url` is its database's owner's."""
        await self._copy(url, _OUTBOX, source, "said")

    async def copy_inbox(self, consumer: str, url: str, types: Collection[str]) -> None:
        """Copies what a service has applied, and notes the types that it handles."""
        await self._copy(url, _INBOX, consumer, "applied")
        await self._copy(url, _WITNESS, consumer, "done")
        handled = [(consumer, *version_of(one)) for one in types]
        await self.session.copy_records_to_table("heard", records=handled)

    async def copy_topic(self, messages: Sequence[Message]) -> None:
        """Notes messages as they stand on their topic, in the order of their partition."""
        rows = [(message.topic, unseal(message.value, message.headers)) for message in messages]
        stood = [(topic, e.id, *version_of(e.type), e.subject, int(e.sequence)) for topic, e in rows]
        async with self._one_at_a_time:
            await self.session.copy_records_to_table("stood", records=stood, columns=_STOOD)

    async def count(self, query: str, *given: Any) -> int:
        """The one number that a query answers."""
        return int(await self.session.fetchval(query, *given, timeout=COPY_SECONDS))

    async def events(self) -> int:
        """How many events were recorded."""
        return await self.count("SELECT count(*) FROM said")

    async def waits(self) -> AsyncIterator[tuple[float, float]]:
        """From record to effect, of every event at every consumer: seconds since 1970."""
        both = "SELECT said.at AS began, applied.at AS ended FROM said JOIN applied USING (event_id)"
        async with self.session.transaction():
            async for row in self.session.cursor(both, prefetch=10_000):
                yield row["began"].timestamp(), row["ended"].timestamp()

    async def _copy(self, url: str, query: str, name: str, table: str) -> None:
        there = await asyncpg.connect(url)
        try:
            with TemporaryFile() as between:
                await there.copy_from_query(query, name, output=between, format="binary", timeout=COPY_SECONDS)
                between.seek(0)
                await self.session.copy_to_table(table, source=between, format="binary", timeout=COPY_SECONDS)
        finally:
            await there.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Books]:
    """Empty books in a session of this database; they are gone when it ends."""
    session = await asyncpg.connect(url)
    try:
        await session.execute(_TABLES)
        yield Books(session)
    finally:
        await session.close()
