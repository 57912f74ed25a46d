"""What goes wrong: one function a fault, each leaving the platform as it was; crash points are dealt by the stand.

Invariant: a fault is counted when it has happened, not when it was tried.
"""

import asyncio
import logging
import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import httpx

from deploy.services import NAMES
from shared import clock
from shared.bus import BusAway, KafkaBus, Message, ensure_topics
from shared.faults import TRANSIENT
from tests.faults.next_tables import COLUMN, FOLDER, add_version
from tests.faults.stand import TODAY, TRADING, Happened, Stand

log = logging.getLogger(__name__)

AHEAD = timedelta(hours=7)
SIDE_BY_SIDE_SECONDS = 2
BYTES_OF_A_MESSAGE = 1_048_588
"""What a broker takes unless it is told otherwise."""
RELAY_LEADS = 'jicai_relay_lead{service="orders"} 1.0'
NEXT_EVENT, NEXT_TABLES = "tests.faults.next_version", "tests.faults.next_tables"
SAYING = ("orders-api",)
HEARING = ("settlement-worker", "traceability-worker")
"""Who says and who hears that a delivery was accepted; alerts hears it too, and stays as it is."""
PAYING = ("settlement-worker", "settlement-api")
PAYABLES = "SELECT count(*) FROM payables"
MORE_PAYABLES = "SELECT count(*) > $1 FROM payables"
FILLED = f"SELECT count({COLUMN}) > 0 FROM payables"
UNSENT = "SELECT event_id, subject, payload FROM outbox WHERE sent_at IS NULL ORDER BY id LIMIT 200"
OLD = "SELECT event_id, subject, payload FROM outbox WHERE sent_at IS NOT NULL ORDER BY random() LIMIT 200"
# Something waits, and nothing was sent for a while.
REFUSED = """
SELECT count(*) > 0 AND coalesce((SELECT max(sent_at) FROM outbox) < clock_timestamp() - interval '2 s', true)
FROM outbox WHERE sent_at IS NULL
"""
WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO inbox%'"
DEADLOCKS = "SELECT sum(deadlocks)::int FROM pg_stat_database"
CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
MARK_AS_KNOWN = "INSERT INTO inbox (event_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING"


class NotMigrated(AssertionError):
    """Tables could not be changed under load."""


Fault = Callable[["Trouble"], Awaitable[bool]]
"""True: it happened."""


@dataclass(slots=True)
class Trouble:
    """Makes trouble on a stand; `pause_seconds` is how long the broker stands still."""

    stand: Stand
    pause_seconds: float
    back_to_back: bool = False
    """The next fault does not wait until what was killed by the one before is back."""

    async def make(self, kind: str, fault: Fault) -> bool:
        """One fault, and until the platform has its processes again; written down when it happened."""
        began = clock.wall_seconds()
        try:
            happened = await fault(self)
        except (*TRANSIENT, BusAway, httpx.HTTPError) as away:
            log.warning("a fault did not come about", extra={"kind": kind, "reason": repr(away)})
            return False
        if happened:
            self.stand.happened.append(Happened(kind, began, clock.wall_seconds()))
        return happened

    async def send(self, messages: Sequence[Message]) -> None:
        """Puts bytes on their topic, beside the relays."""
        bus = KafkaBus(client_id="faults", bootstrap_servers=self.stand.kafka.bootstrap)
        try:
            async with asyncio.timeout(60):
                await bus.send(messages)
        finally:
            await bus.stop()


async def kill(name: str, trouble: Trouble) -> bool:
    """kill -9 of one process."""
    trouble.stand.kill(name)
    await asyncio.sleep(0.3)
    if not trouble.back_to_back:
        await trouble.stand.until_alive(name)
    return True


async def kill_broker(trouble: Trouble) -> bool:
    await asyncio.to_thread(trouble.stand.kafka.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(trouble.stand.kafka.restart)
    return True


async def stop_broker(trouble: Trouble) -> bool:
    """SIGSTOP: it is there and says nothing."""
    trouble.stand.kafka.pause()
    try:
        await asyncio.sleep(trouble.pause_seconds)
    finally:
        trouble.stand.kafka.resume()
    return True


async def refuse_writes(trouble: Trouble) -> bool:
    """The broker takes no message of any size, and says so, until that is set back."""
    await _allow_bytes(trouble.stand, 1)
    try:
        async with trouble.stand.connected("orders") as said:
            await asyncio.sleep(trouble.pause_seconds)
            await _until(said, REFUSED)
    finally:
        await _allow_bytes(trouble.stand, BYTES_OF_A_MESSAGE)
    return True


async def _allow_bytes(stand: Stand, count: int) -> None:
    await ensure_topics(NAMES, settings={"max.message.bytes": str(count)}, bootstrap_servers=stand.kafka.bootstrap)


async def upgrade(first: Sequence[str], then: Sequence[str], trouble: Trouble) -> bool:
    """The next version beside today's: one side is replaced, and a while later the other; then both go back."""
    for version in (NEXT_EVENT, TODAY):
        for names in (first, then):
            await _roll(trouble.stand, names, version)
            await asyncio.sleep(SIDE_BY_SIDE_SECONDS)
    return True


async def _roll(stand: Stand, names: Sequence[str], version: str) -> None:
    await asyncio.gather(*(stand.roll(name, version) for name in names))


async def upgrade_tables(trouble: Trouble) -> bool:
    """Settlement's payables get a column and an index, then processes that write it; then processes and tables go back."""
    stand = trouble.stand
    async with stand.connected("settlement") as written:
        await _migrate(stand, comes=True)
        try:
            await _until(written, MORE_PAYABLES, await written.fetchval(PAYABLES))
            await _roll(stand, PAYING, NEXT_TABLES)
            await _until(written, FILLED)
        finally:
            await _roll(stand, PAYING, TODAY)
            await _migrate(stand, comes=False)
    return True


async def upgrade_processes(trouble: Trouble) -> bool:
    """The same the other way about: processes are always ahead of their tables, or behind, and wait for them."""
    stand = trouble.stand
    async with stand.connected("settlement") as written:
        await _roll(stand, PAYING, NEXT_TABLES)
        await asyncio.sleep(SIDE_BY_SIDE_SECONDS)
        await _migrate(stand, comes=True)
        try:
            await _until(written, FILLED)
        finally:
            await _migrate(stand, comes=False)
            await asyncio.sleep(SIDE_BY_SIDE_SECONDS)
            await _roll(stand, PAYING, TODAY)
    return True


async def _migrate(stand: Stand, *, comes: bool) -> None:
    """`jicai migrate settlement` of the version whose column comes, or of the one after it, where it is gone."""
    folder = stand.data_dir / "next_versions"
    add_version(folder, comes=comes)
    arguments = ["-m", NEXT_TABLES, "migrate", "settlement", "--database-url", stand.url_of("settlement")]
    migrating = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, FOLDER: str(folder)}, stdout=subprocess.DEVNULL
    )
    if status := await migrating.wait():
        raise NotMigrated(f"jicai migrate settlement ended with status {status}")


async def _until(connection: asyncpg.Connection, question: str, *given: Any, seconds: float = 60) -> None:
    """Asks again and again until the answer is yes; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await connection.fetchval(question, *given):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def kill_database(trouble: Trouble) -> bool:
    """Postmaster and children at once, so that it recovers from its log."""
    port = trouble.stand.postgres.port
    await asyncio.to_thread(trouble.stand.postgres.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(trouble.stand.postgres.restart)
    assert trouble.stand.postgres.port == port
    return True


async def cut_connections(trouble: Trouble) -> bool:
    async with trouble.stand.connected("orders") as connection:
        return bool(await connection.fetchval(CUT))


async def deadlock(trouble: Trouble) -> bool:
    """Takes the last of what orders has to say before settlement hears it, then the others, while settlement waits."""
    async with (
        trouble.stand.connected("orders") as said,
        trouble.stand.connected("settlement") as heard,
    ):
        before = await heard.fetchval(DEADLOCKS)
        with trouble.stand.stopped("orders-worker"):
            ids = await _gathered(said, "%.delivery.accepted.%")
            if len(ids) < 2:
                return False
            await heard.execute("BEGIN; SET LOCAL deadlock_timeout = '20s'")
            await heard.execute(MARK_AS_KNOWN, ids[-1:])
        await _until(said, WAITERS, seconds=20)
        with suppress(asyncpg.DeadlockDetectedError):
            await heard.execute(MARK_AS_KNOWN, ids[:-1])
        await heard.execute("ROLLBACK")
        for _ in range(50):  # the server counts a little later
            if await heard.fetchval(DEADLOCKS) > before:
                return True
            await asyncio.sleep(0.1)
        return False


async def _gathered(said: asyncpg.Connection, kind: str = "%") -> list[Any]:
    """The ids that wait in orders' outbox, once some do."""
    for _ in range(50):
        rows = await said.fetch("SELECT event_id FROM outbox WHERE sent_at IS NULL AND type LIKE $1 ORDER BY id", kind)
        if len(rows) > 5:
            break
        await asyncio.sleep(0.1)
    return [row["event_id"] for row in rows]


async def two_relays(trouble: Trouble) -> bool:
    """The lead hangs with its lock until another has taken it, then goes on as if nothing had been."""
    stand = trouble.stand
    await stand.until(stand.addresses["orders"].ops, "/metrics", RELAY_LEADS)
    async with stand.second_worker("orders") as second:
        with stand.stopped("orders-worker"):
            await stand.until(second, "/metrics", RELAY_LEADS)
        await asyncio.sleep(SIDE_BY_SIDE_SECONDS)
    return True


async def add_worker(trouble: Trouble) -> bool:
    """Another worker joins under load, and is taken away in good order."""
    async with trouble.stand.second_worker(random.choice(TRADING)):
        await asyncio.sleep(SIDE_BY_SIDE_SECONDS)
    return True


async def wrong_clock(trouble: Trouble) -> bool:
    """One worker is hours ahead for a while."""
    base = trouble.stand.addresses[random.choice(TRADING)].ops
    async with httpx.AsyncClient(timeout=5, trust_env=False, headers=trouble.stand.operator) as client:
        ahead = (clock.now() + AHEAD).isoformat()
        answer = await client.put(f"{base}/clock", json={"now": ahead})
        await asyncio.sleep(2)
        with suppress(httpx.HTTPError):  # killed meanwhile: then it has the right time again
            await client.delete(f"{base}/clock")
        return answer.is_success


async def repeat(trouble: Trouble) -> bool:
    """Old messages come again, long after, in any order."""
    service = random.choice(("orders", "settlement", "traceability"))
    async with asyncio.timeout(60), trouble.stand.connected(service) as said:
        while not (rows := await said.fetch(OLD)):  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    await trouble.send([Message(service, row["subject"], row["payload"]) for row in rows])
    return True


async def shuffle(trouble: Trouble) -> bool:
    """What orders is about to say comes before its relay sends it, out of order between subjects; the relay's comes late."""
    async with trouble.stand.connected("orders") as said:
        with trouble.stand.stopped("orders-worker"):
            await _gathered(said)
            rows = await said.fetch(UNSENT)
            by_subject: dict[str, list[Message]] = {}
            for row in rows:
                by_subject.setdefault(row["subject"], []).append(Message("orders", row["subject"], row["payload"]))
            queues = list(by_subject.values())
            mixed: list[Message] = []
            while queues:
                queue = random.choice(queues)
                mixed.append(queue.pop(0))
                queues = [one for one in queues if one]
            await trouble.send(mixed)
    return len(by_subject) > 1


def kinds(stand: Stand) -> dict[str, Fault]:
    """Every fault by its name; crash points are beside them, in the stand."""
    return {
        **{f"kill -9 {name}": partial(kill, name) for name in (*stand.names("api"), *stand.names("worker"))},
        "broker killed": kill_broker,
        "broker stopped": stop_broker,
        "broker refuses writes": refuse_writes,
        "rolling upgrade, who says it first": partial(upgrade, SAYING, HEARING),
        "rolling upgrade, who hears it first": partial(upgrade, HEARING, SAYING),
        "upgrade that changes tables, tables first": upgrade_tables,
        "upgrade that changes tables, processes first": upgrade_processes,
        "database killed": kill_database,
        "connections cut": cut_connections,
        "deadlock": deadlock,
        "two relays": two_relays,
        "worker added and taken away": add_worker,
        "clock hours ahead": wrong_clock,
        "messages repeated": repeat,
        "messages late and out of order": shuffle,
    }
