"""The worker as a whole: it waits for what is away, is not stopped by one bad deadline, tells its health, ends in time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from shared import clock, deadlines, jobs, outbox, telemetry, worker
from shared.bus import BusAway, LocalBus
from shared.db import Database, Tx
from shared.deadlines import Deadline
from shared.history import BY_ITSELF
from shared.service import Service
from shared.settings import Limits
from shared.worker import Worker
from tests.house import House
from tests.toy import ThingNamed, things, toy


@pytest.fixture
def service() -> Service:
    return toy


def of(house: House, service: Service, *, catching_up: bool = False, **limits: Any) -> Worker:
    told = house.settings(service).model_copy(update={"limits": Limits(poll_seconds=0.05, **limits)})
    return Worker(service, told, LocalBus([service.name]), catching_up=catching_up)


@asynccontextmanager
async def running(made: Worker) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(made.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 40)


async def until(reached: Any) -> None:
    async with asyncio.timeout(20):
        while not await reached():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_deadline_that_cannot_be_met_keeps_no_other_waiting(database: Database, house: House) -> None:
    """Nor one that is due at the same instant, which the database may take in any order."""
    met: list[str] = []
    good = [f"{first}{number}" for first in "ac" for number in range(10)]

    async def when_due(tx: Tx, due: Sequence[Deadline]) -> None:
        if any(one.about == "bad" for one in due):
            raise LookupError("bad")
        met.extend(one.about for one in due)

    async def when_other(tx: Tx, due: Sequence[Deadline]) -> None:
        met.extend(one.about for one in due)

    async with database.transaction() as tx:
        past = clock.now() - timedelta(seconds=1)
        await deadlines.put(tx, [Deadline("k", about, past) for about in ("bad", *good)])
        await deadlines.put(tx, [Deadline("other", "d", past)])

    async def all_met() -> bool:
        return len(met) == len(good) + 1

    async with running(of(house, replace(toy, deadlines={"k": when_due, "other": when_other}))):
        await until(all_met)
    assert sorted(met) == sorted([*good, "d"])
    assert await database.pool.fetch("SELECT about FROM deadlines") == [("bad",)]


async def test_a_worker_that_catches_up_hears_and_tells_and_does_nothing_by_itself(
    database: Database, house: House
) -> None:
    """What is due and what is queued waits for the worker that is started after the audit."""
    done: list[str] = []

    async def when_due(tx: Tx, due: Sequence[Deadline]) -> None:
        done.extend(one.about for one in due)

    async def do(job: jobs.Job) -> dict[str, int]:
        done.append(job.kind)
        return {}

    service = replace(toy, deadlines={"close": when_due}, jobs={"pay": do})
    heard = [uuid7(), uuid7()]
    async with database.transaction() as tx:
        await deadlines.put(tx, [Deadline("close", "a month", clock.now() - timedelta(seconds=1))])
        jobs.queue(tx, "pay", {}, BY_ITSELF)
        for thing in heard:
            tx.add(things, {"id": thing, "name": "chair", "owner": "O"})

    async def applied() -> bool:
        return await database.pool.fetchval("SELECT count(*) FROM things WHERE heard = 1") == len(told)

    told: list[Any] = []
    catching_up = of(house, service, catching_up=True)
    async with running(catching_up):
        for thing in heard:
            async with database.transaction() as tx:
                outbox.record(tx, ThingNamed(thing_id=thing, name="chair"), 1)
            told.append(thing)
            await until(applied)
        reason, beside = await catching_up.troubles()
        assert (reason, "it catches up" in beside[0]) == (None, True)
    assert done == []

    async def all_done() -> bool:
        return len(done) == 2

    async with running(of(house, service)):
        await until(all_done)
    assert sorted(done) == ["a month", "pay"]


async def test_a_worker_waits_for_its_database_and_goes_on_when_it_comes(
    database: Database, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = Database.open, 0

    async def away(url: str, **how: Any) -> Database:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise ConnectionRefusedError("nobody listens")
        return await real(url, **how)

    monkeypatch.setattr(Database, "open", away)
    made = of(house, toy)
    assert await made.troubles() == ("the database has not answered yet: it was not asked so far", [])

    async def open_now() -> bool:
        return made.database is not None

    async with running(made):
        await until(open_now)
        assert await made.troubles() == (None, [])
    assert tries == 4


async def test_a_loop_that_fails_again_and_again_is_tried_ever_more_seldom_and_says_when(
    database: Database, house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = of(house, toy)
    stop = asyncio.Event()
    waits: list[float] = []

    async def pause(stop: asyncio.Event, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 12:
            stop.set()

    async def fails() -> None:
        raise BusAway("nobody answers") if len(waits) % 2 else LookupError("a defect")

    monkeypatch.setattr(worker, "_pause", pause)
    await made._survive("consumer", fails, stop)
    assert [0.05 * 2**place / 2 <= wait <= 0.05 * 2**place for place, wait in enumerate(waits[:8])] == [True] * 8
    assert all(5 <= wait <= 10 for wait in waits[8:])
    assert len(set(waits)) == 12  # never in step with others
    assert [record.__dict__["wait_s"] for record in caplog.records] == [round(wait, 3) for wait in waits]


async def test_health_names_what_is_wrong(database: Database, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = of(house, toy)
    async with running(made) as stop:

        async def open_now() -> bool:
            return made.database is not None

        await until(open_now)

        async def away() -> str:
            return "the broker does not answer: X"

        monkeypatch.setattr(made.bus, "away", away)
        assert await made.troubles() == (
            None,
            ["the broker does not answer: X; events wait in the outbox and on the broker"],
        )
        stop.set()
    reason, beside = await made.troubles()
    assert reason is not None
    assert reason.startswith("the database does not answer")
    assert beside == []


async def test_work_that_does_not_end_is_given_up_at_a_stop(
    database: Database, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "GIVING_UP_SECONDS", 0.1)
    begun = asyncio.Event()

    async def endless(_: jobs.Job) -> dict[str, int]:
        begun.set()
        await asyncio.sleep(3_600)
        return {}

    async with database.transaction() as tx:
        jobs.queue(tx, "endless", {}, BY_ITSELF)
    loop = asyncio.get_running_loop()
    async with running(of(house, replace(toy, jobs={"endless": endless}), drain_seconds=0.2)):
        await asyncio.wait_for(begun.wait(), 20)
        began = loop.time()
    assert loop.time() - began < 5
    assert await database.pool.fetchval("SELECT state FROM jobs") == "running"  # its lease ends, another goes on


async def test_what_waits_and_what_is_dead_is_measured(database: Database, house: House) -> None:
    made = of(house, toy)

    made.database = database
    await database.pool.execute(
        "INSERT INTO outbox (event_id, type, subject, sequence, payload, recorded_at)"
        " VALUES (gen_random_uuid(), 't', 's', 1, '', now() - interval '90 seconds')"
    )
    async with database.transaction() as tx:
        for state in ("dead", "waiting", "waiting"):
            await tx.sql(
                "INSERT INTO dead_letters (topic, subject, digest, reason, payload, headers, state)"
                " VALUES ('t', 's', $1, 'r', '', '{}', $2)",
                uuid7().bytes,
                state,
            )
    await made._measure(database)
    await made._count_letters(database)
    measured = {
        "rows": telemetry.OUTBOX_WAITING.labels("toy")._value.get(),
        "dead": telemetry.DEAD_LETTERS.labels("toy", "dead")._value.get(),
        "waiting": telemetry.DEAD_LETTERS.labels("toy", "waiting")._value.get(),
    }
    assert measured == {"rows": 1, "dead": 1, "waiting": 2}
    assert 90 <= telemetry.OUTBOX_AGE.labels("toy")._value.get() < 120


def lines(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, Any]]:
    return [record.__dict__ for record in caplog.records if record.message == message]


async def test_a_broker_that_falls_silent_is_spoken_of_once_with_what_waits_for_it_and_when_it_is_back(
    database: Database, house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = of(house, toy)
    reason: str | None = "the broker does not answer: TimeoutError"

    async def away() -> str | None:
        return reason

    caplog.set_level("INFO", logger="shared.worker")
    monkeypatch.setattr(made.bus, "away", away)
    monkeypatch.setattr(made.bus, "send", asyncio.Event().wait)
    async with database.transaction() as tx:
        outbox.record(tx, ThingNamed(thing_id=uuid7(), name="waits"), 1)
    for _ in range(4):
        await made._measure(database)
        assert telemetry.BROKER_AWAY.labels("toy")._value.get() == 1
    (line,) = lines(caplog, "the broker cannot be used")
    assert (line["reason"], line["events"]) == (reason, 1)
    monkeypatch.setattr(worker, "AWAY_SAID_SECONDS", 0)
    await made._measure(database)
    assert len(lines(caplog, "the broker cannot be used")) == 2
    reason = None
    await made._measure(database)
    assert telemetry.BROKER_AWAY.labels("toy")._value.get() == 0
    assert len(lines(caplog, "the broker can be used again")) == 1


async def test_a_broker_that_is_away_is_spoken_of_while_what_waits_cannot_be_measured(
    database: Database, house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = of(house, toy)
    made.database = database

    async def away() -> str:
        return "the broker does not answer: TimeoutError"

    monkeypatch.setattr(made.bus, "away", away)
    monkeypatch.setattr(outbox, "_WAITING", "SELECT 1 / ($1::bigint * 0)")
    telemetry.BROKER_AWAY.labels("toy").set(0)
    for _ in range(2):
        with pytest.raises(asyncpg.DivisionByZeroError):
            await made._measure(database)
    assert telemetry.BROKER_AWAY.labels("toy")._value.get() == 1
    assert len(lines(caplog, "the broker cannot be used")) == 1


async def test_what_waits_is_measured_while_upkeep_takes_its_time(
    database: Database, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, waits_for_broker = of(house, toy), asyncio.Event()
    monkeypatch.setattr(worker, "MEASURE_SECONDS", 0.05)
    monkeypatch.setattr(made.bus, "lag", waits_for_broker.wait)
    monkeypatch.setattr(made.bus, "send", waits_for_broker.wait)

    def measured(rows: int) -> Callable[[], Awaitable[bool]]:
        async def reached() -> bool:
            return bool(telemetry.OUTBOX_WAITING.labels("toy")._value.get() == rows)

        return reached

    telemetry.OUTBOX_WAITING.labels("toy").set(-1)
    async with running(made):
        await until(measured(0))
        async with database.transaction() as tx:
            outbox.record(tx, ThingNamed(thing_id=uuid7(), name="waits"), 1)
        await until(measured(1))
        waits_for_broker.set()
