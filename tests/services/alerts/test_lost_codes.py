"""Money that was released for codes which do not count any more: raised at once, resolved when they are made good."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest

from tests.house import WorkerInHand
from tests.services.alerts.facts import HOSPITAL, NOON, Story


async def raised(worker: WorkerInHand) -> list[dict[str, Any]]:
    return [dict(row) for row in await worker.database.pool.fetch("SELECT * FROM alerts ORDER BY id")]


def states(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["kind"], row["state"]) for row in rows]


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_codes_lost_after_the_money_was_released_are_raised_at_once_and_resolved_when_made_good(
    worker: WorkerInHand, driven_clock: Callable[[datetime], None], order: tuple[int, ...]
) -> None:
    driven_clock(NOON)
    story = Story()
    facts = [(story.opened(), 1), (story.released(), 2), (story.released(uncovered=3), 3)]
    for place in order:
        await worker.deliver(facts[place][0], sequence=facts[place][1])
    assert states(await raised(worker)) == [("coverage_short", "open")]
    assert "codes of 3 of them" in (await raised(worker))[0]["detail"]
    again = await worker.deliver(story.released(uncovered=3), sequence=3)
    await worker.redeliver(again)
    await worker.deliver(story.covered(), sequence=5)
    assert states(await raised(worker)) == [("coverage_short", "open")]
    await worker.deliver(story.released(), sequence=4)
    assert states(await raised(worker)) == [("coverage_short", "resolved")]
    await worker.deliver(story.released(uncovered=1), sequence=5)
    assert states(await raised(worker)) == [("coverage_short", "resolved"), ("coverage_short", "open")]


async def test_of_codes_lost_after_payment_no_money_is_said_to_be_held_and_the_day_is_that_of_the_acceptance(
    worker: WorkerInHand,
    client: httpx.AsyncClient,
    caller: Callable[..., dict[str, str]],
    driven_clock: Callable[[datetime], None],
) -> None:
    driven_clock(NOON)
    story = Story(45)
    await worker.deliver(story.accepted(), story.opened(), story.released(), story.covered(), story.paid())
    lost_at = NOON + timedelta(days=45)
    driven_clock(lost_at)
    await worker.deliver(story.short(25), story.released(uncovered=20), sequence=9)
    (alert,) = (await client.get("/alerts", headers=caller("hospital", HOSPITAL))).json()["items"]
    assert alert["detail"] == (
        "奥美拉唑肠溶胶囊, lot L1, order CG-1: 45 of 45 were released for payment, and codes of 20 of them do not count any more."
    )
    (step,) = alert["next"]
    assert step["what"] == "capture trace codes of 20 of 45 accepted; 123.40 of 123.40 yuan are paid already"
    assert datetime.fromisoformat(alert["happened_at"]) == lost_at
    assert datetime.fromisoformat(step["by"]) == NOON + timedelta(hours=72)
