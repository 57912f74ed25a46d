"""What operations are shown of the event path: each event by its type and by what became of it, the relay, the lag."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY
from uuid_utils.compat import uuid7

from deploy.kafka import EmbeddedKafka
from shared.bus import BusAway
from shared.bus import kafka as kafka_bus
from tests.echo import Said, Unheard, Whispered
from tests.path import Path, message, said

OUTCOMES = ("applied", "repeated", "skipped", "dead", "waiting")


def shown(name: str, **labels: str) -> float:
    """What a metric shows now; 0 before it was ever counted."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def outcomes(event_type: str) -> dict[str, float]:
    """How many events of a type were heard by echo, by what became of them."""
    return {one: shown("jicai_events_total", service="echo", type=event_type, outcome=one) for one in OUTCOMES}


@pytest.fixture
async def path(make_path: Any) -> Path:
    return await make_path("local")


async def test_each_event_is_counted_by_its_type_and_by_what_became_of_it(path: Path) -> None:
    before = {kind: outcomes(kind.TYPE) for kind in (Said, Whispered, Unheard)}
    timed = shown("jicai_event_effect_seconds_count", service="echo")
    thing, bad = uuid7(), uuid7()
    fine = message(Said(thing_id=thing, number=1))
    await path.consumer.apply([fine, message(Whispered(thing_id=thing, number=2)), message(Unheard(thing_id=thing))])
    await path.consumer.apply([fine])
    await path.consumer.apply([message(Said(thing_id=bad, number=1, unbearable=True))])
    await path.consumer.apply([message(Whispered(thing_id=bad, number=2))])
    after = {kind: outcomes(kind.TYPE) for kind in before}
    more = {kind: {one: after[kind][one] - before[kind][one] for one in OUTCOMES} for kind in before}
    assert {kind: {one: count for one, count in those.items() if count} for kind, those in more.items()} == {
        Said: {"applied": 1, "repeated": 1, "dead": 1},
        Whispered: {"applied": 1, "waiting": 1},
        Unheard: {"skipped": 1},
    }
    assert shown("jicai_event_effect_seconds_count", service="echo") == timed + 2


async def test_the_relay_says_that_it_leads_and_how_often_it_has_sent(path: Path) -> None:
    rounds = shown("jicai_relay_rounds_total", service="source")
    sent = shown("jicai_events_sent_total", service="source")
    async with path.running():
        await path.say(*said(uuid7(), 1, 2, 3))
        await path.until(3)
        assert shown("jicai_relay_lead", service="source") == 1
    assert shown("jicai_relay_lead", service="source") == 0
    assert shown("jicai_relay_rounds_total", service="source") > rounds
    assert shown("jicai_events_sent_total", service="source") == sent + 3


async def test_what_waits_on_the_broker_is_shown_by_topic_and_partition_as_long_as_it_is_known(
    kafka_path: Path, kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, stop, held = kafka_path.make_bus("lagging"), asyncio.Event(), asyncio.Event()
    thing = uuid7()

    async def hold(_: Any) -> None:
        held.set()
        await stop.wait()

    listening = asyncio.create_task(bus.consume("echo", ["source"], hold, stop))
    try:
        await bus.send([message(fact) for fact in said(thing, 1, 2, 3)])
        await asyncio.wait_for(held.wait(), 40)
        assert await bus.lag() == 3
        labels = {"service": "lagging", "topic": kafka_path.topic}
        behind = [shown("jicai_consumer_lag_messages", partition=str(number), **labels) for number in range(3)]
        assert sorted(behind) == [0, 0, 3], "one subject is in one partition"
        monkeypatch.setattr(kafka_bus, "LAG_SECONDS", 0.5)
        kafka.pause()
        try:
            with pytest.raises(BusAway):
                await bus.lag()
        finally:
            kafka.resume()
        assert REGISTRY.get_sample_value("jicai_consumer_lag_messages", {"partition": "0", **labels}) is None
    finally:
        stop.set()
        await listening
        await bus.stop()
