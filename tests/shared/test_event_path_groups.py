"""What groups of consumers do to the event path: partitions move, batches outlast their time, and nothing is done twice."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError
from uuid_utils.compat import uuid7

from shared.bus import Message
from shared.bus.lanes import Lanes
from tests.path import PATIENCE_SECONDS, Path, consuming, everything, relaying, say_to_all

MAX_POLL_MS, SLOWEST_SECONDS = 1_000, 6
THINGS = 12
"""Enough for each of the three partitions to hold some."""


async def test_a_partition_that_moves_in_the_middle_of_a_batch_is_handed_over(kafka_path: Path) -> None:
    """The second consumer joins while the first is at work; the batch in hand is finished, and done by nobody again."""
    things = [uuid7() for _ in range(THINGS)]
    at_work = asyncio.Event()
    applied: list[int] = []

    async def slowly(messages: Sequence[Message]) -> None:
        at_work.set()
        await asyncio.sleep(0.4)
        await kafka_path.consumer.apply(messages)
        applied.append(len(messages))

    await say_to_all(kafka_path, things, range(1, 6))
    async with relaying(kafka_path, kafka_path.make_bus("relay")):
        async with consuming(kafka_path, kafka_path.make_bus("first"), slowly):
            await at_work.wait()
            async with consuming(kafka_path, kafka_path.make_bus("second"), slowly):
                await say_to_all(kafka_path, things, range(6, 11))
                await kafka_path.until(THINGS * 10)
        assert await kafka_path.numbers() == everything(things, 10)
    assert sum(applied) == THINGS * 10


async def test_a_batch_that_outlasts_the_hand_over_is_given_up_and_done_by_the_next(kafka_path: Path) -> None:
    things = [uuid7() for _ in range(THINGS)]
    at_work, given_up = asyncio.Event(), asyncio.Event()

    async def for_ever(_: Sequence[Message]) -> None:
        at_work.set()
        try:
            await asyncio.sleep(3_600)
        finally:
            given_up.set()

    await say_to_all(kafka_path, things, range(1, 4))
    async with (
        relaying(kafka_path, kafka_path.make_bus("relay")),
        consuming(kafka_path, kafka_path.make_bus("first"), for_ever) as stop,
    ):
        await at_work.wait()
        async with consuming(kafka_path, kafka_path.make_bus("second")):
            await asyncio.wait_for(given_up.wait(), PATIENCE_SECONDS)
            stop.set()
            await kafka_path.until(THINGS * 3)
    assert await kafka_path.numbers() == everything(things, 3)


async def test_a_batch_slower_than_max_poll_interval_keeps_its_partition_and_is_done_once(kafka_path: Path) -> None:
    """Another member is there to take the partition; the group leaves it to who is at work and shows that it lives."""
    things = [uuid7() for _ in range(THINGS)]
    handed: list[Message] = []
    both = asyncio.Event()

    async def fast(messages: Sequence[Message]) -> None:
        handed.extend(messages)
        await kafka_path.consumer.apply(messages)

    async def slowly(messages: Sequence[Message]) -> None:
        handed.extend(messages)
        await asyncio.sleep(SLOWEST_SECONDS if both.is_set() else 0)
        await kafka_path.consumer.apply(messages)

    how = {"max_poll_interval_ms": MAX_POLL_MS, "session_seconds": 6, "drain_seconds": 20}
    first, second = (kafka_path.make_bus(name, **how) for name in ("first", "second"))
    await say_to_all(kafka_path, things, range(1, 2))
    async with (
        relaying(kafka_path, kafka_path.make_bus("relay")),
        consuming(kafka_path, first, slowly),
        consuming(kafka_path, second, fast),
    ):
        await kafka_path.until(THINGS)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (first.listens and second.listens):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        both.set()
        await say_to_all(kafka_path, things, range(2, 5))
        await kafka_path.until(THINGS * 4)
    assert len(handed) == len({one.value for one in handed}) == THINGS * 4
    assert await kafka_path.numbers() == everything(things, 4)


async def test_a_consumer_that_hangs_and_wakes_late_applies_nothing_twice(kafka_path: Path) -> None:
    """As after a stalled machine: its partitions are another's by then."""
    things = [uuid7() for _ in range(THINGS)]
    asleep, wake = asyncio.Event(), asyncio.Event()
    late: list[asyncio.Task[None]] = []

    async def later(messages: Sequence[Message]) -> None:
        asleep.set()
        await wake.wait()
        await kafka_path.consumer.apply(messages)

    async def deaf(messages: Sequence[Message]) -> None:
        task = asyncio.create_task(later(messages))
        late.append(task)
        await asyncio.shield(task)

    await say_to_all(kafka_path, things, range(1, 4))
    async with relaying(kafka_path, kafka_path.make_bus("relay")):
        async with consuming(kafka_path, kafka_path.make_bus("first"), deaf) as stop:
            await asleep.wait()
            stop.set()
        async with consuming(kafka_path, kafka_path.make_bus("second")):
            await kafka_path.until(THINGS)
            wake.set()
            await asyncio.gather(*late)
            await kafka_path.until(THINGS * 3)
    assert await kafka_path.numbers() == everything(things, 3)


async def test_offsets_that_cannot_be_committed_double_nothing(
    kafka_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = [uuid7() for _ in range(THINGS)]

    async def refused(*_: object) -> None:
        raise CommitFailedError("the group has moved on")

    await say_to_all(kafka_path, things, range(1, 4))
    async with relaying(kafka_path, kafka_path.make_bus("relay")):
        with monkeypatch.context() as broken:
            broken.setattr(AIOKafkaConsumer, "commit", refused)
            async with consuming(kafka_path, kafka_path.make_bus("first")):
                await kafka_path.until(THINGS * 3)
        async with consuming(kafka_path, kafka_path.make_bus("second")):  # begins again at the first
            await say_to_all(kafka_path, things, range(4, 5))
            await kafka_path.until(THINGS * 4)
    assert await kafka_path.numbers() == everything(things, 4)


async def test_a_partition_that_is_dealt_to_a_consumer_that_leaves_is_not_taken_up() -> None:
    """A stop in the middle of a deal: aiokafka waits for its end before it leaves the group."""

    async def nothing(_: Sequence[Message]) -> None:
        raise AssertionError

    consumer = AIOKafkaConsumer()
    lanes = Lanes("echo", consumer, nothing, batch_messages=1, drain_seconds=1)
    await lanes.close()
    before = asyncio.all_tasks()
    await lanes.on_partitions_assigned({TopicPartition("source", 0)})
    try:
        assert asyncio.all_tasks() == before
    finally:
        await lanes.end()
        await consumer.stop()
