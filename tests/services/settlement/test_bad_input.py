"""What people and machines send by mistake: 4xx with the field, the value and the rule; never 500, never half a change."""

from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from .conftest import (
    AGENCY_A,
    AGENCY_B,
    AUTHORITY,
    HOSPITAL,
    MAKER,
    OPERATOR,
    OTHER_HOSPITAL,
    SUPPLIER,
    Stage,
    delivery,
)

NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
TEXTS = ["nul\x00", "\x1b[31m", "turned\u202e", "", " ", "x" * 1_001, 7, None, ["x"]]


async def refused(stage: Stage, method: str, path: str, who: Any, status: set[int], **sent: Any) -> dict[str, Any]:
    headers = {**stage.caller(*who), **sent.pop("headers", {})}
    answer: httpx.Response = await stage.client.request(method, path, headers=headers, **sent)
    assert answer.status_code in status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(
    "path",
    [
        "/payables/{}",
        "/payables/{}/timeline",
        "/sheets/{}",
        "/sheets/{}/lines",
        "/sheets/{}/timeline",
        "/payment-runs/{}",
        "/payment-runs/{}/timeline",
        "/payment-runs/{}/payment-file",
        "/payments/{}",
        "/payments/{}/timeline",
        "/jobs/{}",
    ],
)
async def test_what_does_not_exist_is_not_found_and_what_is_no_id_is_refused(stage: Stage, path: str) -> None:
    await refused(stage, "GET", path.format(NOBODY), AGENCY_A, {404})
    for given in ("7", "nonsense", "%00", "null", "9" * 300):
        problem = await refused(stage, "GET", path.format(given), AGENCY_A, {422})
        assert problem["errors"][0]["pointer"].startswith("path/")


@pytest.mark.parametrize(
    "query",
    [
        "/payables?state=lost",
        "/payables?month=2026-13",
        "/payables?month=March",
        "/payables?due_before=2026-02-30",
        "/payables?limit=0",
        "/payables?limit=501",
        "/payables?limit=ten",
        "/payables?sheet_id=7",
        "/payables?institution=" + "H" * 65,
        "/sheets?state=",
        "/sheets?month=0000-01",
        "/payments?state=lost",
        "/payment-runs?state=lost",
        "/ledger/entries?kind=gift",
        "/reconciliation",
        "/reconciliation?from=2026-01-01",
        "/reconciliation?from=yesterday&to=today",
    ],
)
async def test_a_query_that_cannot_be_meant_is_refused(stage: Stage, query: str) -> None:
    problem = await refused(stage, "GET", query, AGENCY_A, {422})
    assert problem["errors"][0]["pointer"].startswith("query/")


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("0001-01-01", "2026-01-01"),
        ("2026-01-01", "9999-12-31"),
        ("1999-12-31", "2026-01-01"),
        ("2026-01-02", "2026-01-01"),
    ],
)
async def test_a_period_that_cannot_be_meant_is_refused(stage: Stage, first: str, last: str) -> None:
    await refused(stage, "GET", f"/reconciliation?from={first}&to={last}", AGENCY_A, {422})


async def test_a_period_may_be_one_day_or_a_thousand_years(stage: Stage) -> None:
    for first, last in (("2026-01-01", "2026-01-01"), ("2000-01-01", "2999-12-31")):
        await stage.get(f"/reconciliation?from={first}&to={last}")


@pytest.mark.parametrize("month", ["0001-01", "9999-12"])
async def test_the_ends_of_the_calendar_are_months_like_others(stage: Stage, month: str) -> None:
    assert (await stage.get(f"/payables?month={month}&due_before={month}-28"))["items"] == []


@pytest.mark.parametrize("query", ["/payables?institution=%00", "/sheets?distributor=%00"])
async def test_a_code_with_a_nul_is_refused(stage: Stage, query: str) -> None:
    await refused(stage, "GET", query, AGENCY_A, {400, 422})


async def test_a_cursor_that_was_not_given_out_is_refused(stage: Stage) -> None:
    for path in ("/payables", "/sheets", "/payments", "/payment-runs", "/ledger/entries"):
        problem = await refused(stage, "GET", f"{path}?after=abcd", AGENCY_A, {400})
        assert problem["code"] == "cursor_refused"


@pytest.mark.parametrize("reason", TEXTS, ids=str)
async def test_a_reason_is_a_text_that_can_be_shown(stage: Stage, reason: Any) -> None:
    await stage.worker.deliver(delivery())
    (payable,) = (await stage.get("/payables"))["items"]
    for path, who in (
        (f"/payables/{payable['id']}/resolution", AGENCY_A),
        (f"/payment-runs/{NOBODY}/rejection", AGENCY_A),
    ):
        problem = await refused(stage, "POST", path, who, {422}, json={"reason": reason})
        assert problem["errors"][0]["pointer"] == "/reason"


async def test_a_lone_surrogate_is_refused(stage: Stage) -> None:
    for body in (b'{"reason": "\\ud800"}', b'{"reason": "\xed\xa0\x80"}'):
        problem = await refused(
            stage,
            "POST",
            f"/payables/{NOBODY}/resolution",
            AGENCY_A,
            {400, 422},
            content=body,
            headers={"content-type": "application/json"},
        )
        assert problem


async def test_an_emoji_is_a_character_like_others(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery())
    (one,) = (await stage.get(f"/sheets/{sheet['id']}/lines", HOSPITAL))["items"]
    body = {"lines": [{"payable_id": one["payable_id"], "reason": "短少 📦"}]}
    await stage.post(f"/sheets/{sheet['id']}/dispute", HOSPITAL, body, **{"if-match": '"1"'})
    assert (await stage.get(f"/payables/{one['payable_id']}"))["held_reason"] == "短少 📦"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/lines"),
        ({"lines": []}, "/lines"),
        ({"lines": "all"}, "/lines"),
        ({"lines": [{"payable_id": "7", "reason": "x"}]}, "/lines/0/payable_id"),
        ({"lines": [{"payable_id": NOBODY}]}, "/lines/0/reason"),
        ({"lines": [{"payable_id": NOBODY, "reason": "x", "amount_yuan": -1}]}, "/lines/0/amount_yuan"),
        ({"lines": [{"payable_id": NOBODY, "reason": "x"}] * 1_001}, "/lines"),
        ([], ""),
    ],
)
async def test_a_dispute_of_a_wrong_form_names_the_place(stage: Stage, body: Any, pointer: str) -> None:
    (sheet,) = await stage.sheets(delivery())
    problem = await refused(
        stage, "POST", f"/sheets/{sheet['id']}/dispute", HOSPITAL, {422}, json=body, headers={"if-match": '"1"'}
    )
    assert problem["errors"][0]["pointer"] == pointer
    assert (await stage.get(f"/sheets/{sheet['id']}"))["version"] == 1


@pytest.mark.parametrize("version", ["1", 0, -1, 1.5, "NaN", True, 10**30])
async def test_a_version_is_a_whole_number(stage: Stage, version: Any) -> None:
    (sheet,) = await stage.sheets(delivery())
    body = [{"sheet_id": sheet["id"], "version": version}]
    body.append({"sheet_id": sheet["id"], "version": 1})
    answer = await stage.client.post("/sheets/confirmations/bulk", json=body, headers=stage.caller(*HOSPITAL))
    bad, good = answer.json()["items"]
    assert (bad["status"], good["status"]) == (412 if version == 10**30 else 422, 200)
    assert version == 10**30 or [fault["pointer"] for fault in bad["problem"]["errors"]] == ["/version"]


async def test_a_number_that_is_none_is_refused(stage: Stage) -> None:
    content = b'[{"sheet_id": "%s", "version": NaN}]' % NOBODY.encode()
    headers = stage.caller(*AGENCY_A) | {"content-type": "application/json"}
    answer = await stage.client.post("/sheets/reviews/bulk", content=content, headers=headers)
    (item,) = answer.json()["items"]
    assert [(fault["pointer"], fault["given"]) for fault in item["problem"]["errors"]] == [("/version", "NaN")]


@pytest.mark.parametrize("path", ["/sheets/confirmations/bulk", "/sheets/disputes/bulk"])
@pytest.mark.parametrize(("body", "status"), [([], 422), ({}, 422), ("x", 422), ([{"sheet_id": NOBODY}] * 1_001, 413)])
async def test_a_bulk_call_of_a_wrong_form_is_refused(stage: Stage, path: str, body: Any, status: int) -> None:
    await refused(stage, "POST", path, HOSPITAL, {status}, json=body)


@pytest.mark.parametrize("path", ["/sheets/confirmations/bulk", "/sheets/disputes/bulk", "/sheets/reviews/bulk"])
@pytest.mark.parametrize("item", [{}, {"sheet_id": 7}, None, []])
async def test_an_item_of_a_wrong_form_is_refused_at_its_place(stage: Stage, path: str, item: Any) -> None:
    who = AGENCY_A if "reviews" in path else HOSPITAL
    answer = await stage.client.post(path, json=[item], headers=stage.caller(*who))
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["items"]
    assert (one["index"], one["status"], one["problem"]["code"]) == (0, 422, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [{"sheet_ids": []}, {"sheet_ids": ["x"]}, {"sheet_ids": "all"}, {"amount": 1}, [], {"sheet_ids": [NOBODY] * 5_001}],
)
async def test_a_run_of_a_wrong_form_is_refused(stage: Stage, body: Any) -> None:
    await refused(stage, "POST", "/payment-runs", AGENCY_A, {422}, json=body)


READERS = (HOSPITAL, SUPPLIER, MAKER, AGENCY_A, AUTHORITY, OPERATOR)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/payables", READERS),
        ("GET", "/sheets", READERS),
        ("GET", "/payments", READERS),
        ("GET", "/ledger/balances", READERS),
        ("GET", "/ledger/entries", READERS),
        ("GET", "/payment-runs", (AGENCY_A, AUTHORITY, OPERATOR)),
        ("GET", "/reconciliation?from=2026-01-01&to=2026-01-31", (AGENCY_A, AUTHORITY, OPERATOR)),
        ("POST", f"/sheets/{NOBODY}/confirmation", (HOSPITAL,)),
        ("POST", f"/sheets/{NOBODY}/review", (AGENCY_A,)),
        ("POST", f"/payment-runs/{NOBODY}/approval", (AGENCY_A,)),
        ("POST", f"/payment-runs/{NOBODY}/result-file", (AGENCY_A,)),
    ],
)
async def test_each_role_may_do_what_the_matrix_says(stage: Stage, method: str, path: str, allowed: Any) -> None:
    for who in READERS:
        answer = await stage.client.request(method, path, headers=stage.caller(*who))
        assert (answer.status_code == 403) == (who not in allowed), (who, answer.text)
        assert answer.status_code < 500
    assert (await stage.client.request(method, path)).status_code == 401


async def test_the_same_request_twice_with_one_key_makes_one_run(stage: Stage) -> None:
    await stage.reviewed(delivery())
    key = {"idempotency-key": str(uuid7())}
    first = await stage.post("/payment-runs", AGENCY_A, {}, 201, **key)
    second = await stage.post("/payment-runs", AGENCY_A, {}, 201, **key)
    assert first["id"] == second["id"]
    await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": None}, 422, **key)
    approved = await stage.post(f"/payment-runs/{first['id']}/approval", AGENCY_B, status=202, **key)
    assert approved["state"] == "approved"


async def test_a_foreign_hospital_cannot_tell_a_sheet_from_none(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery())
    real = await refused(stage, "GET", f"/sheets/{sheet['id']}", OTHER_HOSPITAL, {404})
    none = await refused(stage, "GET", f"/sheets/{NOBODY}", OTHER_HOSPITAL, {404})
    assert real["code"] == none["code"] == "sheet_not_found"
