"""Payables from deliveries and coverage: any order, any repetition, exactly what codes cover, and never twice."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace as changed
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import msgspec
import pytest
from uuid_utils.compat import uuid7

from services.settlement.handlers.payables import (
    on_coverage_short,
    on_coverage_verified,
    on_deliveries_accepted,
)
from shared import clock
from shared.bus import Message
from shared.db import Database, Tx
from shared.events import Event
from shared.events.settlement import PayableOpened, PayableReleased
from shared.inbox import Received

from .conftest import BEFORE_CODES, HOSPITAL, OTHER_HOSPITAL, WITH_CODES, Stage, covered, delivery, line


def received(fact: Any, sequence: int = 1) -> Received[Any]:
    return Received(fact, uuid7(), "subject", sequence, clock.now(), None, None, Message("topic", "key", b""))


async def apply(tx: Tx, *facts: Received[Any]) -> None:
    handler_of: dict[str, Any] = {
        "DeliveryAccepted": on_deliveries_accepted,
        "CoverageShort": on_coverage_short,
        "CoverageVerified": on_coverage_verified,
    }
    for fact in facts:
        await handler_of[type(fact.data).__name__](tx, [fact])


async def state_of(tx: Tx) -> list[tuple[Any, ...]]:
    rows = await tx.sql(
        "SELECT quantity_released, released_yuan, state, entries,"
        " (SELECT sum(amount_yuan) FROM transfers AS t WHERE t.payable_id = p.id AND credit_account = 'claim_released')"
        " FROM payables AS p ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def test_a_line_is_owed_once_even_if_the_inbox_let_it_through_twice(tx: Tx) -> None:
    accepted = delivery(line(), line())
    await on_deliveries_accepted(tx, [received(accepted), received(accepted)])
    await on_deliveries_accepted(tx, [received(accepted)])
    (found,) = await tx.sql(
        "SELECT (SELECT count(*) FROM payables) AS payables, (SELECT count(*) FROM transfers) AS transfers,"
        " (SELECT count(*) FROM outbox) AS events, (SELECT count(*) FROM history) AS deeds"
    )
    assert tuple(found) == (2, 2, 4, 2)


async def test_coverage_applied_twice_releases_once(tx: Tx) -> None:
    accepted = delivery(at=WITH_CODES)
    await apply(tx, received(accepted), *[received(covered(accepted, 60), 2)] * 2)
    await apply(tx, received(covered(accepted, 60), 3))
    assert await state_of(tx) == [(60, Decimal("740.40"), "released", 2, Decimal("740.40"))]


async def test_deliveries_and_coverage_come_to_the_same_in_every_order(tx: Tx) -> None:
    expected = [(100, Decimal("1234.00"), "released")]
    for order in permutations(range(3)):
        accepted = delivery(at=WITH_CODES)
        facts = [received(accepted), received(covered(accepted, 40), 2), received(covered(accepted, 100), 3)]
        await apply(tx, *(facts[place] for place in order))
        states = await state_of(tx)
        assert [state[:3] for state in states[-1:]] == expected, order
        assert states[-1][4] == Decimal("1234.00"), order


async def test_older_coverage_that_comes_late_changes_nothing(tx: Tx) -> None:
    accepted = delivery(at=WITH_CODES)
    await apply(tx, received(accepted), received(covered(accepted, 80), 5), received(covered(accepted, 30), 4))
    assert (await state_of(tx))[0][0] == 80


async def test_coverage_that_shrinks_does_not_take_back_what_was_released(tx: Tx) -> None:
    accepted = delivery(at=WITH_CODES)
    await apply(tx, received(accepted), received(covered(accepted, 80), 2), received(covered(accepted, 30), 3))
    assert (await state_of(tx))[0][:2] == (80, Decimal("987.20"))
    await apply(tx, received(covered(accepted, 90), 4))
    assert (await state_of(tx))[0][0] == 90


async def test_more_codes_than_boxes_release_no_more_than_was_accepted(tx: Tx) -> None:
    accepted = delivery(line(10), at=WITH_CODES)
    await apply(tx, received(accepted), received(covered(accepted, 25), 2))
    assert (await state_of(tx))[0][0] == 10


@pytest.mark.parametrize("kind", ["slice", "granule", "consumable"])
async def test_kinds_without_codes_are_released_at_once(tx: Tx, kind: str) -> None:
    await apply(tx, received(delivery(line(kind=kind), at=WITH_CODES)))
    assert (await state_of(tx))[0][:3] == (100, Decimal("1234.00"), "released")


@pytest.mark.parametrize("kind", ["western", "patent_chinese"])
async def test_kinds_with_codes_wait_for_them(tx: Tx, kind: str) -> None:
    await apply(tx, received(delivery(line(kind=kind), at=WITH_CODES)))
    assert (await state_of(tx))[0][:3] == (0, Decimal("0.00"), "awaiting_codes")


@pytest.mark.parametrize(
    ("at", "asked"),
    [
        (datetime(2025, 12, 31, 15, 59, 59, tzinfo=UTC), False),
        (datetime(2025, 12, 31, 16, tzinfo=UTC), True),
    ],
)
async def test_codes_are_asked_for_from_the_first_of_january_of_shanghai(tx: Tx, at: datetime, asked: bool) -> None:
    await apply(tx, received(delivery(at=at)))
    (row,) = await tx.sql("SELECT codes_required, accepted_month, due_on FROM payables")
    assert row["codes_required"] is asked
    assert row["accepted_month"] == (date(2026, 1, 1) if asked else date(2025, 12, 1))
    assert row["due_on"] == (date(2026, 1, 31) if asked else date(2026, 1, 30))


async def test_an_amount_that_rounds_to_nothing_is_paid_with_nothing(tx: Tx) -> None:
    await apply(tx, received(delivery(line(1, "0.0049"))))
    assert await state_of(tx) == [(1, Decimal("0.00"), "paid", 0, None)]


async def test_half_a_fen_is_rounded_up(tx: Tx) -> None:
    await apply(tx, received(delivery(line(1, "0.0050"))))
    assert (await state_of(tx))[0][1] == Decimal("0.01")


async def test_a_line_of_which_nothing_was_accepted_owes_nothing(tx: Tx) -> None:
    await apply(tx, received(delivery(line(0), line(1))))
    assert len(await state_of(tx)) == 1


@pytest.mark.parametrize("count", [1, 300])
async def test_any_number_of_deliveries_costs_the_same_statements(tx: Tx, count: int) -> None:
    events = [received(delivery(line(), line(), line(), at=WITH_CODES)) for _ in range(count)]
    before = tx.statements
    await on_deliveries_accepted(tx, events)
    await tx.flush()
    assert tx.statements - before == 3
    before = tx.statements
    await on_coverage_verified(tx, [received(covered(event.data, 100), 2) for event in events])
    await tx.flush()
    assert tx.statements - before == 4


async def test_released_and_opened_are_said_with_totals(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.worker.deliver(covered(accepted, 1), sequence=2)
    await stage.worker.deliver(covered(accepted, 100), sequence=3)
    opened, first, second = await stage.worker.said()
    assert isinstance(opened, PayableOpened)
    assert (opened.amount_yuan, opened.due_on, opened.codes_required) == (Decimal("1234.00"), date(2026, 4, 4), True)
    assert isinstance(first, PayableReleased)
    assert (first.quantity_released, first.amount_released_yuan, first.complete) == (1, Decimal("12.34"), False)
    assert isinstance(second, PayableReleased)
    assert (second.amount_released_yuan, second.complete) == (Decimal("1234.00"), True)
    await stage.ledger_agrees()


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_money_released_for_codes_that_were_lost_stays_released_and_is_counted(
    tx: Tx, order: tuple[int, ...]
) -> None:
    """Ten were covered, then nine; whatever arrives first, nothing is taken back, and what has no codes is known."""
    accepted = delivery(line(10), at=WITH_CODES)
    facts = [
        received(accepted),
        received(covered(accepted, 10), 2),
        received(covered(accepted, 9), 3),
    ]
    await apply(tx, *(facts[place] for place in order))
    (row,) = await tx.sql("SELECT quantity_released, quantity_uncovered FROM payables")
    opened, ten, nine = (order.index(place) for place in range(3))
    released_for_lost_codes = opened < nine and ten < nine
    assert tuple(row) == ((10, 1) if released_for_lost_codes else (9, 0))


async def test_lost_codes_are_shown_and_said_until_they_are_made_good(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(line(10), at=WITH_CODES)
    await stage.worker.deliver(accepted)
    for sequence, quantity in ((2, 10), (3, 7), (4, 9), (5, 10)):
        await stage.worker.deliver(covered(accepted, quantity), sequence=sequence)
    said = [fact for fact in await stage.worker.said() if isinstance(fact, PayableReleased)]
    assert [(fact.quantity_released, fact.quantity_uncovered) for fact in said] == [(10, 0), (10, 3), (10, 1), (10, 0)]
    assert {fact.amount_released_yuan for fact in said} == {Decimal("123.40")}
    (found,) = (await stage.get("/payables", HOSPITAL))["items"]
    assert (found["quantity_released"], found["quantity_uncovered"], found["version"]) == (10, 0, 5)
    deeds = (await stage.get(f"/payables/{found['id']}/timeline", HOSPITAL))["deeds"]
    assert [deed["action"] for deed in deeds] == ["opened", "released", *["coverage_changed"] * 3]
    assert deeds[2]["detail"]["changes"]["quantity_uncovered"] == [0, 3]
    await stage.ledger_agrees()


async def test_a_line_that_needs_no_codes_has_none_to_lose(tx: Tx) -> None:
    accepted = delivery(line(10), at=BEFORE_CODES)
    await apply(tx, received(accepted), received(covered(accepted, 3), 2))
    (row,) = await tx.sql("SELECT quantity_released, quantity_uncovered FROM payables")
    assert tuple(row) == (10, 0)


async def test_a_price_that_makes_no_possible_amount_is_kept_for_a_person(stage: Stage) -> None:
    await stage.worker.deliver(delivery(line(100_000_000, "999999999.9999")), delivery())
    assert len(await stage.worker.dead_letters()) == 1
    assert len((await stage.get("/payables"))["items"]) == 1


async def test_a_price_of_more_places_than_are_kept_makes_no_payable(stage: Stage) -> None:
    await stage.worker.deliver(delivery(line(100, "12.34567")))
    (letter,) = await stage.worker.dead_letters()
    assert "unit_price_yuan is 12.34567, allowed are 4 decimal places" in letter["reason"]
    assert (await stage.get("/payables"))["items"] == []


@pytest.mark.parametrize("quantity", [-1, -100])
async def test_a_negative_quantity_is_kept_for_a_person(stage: Stage, quantity: int) -> None:
    broken = msgspec.structs.replace(line(), quantity_accepted=quantity)
    await stage.worker.deliver(delivery(broken))
    assert len(await stage.worker.dead_letters()) == 1


async def test_a_payable_shows_its_due_date_and_whom_it_waits_for(stage: Stage) -> None:
    accepted = delivery(at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.worker.deliver(covered(accepted, 30), sequence=2)
    (found,) = (await stage.get("/payables?state=released&month=2026-03&due_before=2026-04-05", HOSPITAL))["items"]
    assert (found["due_on"], found["released_yuan"], found["amount_yuan"]) == ("2026-04-04", "370.20", "1234.00")
    assert found["waits_for"] == found["next"][0]
    assert [(step["who"]["role"], step["what"]) for step in found["next"]] == [
        ("platform", "issue the sheet when the month has closed"),
        ("hospital", "capture trace codes of 70 盒 of 100"),
    ]
    timeline = await stage.get(f"/payables/{found['id']}/timeline", HOSPITAL)
    assert [deed["action"] for deed in timeline["deeds"]] == ["opened", "released"]
    assert timeline["next"] == found["next"]
    for nothing in ("month=2026-04", "due_before=2026-04-04", "state=paid", "distributor=X", f"order_id={uuid7()}"):
        assert (await stage.get(f"/payables?{nothing}", HOSPITAL))["items"] == []


async def test_what_still_waits_for_codes_is_found_whatever_the_state_of_the_rest(stage: Stage) -> None:
    accepted = delivery(line(45), line(45), line(45), line(45, kind="slice"), at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.worker.deliver(covered(accepted, 4, 0), sequence=2)
    await stage.worker.deliver(covered(accepted, 45, 1), sequence=2)
    await stage.worker.deliver(covered(accepted, 44, 1), sequence=3)

    async def found(query: str) -> list[tuple[str, int]]:
        items = (await stage.get(f"/payables?{query}", HOSPITAL))["items"]
        return sorted((one["state"], one["quantity_awaiting_codes"]) for one in items)

    assert await found("awaiting_codes=true") == [("awaiting_codes", 45), ("released", 1), ("released", 41)]
    assert await found("awaiting_codes=false") == [("released", 0)]
    stage.drive(datetime(2026, 4, 1, tzinfo=UTC))
    await stage.worker.meet_deadlines()
    assert await found("awaiting_codes=true&state=sheeted") == [("sheeted", 1), ("sheeted", 41)]


async def test_pages_of_payables_hold_each_once(stage: Stage) -> None:
    await stage.worker.deliver(delivery(*(line() for _ in range(7))))
    seen, path = [], "/payables?limit=3"
    after = ""
    while True:
        page = await stage.get(path + after, HOSPITAL)
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(seen) == len(set(seen)) == 7


async def test_others_neither_see_nor_find_a_payable(stage: Stage) -> None:
    await stage.worker.deliver(delivery())
    (found,) = (await stage.get("/payables", HOSPITAL))["items"]
    assert (await stage.get("/payables", OTHER_HOSPITAL))["items"] == []
    for path in (f"/payables/{found['id']}", f"/payables/{found['id']}/timeline"):
        answer = await stage.client.get(path, headers=stage.caller(*OTHER_HOSPITAL))
        assert answer.status_code == 404
        assert answer.json()["code"] == "payable_not_found"


@pytest.mark.parametrize("first", ["delivery", "coverage"])
async def test_a_delivery_and_its_coverage_at_the_same_moment_lose_nothing(database: Database, first: str) -> None:
    """Each commits while the other is under way: whoever comes second must see what the first has written."""
    accepted = delivery(at=WITH_CODES)
    facts = [received(accepted), received(covered(accepted, 100), 2)]
    under_way = asyncio.Event()

    async def slow(fact: Received[Any]) -> None:
        async with database.transaction() as tx:
            await apply(tx, fact)
            await tx.flush()
            under_way.set()
            await asyncio.sleep(0.2)

    async def quick(fact: Received[Any]) -> None:
        await under_way.wait()
        async with database.transaction() as tx:
            await apply(tx, fact)

    ordered: Sequence[Received[Any]] = facts if first == "delivery" else facts[::-1]
    await asyncio.gather(slow(ordered[0]), quick(ordered[1]))
    async with database.transaction() as tx:
        assert (await state_of(tx))[0][:3] == (100, Decimal("1234.00"), "released")


async def test_two_coverages_at_the_same_moment_release_once(database: Database) -> None:
    accepted = delivery(at=WITH_CODES)

    async def act(fact: Event, sequence: int) -> None:
        async with database.transaction() as tx:
            await apply(tx, received(fact, sequence))
            await tx.flush()
            await asyncio.sleep(0.1)

    await act(accepted, 1)
    await asyncio.gather(*(act(covered(accepted, 50 + place), 2 + place) for place in range(5)))
    async with database.transaction() as tx:
        ((quantity, yuan, _, _, booked),) = await state_of(tx)
    assert (quantity, yuan, booked) == (54, Decimal("666.36"), Decimal("666.36"))


async def test_terms_are_those_of_the_day_of_acceptance(tx: Tx) -> None:
    late = clock.now() + timedelta(days=400)
    await on_deliveries_accepted(tx, [changed(received(delivery(at=BEFORE_CODES)), time=late)])
    (row,) = await tx.sql("SELECT codes_required FROM payables")
    assert row["codes_required"] is False
