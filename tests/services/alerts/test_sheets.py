"""A hospital that neither confirms nor disputes its sheet in time is reminded of it, until it does."""

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
from tests.services.alerts.facts import CONFIRM_SHEET_BY, HOSPITAL, NOON, SUPPLIER, Story, received

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
