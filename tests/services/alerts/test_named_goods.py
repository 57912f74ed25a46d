"""An alert about a payable names the goods as people do, in its words and in its evidence."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations

from shared import clock
from tests.house import WorkerInHand
from tests.services.alerts.facts import DUE_ON, NOON, Story


async def test_what_is_short_or_overdue_is_named_as_people_name_it_whichever_fact_came_last(
    worker: WorkerInHand, driven_clock: Callable[[datetime], None]
) -> None:
    driven_clock(NOON)
    for order in permutations(["accepted", "opened"]):
        story = Story(order_number=f"CG-{order[0]}")
        await worker.deliver(*(getattr(story, name)() for name in order))
    driven_clock(clock.start_of_day(DUE_ON + timedelta(days=1)))
    await worker.meet_deadlines()
    goods = [f"奥美拉唑肠溶胶囊, lot L1, order CG-{first}" for first in ("accepted", "opened")]
    rows = [dict(row) for row in await worker.database.pool.fetch("SELECT * FROM alerts")]
    assert {(row["kind"], row["detail"]) for row in rows} == {
        pair
        for one in goods
        for pair in (
            ("payment_overdue", f"{one}: 123.40 yuan were due on 2026-04-01, 0.00 are paid."),
            (
                "coverage_short",
                f"{one}: valid codes cover 0 of 10 accepted on 2026-03-02 12:00 (Shanghai); the money is held.",
            ),
        )
    }
    for row in rows:
        evidence = row["evidence"]
        assert evidence["order_number"] in {"CG-accepted", "CG-opened"}
        assert (evidence["product_name"], evidence["lot_number"]) == ("奥美拉唑肠溶胶囊", "L1")
        assert (evidence["quantity_covered"], evidence["quantity_released"], evidence["released_yuan"]) == (
            0,
            0,
            "0.00",
        )
