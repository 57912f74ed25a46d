"""A GTIN belongs to one product: whoever gives it to another is told whose it is; what was doubled before stays beside it."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

import asyncpg
import pytest

from tests.house import WorkerInHand
from tests.services.listing.people import (
    AUTHORITY,
    MAKER,
    MAKER_CODE,
    OTHER_MAKER,
    OTHER_MAKER_CODE,
    PRODUCT,
    TERMS,
    Desk,
    product_code,
)
from tests.services.listing.test_imports import PRODUCTS, imported, product_row, returned

GTIN, OTHER_GTIN = "06924561884074", "06901234567892"


def made(number: int, gtin: str | None, maker: str = MAKER_CODE, **more: Any) -> dict[str, Any]:
    return {**PRODUCT, "code": product_code(number), "gtin": gtin, "manufacturer_code": maker, **more}


@pytest.fixture
async def first(desk: Desk) -> dict[str, Any]:
    """The product that has the GTIN."""
    await desk.enterprises()
    answer = await desk.post(MAKER, "/products", made(1, GTIN))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_the_gtin_of_another_product_is_refused_and_told_whose_it_is(desk: Desk, first: dict[str, Any]) -> None:
    refused = await desk.post(OTHER_MAKER, "/products", made(2, GTIN.removeprefix("0"), OTHER_MAKER_CODE))
    assert (refused.status_code, refused.json()["code"]) == (409, "gtin_taken")
    (fault,) = refused.json()["errors"]
    assert (fault["pointer"], fault["given"], fault["rule"]) == (
        "/gtin",
        f'"{GTIN}"',
        f"product {first['code']} has this GTIN",
    )
    assert (await desk.get(MAKER, "/products", code=product_code(2))).json()["items"] == []
    assert (await desk.post(MAKER, "/products", made(1, GTIN))).json() == first
    worse = await desk.post(MAKER, "/products", made(3, GTIN, approval_number="国药准字"))
    assert worse.status_code == 422
    assert [fault["pointer"] for fault in worse.json()["errors"]] == ["/approval_number", "/gtin"]


async def test_a_product_does_not_change_to_the_gtin_of_another_and_one_that_was_given_up_is_free(
    desk: Desk, first: dict[str, Any]
) -> None:
    assert (await desk.post(MAKER, "/products", made(2, OTHER_GTIN))).status_code == 201
    assert (await desk.post(MAKER, "/products", made(2, GTIN))).json()["code"] == "gtin_taken"
    assert (await desk.post(MAKER, "/products", made(1, None))).json()["gtin"] is None
    assert (await desk.post(MAKER, "/products", made(2, GTIN))).json()["gtin"] == GTIN


async def test_of_two_in_one_call_and_of_two_at_once_one_gets_the_gtin(desk: Desk, first: dict[str, Any]) -> None:
    both = [made(2, OTHER_GTIN), made(3, OTHER_GTIN), made(4, GTIN)]
    answer = (await desk.post(MAKER, "/products/bulk", both)).json()
    assert [item["status"] for item in answer["items"]] == [201, 409, 409]
    assert {item["problem"]["code"] for item in answer["items"][1:]} == {"gtin_taken"}
    await desk.post(MAKER, "/products", made(2, None))
    at_once = await asyncio.gather(*(desk.post(MAKER, "/products", made(number, OTHER_GTIN)) for number in range(5, 9)))
    assert sorted(answer.status_code for answer in at_once) == [201, 409, 409, 409]


async def test_the_catalogue_and_a_sheet_refuse_it_too(desk: Desk, worker: WorkerInHand, first: dict[str, Any]) -> None:
    listed = (await desk.put(AUTHORITY, "/catalogue", [{**made(2, GTIN), **TERMS}])).json()
    assert [item["problem"]["code"] for item in listed["items"]] == ["gtin_taken"]
    rows = [product_row(number).replace("H20060001,,,", f"H20060001,,{gtin},") for number, gtin in
            ((2, GTIN), (3, OTHER_GTIN), (4, OTHER_GTIN))]  # fmt: skip
    job = await imported(desk, worker, "products", (PRODUCTS + "".join(rows)).encode())
    assert (job["result"]["landed"], job["refused"]) == (1, 2), job
    _, (_, *came_back) = await returned(desk, job)
    assert [(row[-5], row[-4], row[-3], row[-2]) for row in came_back] == [
        ("2", "商品条码", GTIN, f"product {product_code(1)} has this GTIN"),
        ("4", "商品条码", OTHER_GTIN, f"product {product_code(3)} has this GTIN"),
    ]


async def test_what_was_doubled_before_stays_and_no_more_comes(
    desk: Desk, worker: WorkerInHand, database_url: Callable[[str], str], first: dict[str, Any]
) -> None:
    version = import_module("services.listing.migrations.0002_one_product_a_gtin")
    pool = worker.database.pool
    await desk.post(MAKER, "/products", made(2, OTHER_GTIN))
    double = "UPDATE products SET gtin = $1 WHERE code = $2"
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(double, GTIN, product_code(2))
    owner = await asyncpg.connect(database_url("listing"))
    try:
        await owner.execute("DROP INDEX uq_products_gtin")
        await owner.execute(double, GTIN, product_code(2))
        await owner.execute(version.KEEP_DOUBLED)
        await owner.execute(version.ONE_EACH)
    finally:
        await owner.close()
    kept = await desk.post(MAKER, "/products", made(2, GTIN, trade_name="青禾宁"))
    assert (kept.status_code, kept.json()["gtin"], kept.json()["trade_name"]) == (201, GTIN, "青禾宁")
    again = await desk.post(MAKER, "/products", made(3, GTIN))
    assert again.json()["errors"][0]["rule"] == f"product {first['code']} has this GTIN"
    assert (await desk.post(MAKER, "/products", made(2, None))).json()["gtin"] is None
    assert (await desk.post(MAKER, "/products", made(2, GTIN))).json()["code"] == "gtin_taken"
