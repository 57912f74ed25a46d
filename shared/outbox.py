"""Events leave through here: recorded in the transaction that made them true, sent by one relay, at least once.

Order per subject is the order of the rows, because rows are numbered when the transaction already holds the lock of the
aggregate it changed. One relay per service leads, under an advisory lock of its own connection. It must be heard of every
few seconds, or the server ends its session and another takes over; what both have sent is repeated, never out of order,
because each sends the unmarked rows in their order and marks only what is safe.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from shared import clock, crash, telemetry
from shared.bus import Bus, BusAway, Message
from shared.db import PLATFORM, Database, Tx, lock_number
from shared.envelope import seal
from shared.errors import Unprocessable
from shared.events import Event, source_of, subject_of, version_of
from shared.faults import TRANSIENT, cause_of, pause_seconds
from shared.ids import new_trace

log = logging.getLogger(__name__)

EVENT_BYTES = 900_000
"""The largest event, in bytes: under the 1 MB a broker takes, so that a row that was recorded can be sent."""

CHANNEL = "jicai_outbox"

BEAT_SECONDS = 2
SILENT_LEAD_SECONDS = 10
"""A lead that says nothing to the database for this long, because it hangs, has lost the lead."""

outbox = sa.Table(
    "outbox",
    PLATFORM,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("event_id", sa.Uuid, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
)
sa.Index("ix_outbox_waiting", outbox.c.id, postgresql_where=outbox.c.sent_at.is_(None))
sa.Index("ix_outbox_sent_at", outbox.c.sent_at, postgresql_where=outbox.c.sent_at.is_not(None))

_NEXT = "SELECT id, subject, payload FROM outbox WHERE sent_at IS NULL ORDER BY id LIMIT $1"
_MARK = "UPDATE outbox SET sent_at = clock_timestamp() WHERE id = ANY($1::bigint[])"
_PRUNE = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE sent_at < now() - $1::interval ORDER BY sent_at LIMIT $2)"
COUNTED_ROWS = 100_000
"""More events that wait are not counted: what is measured every few seconds may not grow with a broker's absence."""
_WAITING = """
SELECT (SELECT count(*) FROM (SELECT FROM outbox WHERE sent_at IS NULL ORDER BY id LIMIT $1) AS waiting) AS rows,
  coalesce((SELECT extract(epoch FROM clock_timestamp() - recorded_at) FROM outbox
    WHERE sent_at IS NULL ORDER BY id LIMIT 1), 0)::float8 AS seconds
"""
_LEAD = "SELECT pg_try_advisory_lock($1)"
_SESSION = "SELECT set_config('idle_session_timeout', $1, false), set_config('synchronous_commit', $2, false)"
"""While it leads: a silent session ends; and a mark need not be on the disk before the next round, because a mark that a
crash of the server takes back only has its event sent again."""
_RING = f"SELECT set_config('synchronous_commit', 'off', true), pg_notify('{CHANNEL}', '')"


class EventTooLarge(Unprocessable):
    """Send less in one thing, such as an order of fewer lines; `detail` names how large what is told of it may be."""


def record(
    tx: Tx, event: Event, sequence: int, beside: Sequence[Event] = (), *, happened_at: datetime | None = None
) -> None:
    """Says an event: recorded with the change it tells of, sent after the commit. `sequence` is the aggregate's version.

    `beside`: the same fact in other versions of its type, said the newest first; each consumer takes the first that it reads.
    `happened_at`: when it came true, where that was not now.
    Raises EventTooLarge when its bytes are more than EVENT_BYTES.
    """
    at = happened_at or clock.now()
    tx.wakes_relay = True
    if not beside:
        tx.add(outbox, _row(event, sequence, at, uuid7()))
        return
    said = sorted((event, *beside), key=_version, reverse=True)
    versions, fact_id = " ".join(str(_version(one)) for one in reversed(said)), uuid7()
    for one in said:
        event_id = fact_id if one is said[0] else uuid7()
        tx.add(outbox, _row(one, sequence, at, event_id, versions, fact_id))


def _version(event: Event) -> int:
    return int(version_of(event.TYPE)[1])


def _row(
    event: Event,
    sequence: int,
    at: datetime,
    event_id: UUID,
    versions: str | None = None,
    fact_id: UUID | None = None,
) -> dict[str, Any]:
    subject = subject_of(event)
    payload = seal(
        event_id=event_id,
        source=source_of(event),
        event_type=event.TYPE,
        subject=subject,
        time=at,
        sequence=sequence,
        data=event,
        request_id=telemetry.request_id.get(),
        traceparent=telemetry.traceparent.get() or new_trace(),
        versions=versions,
        fact_id=fact_id,
    )
    if len(payload) > EVENT_BYTES:
        raise EventTooLarge(
            "The event {kind} would be {count} bytes, at most {most} can travel.",
            kind=event.TYPE,
            count=len(payload),
            most=EVENT_BYTES,
        )
    return {
        "event_id": event_id,
        "type": event.TYPE,
        "subject": subject,
        "sequence": sequence,
        "payload": payload,
    }


RING_SECONDS = 0.005
"""Rings that come this soon after one another become one NOTIFY: busy, an API spends no round trip a request on it."""


class Bell:
    """Rings the relay of another process after a commit: at once, and again when more was rung meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ringing: asyncio.Task[None] | None = None
        self._again = False

    def ring(self) -> None:
        """Returns at once; polling is the fallback when the notice is lost."""
        if self._ringing is not None and not self._ringing.done():
            self._again = True
            return
        self._ringing = asyncio.get_running_loop().create_task(self._notify(), context=Context())  # for whoever comes

    async def _notify(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            with suppress(*TRANSIENT):
                await self._database.pool.execute(_RING)
            await asyncio.sleep(RING_SECONDS)


class Relay:
    """Sends what was recorded, in order, while it holds the lead."""

    def __init__(self, service: str, database: Database, bus: Bus, *, rows: int = 1_000, poll_seconds: float = 1.0):
        self._service = service
        self._database = database
        self._bus = bus
        self._rows = rows
        self._poll_seconds = poll_seconds
        self._awake = asyncio.Event()
        self._failed = 0
        """How often on end, since the last round without a fault."""

    def wake(self) -> None:
        """There is something to send."""
        self._awake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Takes the lead when it is free, relays while it has it, and takes it again after any fault of the road."""
        while not stop.is_set():
            try:
                wait_seconds = self._database.limits.pool_wait_seconds
                async with self._database.pool.acquire(timeout=wait_seconds) as connection:
                    await self._lead(connection, stop)
            except (*TRANSIENT, BusAway) as error:
                self._failed += 1
                wait = pause_seconds(self._failed, self._poll_seconds)
                told = {"service": self._service, "reason": cause_of(error), "wait_s": round(wait, 3)}
                log.warning("relay waits", extra=told)
                await _pause(stop, wait)
            finally:
                telemetry.RELAY_LEAD.labels(self._service).set(0)

    async def _lead(self, connection: Any, stop: asyncio.Event) -> None:
        if not await connection.fetchval(_LEAD, lock_number(f"relay:{self._service}")):
            self._failed = 0
            await _pause(stop, self._poll_seconds)
            return
        try:
            await self._relay(connection, stop)
            await connection.execute("SELECT pg_advisory_unlock_all()")
            await connection.execute(_SESSION, "0", "on")
        except BaseException:
            with suppress(asyncpg.InterfaceError):  # the pool has noticed its loss already
                connection.terminate()  # and the lead is free, whatever state the connection was in
            raise

    async def _relay(self, connection: Any, stop: asyncio.Event) -> None:
        telemetry.RELAY_LEAD.labels(self._service).set(1)
        log.info("leads the relay", extra={"service": self._service})

        def heard(*_: object) -> None:
            self._awake.set()

        await connection.execute(_SESSION, f"{SILENT_LEAD_SECONDS}s", "off")
        await connection.add_listener(CHANNEL, heard)
        while not stop.is_set():
            self._awake.clear()
            if await self.round(connection, stop) == 0:
                await self._wait_for_work(stop)
        await connection.remove_listener(CHANNEL, heard)

    async def _wait_for_work(self, stop: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(self._awake.wait()), asyncio.ensure_future(stop.wait())]
        seconds = min(self._poll_seconds, BEAT_SECONDS)
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def round(self, connection: Any, stop: asyncio.Event) -> int:
        """One round: up to `rows` events sent, awaited together, then marked. Returns how many."""
        waiting = await connection.fetch(_NEXT, self._rows)
        if not waiting:
            self._failed = 0
            return 0
        crash.at("relay: before send")
        await self._send(connection, [Message(self._service, row["subject"], row["payload"]) for row in waiting], stop)
        crash.at("relay: before mark")
        await connection.execute(_MARK, [row["id"] for row in waiting])
        crash.at("relay: after mark")
        self._failed = 0
        telemetry.RELAY_ROUNDS.labels(self._service).inc()
        telemetry.EVENTS_SENT.labels(self._service).inc(len(waiting))
        return len(waiting)

    async def _send(self, connection: Any, messages: list[Message], stop: asyncio.Event) -> None:
        """Sends; while a broker keeps us waiting, keeps the lead. Told to stop meanwhile, leaves the rows as they are."""
        sending = asyncio.ensure_future(self._bus.send(messages))
        try:
            while not (await asyncio.wait({sending}, timeout=BEAT_SECONDS))[0]:
                if stop.is_set():
                    raise BusAway("the broker has not taken the events yet; they stay in the outbox")
                await connection.execute("SELECT 1")
            sending.result()
            crash.at("relay: after send")
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait({sending})


async def waiting(database: Database) -> int:
    """How many events wait to be sent; COUNTED_ROWS where it is more."""
    return int((await waiting_since(database))[0])


async def waiting_since(database: Database) -> tuple[int, float]:
    """How many events wait to be sent, COUNTED_ROWS where it is more; and the age of the oldest in seconds."""
    rows = await database.pool.fetch(_WAITING, COUNTED_ROWS)
    return rows[0]["rows"], rows[0]["seconds"]


async def prune(connection: "asyncpg.pool.PoolConnectionProxy[Any]", keep_days: float, rows: int = 5_000) -> int:
    """Deletes a bounded number of events sent more than `keep_days` ago; returns how many."""
    status: str = await connection.execute(_PRUNE, timedelta(days=keep_days), rows)
    return int(status.rsplit(maxsplit=1)[-1])


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
