"""While the next version is rolled out, its migration has run and this version's worker is still at work."""

from collections.abc import Callable
from datetime import datetime

import asyncpg

from shared import clock
from shared.service import Service
from tests.house import House, WorkerInHand
from tests.services.alerts.facts import CONFIRM_BY, NOON, Story


async def test_a_column_of_the_next_version_changes_nothing_for_this_one(
    worker: WorkerInHand, service: Service, house: House, driven_clock: Callable[[datetime], None]
) -> None:
    driven_clock(NOON)
    before, after = Story(), Story(order_number="CG-2")
    await worker.deliver(before.placed())
    clock.drive(CONFIRM_BY)
    await worker.meet_deadlines()
    owner = await asyncpg.connect(house.url(service))
    try:
        await owner.execute("ALTER TABLE alerts ADD COLUMN next text; ALTER TABLE order_lines ADD COLUMN next text")
        await worker.deliver(before.confirmed(), after.placed())
        await worker.meet_deadlines()
        assert await worker.dead_letters() == []
        states = await worker.database.pool.fetch("SELECT state FROM alerts ORDER BY id")
        assert [row["state"] for row in states] == ["resolved", "open"]
    finally:
        await owner.execute("ALTER TABLE alerts DROP COLUMN next; ALTER TABLE order_lines DROP COLUMN next")
        await owner.close()
