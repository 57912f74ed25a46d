"""How the consumer's cost grows with what stands already, and how fast it catches up; both for `make bench-scale`.

What stands is a copy of real rows under new ids, laid by the owner with triggers at rest, so that ten million rows take
minutes. Sizes are told by the environment: ROWS in each table (10,000,000), WAITING events (360,000).
"""

import asyncio
import os
import time
from collections.abc import Sequence

import asyncpg
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from uuid_utils.compat import uuid7

from services.settlement.app import service as settlement
from shared import clock
from shared.bus import KafkaBus, Message
from shared.db import PLATFORM, Database
from shared.envelope import seal
from shared.inbox import Consumer
from tests.bench.deliveries import sealed
from tests.bench.harness import Figure, Ground, at_least, at_most, percentile, told

ROWS = int(os.environ.get("ROWS", "10000000"))
WAITING = int(os.environ.get("WAITING", "360000"))
FEW = 100_000
SEED = 1_000
"""Deliveries whose rows are copied."""
CHUNK = 500_000
BATCH = 500
BATCHES = 20
PARTITIONS = 6
A_LETTER_IN = 1_000
"""Of so many waiting events one cannot be read, and its subject waits behind it."""

_NEW_IDS = {"payables": ("id", "shipment_line_id", "shipment_id"), "history": ("about",), "inbox": ("event_id",)}
_ID = (
    "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'"
    " || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid"
)


async def growth(servers: Ground) -> list[Figure]:
    """Cost per event with ROWS rows of inbox, payables and history, against a hundred thousand."""
    await servers.house.empty(settlement)
    database = await servers.house.database(settlement)
    owner = await asyncpg.connect(servers.house.url(settlement), command_timeout=3600)
    consumer = Consumer("settlement", database, settlement.handlers)
    await consumer.apply(_messages(SEED))
    costs = []
    for rows in (FEW, ROWS):
        await _fill(owner, rows)
        costs.append(await _cost(consumer))
    await owner.close()
    few, many = costs
    name = f"cost of an event among {ROWS:,} rows of inbox, payables and history, against {FEW:,}"
    return [at_most(name, many, few, 1.2, "ms")]


def _messages(count: int) -> list[Message]:
    return [Message("orders", str(subject), payload) for subject, payload in (sealed() for _ in range(count))]


async def _cost(consumer: Consumer) -> float:
    """Milliseconds an event, the middle of some batches; the first ones warm up."""
    seconds = []
    for _ in range(BATCHES):
        batch = _messages(BATCH)
        began = time.perf_counter()
        await consumer.apply(batch)
        seconds.append((time.perf_counter() - began) / BATCH)
    return percentile(seconds[2:], 0.5) * 1000


async def _fill(owner: asyncpg.Connection, rows: int) -> None:
    """Copies rows under new ids until each of the tables has so many, and lets the planner know."""
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
        await owner.execute(f'DROP TABLE seed; ANALYZE "{name}"')
    await owner.execute("RESET session_replication_role")


def _table(name: str) -> sa.Table:
    return {**settlement.metadata.tables, **PLATFORM.tables}[name]


async def catching_up(servers: Ground) -> list[Figure]:
    """WAITING deliveries on the broker, as after an hour away; then the same with letters that nobody can read among them."""
    rates = []
    for letters in (False, True):
        await servers.house.empty(settlement)
        topic = await servers.topic(PARTITIONS)
        handled = await _wait_there(servers, topic, letters=letters)
        rates.append(handled / await _catch_up(servers, topic, await servers.house.database(settlement), handled))
    plain, lettered = rates
    return [
        told(f"catching up with {WAITING:,} waiting events", plain, "events/s"),
        at_least(f"catching up with a dead letter in {A_LETTER_IN:,}, against none", lettered, plain, 0.9, "events/s"),
    ]


async def _wait_there(servers: Ground, topic: str, *, letters: bool) -> int:
    """Puts the events on the topic; returns how many messages there are."""
    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka.bootstrap, compression_type="lz4", linger_ms=20)
    await producer.start()
    sent = 0
    while sent < WAITING:
        batch = [sealed() for _ in range(min(5_000, WAITING - sent))]
        if letters:
            batch += [_unreadable() for _ in range(len(batch) // A_LETTER_IN)]
        futures = [await producer.send(topic, payload, str(subject).encode()) for subject, payload in batch]
        await asyncio.gather(*futures)
        sent += len(batch)
    await producer.stop()
    return sent


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


async def _catch_up(servers: Ground, topic: str, database: Database, count: int) -> float:
    stop, applied = asyncio.Event(), 0
    consumer = Consumer("settlement", database, settlement.handlers)

    async def apply(messages: Sequence[Message]) -> None:
        nonlocal applied
        await consumer.apply(messages)
        applied += len(messages)
        if applied >= count:
            stop.set()

    bus = KafkaBus(client_id="settlement", batch_messages=BATCH, bootstrap_servers=servers.kafka.bootstrap)
    began = time.perf_counter()
    await bus.consume(f"late-{uuid7().hex}", [topic], apply, stop)
    return time.perf_counter() - began
