"""What was reviewed of a product stays while a listing holds it: its makers are told what stands, the authority changes it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.events.listing import ProductAnnounced, ProductListed
from tests.house import WorkerInHand
from tests.services.listing.people import (
    AUTHORITY,
    HOSPITAL,
    MAKER,
    OTHER_AUTHORITY,
    OTHER_MAKER,
    OTHER_MAKER_CODE,
    PRODUCT,
    TERMS,
    Desk,
)
from tests.services.listing.test_if_match import submitted
from tests.services.listing.test_imports import PRODUCTS, imported, product_row, returned

Drive = Callable[[datetime], None]
NOTICED, OVER = datetime(2026, 3, 2, 2, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC)
SUSPEND = {"reason_kind": "supply", "reason": "缺货"}
LEAVE = {"reason_kind": "voluntary", "reason": "停产"}
OTHERWISE = {
    "generic_name": "二甲双胍片",
    "dosage_form": "胶囊剂",
    "specification": "0.25g",
    "unit": "瓶",
    "units_per_pack": 10,
    "approval_number": "国药准字H20060002",
    "holder_name": "南桥药业有限公司",
}
CALLED = {"trade_name": "青禾宁", "gtin": "6924561884074", "standard_code": "86901110000020"}


@pytest.mark.parametrize("state", ["public_notice", "listed", "suspended"])
async def test_its_maker_changes_nothing_that_a_listing_holds_and_is_told_what_stands(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive, state: str
) -> None:
    driven_clock(NOTICED)
    listing = await desk.listed()
    if state != "public_notice":
        driven_clock(OVER)
        await worker.meet_deadlines()
    if state == "suspended":
        assert (await desk.post(AUTHORITY, f"/listings/{listing['id']}/suspend", SUSPEND)).is_success
    before = (await desk.get(HOSPITAL, f"/listings/{listing['id']}")).json()
    assert before["state"] == state
    refused = await desk.post(MAKER, "/products", {**PRODUCT, **OTHERWISE, **CALLED})
    assert (refused.status_code, refused.json()["code"]) == (409, "product_held")
    faults = {fault["pointer"].removeprefix("/"): fault for fault in refused.json()["errors"]}
    assert set(faults) == set(OTHERWISE)
    assert faults["units_per_pack"] == {
        "pointer": "/units_per_pack",
        "given": "10",
        "rule": f"listing {listing['id']} is {state} with 20",
        "allowed": "20, until the authority of region 330000 changes it",
        "code": "invalid",
    }
    assert (await desk.get(HOSPITAL, f"/listings/{listing['id']}")).json() == before
    known = (await desk.get(MAKER, "/products")).json()["items"]
    assert [(await desk.post(MAKER, "/products", PRODUCT)).json()] == known
    called = await desk.post(MAKER, "/products", {**PRODUCT, **CALLED})
    assert (called.status_code, called.json()["trade_name"]) == (201, "青禾宁")


async def test_its_agent_is_held_to_it_too(desk: Desk) -> None:
    await desk.listed(agent_code=OTHER_MAKER_CODE)
    asked = {**PRODUCT, "agent_code": OTHER_MAKER_CODE, "unit": "瓶"}
    assert (await desk.post(OTHER_MAKER, "/products", asked)).json()["code"] == "product_held"


async def test_before_its_notice_and_after_its_delisting_a_product_is_its_makers_own(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    driven_clock(NOTICED)
    path, tag = await submitted(desk)
    assert (await desk.post(MAKER, "/products", {**PRODUCT, "unit": "瓶"})).status_code == 201
    stale = await desk.client.post(f"{path}/accept", headers={**desk.caller(*AUTHORITY), "if-match": tag})
    assert stale.status_code == 412, "who read the old goods accepts them"
    deeds = (await desk.get(AUTHORITY, f"{path}/timeline")).json()["deeds"]
    assert deeds[-1]["detail"]["changes"] == {"unit": ["盒", "瓶"], "revision": [2, 3]}
    assert (await desk.post(AUTHORITY, f"{path}/accept")).is_success
    assert (await desk.post(MAKER, "/products", PRODUCT)).status_code == 409
    driven_clock(OVER)
    await worker.meet_deadlines()
    assert (await desk.post(MAKER, f"{path}/delist", LEAVE)).is_success
    assert (await desk.post(MAKER, "/products", PRODUCT)).status_code == 201


async def test_the_authority_changes_it_and_the_timeline_says_from_what_to_what(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    driven_clock(NOTICED)
    listing = await desk.listed()
    other = (await desk.put(OTHER_AUTHORITY, "/catalogue", [{**PRODUCT, **TERMS, "region": "350000"}])).json()
    changed = await desk.post(AUTHORITY, "/products", {**PRODUCT, "units_per_pack": 30, "unit": "瓶"})
    assert (changed.status_code, changed.json()["version"]) == (201, 2)
    far = other["items"][0]["item"]["id"]
    for who, of in ((MAKER, listing["id"]), (AUTHORITY, listing["id"]), (AUTHORITY, far), (OTHER_AUTHORITY, far)):
        deed = (await desk.get(who, f"/listings/{of}/timeline")).json()["deeds"][-1]
        assert (deed["action"], deed["organisation"]) == ("product_changed", AUTHORITY[1]), (who, of)
        assert deed["detail"]["changes"] == {"unit": ["盒", "瓶"], "units_per_pack": [20, 30], "revision": [1, 2]}
    said: list[Any] = [fact for fact in await worker.said() if isinstance(fact, ProductAnnounced)]
    assert [fact.listing.units_per_pack for fact in said] == [20, 20, 30, 30]
    driven_clock(OVER)
    assert await worker.meet_deadlines() == 2
    assert len([fact for fact in await worker.said() if isinstance(fact, ProductListed)]) == 2


async def test_a_row_of_its_makers_sheet_comes_back_and_the_same_row_again_is_none_the_worse(
    desk: Desk, worker: WorkerInHand
) -> None:
    rows = product_row(1), product_row(1).replace("0.5g", "0.25g")
    await desk.enterprises()
    assert (await imported(desk, worker, "products", (PRODUCTS + rows[0]).encode()))["refused"] == 0
    (listing,) = (await desk.get(HOSPITAL, "/listings")).json()["items"]
    job = await imported(desk, worker, "products", (PRODUCTS + rows[1]).encode(), who=MAKER)
    assert (job["result"]["landed"], job["refused"]) == (0, 1), job
    _, (_, row) = await returned(desk, job, MAKER)
    rule = f'listing {listing["id"]} is public_notice with "0.5g"'
    assert row[-5:-1] == ["2", "规格", "0.25g", rule]
    assert (await imported(desk, worker, "products", (PRODUCTS + rows[0]).encode(), who=MAKER))["refused"] == 0
