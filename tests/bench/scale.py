"""How the consumer's cost grows with what stands already, and how fast it catches up; both for `make bench-scale`.

What stands is a copy of real rows under new ids, laid by the owner with triggers at rest, so that ten million rows take
minutes. Sizes are told by the environment: ROWS in each table (10,000,000), WAITING events (360,000).
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import asyncpg
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from rich.console import Console
from uuid_utils.compat import uuid7

from services.settlement.app import service as settlement
from shared import clock
from shared.bus import KafkaBus, Message
from shared.db import PLATFORM
from shared.envelope import seal
from shared.inbox import Consumer
from tests.bench.deliveries import sealed
from tests.bench.harness import Figure, Ground, at_least, at_most, in_turn, percentile, told

ROWS = int(os.environ.get("ROWS", "10000000"))
WAITING = int(os.environ.get("WAITING", "360000"))
FEW = 100_000
SEED = 1_000
"""Deliveries whose rows are copied."""
CHUNK, CHUNK_SENT = 500_000, 5_000
BATCH = 500
BATCHES = 42
PARTITIONS = 6
SLICES = 6
A_LETTER_IN = 1_000
"""Of so many waiting events one cannot be read, and its subject waits behind it."""

_NEW_IDS = {"payables": ("id", "shipment_line_id", "shipment_id"), "history": ("about",), "inbox": ("event_id",)}
_ID = (
    "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'"
    " || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid"
)


async def growth(servers: Ground) -> list[Figure]:
    """Cost per event with ROWS rows of inbox, payables and history, against a hundred thousand, batch about."""
    consumers = [await _standing(servers, f"settlement_{name}", rows) for name, rows in (("few", FEW), ("many", ROWS))]
    seconds: list[list[float]] = [[], []]
    for _ in range(BATCHES):
        for consumer, each in zip(consumers, seconds, strict=True):
            batch = _messages(BATCH)
            began = time.perf_counter()
            await consumer.apply(batch)
            each.append((time.perf_counter() - began) / BATCH)
    few, many = (percentile(each[2:], 0.1) * 1000 for each in seconds)  # those that nobody else disturbed
    name = f"cost of an event among {ROWS:,} rows of inbox, payables and history, against {FEW:,}"
    middle = percentile(seconds[1][2:], 0.5) / percentile(seconds[0][2:], 0.5)
    return [at_most(name, many, few, 1.2, "ms"), told(f"{name}, in the middle of all batches", middle, "×")]


async def _standing(servers: Ground, name: str, rows: int) -> Consumer:
    """A settlement with a database of its own, where so many rows stand."""
    service = replace(settlement, name=name)
    consumer = Consumer(name, await servers.house.database(service), service.handlers)
    await consumer.apply(_messages(SEED))
    owner = await asyncpg.connect(servers.house.url(service), command_timeout=3600)
    began = time.perf_counter()
    await _fill(owner, rows)
    await owner.close()
    Console().print(f"{rows:,} rows in each of {', '.join(_NEW_IDS)}: {time.perf_counter() - began:.0f} s", style="dim")
    return consumer


def _messages(count: int) -> list[Message]:
    return [Message("orders", str(subject), payload) for subject, payload in (sealed() for _ in range(count))]


async def _fill(owner: asyncpg.Connection, rows: int) -> None:
    """Copies rows under new ids until each of the tables has so many, and leaves no upkeep of them behind to be measured."""
    await owner.execute("SET session_replication_role = replica")
    for name, new in _NEW_IDS.items():
        columns = [column for column in _table(name).columns if column.identity is None and column.computed is None]
        names = ", ".join(f'"{column.name}"' for column in columns)
        values = ", ".join(_ID if column.name in new else f's."{column.name}"' for column in columns)
        await owner.execute(f'CREATE TEMP TABLE seed AS SELECT * FROM "{name}" LIMIT {SEED}')
        standing = await owner.fetchval(f'SELECT count(*) FROM "{name}"')
        for start in range(standing, rows, CHUNK):
            count = min(CHUNK, rows - start)
            await owner.execute(
                f'INSERT INTO "{name}" ({names}) SELECT {values} FROM generate_series(0, {count} / {SEED} + 1)'
                f" CROSS JOIN seed AS s LIMIT {count}"
            )
        await owner.execute("DROP TABLE seed")
        await owner.execute(f'VACUUM ANALYZE "{name}"')
    await owner.execute("RESET session_replication_role")
    await owner.execute("CHECKPOINT")


def _table(name: str) -> sa.Table:
    return {**settlement.metadata.tables, **PLATFORM.tables}[name]


async def catching_up(servers: Ground) -> list[Figure]:
    """WAITING deliveries on the broker, as after an hour away, beside as many with letters that nobody can read among them.

    Both are caught up with in slices, turn about, so that a noisy minute of the machine falls on both.
    """
    plain, lettered = [await _late(servers, letters=letters) for letters in (False, True)]

    async def nothing() -> None:
        pass

    speeds = await in_turn(WAITING // SLICES, SLICES - 1, nothing, plain=plain, lettered=lettered)
    return [
        told(f"catching up with {WAITING:,} waiting events", speeds["plain"], "events/s"),
        at_least(
            f"catching up with a dead letter in {A_LETTER_IN:,}, against none",
            speeds["lettered"],
            speeds["plain"],
            0.9,
            "events/s",
        ),
    ]


async def _late(servers: Ground, *, letters: bool) -> Callable[[], Awaitable[None]]:
    """A settlement of its own for which events wait; each call catches up with one slice of them."""
    service = replace(settlement, name="settlement_lettered" if letters else "settlement_plain")
    topic = await servers.topic(PARTITIONS)
    await _wait_there(servers, topic, letters=letters)
    consumer = Consumer(service.name, await servers.house.database(service), service.handlers)
    applied = wanted = 0

    async def catch_up() -> None:
        nonlocal wanted
        wanted += WAITING // SLICES
        stop = asyncio.Event()

        async def apply(messages: Sequence[Message]) -> None:
            nonlocal applied
            await consumer.apply(messages)
            applied += len(messages)
            if applied >= wanted:
                stop.set()

        bus = KafkaBus(client_id=service.name, batch_messages=BATCH, bootstrap_servers=servers.kafka.bootstrap)
        await bus.consume(service.name, [topic], apply, stop)

    return catch_up


async def _wait_there(servers: Ground, topic: str, *, letters: bool) -> None:
    """Puts the events on the topic."""
    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka.bootstrap, compression_type="lz4", linger_ms=20)
    await producer.start()
    for sent in range(0, WAITING, CHUNK_SENT):
        batch: list[tuple[object, bytes]] = [sealed() for _ in range(min(CHUNK_SENT, WAITING - sent))]
        if letters:
            batch += [_unreadable() for _ in range(len(batch) // A_LETTER_IN)]
        futures = [await producer.send(topic, payload, str(subject).encode()) for subject, payload in batch]
        await asyncio.gather(*futures)
    await producer.stop()


def _unreadable() -> tuple[object, bytes]:
    subject = uuid7()
    payload = seal(
        event_id=uuid7(),
        source="/orders",
        event_type="cn.jicai.orders.delivery.accepted.v1",
        subject=str(subject),
        time=clock.now(),
        sequence=1,
        data={"shipment_id": str(subject)},
    )
    return subject, payload
