"""What brokers and hanging processes do to the event path: nothing lost, nothing doubled, in order, and a clean end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from uuid_utils.compat import uuid7

from deploy.embedded import free_port
from deploy.kafka import EmbeddedKafka
from shared import outbox, telemetry
from shared.bus import BusAway, KafkaBus, Message, Transient
from shared.inbox import Consumer
from shared.outbox import Relay
from tests.echo import Said, source
from tests.house import House
from tests.path import Path, consuming, everything, message, relaying, said, say_to_all

THINGS = 12
"""Enough for each of the three partitions to hold some."""


async def test_a_producer_that_fails_is_replaced_and_order_stays(
    kafka_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = [uuid7() for _ in range(THINGS)]
    real, calls = AIOKafkaProducer.send, 0

    async def sometimes(self: AIOKafkaProducer, *given: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls in (7, 40, 41, 90):
            raise KafkaError("out of order, as after a lost batch")
        return await real(self, *given, **more)

    monkeypatch.setattr(AIOKafkaProducer, "send", sometimes)
    async with (
        relaying(kafka_path, kafka_path.make_bus("relay")),
        consuming(kafka_path, kafka_path.make_bus("consumer")),
    ):
        await say_to_all(kafka_path, things, range(1, 11))
        await kafka_path.until(THINGS * 10)
    assert await kafka_path.numbers() == everything(things, 10)
    assert calls > THINGS * 10


def held_now() -> dict[str, float]:
    """What the metric shows of each partition."""
    return {
        one.labels["partition"]: one.value for metric in telemetry.PARTITIONS_HELD.collect() for one in metric.samples
    }


async def test_a_fault_of_the_road_holds_its_own_partition_alone(kafka_path: Path) -> None:
    things = [uuid7() for _ in range(THINGS)]
    held = {str(things[0])}
    bus = kafka_path.make_bus("consumer")

    async def cut_for_one(messages: Sequence[Message]) -> None:
        if held & {one.key for one in messages}:
            raise Transient("the road is cut")
        await kafka_path.consumer.apply(messages)

    async with relaying(kafka_path, kafka_path.make_bus("relay")), consuming(kafka_path, bus, cut_for_one):
        await say_to_all(kafka_path, things, range(1, 2))
        while not (found := await kafka_path.numbers()) or not bus.held:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert things[0] not in found
        assert set(bus.held.values()) == {"the road is cut"}
        assert {held_now()[name] for name in bus.held} == {1}
        names = list(bus.held)
        held.clear()
        await kafka_path.until(THINGS)
        assert bus.held == {}
        assert {held_now()[name] for name in names} == {0}
    assert await kafka_path.numbers() == everything(things, 1)


async def test_what_is_sent_is_taken_by_all_replicas_and_once(
    kafka_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, Any] = {}
    real = AIOKafkaProducer.__init__

    def noted(self: AIOKafkaProducer, **how: Any) -> None:
        made.update(how)
        real(self, **how)

    monkeypatch.setattr(AIOKafkaProducer, "__init__", noted)
    thing = uuid7()
    async with (
        relaying(kafka_path, kafka_path.make_bus("relay")),
        consuming(kafka_path, kafka_path.make_bus("consumer")),
    ):
        await kafka_path.say(*said(thing, 1))
        await kafka_path.until(1)
    assert (made["acks"], made["enable_idempotence"], made["compression_type"]) == ("all", True, "lz4")


async def test_what_nobody_can_read_on_a_real_topic_is_kept_and_the_rest_goes_on(
    kafka_path: Path, kafka: EmbeddedKafka
) -> None:
    things = [uuid7() for _ in range(THINGS)]
    known = message(Said(thing_id=uuid7(), number=1))
    deep = known.value.replace(b'"data":{', b'"data":{"more":' + b"[" * 5_000 + b"]" * 5_000 + b",")
    bare = message(Said(thing_id=things[0], number=1))
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await producer.send_and_wait(kafka_path.topic, deep, b"deep")
        await producer.send_and_wait(
            kafka_path.topic, bare.value, bare.key.encode(), headers=[("content-type", None), ("ce_note", None)]
        )
    async with (
        relaying(kafka_path, kafka_path.make_bus("relay")),
        consuming(kafka_path, kafka_path.make_bus("consumer")),
    ):
        await say_to_all(kafka_path, things[1:], range(1, 2))
        await kafka_path.until(THINGS)
        await kafka_path.until_letters("dead", 1)
    assert await kafka_path.numbers() == everything(things, 1)


async def test_a_broker_that_stalls_is_waited_for(kafka_path: Path, kafka: EmbeddedKafka) -> None:
    things = [uuid7() for _ in range(THINGS)]
    sender, receiver = kafka_path.make_bus("relay"), kafka_path.make_bus("consumer")
    async with relaying(kafka_path, sender), consuming(kafka_path, receiver):
        await say_to_all(kafka_path, things, range(1, 2))
        await kafka_path.until(THINGS)
        assert await receiver.away() is None
        kafka.pause()
        try:
            await say_to_all(kafka_path, things, range(2, 4))
            assert await receiver.away() == "the broker does not answer: TimeoutError"
            assert await outbox.waiting(kafka_path.said) == THINGS * 2
        finally:
            kafka.resume()
        await kafka_path.until(THINGS * 3)
    assert await kafka_path.numbers() == everything(things, 3)


async def test_a_process_ends_in_time_while_the_broker_stalls(kafka_path: Path, kafka: EmbeddedKafka) -> None:
    things = [uuid7() for _ in range(THINGS)]
    loop = asyncio.get_running_loop()
    try:
        async with (
            relaying(kafka_path, kafka_path.make_bus("relay")),
            consuming(kafka_path, kafka_path.make_bus("consumer")),
        ):
            await say_to_all(kafka_path, things, range(1, 2))
            await kafka_path.until(THINGS)
            kafka.pause()
            await say_to_all(kafka_path, things, range(2, 3))
            await asyncio.sleep(0.3)
            began = loop.time()
        assert loop.time() - began < 20
    finally:
        kafka.resume()
    async with (
        relaying(kafka_path, kafka_path.make_bus("relay")),
        consuming(kafka_path, kafka_path.make_bus("consumer")),
    ):
        await kafka_path.until(THINGS * 2)
    assert await kafka_path.numbers() == everything(things, 2)


async def test_a_broker_that_is_killed_and_comes_back_loses_nothing(kafka_path: Path, kafka: EmbeddedKafka) -> None:
    things = [uuid7() for _ in range(THINGS)]
    async with (
        relaying(kafka_path, kafka_path.make_bus("relay")),
        consuming(kafka_path, kafka_path.make_bus("consumer")),
    ):
        await say_to_all(kafka_path, things, range(1, 4))
        await asyncio.to_thread(kafka.kill)
        await say_to_all(kafka_path, things, range(4, 6))
        await asyncio.to_thread(kafka.restart)
        await say_to_all(kafka_path, things, range(6, 8))
        await kafka_path.until(THINGS * 7)
    assert await kafka_path.numbers() == everything(things, 7)


async def test_without_a_broker_a_consumer_says_so_and_stops_at_once() -> None:
    stop = asyncio.Event()
    bus = KafkaBus(client_id="x", bootstrap_servers=f"127.0.0.1:{free_port()}")
    with pytest.raises(BusAway):
        await bus.consume("x", ["source"], _nothing, stop)
    with pytest.raises(BusAway):
        await bus.send([Message("source", "x", b"{}")])
    assert (await bus.away() or "").startswith("nobody answers at 127.0.0.1:")
    await bus.stop()


async def test_a_topic_that_is_missing_is_named_and_a_stop_meanwhile_is_a_stop(kafka: EmbeddedKafka) -> None:
    stop = asyncio.Event()
    bus = KafkaBus(client_id="x", bootstrap_servers=kafka.bootstrap)
    going = asyncio.create_task(bus.consume("x", ["nowhere"], _nothing, stop))
    await asyncio.sleep(0.5)
    assert await bus.away() == "the broker has no topic nowhere; `jicai topics` makes it"
    stop.set()
    await asyncio.wait_for(going, 10)
    await bus.stop()


async def _nothing(_: Sequence[Message]) -> None:
    raise AssertionError


@pytest.mark.parametrize("kind", ["local", "kafka"])
async def test_a_lead_that_hangs_is_taken_over(
    make_path: Callable[[str], Awaitable[Path]], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first relay's process stalls between sending and marking, its connection open; it wakes when another leads."""
    path = await make_path(kind)
    monkeypatch.setattr(outbox, "SILENT_LEAD_SECONDS", 1)
    thing = uuid7()
    stalled, wake, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    bus = path.make_bus("both")

    class Stalls(Relay):
        async def _send(self, *given: Any) -> None:
            await super()._send(*given)
            stalled.set()
            await wake.wait()

    async with consuming(path, bus):
        first = asyncio.create_task(Stalls("source", path.said, bus, poll_seconds=0.1).run(stop))
        await path.say(*said(thing, 1, 2))
        await stalled.wait()
        await path.say(*said(thing, 3))
        second = asyncio.create_task(Relay("source", path.said, bus, poll_seconds=0.1).run(stop))
        await path.until(3)
        wake.set()
        await path.say(*said(thing, 4))
        await path.until(4)
        stop.set()
        await asyncio.gather(first, second)
    assert await path.numbers() == {thing: [(n, "said") for n in (1, 2, 3, 4)]}
    assert await outbox.waiting(path.said) == 0


async def test_a_lead_is_kept_while_the_broker_takes_its_time(
    make_path: Callable[[str], Awaitable[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await make_path("local")
    monkeypatch.setattr(outbox, "SILENT_LEAD_SECONDS", 1)
    monkeypatch.setattr(outbox, "BEAT_SECONDS", 0.2)
    thing = uuid7()
    sends: list[int] = []
    bus = path.make_bus("both")
    real = bus.send

    async def slow(messages: Sequence[Message]) -> None:
        sends.append(len(messages))
        await asyncio.sleep(2.5)
        await real(messages)

    bus.send = slow  # type: ignore[method-assign]
    async with consuming(path, bus), relaying(path, bus):
        await path.say(*said(thing, 1))
        await path.until(1)
    assert sends == [1]


async def test_a_lead_whose_connection_is_cut_says_why_and_leads_again(
    make_path: Callable[[str], Awaitable[Path]], house: House, caplog: pytest.LogCaptureFixture
) -> None:
    path = await make_path("local")
    thing = uuid7()
    bus = path.make_bus("both")
    async with consuming(path, bus), relaying(path, bus):
        await path.say(*said(thing, 1))
        await path.until(1)
        with caplog.at_level("WARNING", logger="shared.outbox"):
            owner = await asyncpg.connect(house.url(source))
            await owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            await owner.close()
            await path.say(*said(thing, 2))
            await path.until(2)
    assert await path.numbers() == {thing: [(1, "said"), (2, "said")]}
    reasons = [record.__dict__["reason"] for record in caplog.records if record.message == "relay waits"]
    assert reasons
    lost = ("the connection to the database was ", "terminating connection due to administrator command")
    assert [reason for reason in reasons if not any(words in reason for words in lost)] == []


async def test_a_connection_that_is_cut_in_the_middle_of_a_statement_makes_no_dead_letter(
    make_path: Callable[[str], Awaitable[Path]],
) -> None:
    """asyncpg then speaks of its own state, not of the connection."""
    path = await make_path("local")

    async def cut(*_: Any) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

    with pytest.raises(Transient):
        await Consumer("echo", path.heard, {Said: cut}).apply([message(fact) for fact in said(uuid7(), 1, 2)])
    assert await path.heard.pool.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert await path.heard.pool.fetchval("SELECT count(*) FROM inbox") == 0
