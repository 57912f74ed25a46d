"""What a late delivery says over HTTP: how much of the line is on the way, how much is missing, and who sees to which."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from shared import clock
from tests.house import WorkerInHand
from tests.services.alerts.facts import DELIVER_BY, HOSPITAL, NOON, REGION, SUPPLIER, Story


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


@pytest.mark.parametrize("backwards", [False, True])
async def test_a_late_delivery_says_how_much_is_on_the_way_and_how_much_is_missing(
    worker: WorkerInHand, client: httpx.AsyncClient, caller: Any, backwards: bool
) -> None:
    async def seen(*who: str) -> tuple[list[int], list[tuple[str, str]]]:
        (alert,) = (await client.get("/alerts?kind=delivery_overdue", headers=caller(*who))).json()["items"]
        figures = [alert["evidence"][f"quantity_{name}"] for name in ("accepted", "on_the_way", "missing")]
        said = "{} are accepted, {} on the way and {} missing;".format(*figures)
        assert said in alert["detail"] or alert["state"] == "resolved"
        return figures, [(step["who"]["role"], step["what"]) for step in alert["next"]]

    here, coming, back, broken = (shipment := Story()), *(shipment.shipment() for _ in range(3))
    told = [
        here.placed(),
        here.confirmed(),
        *(one.dispatched(quantity) for one, quantity in ((here, 3), (coming, 4), (back, 2), (broken, 1))),
        here.accepted(3),
        back.called_back(),
        broken.rejected(1),
    ]
    for fact in reversed(told) if backwards else told:
        await worker.deliver(fact)
    clock.drive(DELIVER_BY)
    await worker.meet_deadlines()
    hospital, maker = ("hospital", HOSPITAL), ("manufacturer", "91330100MA29CDCD30")
    assert await seen(*hospital) == (
        [3, 4, 3],
        [
            ("distributor", "ship 3 of 10 confirmed"),
            ("distributor", "see that 4 on the way arrive"),
            ("hospital", "accept or reject 4 on the way when they have come"),
        ],
    )
    await worker.deliver(coming.accepted(4))
    for who in (hospital, ("distributor", SUPPLIER), ("authority", "A330100", REGION)):
        assert (await seen(*who))[0] == [7, 0, 3]
    assert (await seen(*hospital))[1] == [
        ("distributor", "ship 3 of 10 confirmed"),
        ("hospital", "close the remainder of the line where it is not needed any more"),
    ]
    assert (await seen(*maker))[0] == [3, 4, 3]  # as it was raised: a maker sees no shipments
    await worker.deliver(here.shipment().accepted(3))
    assert (await seen(*maker))[0] == [10, 0, 0]
