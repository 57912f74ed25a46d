"""Products and the catalogue over HTTP: one product for all regions, its keeper, and what the others hear of a change."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from services.listing.handlers.catalogue import list_products
from services.listing.handlers.enterprises import register_enterprises
from services.listing.schemas.enterprises import RegisterEnterprise
from services.listing.schemas.listings import ListProduct
from shared.db import Tx
from shared.events.listing import ProductListed, ProductPriceChanged, ProductSuspended
from shared.identity import Caller
from tests.house import WorkerInHand
from tests.services.listing.people import (
    AUTHORITY,
    HOSPITAL,
    MAKER,
    MAKER_CODE,
    OTHER_AUTHORITY,
    OTHER_MAKER,
    OTHER_MAKER_CODE,
    PRODUCT,
    TERMS,
    Desk,
    product_code,
)

Drive = Callable[[datetime], None]
TWIN_CODE = "91350200MA2YJ1XR9G"


async def test_codes_are_kept_in_their_normal_form_and_all_faults_come_together(desk: Desk) -> None:
    await desk.enterprises()
    odd = {**PRODUCT, "code": "ｘa10bae037a001010100001", "gtin": "6924561884074", "standard_code": "86904879000126"}
    made = (await desk.post(MAKER, "/products", odd)).json()
    assert (made["code"], made["gtin"], made["kind"]) == (PRODUCT["code"], "06924561884074", "western")
    wrong = {
        **PRODUCT,
        "code": "Q1",
        "approval_number": "国械注准20250001",
        "gtin": "6924561884075",
        "standard_code": "8690487900012",
        "manufacturer_code": "91330000710959638J",
        "agent_code": "PROV-000000000000",
    }
    refused = (await desk.post(MAKER, "/products", wrong)).json()
    assert [fault["pointer"] for fault in refused["errors"]] == [
        "/code",
        "/approval_number",
        "/standard_code",
        "/gtin",
        "/manufacturer_code",
        "/agent_code",
    ]
    assert all(fault["rule"] and fault["allowed"] for fault in refused["errors"])


async def test_a_standard_code_whose_check_digit_fails_needs_a_reason(desk: Desk) -> None:
    await desk.enterprises()
    failing = {**PRODUCT, "standard_code": "86904879000127"}
    for reason in ({}, {"override_reason": None}):
        refused = await desk.post(MAKER, "/products", {**failing, **reason})
        (fault,) = refused.json()["errors"]
        assert (refused.status_code, fault["pointer"]) == (422, "/standard_code")
        assert fault["rule"] == "the check digit of 86904879000127 fails"
        assert fault["given"] == '"86904879000127"'
        assert fault["allowed"] == "6 as the last character; or, in override_reason, why the code is right all the same"
        assert "None" not in refused.json()["detail"]
    made = await desk.post(MAKER, "/products", {**failing, "override_reason": "国家局数据库如此登记"})
    assert made.status_code == 201, made.text
    assert made.json()["standard_code"] == "86904879000127"
    assert made.json()["override_reason"] == "国家局数据库如此登记"
    for form in ("8690487900012", "869048790001277", "8690487900012X", "12345678901234"):
        refused = await desk.post(MAKER, "/products", {**failing, "standard_code": form, "override_reason": "因为"})
        assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/standard_code"], form
    right = {**PRODUCT, "code": product_code(2), "standard_code": "86901110000020"}
    assert (await desk.post(MAKER, "/products", right)).status_code == 201


async def test_a_name_beside_the_code_is_one_that_the_code_is_registered_under(desk: Desk) -> None:
    await desk.enterprises()
    wrong = await desk.post(AUTHORITY, "/products", {**PRODUCT, "manufacturer_name": "南桥药业有限公司"})
    (fault,) = wrong.json()["errors"]
    assert (wrong.status_code, fault["pointer"]) == (422, "/manufacturer_name")
    assert fault["rule"] == f"{MAKER_CODE} is registered as 青禾制药有限公司, not as 南桥药业有限公司"
    alias = {"uscc": MAKER_CODE, "name": "青禾制药（厦门）有限公司", "kinds": ["manufacturer"], "region": "350200"}
    assert (await desk.post(MAKER, "/enterprises", alias)).is_success
    for name in ("青禾制药有限公司", "青禾制药(厦门)  有限公司", "青禾制药（厦门）有限公司"):
        answer = await desk.post(AUTHORITY, "/products", {**PRODUCT, "manufacturer_name": name})
        assert answer.is_success, answer.text


async def test_a_maker_is_named_by_code_or_by_a_name_that_exactly_one_enterprise_has(desk: Desk) -> None:
    await desk.enterprises()
    by_name = {**PRODUCT, "manufacturer_name": "青禾制药 有限公司"}
    del by_name["manufacturer_code"]
    refused = (await desk.post(AUTHORITY, "/products", by_name)).json()
    assert refused["errors"][0]["pointer"] == "/manufacturer_name"
    made = await desk.post(AUTHORITY, "/products", {**by_name, "manufacturer_name": "青禾制药有限公司"})
    assert made.json()["manufacturer_code"] == MAKER_CODE
    twin = {
        "uscc": TWIN_CODE,
        "name": "青禾制药有限公司",
        "kinds": ["manufacturer"],
        "region": "330000",
        "name_reason": "同名两家",
    }
    assert (await desk.post(AUTHORITY, "/enterprises", twin)).status_code == 201
    again = (await desk.post(AUTHORITY, "/products", {**by_name, "manufacturer_name": "青禾制药有限公司"})).json()
    assert again["errors"][0]["rule"] == "2 enterprises have this name"
    neither = (await desk.post(AUTHORITY, "/products", {**by_name, "manufacturer_name": None})).json()
    assert neither["code"] == "invalid_request"
    as_distributor = {**PRODUCT, "manufacturer_code": "91310110666007217T"}
    assert (
        "not as manufacturer" in (await desk.post(AUTHORITY, "/products", as_distributor)).json()["errors"][0]["rule"]
    )


async def test_a_product_is_changed_by_its_maker_or_its_keeper_and_named_again_by_anybody(desk: Desk) -> None:
    await desk.enterprises()
    made = (await desk.post(AUTHORITY, "/products", PRODUCT)).json()
    named_again = await desk.post(OTHER_AUTHORITY, "/products", PRODUCT)
    assert named_again.json() == made
    other_text = {**PRODUCT, "trade_name": "别名"}
    refused = await desk.post(OTHER_AUTHORITY, "/products", other_text)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_your_product")
    assert refused.json()["errors"][0]["pointer"] == "/trade_name"
    assert (await desk.post(OTHER_MAKER, "/products", other_text)).status_code == 403
    assert (await desk.post(MAKER, "/products", other_text)).json()["version"] == 2
    given_away = {**PRODUCT, "manufacturer_code": OTHER_MAKER_CODE}
    assert (await desk.post(MAKER, "/products", given_away)).status_code == 403
    assert (await desk.post(AUTHORITY, "/products", given_away)).json()["version"] == 3
    assert (await desk.post(HOSPITAL, "/products", PRODUCT)).status_code == 403


async def test_a_changed_product_is_said_again_with_every_listing_that_is_traded(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    driven_clock(datetime(2026, 3, 2, 2, tzinfo=UTC))
    await desk.listed()
    await desk.put(OTHER_AUTHORITY, "/catalogue", [{**PRODUCT, **TERMS, "region": "350000"}])
    driven_clock(datetime(2026, 3, 20, tzinfo=UTC))
    assert await worker.meet_deadlines() == 2
    listings = (await desk.get(AUTHORITY, "/listings")).json()["items"]
    suspend = {"reason_kind": "supply", "reason": "缺货"}
    await desk.post(OTHER_AUTHORITY, f"/listings/{listings[1]['id']}/suspend", suspend)
    before = len(await worker.said())
    changed = await desk.post(AUTHORITY, "/products", {**PRODUCT, "specification": "0.85g"})
    assert changed.status_code == 201, changed.text
    facts: list[Any] = (await worker.said())[before:]
    assert [type(fact) for fact in facts] == [ProductListed, ProductSuspended]
    assert {fact.listing.specification for fact in facts} == {"0.85g"}
    assert facts[1].reason == "supply: 缺货"
    rows = await worker.database.pool.fetch(
        "SELECT subject, array_agg(sequence ORDER BY id) AS n FROM outbox WHERE type LIKE '%product%' GROUP BY subject"
    )
    assert sorted(list(row["n"]) for row in rows) == [[1, 2, 3], [1, 2, 3, 4]]


async def test_a_certificate_is_renewed_under_its_number(desk: Desk) -> None:
    await desk.enterprises()
    made = (await desk.post(MAKER, "/products", PRODUCT)).json()
    path = f"/products/{made['id']}/certificates"
    first = await desk.post(MAKER, path, {"number": "国药准字H20060001", "valid_to": "2027-01-31"})
    assert first.status_code == 201, first.text
    renewed = await desk.post(MAKER, path, {"number": "国药准字H20060001", "valid_to": "2032-01-31"})
    assert renewed.json()["id"] == first.json()["id"]
    held = (await desk.get(HOSPITAL, path)).json()
    assert [one["valid_to"] for one in held] == ["2032-01-31"]
    assert (await desk.post(OTHER_MAKER, path, {"number": "x"})).status_code == 403
    timeline = (await desk.get(MAKER, f"/products/{made['id']}/timeline")).json()
    assert [deed["action"] for deed in timeline["deeds"]] == ["registered", "certificate_added", "certificate_renewed"]


async def test_the_catalogue_changes_what_is_new_and_leaves_no_product_behind_a_refusal(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    driven_clock(datetime(2026, 3, 2, 2, tzinfo=UTC))
    await desk.listed()
    driven_clock(datetime(2026, 3, 20, tzinfo=UTC))
    await worker.meet_deadlines()
    items = [
        {**PRODUCT, **TERMS, "price_yuan": "9.99", "price_origin": "联动降价"},
        {**PRODUCT, **TERMS, "price_yuan": "9.99", "price_origin": "联动降价"},
        {**PRODUCT, **TERMS, "code": product_code(7), "region": "350000"},
        {**PRODUCT, **TERMS, "code": product_code(8), "valid_to": "2025-12-31"},
    ]
    answer = (await desk.put(AUTHORITY, "/catalogue", items)).json()
    assert [item["status"] for item in answer["items"]] == [200, 200, 403, 422]
    (fact,) = [fact for fact in await worker.said() if isinstance(fact, ProductPriceChanged)]
    assert (str(fact.previous_price_yuan), str(fact.listing.price_yuan), fact.reason) == (
        "12.3400",
        "9.9900",
        "联动降价",
    )
    assert [one["code"] for one in (await desk.get(HOSPITAL, "/products")).json()["items"]] == [PRODUCT["code"]]


async def test_the_catalogue_takes_over_a_draft_and_refuses_what_is_suspended(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    driven_clock(datetime(2026, 3, 2, 2, tzinfo=UTC))
    await desk.enterprises()
    await desk.post(MAKER, "/products", PRODUCT)
    made = (await desk.post(MAKER, "/listings", {"product_code": PRODUCT["code"], **TERMS})).json()
    item = {**PRODUCT, **TERMS, "price_yuan": "8"}
    taken = (await desk.put(AUTHORITY, "/catalogue", [item])).json()["items"][0]["item"]
    assert (taken["id"], taken["state"], taken["price_yuan"]) == (made["id"], "public_notice", "8.0000")
    driven_clock(datetime(2026, 3, 20, tzinfo=UTC))
    await worker.meet_deadlines()
    await desk.post(AUTHORITY, f"/listings/{made['id']}/suspend", {"reason_kind": "credit", "reason": "x"})
    refused = (await desk.put(AUTHORITY, "/catalogue", [item])).json()["items"][0]
    assert (refused["status"], refused["problem"]["code"]) == (409, "listing_not_open")


async def test_two_catalogues_at_once_list_each_product_once(desk: Desk) -> None:
    await desk.enterprises()
    items = [{**PRODUCT, **TERMS, "code": product_code(number)} for number in range(30)]
    answers = await asyncio.gather(
        desk.put(AUTHORITY, "/catalogue", items), desk.put(AUTHORITY, "/catalogue", items[::-1])
    )
    assert [answer.json()["succeeded"] for answer in answers] == [30, 30]
    assert len((await desk.get(HOSPITAL, "/listings", limit=100)).json()["items"]) == 30


@pytest.mark.parametrize("role", [MAKER, HOSPITAL])
async def test_only_the_authority_lists_straight_away(desk: Desk, role: tuple[str, str, str]) -> None:
    assert (await desk.put(role, "/catalogue", [{**PRODUCT, **TERMS}])).status_code == 403


async def test_a_hundred_cost_as_many_statements_as_one(tx: Tx) -> None:
    who = Caller("OPS", frozenset({"operator"}), "000000", "tester")
    maker = RegisterEnterprise(uscc=MAKER_CODE, name="青禾制药", kinds=["manufacturer"], region="350200")
    await register_enterprises(tx, who, [maker])
    await tx.flush()

    async def cost(first: int, count: int, price: str) -> int:
        before = tx.statements
        commands = [
            ListProduct.model_validate({**PRODUCT, **TERMS, "code": product_code(number), "price_yuan": price})
            for number in range(first, first + count)
        ]
        await list_products(tx, who, commands)
        await tx.flush()
        return tx.statements - before

    assert await cost(1, 1, "1") == await cost(2, 100, "1")
    assert await cost(1, 1, "2") == await cost(2, 100, "2")
