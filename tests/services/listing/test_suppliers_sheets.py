"""Sheets of those who are not the authority: each row is held to what its sender may write singly, and a foreign row is refused
by itself."""

from typing import Any

import pytest

from tests.house import WorkerInHand
from tests.services.listing.people import (
    AUTHORITY,
    DISTRIBUTOR,
    DISTRIBUTOR_CODE,
    HOSPITAL,
    MAKER,
    MAKER_CODE,
    OTHER_MAKER,
    OTHER_MAKER_CODE,
    Desk,
    product_code,
)
from tests.services.listing.test_imports import (
    ENTERPRISES,
    INSTITUTIONS,
    PRODUCTS,
    RELATIONS,
    Who,
    imported,
    product_row,
    returned,
)

AGENT_CODE = "91110108MA01C77F66"
AGENT = ("manufacturer", AGENT_CODE, "110108")


async def test_a_manufacturer_drafts_what_is_its_own_and_a_foreign_row_comes_back(
    desk: Desk, worker: WorkerInHand
) -> None:
    await desk.enterprises()
    sheet = PRODUCTS + product_row(1) + product_row(2, maker=OTHER_MAKER_CODE) + product_row(3, price="0")
    job = await imported(desk, worker, "products", sheet.encode(), who=MAKER)
    assert (job["state"], job["result"]["landed"], job["refused"]) == ("done", 1, 2), job
    _, (_, foreign, free) = await returned(desk, job, MAKER)
    assert foreign[-5] == "3"
    assert foreign[-4:-1] == [
        "生产企业代码",
        OTHER_MAKER_CODE,
        f"{product_code(2)} is made by {OTHER_MAKER_CODE}, not by you",
    ]
    assert (free[-5], free[-4], free[-3]) == ("4", "挂网价格", "0")
    (draft,) = (await desk.get(MAKER, "/listings")).json()["items"]
    assert (draft["product_code"], draft["state"], draft["price_yuan"]) == (product_code(1), "draft", "12.5000")
    assert (await desk.get(HOSPITAL, "/listings")).json()["items"] == []
    assert [one["code"] for one in (await desk.get(HOSPITAL, "/products")).json()["items"]] == [product_code(1)]


async def test_a_row_of_a_product_that_another_maker_keeps_is_refused_for_that_before_anything_else(
    desk: Desk, worker: WorkerInHand
) -> None:
    await desk.enterprises()
    kept = PRODUCTS + product_row(1, maker=OTHER_MAKER_CODE)
    await imported(desk, worker, "products", kept.encode(), who=OTHER_MAKER)
    changed = product_row(1, maker=OTHER_MAKER_CODE).replace("0.5g", "0.25g")
    taken_over, same = product_row(1).replace("0.5g", "0.25g"), product_row(1, maker=OTHER_MAKER_CODE)
    for row in (changed, taken_over, same):
        job = await imported(desk, worker, "products", (PRODUCTS + row).encode(), who=MAKER)
        _, (_, refused) = await returned(desk, job, MAKER)
        assert refused[-5:-1] == [
            "2",
            "医保编码",
            product_code(1),
            f"{product_code(1)} is made by {OTHER_MAKER_CODE}, not by you",
        ]


async def test_what_stands_so_already_is_left_and_other_terms_are_refused_with_the_product(
    desk: Desk, worker: WorkerInHand
) -> None:
    await desk.enterprises()
    await imported(desk, worker, "products", (PRODUCTS + product_row(1)).encode(), who=MAKER)
    again = PRODUCTS + product_row(1) + product_row(2)
    job = await imported(desk, worker, "products", again.encode(), who=MAKER)
    assert (job["result"]["landed"], job["refused"]) == (2, 0)
    dearer = PRODUCTS + product_row(1, price="13").replace("0.5g", "0.25g") + product_row(2).replace("0.5g", "0.25g")
    job = await imported(desk, worker, "products", dearer.encode(), who=MAKER)
    _, (_, refused) = await returned(desk, job, MAKER)
    assert refused[0] == product_code(1)
    assert "region 330000, which is draft" in refused[-2]
    products = (await desk.get(MAKER, "/products")).json()["items"]
    assert {one["code"]: one["specification"] for one in products} == {
        product_code(1): "0.5g",
        product_code(2): "0.25g",
    }
    listings = (await desk.get(MAKER, "/listings")).json()["items"]
    assert [(one["price_yuan"], one["state"]) for one in listings] == [("12.5000", "draft")] * 2


async def test_an_agent_drafts_what_it_speaks_for(desk: Desk, worker: WorkerInHand) -> None:
    await desk.enterprises()
    agent = {"uscc": AGENT_CODE, "name": "白露商贸有限公司", "kinds": ["agent"], "region": "110108"}
    assert (await desk.post(AGENT, "/enterprises", agent)).status_code == 201
    own = product_row(1).split(",")
    own[13] = AGENT_CODE
    sheet = PRODUCTS + ",".join(own) + product_row(2)
    job = await imported(desk, worker, "products", sheet.encode(), who=AGENT)
    assert (job["result"]["landed"], job["refused"]) == (1, 1), job
    _, (_, refused) = await returned(desk, job, AGENT)
    assert refused[0] == product_code(2)
    (draft,) = (await desk.get(MAKER, "/listings")).json()["items"]
    assert (draft["product_code"], draft["agent_code"]) == (product_code(1), AGENT_CODE)


async def test_a_manufacturer_proposes_relations_and_the_distributor_still_accepts(
    desk: Desk, worker: WorkerInHand
) -> None:
    await desk.enterprises()
    for maker, number in ((MAKER, 1), (OTHER_MAKER, 2)):
        row = (PRODUCTS + product_row(number, maker=maker[1])).encode()
        await imported(desk, worker, "products", row, who=maker)
    sheet = RELATIONS + "".join(f"{product_code(one)},330000,{DISTRIBUTOR_CODE},,2022-01-01,\n" for one in (1, 2, 3))
    job = await imported(desk, worker, "distributions", sheet.encode(), who=MAKER)
    assert (job["result"]["landed"], job["refused"]) == (1, 2), job
    _, (_, foreign, unknown) = await returned(desk, job, MAKER)
    assert foreign[-4:-1] == [
        "医保编码",
        product_code(2),
        f"{product_code(2)} is made by {OTHER_MAKER_CODE}, not by you",
    ]
    assert (unknown[-4], unknown[-2]) == ("医保编码", "no such product is registered")
    (relation,) = (await desk.get(DISTRIBUTOR, "/distributions")).json()["items"]
    assert (relation["product_code"], relation["state"]) == (product_code(1), "proposed")
    assert (await desk.get(HOSPITAL, "/distributions")).json()["items"] == []
    assert (await desk.post(DISTRIBUTOR, f"/distributions/{relation['id']}/accept")).status_code == 200


async def test_an_enterprise_names_itself_and_nobody_else(desk: Desk, worker: WorkerInHand) -> None:
    sheet = (
        ENTERPRISES
        + f"远山医药有限公司,配送企业,310100,{DISTRIBUTOR_CODE},\n"
        + f"青禾制药有限公司,生产企业,350200,{MAKER_CODE},\n"
    )
    job = await imported(desk, worker, "enterprises", sheet.encode(), who=DISTRIBUTOR)
    assert (job["result"]["landed"], job["refused"]) == (1, 1)
    _, (_, foreign) = await returned(desk, job, DISTRIBUTOR)
    assert foreign[-4:-1] == ["统一社会信用代码", MAKER_CODE, "another organisation than yours"]
    assert [one["code"] for one in (await desk.get(HOSPITAL, "/enterprises")).json()["items"]] == [DISTRIBUTOR_CODE]
    assert (await desk.get(MAKER, f"/jobs/{job['id']}")).status_code == 404
    assert (await desk.get(MAKER, f"/jobs/{job['id']}/refused")).status_code == 404


@pytest.mark.parametrize(
    ("who", "kind", "header"),
    [
        (MAKER, "institutions", INSTITUTIONS),
        (DISTRIBUTOR, "institutions", INSTITUTIONS),
        (DISTRIBUTOR, "products", PRODUCTS),
        (DISTRIBUTOR, "distributions", RELATIONS),
        (HOSPITAL, "products", PRODUCTS),
    ],
)
async def test_a_sheet_of_what_its_sender_may_not_write_is_refused_before_it_is_read(
    desk: Desk, worker: WorkerInHand, who: Who, kind: str, header: str
) -> None:
    refused = await desk.send(who, kind, header.encode())
    assert (refused.status_code, refused.json()["code"]) == (403, "role_may_not"), refused.text
    assert who[0] in refused.json()["detail"]
    assert await worker.database.pool.fetchval("SELECT count(*) FROM jobs") == 0


@pytest.mark.parametrize("who", [MAKER, AUTHORITY])
async def test_a_job_that_is_older_than_its_way_lands_as_the_authority_s(
    desk: Desk, worker: WorkerInHand, who: Who
) -> None:
    await desk.enterprises()
    sheet = (PRODUCTS + product_row(1)).encode()
    taken = (await desk.send(who, "products", sheet)).json()
    await worker.database.pool.execute("UPDATE jobs SET params = params - 'way'")
    await worker.do_jobs()
    job: dict[str, Any] = (await desk.get(who, f"/jobs/{taken['job_id']}")).json()
    assert job["result"]["landed"] == (1 if who is AUTHORITY else 0)
