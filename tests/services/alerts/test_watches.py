"""Deadlines that pass raise one alert each, and what the other services say resolves it, in whatever order it is said."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from shared import clock
from shared.db import Tx
from shared.events import Event
from shared.events.alerts import AlertRaised, AlertResolved
from tests.house import WorkerInHand
from tests.services.alerts.facts import (
    CONFIRM_BY,
    DELIVER_BY,
    DUE_ON,
    NOON,
    OTHER_SUPPLIER,
    PRODUCT,
    SUPPLIER,
    Story,
    received,
)

LATE = timedelta(seconds=1)
CODES_BY = NOON + timedelta(hours=72)
PAID_BY = clock.start_of_day(DUE_ON + timedelta(days=1))


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


@pytest.fixture
async def raised(worker: WorkerInHand) -> AsyncIterator[Callable[[], Any]]:
    async def alerts() -> list[dict[str, Any]]:
        return [dict(row) for row in await worker.database.pool.fetch("SELECT * FROM alerts ORDER BY id")]

    yield alerts
    assert await worker.dead_letters() == []


def states(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["kind"], row["state"]) for row in rows]


async def test_an_order_that_nobody_answers_is_raised_once_the_time_to_confirm_is_over(
    worker: WorkerInHand, raised: Any
) -> None:
    story = Story()
    await worker.deliver(story.placed())
    clock.drive(CONFIRM_BY - LATE)
    assert await worker.meet_deadlines() == 0
    clock.drive(CONFIRM_BY)
    assert await worker.meet_deadlines() == 1
    (alert,) = await raised()
    assert (alert["kind"], alert["about"], alert["about_id"]) == (
        "order_unconfirmed",
        "order",
        f"{story.order_id}:{SUPPLIER}",
    )
    assert alert["evidence"]["order_number"] == "CG-1"
    assert alert["evidence"]["lines"][0]["quantity_ordered"] == 10
    assert [type(fact) for fact in await worker.said()] == [AlertRaised]


async def test_each_distributor_of_an_order_answers_for_itself(worker: WorkerInHand, raised: Any) -> None:
    story, other = Story(), Story()
    await worker.deliver(story.placed(story.line(), story.line(other.line_id, OTHER_SUPPLIER, 2)))
    clock.drive(CONFIRM_BY)
    await worker.meet_deadlines()
    assert {row["supplier_code"] for row in await raised()} == {SUPPLIER, OTHER_SUPPLIER}
    await worker.deliver(story.confirmed())
    assert {row["supplier_code"]: row["state"] for row in await raised()} == {
        SUPPLIER: "resolved",
        OTHER_SUPPLIER: "open",
    }


@pytest.mark.parametrize("answer", ["confirmed", "refused", "cancelled", "closed"])
async def test_an_answer_in_time_raises_nothing_about_the_order(worker: WorkerInHand, raised: Any, answer: str) -> None:
    story = Story()
    await worker.deliver(story.placed(), getattr(story, answer)())
    clock.drive(CONFIRM_BY)
    await worker.meet_deadlines()
    assert "order_unconfirmed" not in {row["kind"] for row in await raised()}


@pytest.mark.parametrize("answer", ["confirmed", "refused", "cancelled", "closed"])
async def test_a_late_answer_resolves_the_alert_about_the_order(worker: WorkerInHand, raised: Any, answer: str) -> None:
    story = Story()
    await worker.deliver(story.placed())
    clock.drive(CONFIRM_BY)
    await worker.meet_deadlines()
    await worker.deliver(getattr(story, answer)())
    assert ("order_unconfirmed", "resolved") in states(await raised())


async def test_an_order_stays_unconfirmed_while_one_of_its_lines_is(worker: WorkerInHand, raised: Any) -> None:
    story, other = Story(), Story()
    await worker.deliver(story.placed(story.line(), story.line(other.line_id, number=2)))
    clock.drive(CONFIRM_BY)
    await worker.meet_deadlines()
    await worker.deliver(story.confirmed())
    assert states(await raised()) == [("order_unconfirmed", "open")]
    await worker.deliver(story.confirmed(line_id=other.line_id))
    assert states(await raised()) == [("order_unconfirmed", "resolved")]


@pytest.mark.parametrize(("accepted", "state"), [(9, "open"), (10, "resolved"), (11, "resolved")])
async def test_a_late_delivery_is_resolved_by_the_whole_quantity(
    worker: WorkerInHand, raised: Any, accepted: int, state: str
) -> None:
    story = Story()
    await worker.deliver(story.placed(), story.confirmed())
    clock.drive(DELIVER_BY)
    await worker.meet_deadlines()
    await worker.deliver(story.accepted(accepted))
    assert states(await raised()) == [("delivery_overdue", state)]


async def test_two_shipments_together_make_the_whole_quantity(worker: WorkerInHand, raised: Any) -> None:
    story, second = Story(), Story()
    await worker.deliver(story.placed(), story.confirmed(), story.accepted(4))
    clock.drive(DELIVER_BY)
    await worker.meet_deadlines()
    (alert,) = await raised()
    assert alert["detail"].startswith("Of 10 confirmed and due by 2026-03-05 12:00 (Shanghai) 4 are accepted")
    rest = story.accepted(6, shipment_id=second.shipment_id, shipment_line_id=second.shipment_line_id)
    await worker.deliver(rest)
    assert states(await raised()) == [("delivery_overdue", "resolved")]


@pytest.mark.parametrize("end", ["closed", "cancelled"])
async def test_a_line_that_ended_is_not_late_any_more(worker: WorkerInHand, raised: Any, end: str) -> None:
    story = Story()
    await worker.deliver(story.placed(), story.confirmed())
    clock.drive(DELIVER_BY)
    await worker.meet_deadlines()
    await worker.deliver(getattr(story, end)())
    assert states(await raised()) == [("delivery_overdue", "resolved")]


@pytest.mark.parametrize("order", list(permutations(["placed", "confirmed", "accepted"])))
async def test_a_delivery_in_time_raises_nothing_in_any_order(
    worker: WorkerInHand, raised: Any, order: tuple[str, ...]
) -> None:
    story = Story()
    for name in order:
        await worker.deliver(getattr(story, name)())
    clock.drive(DELIVER_BY)
    await worker.meet_deadlines()
    assert await raised() == []


@pytest.mark.parametrize("order", list(permutations(["placed", "confirmed", "accepted"])))
async def test_a_part_of_a_delivery_is_late_in_any_order(
    worker: WorkerInHand, raised: Any, order: tuple[str, ...]
) -> None:
    story = Story()
    for name in order:
        await worker.deliver(story.accepted(3) if name == "accepted" else getattr(story, name)())
    clock.drive(DELIVER_BY)
    await worker.meet_deadlines()
    (alert,) = await raised()
    assert (alert["kind"], alert["evidence"]["quantity_accepted"]) == ("delivery_overdue", 3)


async def test_missing_codes_are_raised_after_the_hours_of_policy(worker: WorkerInHand, raised: Any) -> None:
    story = Story()
    await worker.deliver(story.opened(), story.short(4))
    clock.drive(CODES_BY - LATE)
    assert await worker.meet_deadlines() == 0
    clock.drive(CODES_BY)
    await worker.meet_deadlines()
    (alert,) = await raised()
    assert (alert["kind"], alert["about_id"]) == ("coverage_short", str(story.payable_id))
    assert alert["evidence"]["quantity_covered"] == 4


async def test_a_payable_without_codes_has_no_time_for_codes(worker: WorkerInHand, raised: Any) -> None:
    await worker.deliver(Story().opened(codes_required=False))
    clock.drive(CODES_BY)
    assert await worker.meet_deadlines() == 0
    assert await raised() == []


@pytest.mark.parametrize("cover", ["covered", "released"])
@pytest.mark.parametrize("first", ["opened", "cover"])
async def test_codes_in_time_raise_nothing_in_either_order(
    worker: WorkerInHand, raised: Any, cover: str, first: str
) -> None:
    story = Story()
    facts = [story.opened(), getattr(story, cover)()]
    for fact in facts if first == "opened" else reversed(facts):
        await worker.deliver(fact)
    clock.drive(CODES_BY)
    await worker.meet_deadlines()
    assert await raised() == []


@pytest.mark.parametrize("cover", ["covered", "released"])
async def test_late_codes_resolve_what_was_short(worker: WorkerInHand, raised: Any, cover: str) -> None:
    story = Story()
    await worker.deliver(story.opened())
    clock.drive(CODES_BY)
    await worker.meet_deadlines()
    await worker.deliver(story.released(4))
    assert states(await raised()) == [("coverage_short", "open")]
    await worker.deliver(getattr(story, cover)())
    assert states(await raised()) == [("coverage_short", "resolved")]
    assert [type(fact) for fact in await worker.said()] == [AlertRaised, AlertResolved]


async def test_an_older_coverage_does_not_overwrite_a_newer_one(worker: WorkerInHand, raised: Any) -> None:
    story = Story()
    await worker.deliver(story.covered(), sequence=3)
    await worker.deliver(story.short(4), sequence=2)
    await worker.deliver(story.opened())
    clock.drive(CODES_BY)
    await worker.meet_deadlines()
    assert await raised() == []


async def test_a_coverage_that_shrank_again_is_short(worker: WorkerInHand, raised: Any) -> None:
    story = Story()
    await worker.deliver(story.covered(), sequence=2)
    await worker.deliver(story.short(9), sequence=3)
    await worker.deliver(story.opened())
    clock.drive(CODES_BY)
    await worker.meet_deadlines()
    assert states(await raised()) == [("coverage_short", "open")]


@pytest.mark.parametrize(("amount", "kinds"), [("123.39", ["payment_overdue"]), ("123.40", [])])
@pytest.mark.parametrize("first", ["opened", "paid"])
async def test_money_that_came_in_time_raises_nothing_in_either_order(
    worker: WorkerInHand, raised: Any, amount: str, kinds: list[str], first: str
) -> None:
    story = Story()
    facts: list[Event] = [story.opened(codes_required=False), story.paid(amount)]
    for fact in facts if first == "opened" else reversed(facts):
        await worker.deliver(fact)
    clock.drive(PAID_BY - LATE)
    assert await worker.meet_deadlines() == 0
    clock.drive(PAID_BY)
    await worker.meet_deadlines()
    assert [row["kind"] for row in await raised()] == kinds


async def test_late_money_resolves_when_it_is_all_there(worker: WorkerInHand, raised: Any) -> None:
    story = Story()
    await worker.deliver(story.opened(codes_required=False))
    clock.drive(PAID_BY)
    await worker.meet_deadlines()
    (alert,) = await raised()
    assert alert["detail"] == UNPAID
    await worker.deliver(story.paid("100.00"))
    assert states(await raised()) == [("payment_overdue", "open")]
    await worker.deliver(story.paid("123.40"))
    assert states(await raised()) == [("payment_overdue", "resolved")]


def overdue(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["state"], row["detail"]) for row in rows if row["kind"] == "payment_overdue"]


UNPAID = f"{PRODUCT}, lot ?, order ?: 123.40 yuan were due on 2026-04-01, 0.00 are paid."


async def test_money_that_comes_back_after_the_due_date_is_overdue_again_until_it_is_paid_anew(
    worker: WorkerInHand, raised: Any
) -> None:
    story = Story()
    await worker.deliver(story.opened(codes_required=False))
    clock.drive(PAID_BY)
    await worker.meet_deadlines()
    await worker.deliver(story.paid(step=4))
    assert overdue(await raised()) == [("resolved", UNPAID)]
    messages = await worker.deliver(story.returned(step=5))
    await worker.redeliver(messages)
    await worker.meet_deadlines()
    await worker.deliver(story.returned(step=5))  # as if the inbox had forgotten
    await worker.meet_deadlines()
    assert overdue(await raised()) == [("resolved", UNPAID), ("open", UNPAID)]
    await worker.deliver(story.paid(step=7))
    assert [state for state, _ in overdue(await raised())] == ["resolved", "resolved"]
    await worker.redeliver(messages)
    await worker.deliver(story.returned(step=5))
    await worker.meet_deadlines()
    assert [state for state, _ in overdue(await raised())] == ["resolved", "resolved"]


async def test_money_that_comes_back_before_the_due_date_is_asked_for_on_it(worker: WorkerInHand, raised: Any) -> None:
    story = Story()
    await worker.deliver(story.paid(step=4), story.opened(codes_required=False))  # so no time was set for it
    await worker.deliver(story.returned(step=5))
    clock.drive(PAID_BY - LATE)
    await worker.meet_deadlines()
    assert overdue(await raised()) == []
    clock.drive(PAID_BY)
    await worker.meet_deadlines()
    assert overdue(await raised()) == [("open", UNPAID)]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_payments_and_returns_come_to_the_same_in_every_order(
    worker: WorkerInHand, raised: Any, order: tuple[int, ...], together: bool
) -> None:
    story = Story()
    facts: list[Event] = [
        story.opened(codes_required=False),
        story.paid(step=4),
        story.returned(step=5),
        story.paid("100.00", step=7),
    ]
    clock.drive(PAID_BY)
    told = [facts[place] for place in order]
    for batch in [told] if together else [[fact] for fact in told]:
        await worker.deliver(*batch)
        await worker.meet_deadlines()
    row = await worker.database.pool.fetchrow("SELECT paid_yuan, paid_step FROM receipts")
    assert (str(row["paid_yuan"]), row["paid_step"]) == ("100.00", 7)
    assert [state for state, _ in overdue(await raised())][-1] == "open"


async def test_every_order_of_a_whole_story_ends_without_an_alert(worker: WorkerInHand, raised: Any) -> None:
    for order in permutations(["confirmed", "accepted", "opened", "covered", "paid"]):
        story = Story()
        await worker.deliver(story.placed(), *(getattr(story, name)() for name in order))
    clock.drive(PAID_BY)
    await worker.meet_deadlines()
    assert await raised() == []


async def test_the_same_facts_under_new_ids_raise_and_resolve_nothing_twice(worker: WorkerInHand, raised: Any) -> None:
    story = Story()
    for _ in range(2):
        await worker.deliver(story.placed(), story.confirmed(), story.accepted(4), story.opened())
    clock.drive(PAID_BY)
    await worker.meet_deadlines()
    for _ in range(2):
        await worker.deliver(story.placed(), story.confirmed(), story.accepted(4), story.opened())
        await worker.meet_deadlines()
    assert sorted(states(await raised())) == [
        ("coverage_short", "open"),
        ("delivery_overdue", "open"),
        ("payment_overdue", "open"),
    ]
    story_end = [story.closed(), story.covered(), story.paid()]
    for _ in range(2):
        await worker.deliver(*story_end)
    assert len(await raised()) == 3
    assert [type(fact) for fact in await worker.said()] == [AlertRaised] * 3 + [AlertResolved] * 3


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("placed", 3),
        ("confirmed", 7),
        ("refused", 8),
        ("cancelled", 5),
        ("closed", 5),
        ("accepted", 8),
        ("opened", 3),
        ("released", 3),
        ("covered", 3),
        ("short", 2),
        ("paid", 6),
        ("failed", 5),
    ],
)
async def test_three_hundred_facts_cost_as_many_statements_as_two(tx: Tx, service: Any, name: str, most: int) -> None:
    costs: list[int] = []
    for count in (2, 300):
        facts = [getattr(Story(), name)(*([4] if name == "short" else [])) for _ in range(count)]
        before = tx.statements
        await service.handlers[type(facts[0])](tx, received(facts))
        await tx.flush()
        costs.append(tx.statements - before)
    assert costs[0] == costs[1]
    assert costs[0] <= most
