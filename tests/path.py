"""The event path from an outbox to an effect, in one process: over LocalBus, or over a real Kafka with a topic of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from shared import clock, outbox
from shared.bus import Bus, BusAway, KafkaBus, Message
from shared.db import Database
from shared.envelope import seal
from shared.events import Event
from shared.identity import Caller
from shared.inbox import Consumer
from shared.outbox import Relay
from tests.echo import Said, echo

PATIENCE_SECONDS = 40
OPERATOR = Caller("platform", frozenset({"operator"}), "000000", "Li")


class Path:
    """Source's database, a bus, echo's database, and the relay and consumer between them."""

    def __init__(
        self, said: Database, heard: Database, make_bus: Callable[..., Bus], *, local: bool, topic: str = "source"
    ) -> None:
        self.topic = topic
        self.said = said
        self.heard = heard
        self.make_bus = make_bus
        self.local = local
        self.consumer = Consumer("echo", heard, echo.handlers)

    async def say(self, *facts: Event) -> None:
        async with self.said.transaction() as tx:
            for fact in facts:
                outbox.record(tx, fact, getattr(fact, "number", 1))

    @asynccontextmanager
    async def running(self, relays: int = 1, poll_seconds: float = 0.1) -> AsyncIterator[asyncio.Event]:
        stop = asyncio.Event()
        shared = self.make_bus("both") if self.local else None
        sending = [shared or self.make_bus(f"relay {place}") for place in range(relays)]
        receiving = shared or self.make_bus("consumer")
        tasks = [asyncio.create_task(receiving.consume("echo", ["source"], self.consumer.apply, stop))]
        tasks += [
            asyncio.create_task(Relay("source", self.said, bus, poll_seconds=poll_seconds).run(stop)) for bus in sending
        ]
        try:
            yield stop
        finally:
            stop.set()
            await asyncio.gather(*tasks)
            for bus in sending:
                await bus.stop()

    async def numbers(self) -> dict[UUID, list[tuple[int, str]]]:
        rows = await self.heard.pool.fetch("SELECT thing_id, number, kind FROM heard ORDER BY id")
        found: dict[UUID, list[tuple[int, str]]] = {}
        for row in rows:
            found.setdefault(row["thing_id"], []).append((row["number"], row["kind"]))
        return found

    async def until(self, count: int) -> None:
        async def reached() -> None:
            while await self.heard.pool.fetchval("SELECT count(*) FROM heard") < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

        await asyncio.wait_for(reached(), PATIENCE_SECONDS)

    async def until_letters(self, state: str, count: int) -> None:
        async def reached() -> None:
            query = "SELECT count(*) FROM dead_letters WHERE state = $1"
            while await self.heard.pool.fetchval(query, state) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

        await asyncio.wait_for(reached(), PATIENCE_SECONDS)


class OwnTopic(KafkaBus):
    """A real broker with a topic and a group of this test alone."""

    def __init__(self, topic: str, *, client_id: str, **how: Any) -> None:
        super().__init__(client_id=client_id, **how)
        self.topic = topic

    async def send(self, messages: list[Message]) -> None:  # type: ignore[override]
        await super().send([replace(message, topic=self.topic) for message in messages])

    async def consume(self, group: str, topics: Any, apply: Any, stop: asyncio.Event) -> None:
        await super().consume(f"{group}-{self.topic}", [self.topic], apply, stop)


def said(thing: UUID, *numbers: int) -> list[Event]:
    return [Said(thing_id=thing, number=number) for number in numbers]


def message(fact: Event) -> Message:
    payload = seal(
        event_id=uuid7(),
        source="/source",
        event_type=fact.TYPE,
        subject=str(getattr(fact, fact.SUBJECT)),
        time=clock.now(),
        sequence=1,
        data=fact,
    )
    return Message("source", str(getattr(fact, fact.SUBJECT)), payload)


@asynccontextmanager
async def consuming(path: Path, bus: Bus, apply: Any = None) -> AsyncIterator[asyncio.Event]:
    """A consumer of the path's group."""
    stop = asyncio.Event()

    async def again() -> None:
        while not stop.is_set():
            with suppress(BusAway):
                await bus.consume("echo", ["source"], apply or path.consumer.apply, stop)
            await asyncio.sleep(0.05)

    async with _until_stopped(again(), bus, stop):
        yield stop


@asynccontextmanager
async def relaying(path: Path, bus: Bus) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    async with _until_stopped(Relay("source", path.said, bus, poll_seconds=0.1).run(stop), bus, stop):
        yield stop


@asynccontextmanager
async def _until_stopped(work: Coroutine[Any, Any, None], bus: Bus, stop: asyncio.Event) -> AsyncIterator[None]:
    """Work that goes on beside the block, and ends with it, and the bus with both."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        await bus.stop()


async def say_to_all(path: Path, things: Sequence[UUID], numbers: range) -> None:
    for number in numbers:
        await path.say(*(fact for thing in things for fact in said(thing, number)))


def everything(things: Sequence[UUID], last: int) -> dict[UUID, list[tuple[int, str]]]:
    return {thing: [(number, "said") for number in range(1, last + 1)] for thing in things}
