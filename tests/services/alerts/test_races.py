"""What meets on one row waits for the other: one transaction is held open, and the other must not get past it.

Each test fails when the lock it is about is taken out of the query.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from shared import clock
from shared.deadlines import Deadline
from shared.events import Event
from shared.events.alerts import AlertResolved, ProblemEscalated
from tests.house import WorkerInHand
from tests.services.alerts.desk import CITY, Desk, introduce
from tests.services.alerts.facts import CONFIRM_BY, DELIVER_BY, DUE_ON, NOON, Story, received

LONG_ENOUGH_SECONDS = 0.3
CODES_BY = NOON + timedelta(hours=72)
PAID_BY = clock.start_of_day(DUE_ON + timedelta(days=1))


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


async def waits_behind(worker: WorkerInHand, fact: Event, other: Coroutine[Any, Any, Any]) -> Any:
    """Applies a fact, holds its transaction open while `other` runs, and returns what `other` came to after it."""
    async with worker.database.transaction() as tx:
        await worker.service.handlers[type(fact)](tx, received([fact]))
        await tx.flush()
        behind = asyncio.ensure_future(other)
        await asyncio.sleep(LONG_ENOUGH_SECONDS)
        assert not behind.done(), "it went past a transaction that it must wait for"
    return await behind


@pytest.mark.parametrize(
    ("before", "at", "end"),
    [
        (["placed"], CONFIRM_BY, "confirmed"),
        (["placed"], CONFIRM_BY, "cancelled"),
        (["placed", "confirmed"], DELIVER_BY, "accepted"),
        (["placed", "confirmed"], DELIVER_BY, "closed"),
        (["opened"], CODES_BY, "covered"),
        (["opened"], CODES_BY, "released"),
        (["opened"], PAID_BY, "paid"),
    ],
)
async def test_a_deadline_waits_for_what_may_have_ended_it(
    worker: WorkerInHand, before: list[str], at: datetime, end: str
) -> None:
    story = Story()
    await worker.deliver(*(getattr(story, name)() for name in before))
    clock.drive(at)
    kinds = {"confirmed": "order_unconfirmed", "cancelled": "order_unconfirmed", "accepted": "delivery_overdue",
             "closed": "delivery_overdue", "covered": "coverage_short", "released": "coverage_short",
             "paid": "payment_overdue"}  # fmt: skip
    await waits_behind(worker, getattr(story, end)(), worker.meet_deadlines())
    raised = await worker.database.pool.fetch("SELECT kind FROM alerts")
    assert kinds[end] not in {row["kind"] for row in raised}


async def test_a_hand_waits_for_a_remedy_and_finds_the_alert_resolved(
    worker: WorkerInHand, client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]
) -> None:
    await worker.deliver(Story().refused())
    alert_id = await worker.database.pool.fetchval("SELECT id FROM alerts")
    await worker.database.pool.execute("UPDATE alerts SET happened_at = happened_at - interval '1 hour'")

    async def resolve() -> httpx.Response:
        return await client.post(f"/alerts/{alert_id}/resolution", json={"reason": "x"}, headers=caller(*CITY))

    answer = await waits_behind(worker, Story(order_number="CG-2").confirmed(), resolve())
    assert (answer.status_code, answer.json()["code"]) == (409, "alert_not_open")
    assert sum(isinstance(fact, AlertResolved) for fact in await worker.said()) == 1


async def test_a_step_waits_for_a_clock_that_runs_out(
    worker: WorkerInHand, client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]
) -> None:
    await introduce(worker)
    desk = Desk(client, caller)
    problem = await desk.reported()
    clock.drive(datetime.fromisoformat(problem["act_by"]))
    async with worker.database.transaction() as tx:
        taken = await tx.sql("DELETE FROM deadlines WHERE kind = 'problem_step' RETURNING kind, about, due_at")
        await worker.service.deadlines["problem_step"](tx, [Deadline(**row) for row in taken])
        await tx.flush()
        held = asyncio.ensure_future(desk.act(problem, "assignment", CITY))
        await asyncio.sleep(LONG_ENOUGH_SECONDS)
        assert not held.done()
    answer = await held
    assert (answer.status_code, answer.json()["code"]) == (403, "not_your_level")
    assert isinstance((await worker.said())[-1], ProblemEscalated)
