"""The checker is worth its zeros: each guard is taken away in turn, and it must shout; with all of them it is silent."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from deploy.chain import Chain, inspect
from deploy.services import load
from services.settlement.queries import payables as queries
from shared import clock, inbox, outbox
from shared.bus import LocalBus, Message
from shared.db import Tx
from shared.events import version_of
from shared.inbox import Consumer
from shared.outbox import Relay
from tests.echo import echo, faults, source
from tests.faults.books import Books, opened
from tests.faults.checker import Findings, check_chain, check_path, unkept
from tests.faults.witness import make_table, witnessed
from tests.house import House, WorkerInHand
from tests.path import said
from tests.services.settlement.conftest import delivery, line

THINGS = 3
PATIENCE_SECONDS = 20


class Road(LocalBus):
    """Hands everything on, and remembers what was on the topic."""

    def __init__(self) -> None:
        super().__init__()
        self.topic: list[Message] = []

    async def send(self, messages: Sequence[Message]) -> None:
        self.topic.extend(messages)
        await super().send(messages)


class Hasty(Road):
    """Says that a message was taken before it is applied, as a consumer does that commits offset before effect."""

    async def _hand(self, group: str, messages: Sequence[Message], apply: Callable[..., Awaitable[None]]) -> None:
        with suppress(Exception):
            await super()._hand(group, messages, apply)


@pytest.fixture
async def house_of_two(house: House) -> Any:
    """The house in which source and echo live, empty again afterwards."""
    faults.__init__()  # type: ignore[misc]
    await make_table(echo.name, house.url(echo))
    yield house
    await run_as_owner(house, "TRUNCATE witness")
    await house.empty(source)
    await house.empty(echo)


async def play(house: House, road: Road, *, away: int = 0, again: bool = True) -> Findings:
    """Says three facts about some things, relays and consumes them, repeats the messages, and checks."""
    source_db, echo_db = await house.database(source), await house.database(echo)
    things = [uuid7() for _ in range(THINGS)]
    async with source_db.transaction() as tx:
        for fact in (one for thing in things for one in said(thing, 1, 2, 3)):
            outbox.record(tx, fact, fact.number)  # type: ignore[attr-defined]
    faults.away = away
    consumer = Consumer("echo", echo_db, witnessed(echo).handlers)
    stop = asyncio.Event()
    listening = asyncio.create_task(road.consume("echo", ["source"], consumer.apply, stop))
    relaying = asyncio.create_task(Relay("source", source_db, road, poll_seconds=0.05).run(stop))
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not road.topic or await outbox.waiting(source_db):
                await asyncio.sleep(0.05)
                if len(road.topic) > 20 * THINGS:
                    break
    stop.set()
    await asyncio.gather(listening, relaying)
    if again:
        await consumer.apply(road.topic[:4])
    return await findings(house, road)


async def findings(house: House, road: Road) -> Findings:
    """What the checker says of source and echo."""
    async with opened(house.url(echo)) as books:
        await books.copy_outbox("source", house.url(source))
        await books.copy_inbox("echo", house.url(echo), [kind.TYPE for kind in echo.handlers])
        await books.copy_topic(road.topic)
        return await check_path(books)


async def run_as_owner(house: House, statement: str) -> None:
    """What no service may do to echo's tables."""
    owner = await asyncpg.connect(house.url(echo))
    await owner.execute(statement)
    await owner.close()


async def test_with_every_guard_in_place_it_is_silent(house_of_two: House) -> None:
    assert (await play(house_of_two, Road(), away=2)).wrong == {}


async def test_without_the_inbox_it_shouts_that_effects_are_doubled(
    house_of_two: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = inbox.accept

    async def forgetful(tx: Tx, events: Sequence[Any]) -> list[Any]:
        await real(tx, events)
        return list(events)

    monkeypatch.setattr(inbox, "accept", forgetful)
    found = await play(house_of_two, Road())
    assert found.done_again == 4
    assert found.sum(Findings.DOUBLED) > 0


@pytest.mark.parametrize(("table", "kept", "gone"), [("inbox", "done", "marked"), ("witness", "marked", "done")])
async def test_a_mark_without_its_effect_and_an_effect_without_its_mark_are_seen(
    house_of_two: House, table: str, kept: str, gone: str
) -> None:
    await play(house_of_two, road := Road())
    await run_as_owner(
        house_of_two, f"DELETE FROM {table} WHERE event_id = (SELECT min(event_id::text)::uuid FROM {table})"
    )
    assert getattr(await findings(house_of_two, road), f"{kept}_and_not_{gone}") == 1


async def test_without_the_mark_it_shouts_that_events_stay(
    house_of_two: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_MARK", "SELECT $1::bigint[]")
    found = await play(house_of_two, Road())
    assert found.unsent == 3 * THINGS
    assert found.sum(Findings.LOST) > 0


async def test_with_the_offset_before_the_commit_it_shouts_that_events_are_lost(
    house_of_two: House,
) -> None:
    found = await play(house_of_two, Hasty(), away=1, again=False)
    assert found.not_applied == 3 * THINGS
    assert found.sum(Findings.LOST) > 0


async def test_without_the_order_of_the_outbox_it_shouts_that_events_overtake(
    house_of_two: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_NEXT", outbox._NEXT.replace("ORDER BY id", "ORDER BY id DESC"))
    found = await play(house_of_two, Road())
    assert found.steps_back_on_topic > 0
    assert found.sum(Findings.DISORDER) > 0


async def test_an_event_that_vanished_from_the_topic_is_missed(house_of_two: House) -> None:
    road = Road()
    await play(house_of_two, road)
    del road.topic[0]
    found = await findings(house_of_two, road)
    assert found.not_on_topic == 1
    assert found.steps_back_on_topic > 0


async def test_an_event_applied_before_an_earlier_one_is_seen(house_of_two: House) -> None:
    await play(house_of_two, Road())
    await run_as_owner(
        house_of_two,
        "UPDATE inbox SET received_at = received_at + interval '1 s'"
        " WHERE event_id = (SELECT event_id FROM inbox ORDER BY event_id LIMIT 1)",
    )
    found = await findings(house_of_two, Road())
    assert found.applied_out_of_order > 0


async def test_without_inbox_and_natural_key_it_shouts_that_payables_are_doubled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows stay unseen by the handler too, as they do when two of it run side by side."""
    settlement = load("settlement")
    database = await house.database(settlement)

    async def blind(*_: Any) -> set[Any]:
        return set()

    async def forgetful(_: Tx, events: Sequence[Any]) -> list[Any]:
        return list(events)

    monkeypatch.setattr(inbox, "accept", forgetful)
    monkeypatch.setattr(queries, "known_lines", blind)
    owner = await asyncpg.connect(house.url(settlement))
    try:
        worker = WorkerInHand(settlement, database)
        messages = await worker.deliver(delivery(line()))
        await worker.redeliver(messages)
        assert [row["state"] for row in await owner.fetch("SELECT state FROM dead_letters")] == ["dead"]
        await owner.execute(
            "DELETE FROM dead_letters; ALTER TABLE payables DROP CONSTRAINT uq_payables_shipment_line_id"
        )
        await worker.redeliver(messages)
        found = Findings()
        check_chain(found, await inspect(lambda name: house.url(load(name))))
        assert found.effects_doubled >= 1
    finally:
        await house.empty(settlement)
        await owner.execute(
            "ALTER TABLE payables ADD CONSTRAINT uq_payables_shipment_line_id UNIQUE (shipment_line_id)"
        )
        await owner.close()


def of(**wrong: Any) -> Chain:
    """A chain in which all agrees but for what is given."""
    whole: dict[str, Any] = dict.fromkeys(Chain.__annotations__, 0) | {"ledger_sum": Decimal("0.00"), "dead": {}}
    return Chain(**{**whole, **wrong})


@pytest.mark.parametrize(
    ("wrong", "shouted"),
    [
        ({}, []),
        ({"without_payable": 1}, ["lines_without_payable"]),
        ({"without_receipt": 1}, ["lines_without_receipt"]),
        ({"payables_without_line": 1}, ["effects_doubled"]),
        ({"receipts_without_line": 1}, ["effects_doubled"]),
        ({"doubled": 1}, ["effects_doubled"]),
        ({"other_amounts": 1}, ["amounts_that_differ"]),
        ({"paid_untold": 1}, ["amounts_that_differ"]),
        ({"told_unpaid": 1}, ["amounts_that_differ"]),
        ({"ledger_sum": Decimal("0.01")}, ["ledger_sum"]),
        ({"unbalanced": 1}, ["ledger_unbalanced"]),
        ({"dead": {"orders": 1, "alerts": 1}}, ["dead_letters"]),
    ],
)
def test_whatever_does_not_agree_in_the_chain_is_shouted(wrong: dict[str, Any], shouted: list[str]) -> None:
    found = Findings()
    check_chain(found, of(**wrong))
    assert list(found.wrong) == shouted


Step = tuple[str, int, str]
"""Subject, sequence and type of what is said."""


async def say(books: Books, *steps: Step) -> list[UUID]:
    """Writes down that these were said, in this order; their ids."""
    places = await books.events()
    ids: list[UUID] = [uuid7() for _ in steps]
    rows = [
        ("source", places + place, event_id, *version_of(kind), subject, sequence, True, clock.now())
        for place, (event_id, (subject, sequence, kind)) in enumerate(zip(ids, steps, strict=True))
    ]
    await books.session.copy_records_to_table("said", records=rows)
    return ids


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([("a", 1), ("b", 1), ("a", 2), ("b", 2)], 0),
        ([("a", 2)], 1),
        ([("a", 1), ("a", 3)], 1),
        ([("a", 1), ("a", 2), ("a", 1)], 1),
        ([("a", 1), ("a", 1)], 1),
    ],
)
async def test_steps_count_from_one_without_a_gap(books: Books, steps: list[tuple[str, int]], wrong: int) -> None:
    await say(books, *((subject, sequence, "x.done.v1") for subject, sequence in steps))
    assert (await check_path(books)).gaps_in_outbox == wrong


def test_a_promise_needs_a_deadline_or_an_alert() -> None:
    promised = [("order_unconfirmed", "o1", "o1:d"), ("payment_overdue", "l1", "p1")]
    assert unkept(promised, {("payment_overdue", "l1")}, {("order_unconfirmed", "o1:d")}) == 0
    assert unkept(promised, {("payment_overdue", "l1")}, set()) == 1
    assert unkept(promised, set(), {("coverage_short", "p1")}) == 2


async def test_a_fact_told_in_two_versions_is_one_step_and_applied_by_either(books: Books) -> None:
    _, beside, _ = await say(books, ("a", 1, "x.done.v1"), ("a", 1, "x.done.v2"), ("a", 2, "x.done.v1"))
    heard = [("old", "x.done", "1"), ("new", "x.done", "2")]
    await books.session.copy_records_to_table("heard", records=heard)
    await books.session.copy_records_to_table("applied", records=[("old", beside, clock.now())])
    found = await check_path(books)
    assert found.gaps_in_outbox == 0
    assert found.not_applied == 2  # the second by old, the first by new
    await say(books, ("a", 1, "x.done.v1"))
    assert (await check_path(books)).gaps_in_outbox == 1  # said again is a step back all the same


async def test_a_fact_that_took_effect_in_both_versions_is_doubled(books: Books) -> None:
    both = await say(books, ("a", 1, "x.done.v1"), ("a", 1, "x.done.v2"))
    await books.session.copy_records_to_table("done", records=[("new", both[0]), ("old", both[1])])
    assert (await check_path(books)).done_again == 0
    await books.session.copy_records_to_table("done", records=[("old", both[0])])
    assert (await check_path(books)).done_again == 1


async def test_what_was_applied_and_never_said_and_what_began_twice_is_seen(books: Books) -> None:
    await say(books, ("a", 1, "cn.jicai.orders.order.placed.v1"), ("a", 2, "cn.jicai.orders.order.placed.v1"))
    await books.session.copy_records_to_table("applied", records=[("old", uuid7(), clock.now())])
    found = await check_path(books)
    assert (found.effects_doubled, found.applied_from_nowhere, found.not_on_topic) == (1, 1, 2)
