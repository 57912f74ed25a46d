"""A hospital that neither confirms nor disputes its sheet in time is reminded of it, until it does; a dispute stops no clock."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from services.alerts.handlers.sheets import on_sheets_confirmed, on_sheets_issued, when_sheets_unconfirmed
from services.alerts.rules.alerts import Kind
from shared import clock
from shared.db import Tx
from shared.deadlines import Deadline
from shared.next_steps import day_over
from tests.house import WorkerInHand
from tests.services.alerts.facts import CONFIRM_SHEET_BY, DUE_ON, HOSPITAL, NOON, SUPPLIER, Story, received

LATE_FROM = day_over(CONFIRM_SHEET_BY) or NOON
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


async def alerts(worker: WorkerInHand) -> list[dict[str, Any]]:
    assert await worker.dead_letters() == []
    return [dict(row) for row in await worker.database.pool.fetch("SELECT * FROM alerts ORDER BY id")]


async def test_a_silent_hospital_is_reminded_once_its_day_is_over(worker: WorkerInHand) -> None:
    story = Story()
    messages = await worker.deliver(story.issued())
    clock.drive(LATE_FROM - SECOND)
    await worker.meet_deadlines()
    assert await alerts(worker) == []
    clock.drive(LATE_FROM)
    await worker.meet_deadlines()
    await worker.redeliver(messages)
    await worker.meet_deadlines()
    (alert,) = await alerts(worker)
    assert (alert["kind"], alert["about"], alert["about_id"]) == ("sheet_unconfirmed", "sheet", str(story.sheet_id))
    assert (alert["institution_code"], alert["supplier_code"], alert["state"]) == (HOSPITAL, SUPPLIER, "open")
    assert alert["detail"] == (
        f"{HOSPITAL} neither confirmed nor disputed the sheet of 2026-03 over 123.40 yuan by 2026-04-05."
    )


@pytest.mark.parametrize(
    ("answer", "resolution"),
    [
        ("sheet_confirmed", "The sheet was confirmed."),
        ("sheet_disputed", "Disputed of the sheet: 1 line; 数量不符"),
    ],
)
async def test_an_answer_resolves_it(worker: WorkerInHand, answer: str, resolution: str) -> None:
    story = Story()
    await worker.deliver(story.issued())
    clock.drive(LATE_FROM)
    await worker.meet_deadlines()
    messages = await worker.deliver(getattr(story, answer)())
    await worker.redeliver(messages)
    (alert,) = await alerts(worker)
    assert (alert["state"], alert["resolution"]) == ("resolved", resolution)


@pytest.mark.parametrize("answer", ["sheet_confirmed", "sheet_disputed"])
@pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
async def test_a_sheet_that_was_answered_in_time_raises_nothing_in_either_order(
    worker: WorkerInHand, answer: str, order: tuple[int, ...]
) -> None:
    story = Story()
    facts = [story.issued(), getattr(story, answer)()]
    for place in order:
        await worker.deliver(facts[place])
    clock.drive(LATE_FROM)
    await worker.meet_deadlines()
    assert await alerts(worker) == []


AGAIN_BY = CONFIRM_SHEET_BY + timedelta(days=6)
AGAIN_LATE = day_over(AGAIN_BY) or NOON


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("answered", [False, True])
async def test_a_sheet_that_was_sent_back_has_its_clock_again_in_every_order(
    worker: WorkerInHand, order: tuple[int, ...], answered: bool
) -> None:
    story = Story()
    told = [
        (story.issued(), NOON, 1),
        (story.sheet_confirmed(), NOON + timedelta(days=1), 2),
        (story.sheet_returned(AGAIN_BY), NOON + timedelta(days=2), 3),
    ]
    for place in (*order, *order):
        fact, at, sequence = told[place]
        await worker.deliver(fact, sequence=sequence, at=at)
    if answered:
        await worker.deliver(story.sheet_confirmed(), sequence=4, at=NOON + timedelta(days=3))
    clock.drive(AGAIN_LATE - SECOND)
    await worker.meet_deadlines()
    assert await alerts(worker) == []
    clock.drive(AGAIN_LATE)
    await worker.meet_deadlines()
    found = await alerts(worker)
    assert [(alert["kind"], alert["state"]) for alert in found] == ([] if answered else [("sheet_unconfirmed", "open")])
    if not answered:
        assert f"by {AGAIN_BY}" in found[0]["detail"]
        await worker.deliver(story.sheet_confirmed(), sequence=4, at=AGAIN_LATE)
        assert [alert["state"] for alert in await alerts(worker)] == ["resolved"]


async def test_a_sheet_that_was_late_and_is_late_again_after_it_was_sent_back_is_told_twice(
    worker: WorkerInHand,
) -> None:
    story = Story()
    await worker.deliver(story.issued(), at=NOON)
    clock.drive(LATE_FROM)
    await worker.meet_deadlines()
    await worker.deliver(story.sheet_confirmed(), sequence=2, at=LATE_FROM)
    await worker.deliver(story.sheet_returned(AGAIN_BY), sequence=3, at=LATE_FROM + SECOND)
    clock.drive(AGAIN_LATE)
    await worker.meet_deadlines()
    assert [alert["state"] for alert in await alerts(worker)] == ["resolved", "open"]


@pytest.mark.parametrize("later_first", [False, True])
async def test_a_disputed_payable_is_overdue_on_its_day_and_waits_for_the_hospital_until_the_dispute_ends(
    worker: WorkerInHand, later_first: bool
) -> None:
    story = Story()
    await worker.deliver(story.opened(codes_required=False))
    facts = [(story.released(10), 2), (story.held(), 3)]
    for fact, sequence in reversed(facts) if later_first else facts:
        await worker.deliver(fact, sequence=sequence)
    clock.drive(clock.start_of_day(DUE_ON + timedelta(days=1)))
    await worker.meet_deadlines()
    (raised,) = await worker.database.pool.fetch("SELECT kind, state FROM alerts")
    assert tuple(raised) == ("payment_overdue", "open")
    disputed = "SELECT disputed FROM receipts"
    assert await worker.database.pool.fetchval(disputed) == "数量不符"
    await worker.deliver(story.released(10), sequence=4)
    assert await worker.database.pool.fetchval(disputed) is None
    assert await worker.database.pool.fetchval("SELECT state FROM alerts") == "open"


@pytest.mark.parametrize("count", [1, 50])
async def test_many_sheets_cost_as_many_statements_as_one(tx: Tx, count: int) -> None:
    stories = [Story() for _ in range(count)]
    before = tx.statements
    await on_sheets_issued(tx, received([story.issued() for story in stories]))
    clock.drive(LATE_FROM)
    due = [Deadline(Kind.SHEET_UNCONFIRMED, str(story.sheet_id), LATE_FROM) for story in stories]
    await when_sheets_unconfirmed(tx, due)
    await on_sheets_confirmed(tx, received([story.sheet_confirmed() for story in stories]))
    await tx.flush()
    assert tx.statements - before <= STATEMENTS


STATEMENTS = 12
"""For what is issued, late and confirmed together, whatever their number."""
