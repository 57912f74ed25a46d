"""What no client should send: each is answered with 4xx that names field and rule, and changes nothing."""

from typing import Any

import httpx
import pytest

from tests.services.listing.people import (
    AUTHORITY,
    DISTRIBUTOR_CODE,
    HOSPITAL,
    MAKER,
    MAKER_CODE,
    OPERATOR,
    PRODUCT,
    TERMS,
    Desk,
)

NOBODY = "01990000-0000-7000-8000-000000000001"
ITEM = {**PRODUCT, **TERMS}
WRONG_DIGIT = f"{MAKER_CODE[:-1]}A"
ENDS_BEFORE = {
    "product_code": PRODUCT["code"],
    **TERMS,
    "price_yuan": 1.5,
    "region": "990000",
    "valid_from": "2026-02-01",
    "valid_to": "2026-01-31",
}


def but(item: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {**item, **other}


@pytest.mark.parametrize(
    ("item", "pointer"),
    [
        (but(ITEM, price_yuan=12.34), "/price_yuan"),
        (but(ITEM, price_yuan="-1"), "/price_yuan"),
        (but(ITEM, price_yuan="0"), "/price_yuan"),
        (but(ITEM, price_yuan="1.23456"), "/price_yuan"),
        (but(ITEM, price_yuan="NaN"), "/price_yuan"),
        (but(ITEM, price_yuan="Infinity"), "/price_yuan"),
        (but(ITEM, price_yuan="1e9"), "/price_yuan"),
        (but(ITEM, price_yuan="9" * 30), "/price_yuan"),
        (but(ITEM, price_yuan=None), "/price_yuan"),
        (but(ITEM, units_per_pack="20"), "/units_per_pack"),
        (but(ITEM, units_per_pack=-1), "/units_per_pack"),
        (but(ITEM, units_per_pack=10**12), "/units_per_pack"),
        (but(ITEM, units_per_pack=True), "/units_per_pack"),
        (but(ITEM, valid_from="2026-02-30"), "/valid_from"),
        (but(ITEM, valid_from="0001-01-01"), "/valid_from"),
        (but(ITEM, valid_to="9999-12-31"), "/valid_to"),
        (but(ITEM, category="free"), "/category"),
        (but(ITEM, region="33"), "/region"),
        (but(ITEM, region="３３００００"), "/region"),
        (but(ITEM, generic_name="a\x00b"), "/generic_name"),
        (but(ITEM, generic_name="片\u202e剂"), "/generic_name"),
        (but(ITEM, generic_name=""), "/generic_name"),
        (but(ITEM, generic_name="片" * 501), "/generic_name"),
        (but(ITEM, generic_name={"a": 1}), "/generic_name"),
        (but(ITEM, surprise=1), "/surprise"),
        ({key: value for key, value in ITEM.items() if key != "unit"}, "/unit"),
    ],
)
async def test_a_bad_field_is_named_with_its_rule(desk: Desk, item: dict[str, Any], pointer: str) -> None:
    await desk.enterprises()
    called = await desk.put(AUTHORITY, "/catalogue", [item, ITEM])
    assert called.status_code == 200, called.text
    refused, landed = called.json()["items"]
    assert (refused["status"], refused["problem"]["code"], landed["problem"]) == (422, "invalid_request", None)
    (fault,) = refused["problem"]["errors"]
    assert (fault["pointer"], bool(fault["rule"]), bool(fault["allowed"])) == (pointer, True, True)
    assert fault["rule"] != fault["allowed"]
    assert [one["code"] for one in (await desk.get(OPERATOR, "/products")).json()["items"]] == [ITEM["code"]]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b"nonsense",
        b"[" * 2_000,
    ],
)
async def test_a_body_that_is_none_is_refused(desk: Desk, body: bytes) -> None:
    headers = {**desk.caller(*OPERATOR), "content-type": "application/json"}
    refused = await desk.client.post("/enterprises/bulk", content=body, headers=headers)
    assert 400 <= refused.status_code < 500, refused.text
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("item", "pointer"),
    [
        (b'{"name": "\\ud800", "kinds": ["manufacturer"], "region": "330000"}', "/name"),
        (b'{"name": "a", "kinds": ["king"], "region": "330000"}', "/kinds/0"),
        (b'{"name": "a", "kinds": [], "region": "330000"}', "/kinds"),
        (b'{"name": NaN, "kinds": ["manufacturer"], "region": "330000"}', "/name"),
        (b"7", ""),
    ],
)
async def test_an_item_that_is_none_is_refused_at_its_place(desk: Desk, item: bytes, pointer: str) -> None:
    headers = {**desk.caller(*OPERATOR), "content-type": "application/json"}
    body = b'[{"name": "b", "kinds": ["manufacturer"], "region": "330000"}, %s]' % item
    called = await desk.client.post("/enterprises/bulk", content=body, headers=headers)
    landed, refused = called.json()["items"]
    assert (landed["status"], refused["status"]) == (201, 422)
    assert [fault["pointer"] for fault in refused["problem"]["errors"]] == [pointer]


async def test_a_thousand_and_one_items_are_too_many(desk: Desk) -> None:
    item = {"name": "甲", "kinds": ["manufacturer"], "region": "330000"}
    assert (await desk.post(OPERATOR, "/enterprises/bulk", [item] * 1_001)).status_code == 413


async def test_a_name_with_an_emoji_is_refused_by_its_place(desk: Desk) -> None:
    item = {"name": "青禾💊制药", "kinds": ["manufacturer"], "region": "330000"}
    answer = await desk.post(OPERATOR, "/enterprises", item)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault == {
        "pointer": "/name",
        "code": "emoji",
        "given": '"青禾💊制药"',
        "rule": "a name holds no emoji; here is 💊",
        "allowed": "letters, digits, marks",
    }


READS = [
    f"/{what}/{NOBODY}{tail}"
    for what in ("enterprises", "institutions", "products", "listings", "distributions")
    for tail in ("", "/timeline")
]


@pytest.mark.parametrize("path", [*READS, f"/products/{NOBODY}/certificates", f"/jobs/{NOBODY}", "/nothing"])
async def test_what_is_unknown_is_not_there(desk: Desk, path: str) -> None:
    answer = await desk.get(OPERATOR, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", READS)
async def test_an_id_that_is_none_is_refused(desk: Desk, path: str) -> None:
    assert (await desk.get(OPERATOR, path.replace(NOBODY, "1' OR '1'='1"))).status_code == 422


WRITES: list[tuple[str, Any]] = [
    (f"/enterprises/{NOBODY}/uscc", {"uscc": MAKER_CODE}),
    (f"/institutions/{NOBODY}/delivery-points", {"names": ["东院区"]}),
    (f"/products/{NOBODY}/certificates", {"number": "1"}),
    (f"/listings/{NOBODY}/submit", None),
    (f"/listings/{NOBODY}/withdraw", {"reason": "x"}),
    (f"/listings/{NOBODY}/accept", None),
    (f"/listings/{NOBODY}/return", {"reason": "x"}),
    (f"/listings/{NOBODY}/reject", {"reason": "x"}),
    (f"/listings/{NOBODY}/suspend", {"reason_kind": "supply", "reason": "x"}),
    (f"/listings/{NOBODY}/resume", {"reason": "x"}),
    (f"/listings/{NOBODY}/delist", {"reason_kind": "credit", "reason": "x"}),
    (f"/listings/{NOBODY}/price", {"price_yuan": "1", "reason": "x"}),
    (f"/listings/{NOBODY}/price/grant", {"reason": "x"}),
    (f"/listings/{NOBODY}/price/deny", {"reason": "x"}),
    (f"/distributions/{NOBODY}/end", {"reason": "x"}),
]


@pytest.mark.parametrize(("path", "body"), WRITES)
async def test_a_step_with_what_is_unknown_is_not_there_and_is_not_for_hospitals(
    desk: Desk, path: str, body: Any
) -> None:
    assert (await desk.post(OPERATOR, path, body)).status_code == 404
    if "delivery-points" not in path:
        assert (await desk.post(HOSPITAL, path, body)).status_code == 403


async def test_the_same_key_is_one_registration(desk: Desk) -> None:
    item = {"name": "青禾制药", "kinds": ["distributor"], "region": "330000"}
    headers = {**desk.caller(*OPERATOR), "idempotency-key": "k1"}

    async def send(body: dict[str, Any]) -> httpx.Response:
        return await desk.client.post("/enterprises", json=body, headers=headers)

    first, second = await send(item), await send(item)
    assert (second.status_code, second.json()) == (201, first.json())
    assert second.headers["idempotency-replayed"] == "true"
    assert (await send({**item, "name": "别名"})).status_code == 422


async def test_a_cursor_of_another_list_is_refused(desk: Desk) -> None:
    await desk.enterprises()
    page = (await desk.get(OPERATOR, "/enterprises", limit=1)).json()
    assert (await desk.get(OPERATOR, "/products", after=page["next"])).status_code == 400
    assert (await desk.get(OPERATOR, "/listings", limit=0)).status_code == 422
    assert (await desk.get(OPERATOR, "/changes", after=-1)).status_code == 422
    assert (await desk.get(OPERATOR, "/changes", after=2**63)).status_code == 422
    assert (await desk.get(OPERATOR, "/listings", colour="red")).status_code == 400


async def test_a_distributor_may_not_list_and_a_maker_not_accept(desk: Desk) -> None:
    who = ("distributor", DISTRIBUTOR_CODE, "310100")
    assert (await desk.post(who, "/products", PRODUCT)).status_code == 403
    assert (await desk.post(MAKER, f"/listings/{NOBODY}/accept")).status_code == 403
    assert (await desk.post(MAKER, f"/distributions/{NOBODY}/accept")).status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "pointers"),
    [
        ("/enterprises", {"kinds": ["x"], "uscc": "123"}, {"/name", "/kinds/0", "/region", "/uscc"}),
        ("/enterprises", {"name": "青禾", "kinds": [], "uscc": MAKER_CODE, "region": "99"}, {"/kinds", "/region"}),
        (
            "/products",
            {"code": "Y", "standard_code": "1", "gtin": 7},
            {"", "/code", "/generic_name", "/unit", "/standard_code", "/gtin"},
        ),
        (
            "/enterprises",
            {"name": "", "kinds": ["agent"], "uscc": WRONG_DIGIT, "region": "350200"},
            {"/name", "/uscc"},
        ),
        (
            "/enterprises",
            {"name": "", "kinds": ["agent"], "uscc": WRONG_DIGIT, "region": "350200", "override_reason": 7},
            {"/name", "/override_reason"},
        ),
        ("/listings", ENDS_BEFORE, {"/price_yuan", "/region", "/valid_to"}),
        ("/listings", {**ENDS_BEFORE, "valid_from": "2026-02-30"}, {"/price_yuan", "/region", "/valid_from"}),
        (
            "/distributions",
            {"product_code": "", "region": "990000", "valid_from": "2026-02-01", "valid_to": "2026-01-01"},
            {"", "/product_code", "/region", "/valid_to"},
        ),
        (
            "/distributions",
            {"product_code": "", "region": "330000", "distributor_name": 7},
            {"/product_code", "/distributor_name"},
        ),
        ("/institutions", {"code": "H1", "region": "990000"}, {"/code", "/name", "/region"}),
    ],
)
async def test_codes_of_a_wrong_form_are_told_with_whatever_else_is_wrong(
    desk: Desk, path: str, body: dict[str, Any], pointers: set[str]
) -> None:
    who = OPERATOR if path == "/distributions" else AUTHORITY
    for refused in (
        (await desk.post(who, path, body)).json(),
        (await desk.post(who, f"{path}/bulk", [body])).json()["items"][0]["problem"],
    ):
        assert refused["code"] == "invalid_request"
        assert {fault["pointer"] for fault in refused["errors"]} == pointers
        assert len(refused["errors"]) == len(pointers)
