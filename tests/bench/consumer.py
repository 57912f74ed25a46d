"""Consumer: Kafka → inbox, payables, coverage, ledger, history and outbox of settlement, against bare aiokafka and asyncpg.

The anchor is given the very rows that ours has written, ready to be copied into the same tables: it reads the topic, looks
them up by the subject, and copies them, 500 messages a transaction, or one.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from uuid_utils.compat import uuid7

from deploy.server import keep_what_is_loaded
from services.settlement.app import service as settlement
from shared.bus import KafkaBus, Message
from shared.db import PLATFORM, Database
from shared.inbox import Consumer
from tests.bench.deliveries import sealed
from tests.bench.harness import Figure, Ground, at_least, in_turn

EVENTS = 6_000
SINGLY = 1_000
BATCH = 500
PARTITIONS = 2
TURNS = 3
TABLES = ("inbox", "payables", "coverage", "transfers", "history", "outbox")
MADE_BY_THE_DATABASE = {("payables", "state"), ("history", "hash"), ("outbox", "sent_at")}

Rows = dict[str, list[tuple[Any, ...]]]


async def bench(servers: Ground) -> list[Figure]:
    """Both goals, from the same messages."""
    topic = await servers.topic(PARTITIONS)
    database = await servers.house.database(settlement)
    owner = await asyncpg.connect(servers.house.url(settlement))
    await _jsonb(owner)
    await _produce(servers, topic)

    async def prepare() -> None:
        await servers.house.empty(
            settlement
        )  # and no ANALYZE: plans made for empty tables read the full ones row by row

    async def ours() -> None:
        await _consume(servers, topic, database)

    await ours()
    columns = {name: await _columns(owner, name) for name in TABLES}
    rows = await _rows_by_delivery(owner, columns)

    async def anchor() -> None:
        await _copy(servers, topic, owner, columns, rows)

    async def one_each() -> None:
        await _copy(servers, topic, owner, columns, rows, batch=1, count=SINGLY)

    keep_what_is_loaded()  # as our processes do; the anchor's rows are in this one
    found = await in_turn(EVENTS, TURNS, prepare, ours=ours, anchor=anchor, singly=one_each)
    await owner.close()
    return [
        at_least(
            "consumer, against COPY of 500 messages a transaction",
            found["ours"],
            found["anchor"],
            0.65,
            "events/s",
        ),
        at_least(
            "consumer, against one message a transaction",
            found["ours"],
            found["singly"] * SINGLY / EVENTS,  # it does so many in its turn
            3,
            "events/s",
        ),
    ]


async def _produce(servers: Ground, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka.bootstrap, compression_type="lz4", linger_ms=20)
    await producer.start()
    sent = []
    for number in range(EVENTS):
        subject, payload = sealed()
        sent.append(await producer.send(topic, payload, str(subject).encode(), partition=number % PARTITIONS))
    await asyncio.gather(*sent)
    await producer.stop()


async def _consume(servers: Ground, topic: str, database: Database) -> None:
    """The real bus and the real consumer, in a group of its own, until everything is applied."""
    stop, applied = asyncio.Event(), 0
    consumer = Consumer("settlement", database, settlement.handlers)

    async def apply(messages: Sequence[Message]) -> None:
        nonlocal applied
        await consumer.apply(messages)
        applied += len(messages)
        if applied >= EVENTS:
            stop.set()

    bus = KafkaBus(client_id="settlement", batch_messages=BATCH, bootstrap_servers=servers.kafka.bootstrap)
    await bus.consume(f"ours-{uuid7().hex}", [topic], apply, stop)


async def _copy(
    servers: Ground,
    topic: str,
    owner: asyncpg.Connection,
    columns: dict[str, list[str]],
    rows: dict[str, Rows],
    batch: int = BATCH,
    count: int = EVENTS,
) -> None:
    consumer = AIOKafkaConsumer(
        topic,
        group_id=f"bare-{uuid7().hex}",
        bootstrap_servers=servers.kafka.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    done = 0
    while done < count:
        for place, records in (await consumer.getmany(timeout_ms=200, max_records=batch)).items():
            subjects = [orjson.loads(record.value)["subject"] for record in records]
            async with owner.transaction():
                for name in TABLES:
                    lines = [row for subject in subjects for row in rows[subject].get(name, ())]
                    await owner.copy_records_to_table(name, columns=columns[name], records=lines)
            await consumer.commit({place: records[-1].offset + 1})
            done += len(records)
    await consumer.stop()


async def _jsonb(connection: asyncpg.Connection) -> None:
    """As bytes, so that the anchor pays nothing for JSON."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=lambda raw: raw, decoder=bytes
    )


async def _columns(owner: asyncpg.Connection, name: str) -> list[str]:
    """The columns that a service fills in."""
    tables = {**settlement.metadata.tables, **PLATFORM.tables}
    return [
        column.name
        for column in tables[name].columns
        if column.identity is None and (name, column.name) not in MADE_BY_THE_DATABASE
    ]


async def _rows_by_delivery(owner: asyncpg.Connection, columns: dict[str, list[str]]) -> dict[str, Rows]:
    """What ours has written for each delivery, ready to be copied."""
    payable_of = {
        row["id"]: str(row["shipment_id"]) for row in await owner.fetch("SELECT id, shipment_id FROM payables")
    }
    line_of = {
        row["shipment_line_id"]: str(row["shipment_id"])
        for row in await owner.fetch("SELECT shipment_line_id, shipment_id FROM payables")
    }
    rows: dict[str, Rows] = {subject: {} for subject in payable_of.values()}
    spare = iter(list(rows))
    for name in TABLES:
        for record in await owner.fetch(f'SELECT * FROM "{name}"'):
            if name == "inbox":
                subject = next(spare)  # any: the key is not the delivery's
            elif name == "coverage":
                subject = line_of[record["shipment_line_id"]]
            else:
                key = next(record[of] for of in ("payable_id", "about", "subject", "id") if of in record)
                subject = payable_of[key if isinstance(key, UUID) else UUID(key)]
            rows[subject].setdefault(name, []).append(tuple(record[column] for column in columns[name]))
    return rows
