"""From the moment a fact was due to its committed effect: over LocalBus with five listeners, over Kafka at 100 a second.

A fact that begins late, because the one before it was still being recorded, has waited since it was due, and that is counted.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from rich.console import Console

from services.settlement.app import service as settlement
from shared import outbox
from shared.bus import Bus, LocalBus, Message
from shared.db import Database
from shared.inbox import Consumer
from shared.outbox import Bell, Relay
from tests.bench.deliveries import delivery
from tests.bench.harness import Figure, Ground, below, histogram, percentile
from tests.echo import Said, echo, faults, source
from tests.path import OwnTopic

LISTENERS = 5
LOCAL_FACTS, LOCAL_PER_SECOND = 500, 20
DELIVERIES, DELIVERIES_PER_SECOND = 3_000, 100


Say = Callable[[float], Awaitable[None]]
"""Records a fact that was due at a moment of `time.perf_counter`."""


class Watch:
    """When each subject's fact was due, and how long after it the last of its effects was committed."""

    def __init__(self, effects: int) -> None:
        self.seconds: list[float] = []
        self._effects = effects
        self._since: dict[str, float] = {}
        self._seen: dict[str, int] = {}

    def said(self, subject: str, due: float) -> None:
        self._since[subject] = due

    def applied(self, messages: Sequence[Message]) -> None:
        now = time.perf_counter()
        for one in messages:
            seen = self._seen[one.key] = self._seen.get(one.key, 0) + 1
            if seen == self._effects:
                self.seconds.append(now - self._since[one.key])


async def local(servers: Ground) -> list[Figure]:
    """One fact, five services that write it down."""
    faults.__init__()  # type: ignore[misc]
    listening = [replace(echo, name=f"echo{number}") for number in range(LISTENERS)]
    consumers = [Consumer(one.name, await servers.house.database(one), one.handlers) for one in listening]
    watch = Watch(LISTENERS)
    bus = LocalBus([one.service for one in consumers])
    said = await servers.house.database(source)

    async def say(due: float) -> None:
        thing = uuid4()
        watch.said(str(thing), due)
        async with said.transaction() as tx:
            outbox.record(tx, Said(thing_id=thing, number=1), 1)

    await _run(bus, bus, said, consumers, watch, say, ["source"], LOCAL_FACTS, LOCAL_PER_SECOND)
    histogram(Console(), "LocalBus: fact → applied by all", watch.seconds)
    return [below("LocalBus: fact → applied by all, p99", percentile(watch.seconds, 0.99) * 1000, 50, "ms")]


async def kafka(servers: Ground) -> list[Figure]:
    """Deliveries of three lines from the outbox of orders to payables, ledger, history and outbox of settlement."""
    topic = await servers.topic(6)
    said, settled = await servers.house.database(source), await servers.house.database(settlement)
    consumer = Consumer("settlement", settled, settlement.handlers)
    watch = Watch(1)
    sending, receiving = (
        OwnTopic(topic, client_id=name, bootstrap_servers=servers.kafka.bootstrap) for name in ("relay", "consumer")
    )

    async def say(due: float) -> None:
        fact = delivery()
        watch.said(str(fact.shipment_id), due)
        async with said.transaction() as tx:
            outbox.record(tx, fact, 1)

    await _run(sending, receiving, said, [consumer], watch, say, ["orders"], DELIVERIES, DELIVERIES_PER_SECOND)
    histogram(Console(), f"outbox → applied over Kafka at {DELIVERIES_PER_SECOND}/s", watch.seconds)
    return [
        below("outbox → applied over Kafka, p50", percentile(watch.seconds, 0.5) * 1000, 50, "ms"),
        below("outbox → applied over Kafka, p99", percentile(watch.seconds, 0.99) * 1000, 500, "ms"),
    ]


async def _run(
    sending: Bus,
    receiving: Bus,
    said: Database,
    consumers: Sequence[Consumer],
    watch: Watch,
    say: Say,
    topics: Sequence[str],
    count: int,
    per_second: int,
) -> None:
    """Says `count` facts at an even pace and waits until all are applied.

    Nothing warms up before: the first facts wait for connections and for statements to be prepared, and are counted.
    """
    stop = asyncio.Event()
    relay = Relay("source", said, sending)
    said.wake = relay.wake if sending is receiving else Bell(said).ring  # in one process, or from another

    def watched(consumer: Consumer) -> object:
        async def apply(messages: Sequence[Message]) -> None:
            await consumer.apply(messages)
            watch.applied(messages)

        return apply

    tasks = [
        asyncio.create_task(receiving.consume(one.service, topics, watched(one), stop))  # type: ignore[arg-type]
        for one in consumers
    ]
    tasks.append(asyncio.create_task(relay.run(stop)))
    await asyncio.sleep(5)
    await _pace(say, count, per_second)
    async with asyncio.timeout(120):
        while len(watch.seconds) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*tasks)
    await sending.stop()


async def _pace(say: Say, facts: int, per_second: int) -> None:
    began = time.perf_counter()
    for number in range(facts):
        due = began + number / per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await say(due)
