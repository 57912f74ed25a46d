"""The event path, in the same words over LocalBus and a real Kafka: nothing lost, nothing doubled, in order."""

import asyncio
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from shared import clock, outbox, settling
from shared.bus import BusAway, LocalBus, Message
from shared.envelope import seal
from shared.events import Event
from shared.outbox import Relay
from tests.echo import Said, Unheard, Whispered, faults
from tests.path import OPERATOR, Path, message, said

NEVER_SECONDS = 3_600


async def test_what_is_said_is_heard_once_and_in_order(path: Path) -> None:
    things = [uuid7() for _ in range(20)]
    facts: list[Event] = []
    for number in range(1, 51):
        for thing in things:
            kind = Whispered if number % 3 == 0 else Said
            facts.append(kind(thing_id=thing, number=number))
    async with path.running():
        for start in range(0, len(facts), 100):
            await path.say(*facts[start : start + 100])
        await path.until(1_000)
    expected = [(number, "whispered" if number % 3 == 0 else "said") for number in range(1, 51)]
    assert await path.numbers() == dict.fromkeys(things, expected)


async def test_same_message_twice_is_applied_once(path: Path) -> None:
    thing = uuid7()
    await path.say(*said(thing, 1, 2, 3))
    async with path.running():
        await path.until(3)
        await path.said.pool.execute("UPDATE outbox SET sent_at = NULL")  # as after a crash between send and mark
        await path.say(*said(thing, 4))
        await path.until(4)
    assert await path.numbers() == {thing: [(n, "said") for n in (1, 2, 3, 4)]}


async def test_a_commit_wakes_a_relay_that_would_sleep_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BEAT_SECONDS", NEVER_SECONDS)
    path.said.wake = outbox.Bell(path.said).ring  # as in an API, which runs no relay
    thing = uuid7()
    async with path.running(poll_seconds=NEVER_SECONDS):
        for number in range(1, 4):
            await path.say(*said(thing, number))
            await path.until(number)
    assert await path.numbers() == {thing: [(n, "said") for n in (1, 2, 3)]}


async def test_a_cut_road_loses_and_doubles_nothing(path: Path) -> None:
    thing = uuid7()
    faults.away = 3
    async with path.running():
        await path.say(*said(thing, 1, 2))
        await path.say(*said(thing, 3))
        await path.until(3)
    assert faults.away == 0
    assert await path.numbers() == {thing: [(n, "said") for n in (1, 2, 3)]}


async def test_later_events_of_a_subject_wait_behind_a_dead_letter_and_others_go_on(path: Path) -> None:
    bad, good = uuid7(), uuid7()
    async with path.running():
        await path.say(*said(bad, 1), Said(thing_id=bad, number=2, unbearable=True), *said(bad, 3), *said(good, 1, 2))
        await path.say(*said(bad, 4))
        await path.until(3)
        await path.until_letters("waiting", 2)
        await path.until_letters("dead", 1)
        assert await path.numbers() == {bad: [(1, "said")], good: [(1, "said"), (2, "said")]}
        reason = await path.heard.pool.fetchval("SELECT reason FROM dead_letters WHERE state = 'dead'")
        assert reason == "not_bearable: number 2 is too much"
        faults.bearable = True
        letter = await path.heard.pool.fetchval("SELECT id FROM dead_letters WHERE state = 'dead'")
        assert (await settling.replay(path.consumer, letter, OPERATOR)).applied == 3
        await path.say(*said(bad, 5))
        await path.until(7)
    assert (await path.numbers())[bad] == [(n, "said") for n in (1, 2, 3, 4, 5)]


async def test_a_dropped_letter_is_given_up_and_what_waited_goes_on(path: Path) -> None:
    thing = uuid7()
    async with path.running():
        await path.say(Said(thing_id=thing, number=1, unbearable=True), *said(thing, 2))
        await path.until_letters("waiting", 1)
        letter = await path.heard.pool.fetchval("SELECT id FROM dead_letters WHERE state = 'dead'")
        assert (await settling.drop(path.consumer, letter, OPERATOR, "beyond repair")).applied == 1
    assert await path.numbers() == {thing: [(2, "said")]}
    states = await path.heard.pool.fetch("SELECT state, note FROM dead_letters ORDER BY id")
    assert [tuple(row) for row in states] == [
        ("dropped", "dropped by Li: beyond repair"),
        ("replayed", "replayed by Li"),
    ]
    deeds = await path.heard.pool.fetch("SELECT action, detail FROM history ORDER BY id")
    assert [deed["action"] for deed in deeds] == ["dead_letter_dropped", "dead_letter_replayed"]
    assert deeds[0]["detail"]["reason"] == "beyond repair"


async def test_what_nobody_hears_is_passed_over_and_what_nobody_can_read_is_kept(path: Path) -> None:
    thing, other = uuid7(), uuid7()
    newer = seal(
        event_id=uuid7(),
        source="/source",
        event_type="cn.jicai.source.thing.said.v9",
        subject=str(other),
        time=clock.now(),
        sequence=1,
        data={},
    )
    await path.consumer.apply([Message(path.topic, "x", b"not json"), Message(path.topic, str(uuid7()), newer)])
    async with path.running():
        await path.say(Unheard(thing_id=thing), *said(other, 2), *said(thing, 1))
        await path.until(1)
        await path.until_letters("waiting", 1)  # on a partition of its own
    assert await path.numbers() == {thing: [(1, "said")]}
    reasons = await path.heard.pool.fetch("SELECT reason FROM dead_letters ORDER BY id")
    assert reasons[0]["reason"].startswith("not a CloudEvent in structured JSON")
    assert reasons[1]["reason"] == "cn.jicai.source.thing.said.v9 is a version that is not read here"
    assert reasons[2]["reason"] == "waits behind a dead letter of the same subject"


async def test_only_one_of_two_relays_leads(path: Path) -> None:
    thing = uuid7()
    async with path.running(relays=2):
        for number in range(1, 101):
            await path.say(*said(thing, number))
        await path.until(100)
    assert await path.numbers() == {thing: [(n, "said") for n in range(1, 101)]}


async def test_faults_that_lie_behind_are_forgotten_by_a_relay_with_nothing_to_send_and_by_one_that_does_not_lead(
    path: Path,
) -> None:
    relays = [Relay("source", path.said, path.make_bus("relay"), poll_seconds=0.05) for _ in range(2)]
    stop = asyncio.Event()
    for relay in relays:
        relay._failed = 5
    running = [asyncio.create_task(relay.run(stop)) for relay in relays]
    async with asyncio.timeout(20):
        while any(relay._failed for relay in relays):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.gather(*running)


async def test_events_of_one_type_travel_together(path: Path) -> None:
    await path.say(*(Said(thing_id=uuid7(), number=1) for _ in range(200)))
    async with path.running():
        await path.until(200)
    assert sum(faults.batches) == 200
    assert len(faults.batches) < 20


async def test_what_is_too_large_to_travel_is_refused_where_it_is_said(path: Path) -> None:
    class Long(Event, frozen=True, kw_only=True):
        TYPE = "cn.jicai.source.thing.long.v1"
        SUBJECT = "thing_id"
        thing_id: UUID
        text: str

    with pytest.raises(outbox.EventTooLarge, match="at most 900000 can travel"):
        await path.say(Long(thing_id=uuid7(), text="x" * 1_000_000))
    assert await outbox.waiting(path.said) == 0


async def test_the_local_bus_takes_nothing_before_everybody_listens() -> None:
    bus = LocalBus(["echo"])
    with pytest.raises(BusAway, match="echo does not listen yet"):
        await bus.send([Message("source", "x", b"{}")])


async def test_a_letter_that_still_cannot_be_applied_stays_with_its_reason(path: Path) -> None:
    thing = uuid7()
    await path.consumer.apply([message(Said(thing_id=thing, number=1, unbearable=True))])
    letter = await path.heard.pool.fetchval("SELECT id FROM dead_letters")
    assert (await settling.replay(path.consumer, letter, OPERATOR)).applied == 0
    assert await path.heard.pool.fetchval("SELECT state FROM dead_letters") == "dead"
    assert await path.numbers() == {}
