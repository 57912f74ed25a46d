"""What cannot be applied, in every shape that is known to stop a consumer: kept for a person, while the others go on."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from shared import clock, dead_letters, settling, telemetry
from shared.bus import Message, Transient
from shared.db import Tx
from shared.envelope import seal
from shared.inbox import Consumer, Wave
from tests.echo import Said, Whispered, echo, faults
from tests.house import House
from tests.path import OPERATOR, Path, message, said


@pytest.fixture
async def path(make_path: Any) -> Path:
    return await make_path("local")


async def letters(path: Path) -> list[tuple[str, str]]:
    rows = await path.heard.pool.fetch("SELECT state, reason FROM dead_letters ORDER BY id")
    return [(row["state"], row["reason"]) for row in rows]


def unread(thing: UUID, version: int = 9) -> Message:
    """About a thing, and of a version that echo does not read."""
    known = message(Said(thing_id=thing, number=1))
    return replace(known, value=known.value.replace(b"said.v1", b"said.v%d" % version))


DEEP = message(Said(thing_id=uuid7(), number=3))


@pytest.mark.parametrize(
    "poison",
    [
        Message("source", "\x00", b"\x00"),
        Message("source", "k" * 9_000, b"{}"),
        Message("source", "k", b"{}", (("\x00", b"\x00\xff"),)),
        replace(message(Said(thing_id=uuid7(), number=1)), value=b"[" * 100_000),
        replace(DEEP, value=DEEP.value.replace(b'"data":{', b'"data":{"more":' + b"[" * 5_000 + b"]" * 5_000 + b",")),
        replace(DEEP, value=DEEP.value.replace(b'"specversion":', b'"number":' + b"7" * 5_000 + b',"specversion":')),
        message(Said(thing_id=uuid7(), number=2**40)),  # the table's column is smaller
        message(Said(thing_id=uuid7(), number=2**80)),
        Message(
            "source",
            "k",
            seal(
                event_id=uuid7(),
                source="/source",
                event_type=Said.TYPE,
                subject="\x00",
                time=clock.now(),
                sequence=1,
                data={},
            ),
        ),
        Message(
            "source",
            "k",
            seal(
                event_id=uuid7(),
                source="/source",
                event_type=Said.TYPE,
                subject="s" * 9_000,
                time=clock.now(),
                sequence=1,
                data={},
            ),
        ),
    ],
    ids=[
        "nul",
        "long key",
        "headers",
        "deep",
        "deep in its data",
        "a number of 5,000 digits",
        "out of range",
        "far out of range",
        "nul in the subject",
        "long subject",
    ],
)
async def test_a_poisonous_message_is_kept_and_the_others_go_on(path: Path, poison: Message) -> None:
    thing = uuid7()
    await path.consumer.apply([poison, message(Said(thing_id=thing, number=1)), poison])
    assert await path.numbers() == {thing: [(1, "said")]}
    assert [state for state, _ in await letters(path)] == ["dead"]


async def test_what_can_neither_be_applied_nor_kept_holds_its_partition_and_says_why(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise ValueError("no room for letters")

    thing = uuid7()
    with monkeypatch.context() as broken:
        broken.setattr(dead_letters, "bury", full)
        with pytest.raises(Transient, match="ValueError: no room for letters"):
            await path.consumer.apply([unread(thing)])
    await path.consumer.apply([unread(thing)])
    assert [state for state, _ in await letters(path)] == ["dead"]


async def test_what_came_before_an_unreadable_message_is_applied_and_what_comes_after_waits(path: Path) -> None:
    thing = uuid7()
    before, after = (message(Said(thing_id=thing, number=number)) for number in (1, 3))
    await path.consumer.apply([before, unread(thing), after])
    assert await path.numbers() == {thing: [(1, "said")]}
    assert [state for state, _ in await letters(path)] == ["dead", "waiting"]
    assert (await settling.drop(path.consumer, 1, OPERATOR, "of no use")).applied == 1
    assert await path.numbers() == {thing: [(1, "said"), (3, "said")]}


async def test_a_letter_that_was_settled_and_comes_again_holds_nothing_up(path: Path) -> None:
    thing = uuid7()
    known = [unread(thing), message(Said(thing_id=thing, number=2))]
    await path.consumer.apply(known)
    await settling.drop(path.consumer, 1, OPERATOR, "of no use")
    await path.consumer.apply([*known, message(Said(thing_id=thing, number=3))])
    assert await path.numbers() == {thing: [(2, "said"), (3, "said")]}
    assert [state for state, _ in await letters(path)] == ["dropped", "replayed"]


async def test_what_was_dropped_is_taken_when_it_is_said_again_and_not_as_the_same_message(path: Path) -> None:
    fact = Said(thing_id=uuid7(), number=1, unbearable=True)
    dropped = message(fact)
    await path.consumer.apply([dropped])
    await settling.drop(path.consumer, 1, OPERATOR, "of no use")
    faults.bearable = True
    await path.consumer.apply([dropped])
    assert await path.numbers() == {}
    await path.consumer.apply([message(fact)])
    assert await path.numbers() == {fact.thing_id: [(1, "said")]}


async def test_history_says_of_a_message_without_an_id_that_it_has_none(path: Path) -> None:
    await path.consumer.apply([Message("source", "x", b"no JSON")])
    await settling.drop(path.consumer, 1, OPERATOR, "of no use")
    assert await path.heard.pool.fetchval("SELECT detail->'event_id' = 'null' FROM history")


async def test_a_letter_that_waits_can_be_dropped_by_itself(path: Path) -> None:
    thing = uuid7()
    await path.consumer.apply([unread(thing), *(message(Said(thing_id=thing, number=n)) for n in (2, 3))])
    assert (await settling.drop(path.consumer, 2, OPERATOR, "said by mistake")).applied == 0
    assert [state for state, _ in await letters(path)] == ["dead", "dropped", "waiting"]
    assert (await settling.drop(path.consumer, 1, OPERATOR, "of no use")).applied == 1
    assert await path.numbers() == {thing: [(3, "said")]}


async def test_a_newer_version_replays_what_an_older_one_could_not_read(path: Path) -> None:
    """A rolling upgrade: the producer came first."""
    thing = uuid7()
    await path.consumer.apply([unread(thing), message(Whispered(thing_id=thing, number=2))])
    newer = type("SaidAgain", (Said,), {"TYPE": Said.TYPE.replace("v1", "v9")})
    upgraded = Consumer("echo", path.heard, {**echo.handlers, newer: echo.handlers[Said]})
    assert (await settling.replay(upgraded, 1, OPERATOR)).applied == 2
    assert await path.numbers() == {thing: [(1, "said"), (2, "whispered")]}


async def test_a_database_of_another_version_holds_everything_and_buries_nothing(path: Path, house: House) -> None:
    thing = uuid7()
    known = [message(Said(thing_id=thing, number=1))]
    owner = await asyncpg.connect(house.url(echo))
    try:
        await owner.execute("ALTER TABLE heard RENAME TO heard_later")
        with pytest.raises(Transient, match="UndefinedTable"):
            await path.consumer.apply(known)
    finally:
        await owner.execute("ALTER TABLE heard_later RENAME TO heard")
        await owner.close()
    await path.consumer.apply(known)
    assert await path.numbers() == {thing: [(1, "said")]}
    assert await letters(path) == []


async def test_a_table_that_changes_under_a_prepared_statement_holds_the_batch_and_buries_nothing(
    path: Path, house: House
) -> None:
    async def looks(tx: Tx, events: Any) -> None:
        await tx.sql("SELECT * FROM heard")
        await echo.handlers[Said](tx, events)

    consumer = Consumer("echo", path.heard, {Said: looks})
    thing = uuid7()
    first, second = (message(fact) for fact in said(thing, 1, 2))
    await consumer.apply([first])
    owner = await asyncpg.connect(house.url(echo))
    try:
        await owner.execute("ALTER TABLE heard ADD COLUMN next text")
        with pytest.raises(Transient, match="cached statement plan is invalid"):
            await consumer.apply([second])
        await consumer.apply([second])
    finally:
        await owner.execute("ALTER TABLE heard DROP COLUMN next")
        await owner.close()
    assert await path.numbers() == {thing: [(1, "said"), (2, "said")]}
    assert await letters(path) == []


async def test_a_cut_in_the_middle_of_one_by_one_loses_and_doubles_nothing(path: Path) -> None:
    things = [uuid7() for _ in range(3)]
    known = [message(Said(thing_id=thing, number=1, unbearable=thing == things[1])) for thing in things]
    tries = 0

    async def cut_at_the_third(tx: Tx, events: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 4:  # all together, first, second, third
            raise ConnectionResetError
        await echo.handlers[Said](tx, events)

    consumer = Consumer("echo", path.heard, {Said: cut_at_the_third})
    with pytest.raises(Transient):
        await consumer.apply(known)
    await consumer.apply(known)
    assert await path.numbers() == {things[0]: [(1, "said")], things[2]: [(1, "said")]}
    assert [state for state, _ in await letters(path)] == ["dead"]


async def test_a_batch_that_takes_too_long_is_tried_in_halves(path: Path) -> None:
    things = [uuid7() for _ in range(3)]

    async def slow(tx: Tx, events: Any) -> None:
        await tx.sql("SET LOCAL statement_timeout = '1500ms'")
        await tx.sql("SELECT pg_sleep($1)", 0.8 * len(events))
        await echo.handlers[Said](tx, events)

    consumer = Consumer("echo", path.heard, {Said: slow})
    await consumer.apply([message(Said(thing_id=thing, number=1)) for thing in things])
    assert len(await path.numbers()) == 3
    assert await letters(path) == []


async def test_equal_bodies_in_binary_mode_are_different_events(path: Path) -> None:
    thing = uuid7()

    def binary() -> Message:
        attributes = {
            "specversion": "1.0",
            "id": str(uuid7()),
            "source": "/source",
            "type": Said.TYPE,
            "subject": str(thing),
            "time": "2026-03-02T08:00:00+08:00",
            "sequence": "1",
            "partitionkey": "x",
        }
        headers = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
        body = b'{"thing_id": "%s", "number": 1, "unbearable": true}' % str(thing).encode()
        return Message("source", str(thing), body, (("content-type", b"application/json"), *headers))

    await path.consumer.apply([binary(), binary()])
    assert [state for state, _ in await letters(path)] == ["dead", "waiting"]
    faults.bearable = True
    assert (await settling.replay(path.consumer, 1, OPERATOR)).applied == 2
    assert await path.numbers() == {thing: [(1, "said"), (1, "said")]}


async def test_many_letters_of_others_do_not_hold_a_subject_up(path: Path) -> None:
    await path.consumer.apply([unread(uuid7(), version) for version in range(2, 200)])
    thing = uuid7()
    await path.consumer.apply([message(Said(thing_id=thing, number=1))])
    assert await path.numbers() == {thing: [(1, "said")]}
    async with path.heard.transaction() as tx:
        assert await dead_letters.count(tx) == {"dead": 198, "waiting": 0}


def with_request(fact: Said, request_id: str | None) -> Message:
    trace = f"00-{'1' * 32}-{'2' * 16}-01" if request_id else None
    payload = seal(
        event_id=uuid7(),
        source="/source",
        event_type=fact.TYPE,
        subject=str(fact.thing_id),
        time=clock.now(),
        sequence=1,
        data=fact,
        request_id=request_id,
        traceparent=trace,
    )
    return Message("source", str(fact.thing_id), payload)


async def test_what_an_event_brings_about_belongs_to_its_request(path: Path) -> None:
    seen: list[tuple[str, str | None, bool]] = []

    async def look(_: Tx, events: Wave) -> None:
        seen.append(("around", telemetry.request_id.get(), telemetry.traceparent.get() is not None))
        for _event in events:
            seen.append(("inside", telemetry.request_id.get(), telemetry.traceparent.get() is not None))
        seen.append(("after", telemetry.request_id.get(), telemetry.traceparent.get() is not None))

    consumer = Consumer("echo", path.heard, {Said: look})
    await consumer.apply([with_request(Said(thing_id=uuid7(), number=1), request) for request in ("a", "b")])
    assert seen == [("around", None, False), ("inside", "a", True), ("inside", "b", True), ("after", None, False)]
    seen.clear()
    await consumer.apply([with_request(Said(thing_id=uuid7(), number=1), "c")])
    assert seen == [("around", "c", True), ("inside", "c", True), ("after", "c", True)]
    assert telemetry.request_id.get() is None


async def test_each_batch_and_each_refusal_is_one_line(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "shared.inbox")
    good, bad = Said(thing_id=uuid7(), number=1), Said(thing_id=uuid7(), number=2, unbearable=True)
    await path.consumer.apply([with_request(good, "r1")])
    (line,) = caplog.records
    assert (line.message, line.applied, line.subjects, line.request_ids) == (  # type: ignore[attr-defined]
        "batch applied",
        1,
        [str(good.thing_id)],
        ["r1"],
    )
    caplog.clear()
    await path.consumer.apply([with_request(bad, "r2")])
    refusal = caplog.records[-1]
    assert (refusal.message, refusal.subject) == ("dead letter", str(bad.thing_id))  # type: ignore[attr-defined]
    assert refusal.reason == "not_bearable: number 2 is too much"  # type: ignore[attr-defined]
    assert refusal.event_id is not None  # type: ignore[attr-defined]


async def test_a_repeated_event_says_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "shared.inbox")
    (known,) = [message(fact) for fact in said(uuid7(), 1)]
    await path.consumer.apply([known])
    await path.consumer.apply([known, known])
    line = caplog.records[-1]
    assert (line.applied, line.repeated) == (0, 2)  # type: ignore[attr-defined]
