"""A maker sees what is refused, late or recalled of its products, for it must supply and recall; and nobody else's trouble."""

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from shared import clock
from tests.house import WorkerInHand
from tests.services.alerts.desk import MANUFACTURER
from tests.services.alerts.facts import (
    CONFIRM_BY,
    DELIVER_BY,
    HOSPITAL,
    NOON,
    OTHER_SUPPLIER,
    SUPPLIER,
    Story,
    flagged,
    recall,
)

MAKER, OTHER_MAKER = ("manufacturer", MANUFACTURER), ("manufacturer", "91350200MA31E12PXF")
Asked = Callable[..., Any]


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


@pytest.fixture
def ask(client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]) -> Asked:
    async def asked(path: str, who: tuple[str, ...] = MAKER, body: Any = None) -> httpx.Response:
        return await client.request("POST" if body else "GET", path, json=body, headers=caller(*who))

    return asked


@pytest.fixture
async def seen(worker: WorkerInHand, ask: Asked) -> dict[str, dict[str, Any]]:
    """One alert of every kind that a maker sees, by kind, after trouble of every kind."""
    silent, refused, late, held = (Story(order_number=f"CG-{number}") for number in range(1, 5))
    await worker.deliver(silent.placed(), refused.placed(), refused.refused(), late.placed(), late.confirmed())
    await worker.deliver(held.placed(), held.confirmed(), held.accepted(), recall(uuid7(), "L1"))
    await worker.deliver(held.opened(), flagged("already_sold", uuid7()))
    for instant in (CONFIRM_BY, DELIVER_BY):
        clock.drive(instant)
        await worker.meet_deadlines()
    return {alert["kind"]: alert for alert in (await ask("/alerts")).json()["items"]}


async def test_a_maker_sees_what_is_refused_late_or_recalled_of_its_products_and_nothing_else(
    seen: dict[str, dict[str, Any]], ask: Asked
) -> None:
    assert set(seen) == {"line_refused", "delivery_overdue", "recall"}
    everything = (await ask("/alerts", ("operator", "OPS", "000000"))).json()["items"]
    assert {one["kind"] for one in everything} >= {"order_unconfirmed", "code_flagged", *seen}
    assert {one["manufacturer_code"] for one in seen.values()} == {MANUFACTURER}
    assert (await ask("/alerts", OTHER_MAKER)).json()["items"] == []
    summary = (await ask("/alerts/summary")).json()
    assert {one["kind"] for one in summary["counts"]} == set(seen)


async def test_goods_that_came_wrong_are_told_to_whoever_delivered_and_made_them_and_to_nobody_else(
    worker: WorkerInHand, ask: Asked
) -> None:
    theirs = flagged("mismatch", uuid7(), distributor_code=SUPPLIER, manufacturer_code=MANUFACTURER)
    await worker.deliver(theirs, flagged("mismatch", uuid7()))
    for who in (MAKER, ("distributor", SUPPLIER)):
        (alert,) = (await ask("/alerts", who)).json()["items"]
        assert (alert["about_id"], alert["kind"]) == (str(theirs.anomaly_id), "code_flagged")
        assert (alert["supplier_code"], alert["manufacturer_code"]) == (SUPPLIER, MANUFACTURER)
        path = f"/alerts/{alert['id']}"
        assert (await ask(f"{path}/acknowledgement", who, {"note": "查"})).status_code == 201
    for other in (OTHER_MAKER, ("distributor", OTHER_SUPPLIER)):
        assert (await ask("/alerts", other)).json()["items"] == []
        assert (await ask(path, other)).status_code == 404
    assert len((await ask("/alerts", ("hospital", HOSPITAL))).json()["items"]) == 2


async def test_a_maker_reads_the_timeline_and_says_what_it_does(seen: dict[str, dict[str, Any]], ask: Asked) -> None:
    path = f"/alerts/{seen['line_refused']['id']}"
    assert (await ask(f"{path}/acknowledgement", OTHER_MAKER, {"note": "x"})).status_code == 404
    answered = await ask(f"{path}/acknowledgement", body={"note": "另一家配送企业明天送到"})
    assert answered.status_code == 201, answered.text
    assert [one["organisation_code"] for one in answered.json()["acknowledgements"]] == [MANUFACTURER]
    deeds = (await ask(f"{path}/timeline")).json()["deeds"]
    assert [deed["action"] for deed in deeds] == ["raised", "acknowledged"]
    to_the_hospital = (await ask(path, ("hospital", HOSPITAL))).json()
    assert [one["note"] for one in to_the_hospital["acknowledgements"]] == ["另一家配送企业明天送到"]


async def test_alerts_of_before_get_their_maker_by_the_migration(
    seen: dict[str, dict[str, Any]], worker: WorkerInHand, ask: Asked
) -> None:
    await ask(f"/alerts/{seen['recall']['id']}/acknowledgement", body={"note": "召回中"})
    makers = import_module("services.alerts.migrations.0006_makers")
    before = await worker.database.pool.fetch("SELECT id, manufacturer_code FROM alerts ORDER BY id")
    await worker.database.pool.execute("UPDATE alerts SET manufacturer_code = NULL")
    await worker.database.pool.execute("UPDATE acknowledgements SET manufacturer_code = NULL")
    for statement in (makers.OF_LINES, makers.OF_RECALLS, makers.OF_ACKNOWLEDGEMENTS):
        await worker.database.pool.execute(statement)
    assert await worker.database.pool.fetch("SELECT id, manufacturer_code FROM alerts ORDER BY id") == before
    assert await worker.database.pool.fetchval("SELECT manufacturer_code FROM acknowledgements") == MANUFACTURER
