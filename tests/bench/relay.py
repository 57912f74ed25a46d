"""Relay: outbox row → Kafka → marked, against a bare loop that does the same by hand."""

import asyncio
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from uuid_utils.compat import uuid7

from shared import clock
from shared.bus import KafkaBus
from shared.db import Database
from shared.envelope import seal
from shared.outbox import Relay
from tests.bench.harness import Figure, Ground, at_least, in_turn
from tests.echo import Said, source
from tests.path import OwnTopic

ROWS = 20_000
ROUND = 1_000
TURNS = 5
SUBJECTS = 2_000
TEXT = "药品集中采购" * 25


def payload(subject: str) -> bytes:
    """Some 700 bytes, as a delivery of one line has."""
    return seal(
        event_id=uuid7(),
        source="/source",
        event_type=Said.TYPE,
        subject=subject,
        time=clock.now(),
        sequence=1,
        data={"thing_id": subject, "number": 1, "text": TEXT},
    )


async def fill(database: Database, count: int) -> None:
    subjects = [str(uuid7()) for _ in range(SUBJECTS)]
    wanted = [subjects[place % SUBJECTS] for place in range(count)]
    await database.pool.execute("TRUNCATE outbox")
    await database.pool.copy_records_to_table(
        "outbox",
        columns=["event_id", "type", "subject", "sequence", "payload"],
        records=[(uuid7(), Said.TYPE, subject, 1, payload(subject)) for subject in wanted],
    )
    await database.pool.execute("ANALYZE outbox")


async def bare(connection: asyncpg.Connection, producer: AIOKafkaProducer, topic: str) -> None:
    while True:
        rows: list[Any] = await connection.fetch(
            "SELECT id, subject, payload FROM outbox WHERE sent_at IS NULL ORDER BY id LIMIT $1", ROUND
        )
        if not rows:
            return
        sent = [await producer.send(topic, row["payload"], row["subject"].encode()) for row in rows]
        await asyncio.gather(*sent)
        await connection.execute(
            "UPDATE outbox SET sent_at = clock_timestamp() WHERE id = ANY($1::bigint[])", [row["id"] for row in rows]
        )


async def bench(servers: Ground) -> list[Figure]:
    owner = await Database.open(servers.house.url(source), policy=(await servers.house.database(source)).policy)
    topic = await servers.topic(6)
    bus: KafkaBus = OwnTopic(topic, client_id="relay", bootstrap_servers=servers.kafka.bootstrap)
    relay = Relay("source", owner, bus, rows=ROUND)
    producer = AIOKafkaProducer(
        bootstrap_servers=servers.kafka.bootstrap,
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        linger_ms=2,
        max_batch_size=256 * 1024,
    )
    await producer.start()
    stop = asyncio.Event()

    async def ours() -> None:
        async with owner.pool.acquire() as connection:
            while await relay.round(connection, stop):
                pass

    async def anchor() -> None:
        async with owner.pool.acquire() as connection:
            await bare(connection, producer, topic)

    async def prepare() -> None:
        await fill(owner, ROWS)

    speeds = await in_turn(ROWS, TURNS, prepare, ours=ours, anchor=anchor)
    await producer.stop()
    await bus.stop()
    await owner.close()
    return [at_least("relay", speeds["ours"], speeds["anchor"], 0.7, "events/s")]
