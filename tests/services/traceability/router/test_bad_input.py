"""Whatever is sent: a 4xx that names field, value and rule; never a 500, never half a change."""

import re
from typing import Any
from uuid import uuid4

import pytest

from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    CASE_IDENT,
    DISTRIBUTOR,
    HOSPITAL,
    IDENT,
    MAKER,
    OTHER_HOSPITAL,
    OTHER_IDENT,
    OTHER_MAKER,
    OTHER_PRODUCT,
    PRODUCT,
    Desk,
    Line,
    bill,
    box,
    boxes,
)

BIDI, NUL, SURROGATE, EMOJI = "a\u202eb", "a\x00b", '"\\ud800"', "💊"
NOWHERE = "01968b1e-0000-7000-8000-00000000dead"


def pointers(answer: dict[str, Any]) -> set[str]:
    return {fault["pointer"] for fault in answer["errors"]}


WRONG_BILLS = {
    "no number": ({"bill_number": None}, "/bill_number"),
    "an empty number": ({"bill_number": ""}, "/bill_number"),
    "a number as a number": ({"bill_number": 17}, "/bill_number"),
    "a number with NUL": ({"bill_number": NUL}, "/bill_number"),
    "a number with bidi": ({"bill_number": BIDI}, "/bill_number"),
    "a long number": ({"bill_number": "1" * 65}, "/bill_number"),
    "an unknown type": ({"bill_type": "999"}, "/bill_type"),
    "a type as a number": ({"bill_type": 102}, "/bill_type"),
    "a line that is no id": ({"shipment_line_id": "1"}, "/shipment_line_id"),
    "an impossible date": ({"captured_at": "2026-02-30T00:00:00Z"}, "/captured_at"),
    "a date without a zone": ({"captured_at": "2026-02-01T00:00:00"}, "/captured_at"),
    "codes as a text": ({"codes": "8385793"}, "/codes"),
    "a code as a number": ({"codes": [83857930000879766660]}, "/codes/0"),
    "a code as null": ({"codes": [None]}, "/codes/0"),
    "too many codes": ({"codes": ["1"] * 3501}, "/codes"),
    "an unknown field": ({"price": "1"}, "/price"),
    "a negative part": ({"splits": [{"code": "1", "quantity": -1}]}, "/splits/0/quantity"),
    "a huge part": ({"splits": [{"code": "1", "quantity": 10**12}]}, "/splits/0/quantity"),
    "a part as a text": ({"splits": [{"code": "1", "quantity": "1"}]}, "/splits/0/quantity"),
    "a broken part": ({"splits": [{"code": "1", "quantity": 1.5}]}, "/splits/0/quantity"),
    "a place with bidi": ({"place": BIDI}, "/place"),
}


@pytest.mark.parametrize("name", WRONG_BILLS)
async def test_a_bill_of_a_wrong_form_is_refused_with_its_place(desk: Desk, name: str) -> None:
    wrong, pointer = WRONG_BILLS[name]
    sent = await desk.post(HOSPITAL, "/documents", {"documents": [{**bill([box(1)]), **wrong}]})
    assert sent.status_code == 200, sent.text
    (one,) = sent.json()["items"]
    assert (one["status"], one["problem"]["code"]) == (422, "invalid_request")
    assert pointers(one["problem"]) == {pointer}


async def test_the_good_bills_of_a_call_land_beside_a_malformed_one(desk: Desk) -> None:
    bills = [bill([box(1)], "B1"), {"bill_number": "B2", "codes": 7}, bill([box(2)], "B3")]
    sent = (await desk.post(HOSPITAL, "/documents", {"documents": bills})).json()
    assert [one["index"] for one in sent["items"]] == [0, 1, 2]
    assert (sent["items"][1]["status"], pointers(sent["items"][1]["problem"])) == (422, {"/bill_type", "/codes"})
    assert [sent["items"][place]["status"] for place in (0, 2)] == [201, 201]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"documents": [{"bill_number": "B1", "bill_type": "321", "codes": ["1"]',
        b'{"documents": []}',
        b"[]",
        b"null",
        b"\xff\xfe",
        b"",
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(desk: Desk, raw: bytes) -> None:
    headers = {**desk.as_(HOSPITAL), "content-type": "application/json"}
    sent = await desk.client.post("/documents", content=raw, headers=headers)
    assert 400 <= sent.status_code < 500, sent.text
    assert sent.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"bill_number": "\\ud800", "bill_type": "321", "codes": ["1"]}', "/bill_number"),
        (
            b'{"bill_number": "B1", "bill_type": "321", "splits": [{"code": "1", "quantity": NaN}]}',
            "/splits/0/quantity",
        ),
        (b'"B1"', ""),
    ],
)
async def test_a_bill_that_cannot_be_read_is_refused_at_its_place(desk: Desk, raw: bytes, pointer: str) -> None:
    headers = {**desk.as_(HOSPITAL), "content-type": "application/json"}
    sent = await desk.client.post("/documents", content=b'{"documents": [%s]}' % raw, headers=headers)
    (one,) = sent.json()["items"]
    assert (one["status"], pointers(one["problem"])) == (422, {pointer})


async def test_a_body_over_the_limit_is_refused(desk: Desk) -> None:
    sent = await desk.post(HOSPITAL, "/documents", {"documents": [bill(["1" * 10_000_000])]})
    assert sent.status_code == 413


async def test_a_huge_code_is_refused_by_itself_and_shown_short(desk: Desk) -> None:
    (answer,) = await desk.capture(bill(["1" * 1_000_000, EMOJI, BIDI, "\u200b"]))
    assert [one["reason"] for one in answer["refused"]][:1] == ["unreadable"]
    assert len(answer["refused"][0]["code"]) <= 101
    assert answer["accepted"] == 0


async def test_a_bill_of_nothing_and_one_of_too_much_are_refused(desk: Desk) -> None:
    empty, much = await desk.capture(bill([]), bill(["1"] * 3500, "B2", splits=[{"code": "2", "quantity": 1}]))
    assert {empty["code"], much["code"]} == {"document_refused"}
    assert pointers(empty) == pointers(much) == {"/codes"}


async def test_every_fault_of_a_bill_is_told_at_once(desk: Desk) -> None:
    (refused,) = await desk.capture(
        bill(
            [],
            "B1",
            "202",
            shipment_line_id=NOWHERE,
            splits=[{"code": "1", "quantity": 1}],
            captured_at="2999-01-01T00:00:00Z",
        )
    )
    assert pointers(refused) == {"/shipment_line_id", "/reason", "/splits", "/captured_at"}


@pytest.mark.parametrize(
    ("bill_type", "pointer"),
    [("102", "/shipment_line_id"), ("103", "/reason"), ("116", "/reason"), ("202", "/reason"), ("205", "/executor")],
)
async def test_a_type_asks_for_what_it_needs(desk: Desk, bill_type: str, pointer: str) -> None:
    (refused,) = await desk.capture(bill([box(1)], "B1", bill_type))
    assert pointers(refused) == {pointer}


async def test_more_codes_than_a_call_takes_are_refused_as_a_whole(desk: Desk) -> None:
    many = [bill(boxes(3500, 1 + 3500 * place), f"B{place}") for place in range(15)]
    sent = await desk.post(HOSPITAL, "/documents", {"documents": many})
    assert (sent.status_code, sent.json()["code"]) == (413, "too_many_codes")
    assert "52500" in sent.json()["detail"]


async def test_a_hospital_captures_for_itself_alone(desk: Desk) -> None:
    (refused,) = await desk.capture(bill([box(1)], organisation_code=OTHER_HOSPITAL))
    assert refused["code"] == "organisation_not_yours"


async def test_a_line_of_another_cannot_be_captured_for_a_third(desk: Desk, worker: WorkerInHand) -> None:
    line = Line(1)
    await worker.deliver(line.dispatched())
    (refused,) = await desk.capture(line.bill([box(1)], organisation_code=OTHER_HOSPITAL), who="operator")
    assert pointers(refused) == {"/organisation_code"}


async def test_what_is_refused_is_said_in_chinese_alone(desk: Desk, worker: WorkerInHand) -> None:
    line = Line(1)
    await worker.deliver(line.dispatched())
    asked: list[tuple[str, str, Any]] = [
        (HOSPITAL, "/documents", {"documents": [bill([box(1)], "B1", "102"), bill([box(1)], "B2", "202")]}),
        (HOSPITAL, "/documents", {"documents": [line.bill(["010692456188407521A1"], "B3")]}),
        (MAKER, "/identification-codes/bulk", [{"ident": "838579", "product_code": PRODUCT, "level": 1}]),
        (MAKER, "/identification-codes/bulk", [{"ident": "06924561884075", "product_code": PRODUCT, "level": 1}]),
        (MAKER, "/identification-codes/bulk", [{"ident": IDENT, "product_code": PRODUCT, "level": 2}]),
    ]
    told: list[str] = []
    for who, path, body in asked:
        answer = await desk.client.post(path, json=body, headers={**desk.as_(who), "accept-language": "zh"})
        for item in answer.json()["items"]:
            problem = item.get("problem") or {"detail": item["item"]["refused"][0]["rule"], "errors": []}
            told += [problem["detail"], *(one["rule"] for one in problem["errors"])]
    assert len(told) == 10
    words = {word for text in told for word in re.findall(r"[A-Za-z][a-z]+", text)}
    assert words == {"reason", "code"}, told  # the names of fields
    assert "采购入库 须对应配送行" in told


WRONG_IDENTS = {
    "short": ({"ident": "838579"}, 422, "ident_refused"),
    "a whole code": ({"ident": box(1)}, 422, "ident_refused"),
    "a GTIN with a wrong check digit": ({"ident": "06924561884075"}, 422, "ident_refused"),
    "packs of level 1": ({"ident": "8111111", "packs_per_unit": 2}, 422, "ident_refused"),
    "an unknown product": ({"ident": "8111111", "product_code": "XX"}, 409, "product_not_known_yet"),
    "another maker's product": ({"ident": "8111111", "product_code": OTHER_PRODUCT}, 403, "not_your_product"),
    "another level": ({"ident": IDENT, "level": 2, "packs_per_unit": 5}, 409, "ident_taken"),
}


@pytest.mark.parametrize("name", WRONG_IDENTS)
async def test_a_wrong_identification_code_is_refused_by_itself(desk: Desk, name: str) -> None:
    wrong, status, code = WRONG_IDENTS[name]
    asked = {"ident": "8111111", "product_code": PRODUCT, "level": 1, **wrong}
    refused, good = await desk.upload(asked, {"ident": "8222222", "product_code": PRODUCT, "level": 1})
    assert (refused["status"], refused["code"]) == (status, code)
    assert ("retry_after_seconds" in refused) == ("yet" in code)  # what passes by itself says when to come again
    assert good["ident"] == "8222222"


async def test_an_identification_code_of_two_products_is_refused_naming_both(desk: Desk) -> None:
    refused = await desk.codes(IDENT, OTHER_PRODUCT, who="operator")
    assert refused["code"] == "ident_taken"
    assert PRODUCT in refused["detail"]
    assert OTHER_PRODUCT in refused["detail"]


async def test_the_same_identification_code_twice_changes_nothing(desk: Desk) -> None:
    first, second = await desk.upload(*[{"ident": IDENT, "product_code": PRODUCT, "level": 1}] * 2)
    assert first == second
    found = (await desk.get("operator", "/identification-codes", product_code=PRODUCT)).json()["items"]
    assert [(one["ident"], one["uploaded_by"]) for one in found] == [(IDENT, MAKER)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": 0},
        {"level": 4},
        {"level": "1"},
        {"packs_per_unit": 0},
        {"packs_per_unit": 10**9},
        {"ident": NUL},
        {"ident": ""},
        {"ident": "1" * 101},
        {"product_code": BIDI},
        {"surplus": 1},
    ],
    ids=str,
)
async def test_an_identification_code_of_a_wrong_form_is_refused(desk: Desk, wrong: dict[str, Any]) -> None:
    asked = {"ident": "8111111", "product_code": PRODUCT, "level": 1, **wrong}
    sent = await desk.post(MAKER, "/identification-codes/bulk", [asked])
    (one,) = sent.json()["items"]
    assert (one["status"], pointers(one["problem"])) == (422, {f"/{next(iter(wrong))}"})


async def test_a_packing_says_every_fault_of_its_codes(desk: Desk) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    case = box(1, CASE_IDENT)
    unknown, double, high, unread = "8100000" + "0" * 13, box(2), box(2, CASE_IDENT), "a\x00"
    sent = await desk.post(
        MAKER,
        "/packings/bulk",
        [
            {"parent": case, "children": [box(1), unknown, high]},
            {"parent": case, "children": [double, double, unread, "9" * 20]},
            {"parent": unknown, "children": [box(1)]},
            {"parent": case, "children": [box(5)]},
        ],
    )
    levels, codes, parent, good = sent.json()["items"]
    assert pointers(levels["problem"]) == {"/children/1", "/children/2"}
    assert pointers(codes["problem"]) == {"/children/1", "/children/2", "/children/3"}
    assert pointers(parent["problem"]) == {"/parent"}
    assert good["item"] == {"parent": case, "children": 1, "packs_per_unit": 4, "packs": 1, "refused": []}


async def test_a_box_lies_in_one_case(desk: Desk) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    first, second = box(1, CASE_IDENT), box(2, CASE_IDENT)
    sent = await desk.post(
        MAKER,
        "/packings/bulk",
        [{"parent": first, "children": boxes(2)}, {"parent": second, "children": [box(2), box(3)]}],
    )
    refused = sent.json()["items"][1]["problem"]
    assert refused["code"] == "already_packed"
    assert first in refused["detail"]
    again = await desk.post(MAKER, "/packings/bulk", [{"parent": first, "children": boxes(2)}])
    assert again.json()["succeeded"] == 1


async def test_a_maker_packs_its_own_goods_alone(desk: Desk) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    sent = await desk.post(
        OTHER_MAKER, "/packings/bulk", [{"parent": box(1, CASE_IDENT), "children": [box(1, OTHER_IDENT)]}]
    )
    assert sent.json()["items"][0]["problem"]["code"] == "not_your_product"


@pytest.mark.parametrize(
    ("who", "changed", "status"),
    [
        (OTHER_MAKER, {}, 403),
        (HOSPITAL, {}, 403),
        (MAKER, {"product_code": "XX"}, 422),
        (MAKER, {"lot_numbers": []}, 422),
        (MAKER, {"lot_numbers": [NUL]}, 422),
        (MAKER, {"reason": ""}, 422),
        (MAKER, {"reason": "x" * 1001}, 422),
        ("authority", {}, 201),
        ("operator", {"reason": EMOJI}, 201),
    ],
    ids=str,
)
async def test_who_may_recall_what(desk: Desk, who: str, changed: dict[str, Any], status: int) -> None:
    asked = {"product_code": PRODUCT, "lot_numbers": ["240101"], "reason": "particles", **changed}
    assert (await desk.post(who, "/recalls", asked)).status_code == status


async def test_a_recall_is_closed_by_its_maker_who_opened_it_or_an_authority(desk: Desk) -> None:
    asked = {"product_code": PRODUCT, "lot_numbers": ["240101"], "reason": "particles"}
    made = (await desk.post(MAKER, "/recalls", asked)).json()
    close = f"/recalls/{made['id']}/close"
    assert (await desk.post(OTHER_MAKER, close, {"reason": "x"})).status_code == 403
    assert (await desk.post(OTHER_MAKER, f"/recalls/{NOWHERE}/close", {"reason": "x"})).status_code == 404
    assert (await desk.post("authority", close, {"reason": "x"})).status_code == 200
    for who in (HOSPITAL, OTHER_MAKER, "authority", MAKER):
        shown = (await desk.get(who, f"/recalls/{made['id']}/timeline")).json()
        assert (shown["state"], shown["next"]) == ("closed", [])
        assert [deed["action"] for deed in shown["deeds"]] == ["opened", "closed"]
        assert shown["deeds"][0]["organisation"] == made["opened_by"]
        assert [deed["detail"]["reason"] for deed in shown["deeds"]] == ["particles", "x"]


async def test_a_recall_of_a_product_that_is_not_known_names_the_field(desk: Desk) -> None:
    asked = {"product_code": "XX", "lot_numbers": ["240101"], "reason": "particles"}
    refused = (await desk.post(MAKER, "/recalls", asked)).json()
    assert (refused["code"], [fault["pointer"] for fault in refused["errors"]]) == ("recall_refused", ["/product_code"])


@pytest.mark.parametrize(
    "path",
    [
        "/receipts/{id}",
        "/receipts/{id}/timeline",
        "/receipts/by-shipment-line/{id}",
        "/documents/{id}",
        "/anomalies/{id}",
        "/anomalies/{id}/timeline",
        "/recalls/{id}",
        "/codes/{id}",
    ],
)
async def test_an_unknown_id_is_404_and_one_of_a_wrong_form_422(desk: Desk, path: str) -> None:
    unknown = await desk.get(HOSPITAL, path.format(id=uuid4()))
    assert unknown.status_code == 404, unknown.text
    broken = await desk.get(HOSPITAL, path.format(id="%00"))
    assert broken.status_code == 422, broken.text


@pytest.mark.parametrize(
    "path",
    [
        "/receipts?state=lost",
        "/receipts?limit=0",
        "/receipts?limit=501",
        "/receipts?after=xyz",
        "/documents?bill_type=1",
        "/documents?receipt_id=1",
        "/anomalies?kind=odd",
        "/anomalies?severity=low",
        "/recalls?state=maybe",
        "/unknown-codes?after=xyz",
    ],
)
async def test_a_wrong_filter_is_refused(desk: Desk, path: str) -> None:
    answer = await desk.client.get(path, headers=desk.as_("authority"))
    assert answer.status_code in {400, 422}, answer.text


@pytest.mark.parametrize(
    ("who", "method", "path"),
    [
        (MAKER, "POST", "/documents"),
        ("authority", "POST", "/documents"),
        (HOSPITAL, "POST", "/identification-codes/bulk"),
        (DISTRIBUTOR, "POST", "/identification-codes/bulk"),
        (HOSPITAL, "POST", "/packings/bulk"),
        (MAKER, "GET", "/receipts"),
        (DISTRIBUTOR, "GET", "/anomalies"),
        (MAKER, "POST", f"/anomalies/{NOWHERE}/explanation"),
        (HOSPITAL, "POST", f"/anomalies/{NOWHERE}/close"),
    ],
)
async def test_a_role_that_may_not_is_refused(desk: Desk, who: str, method: str, path: str) -> None:
    answer = await desk.client.request(method, path, headers=desk.as_(who), json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (403, "role_may_not")
