"""Receiving accounts: the supplier names, the agency confirms, and only what was confirmed is paid to."""

import asyncio
import csv
import io
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from services.settlement.gateways import FileBank
from services.settlement.tables import payments
from shared.events.settlement import ReceivingAccountChanged
from shared.imports import open_sheet
from tests.house import WorkerInHand

from .conftest import (
    ACCOUNT,
    AGENCY_A,
    AGENCY_B,
    AUTHORITY,
    HOSPITAL,
    OPERATOR,
    OTHER_AGENCY,
    OTHER_SUPPLIER_CODE,
    PROVINCE,
    SUPPLIER,
    SUPPLIER_CODE,
    Stage,
    delivery,
    line,
    with_bank,
)

NEW = {"bank_name": "招商银行杭州分行", "cnaps_code": "308584000013", "account_number": "571900012310201"}
FIRST = {"if-match": '"1"'}


async def names(stage: Stage, status: int = 201, who: Sequence[str] = SUPPLIER, **other: Any) -> Any:
    return await stage.post("/accounts", who, {"region": "330000", **ACCOUNT, **other}, status)


async def confirms(stage: Stage, account: Any, who: Sequence[str] = PROVINCE, status: int = 200) -> Any:
    return await stage.post(f"/accounts/{account['id']}/confirmation", who, status=status, **FIRST)


async def file_of(stage: Stage, run: Any, only: str = "") -> httpx.Response:
    query = f"?only={only}" if only else ""
    path = f"/payment-runs/{run['id']}/payment-file{query}"
    return await stage.client.get(path, headers=stage.caller(*AGENCY_A))


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def test_an_account_is_named_by_its_supplier_and_confirmed_by_the_agency(stage: Stage) -> None:
    named = await names(stage)
    assert (named["state"], named["supplier_code"]) == ("named", SUPPLIER_CODE)
    assert named["waits_for"]["who"] == {"role": "agency", "code": None, "name": None, "region": "330000"}
    confirmed = await confirms(stage, named)
    assert (confirmed["state"], confirmed["decided_by"], confirmed["waits_for"]) == ("confirmed", "person P", None)
    timeline = await stage.get(f"/accounts/{named['id']}/timeline", SUPPLIER)
    first, second = timeline["deeds"]
    assert (first["action"], first["detail"]["changes"]["account_number"]) == ("named", [None, "***************2345"])
    assert (second["action"], second["detail"]["changes"]) == ("confirmed", {"state": ["named", "confirmed"]})


async def test_every_change_of_an_account_is_told_without_its_number(stage: Stage) -> None:
    first = await confirms(stage, await names(stage))
    second = await names(stage, account_number="1202021509900054321")
    third = await names(stage, account_number="1202021509900099999")
    await confirms(stage, third)
    told = [fact for fact in await stage.worker.said() if isinstance(fact, ReceivingAccountChanged)]
    assert {(fact.supplier_code, fact.region) for fact in told} == {(SUPPLIER_CODE, "330000")}
    lives: dict[str, list[str]] = {str(fact.account_id): [] for fact in told}
    for fact in told:
        lives[str(fact.account_id)].append(fact.state)
    assert lives == {
        first["id"]: ["named", "confirmed", "replaced"],
        second["id"]: ["named", "replaced"],
        third["id"]: ["named", "confirmed"],
    }


@pytest.mark.parametrize(
    ("language", "what"),
    [
        (
            "zh-CN",
            f"确认或拒绝 {SUPPLIER_CODE} 的收款账户;此处尚不知该企业登记的任何名称,无法核对户名 {ACCOUNT['holder_name']}",
        ),
        (
            "en",
            f"confirm or refuse the account of {SUPPLIER_CODE}; no name of the supplier is known here to compare its holder"
            f" {ACCOUNT['holder_name']} with",
        ),
    ],
)
async def test_who_acts_next_is_told_in_the_language_of_who_asks(stage: Stage, language: str, what: str) -> None:
    path = f"/accounts/{(await names(stage))['id']}"
    headers = {**stage.caller(*PROVINCE), "accept-language": language}
    account, timeline = [
        (await stage.client.get(where, headers=headers)).json() for where in (path, f"{path}/timeline")
    ]
    assert account["waits_for"]["what"] == what
    assert timeline["next"] == [account["waits_for"]]


async def test_the_whole_number_is_shown_to_the_supplier_and_the_agency_by_itself_alone(stage: Stage) -> None:
    named = await names(stage)
    path = f"/accounts/{named['id']}"
    for who in (SUPPLIER, PROVINCE):
        assert (await stage.get(path, who))["account_number"] == ACCOUNT["account_number"]
    for who in (SUPPLIER, PROVINCE, AUTHORITY, OPERATOR):
        (listed,) = (await stage.get("/accounts", who))["items"]
        assert listed["account_number"] == "***************2345"
        assert ACCOUNT["account_number"] not in str(await stage.get(f"{path}/timeline", who))
    for who in (AUTHORITY, OPERATOR, HOSPITAL):
        answer = await stage.client.get(path, headers=stage.caller(*who))
        assert (answer.status_code, answer.json()["code"]) == (403, "role_may_not")


async def test_another_supplier_and_an_agency_elsewhere_see_and_decide_nothing(stage: Stage) -> None:
    named = await names(stage)
    strangers = (("distributor", OTHER_SUPPLIER_CODE, "330100"), OTHER_AGENCY, AGENCY_A)
    for who in strangers:
        assert (await stage.get("/accounts", who))["items"] == []
        answer = await stage.client.get(f"/accounts/{named['id']}", headers=stage.caller(*who))
        assert answer.status_code == 404
    for who in strangers[1:]:
        assert (await confirms(stage, named, who, 404))["code"] == "account_not_found"


async def test_nobody_confirms_his_own_account(stage: Stage) -> None:
    named = await names(stage)
    await confirms(stage, named, SUPPLIER, 403)
    refused = await confirms(stage, named, ("agency", SUPPLIER_CODE, "330000"), 403)
    assert refused["code"] == "own_account"
    assert (await stage.get(f"/accounts/{named['id']}", SUPPLIER))["state"] == "named"


async def test_a_refused_account_says_why_and_waits_for_another(stage: Stage) -> None:
    named = await names(stage)
    path = f"/accounts/{named['id']}/refusal"
    refused = await stage.post(path, PROVINCE, {"reason": "户名与营业执照不一致"}, **FIRST)
    assert (refused["state"], refused["reason"]) == ("refused", "户名与营业执照不一致")
    assert refused["waits_for"]["who"]["role"] == "distributor"
    assert (await confirms(stage, named, status=412))["code"] == "precondition_failed"
    again = await stage.post(path, PROVINCE, {"reason": "x"}, 409, **{"if-match": '"2"'})
    assert again["code"] == "account_not_open"
    assert (await names(stage))["id"] != named["id"]


async def test_a_decision_on_an_account_needs_the_version_that_was_read(stage: Stage) -> None:
    named = await names(stage)
    for step, body in (("confirmation", None), ("refusal", {"reason": "x"})):
        missing = await stage.post(f"/accounts/{named['id']}/{step}", PROVINCE, body, 428)
        assert missing["code"] == "precondition_required"


async def test_a_change_is_paid_to_when_it_is_confirmed_and_not_before(stage: Stage) -> None:
    old = await stage.confirmed()
    new = await names(stage, **NEW)
    assert (new["state"], (await stage.get(f"/accounts/{old['id']}", SUPPLIER))["state"]) == ("named", "confirmed")
    timeline = await stage.get(f"/accounts/{new['id']}/timeline", SUPPLIER)
    assert timeline["deeds"][0]["detail"]["changes"] == {
        "bank_name": [ACCOUNT["bank_name"], NEW["bank_name"]],
        "cnaps_code": [ACCOUNT["cnaps_code"], NEW["cnaps_code"]],
        "account_number": ["***************2345", "***********0201"],
    }
    (sheet,) = await stage.reviewed(delivery(), accounts=False)
    assert sheet["waits_for"]["what"].startswith("confirm the sheet")
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    (paid,) = (await stage.get(f"/payments?run_id={run['id']}"))["items"]
    assert (paid["account_id"], paid["account_number"]) == (old["id"], "***************2345")
    await confirms(stage, new)
    assert (await stage.get(f"/accounts/{old['id']}", SUPPLIER))["state"] == "replaced"
    refused = await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=409)
    assert (refused["code"], SUPPLIER_CODE in refused["detail"]) == ("run_not_open", True)
    await stage.post(f"/payment-runs/{run['id']}/rejection", AGENCY_B, {"reason": "账户已变更"})
    again = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    (planned,) = (await stage.get(f"/payments?run_id={again['id']}"))["items"]
    assert planned["account_id"] == new["id"]
    await stage.post(f"/payment-runs/{again['id']}/approval", AGENCY_B, status=202)


async def test_the_same_account_named_again_is_the_same_and_takes_a_change_back(stage: Stage) -> None:
    old = await stage.confirmed()
    assert (await names(stage))["id"] == old["id"]
    change = await names(stage, **NEW)
    assert (await names(stage, **NEW))["id"] == change["id"]
    assert (await names(stage))["id"] == old["id"]
    states = {one["id"]: one["state"] for one in (await stage.get("/accounts", SUPPLIER))["items"]}
    assert states == {old["id"]: "confirmed", change["id"]: "replaced"}
    assert (await confirms(stage, change, status=412))["code"] == "precondition_failed"


async def test_a_number_that_ends_alike_is_told_as_another(stage: Stage) -> None:
    await stage.confirmed()
    other = await names(stage, account_number="9999021509900012345")
    deed = (await stage.get(f"/accounts/{other['id']}/timeline", SUPPLIER))["deeds"][0]
    before, after = deed["detail"]["changes"]["account_number"]
    assert (before, after) == ("***************2345", "***************2345 (another number)")


@pytest.mark.parametrize(
    ("field", "given", "rule"),
    [
        ("cnaps_code", "102100099995", "the check digit of the branch's number is wrong"),
        ("cnaps_code", "10210009999", "the number of a bank's branch is 12 digits"),
        ("cnaps_code", "1.02100099996E+11", "looks like a number changed by a spreadsheet"),
        ("account_number", "1234567", "the number of an account is 8 to 32 digits"),
        ("account_number", "1" * 33, "the number of an account is 8 to 32 digits"),
        ("account_number", "6222A02021", "the number of an account is 8 to 32 digits"),
        ("account_number", "1.2020215099E+18", "looks like a number changed by a spreadsheet"),
    ],
)
async def test_a_number_that_no_bank_gives_is_refused_by_its_field(
    stage: Stage, field: str, given: str, rule: str
) -> None:
    refused = await names(stage, 422, **{field: given})
    assert [(fault["pointer"], fault["rule"]) for fault in refused["errors"]] == [(f"/{field}", rule)]


async def test_spaces_hyphens_and_full_width_digits_of_a_number_are_one_form(stage: Stage) -> None:
    named = await names(stage, account_number="１２０２ 0215-0990 0012345")
    assert (await stage.get(f"/accounts/{named['id']}", SUPPLIER))["account_number"] == ACCOUNT["account_number"]


async def test_sheets_without_a_confirmed_account_stay_out_of_a_run_and_say_what_they_wait_for(stage: Stage) -> None:
    first, second = await stage.reviewed(delivery(), delivery(line(2), supplier=OTHER_SUPPLIER_CODE), accounts=False)
    nothing = await stage.post("/payment-runs", AGENCY_A, {}, 409)
    assert (nothing["code"], "2 sheets of your region" in nothing["detail"]) == ("nothing_to_pay", True)
    waits = (await stage.get(f"/sheets/{first['id']}"))["waits_for"]
    assert (waits["who"]["role"], waits["who"]["code"]) == ("distributor", SUPPLIER_CODE)
    assert waits["what"].startswith("name a receiving account for region 330100")
    (payable,) = (await stage.get(f"/payables?sheet_id={first['id']}", HOSPITAL))["items"]
    assert payable["waits_for"] == waits
    named = await stage.named()
    for who in (AGENCY_A, HOSPITAL, SUPPLIER):
        waits = (await stage.get(f"/sheets/{first['id']}", who))["waits_for"]
        assert (waits["who"]["role"], waits["what"].split()[0]) == ("agency", "confirm")
    refused = await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": [second["id"], first["id"]]}, 422)
    assert [(fault["pointer"], fault["code"]) for fault in refused["errors"]] == [
        ("/sheet_ids/0", "account_not_confirmed"),
        ("/sheet_ids/1", "account_not_confirmed"),
    ]
    await confirms(stage, named)
    waits = (await stage.get(f"/sheets/{first['id']}", HOSPITAL))["waits_for"]
    assert waits["what"] == "take the sheet into a payment run"
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    assert [one["sheet_id"] for one in (await stage.get(f"/payments?run_id={run['id']}"))["items"]] == [first["id"]]


async def test_of_two_confirmed_accounts_that_of_the_nearest_region_is_paid_to(stage: Stage) -> None:
    await stage.confirmed()
    near = await names(stage, region="330100", **NEW)
    await confirms(stage, near, AGENCY_A)
    await names(stage, region="330200", account_number="99990000")
    await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    (paid,) = (await stage.get(f"/payments?run_id={run['id']}"))["items"]
    assert paid["account_id"] == near["id"]


async def test_the_payment_file_names_the_account_and_stays_the_same_bytes(stage: Stage, tmp_path: Any) -> None:
    stage.worker = WorkerInHand(with_bank(stage.worker.service, FileBank(None)), stage.worker.database)
    run = await stage.run(delivery(line(1)), delivery(line(2), supplier=OTHER_SUPPLIER_CODE))
    await stage.worker.do_jobs()
    sent = await file_of(stage, run)
    first, second = rows_of(sent)
    assert first["institution_code"] == HOSPITAL[1]
    assert (first["payee_code"], first["payee_account_name"]) == (SUPPLIER_CODE, ACCOUNT["holder_name"])
    assert first["payee_bank"] == ACCOUNT["bank_name"]
    assert first["payee_account_number"] == "\t" + ACCOUNT["account_number"]
    assert first["payee_cnaps_code"] == "\t" + ACCOUNT["cnaps_code"]
    results = f"payment_id,result,paid_at,reason\n{first['payment_id']},paid,,\n"
    path, headers = f"/payment-runs/{run['id']}/result-file", stage.caller(*AGENCY_A)
    assert (await stage.client.post(path, content=results, headers=headers)).json()["paid"] == 1
    await stage.confirmed(**NEW)
    assert (await file_of(stage, run)).content == sent.content
    assert [row["payment_id"] for row in rows_of(await file_of(stage, run, "unanswered"))] == [second["payment_id"]]
    results = f"payment_id,result,paid_at,reason\n{second['payment_id']},refused,,账户已销户\n"
    await stage.client.post(path, content=results, headers=headers)
    assert rows_of(await file_of(stage, run, "unanswered")) == []
    assert (await file_of(stage, run)).content == sent.content
    assert (await file_of(stage, run, "paid")).status_code == 422
    (tmp_path / "sent.csv").write_bytes(sent.content)
    with open_sheet(tmp_path / "sent.csv") as sheet:
        (row, *_) = list(sheet)
    assert row.cells[11].strip() == ACCOUNT["account_number"]


async def test_a_payment_that_an_earlier_version_planned_is_not_approved_without_an_account(stage: Stage) -> None:
    await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    columns = [one.name for one in payments.c if one.name in {"account_id", *ACCOUNT}]
    assert len(columns) == 5
    emptied = ", ".join(f"{name} = NULL" for name in columns)
    await stage.worker.database.pool.execute(f"UPDATE payments SET {emptied}")
    refused = await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=409)
    assert refused["code"] == "run_not_open"
    filled = ", ".join(
        f"{name} = a.{name.removeprefix('account_') if name == 'account_id' else name}" for name in columns
    )
    await stage.worker.database.pool.execute(f"UPDATE payments SET {filled} FROM accounts AS a")


async def test_bulk_confirmations_answer_each_by_itself(stage: Stage) -> None:
    first = await names(stage)
    second = await names(stage, who=("distributor", OTHER_SUPPLIER_CODE, "310100"))
    acts = [
        {"account_id": first["id"], "version": 1},
        {"account_id": second["id"], "version": 2},
        {"account_id": str(uuid7()), "version": 1},
    ]
    answer = await stage.post("/accounts/confirmations/bulk", PROVINCE, acts)
    assert [item["status"] for item in answer["items"]] == [200, 412, 404]


async def test_of_many_who_name_and_confirm_at_once_one_account_stands(stage: Stage) -> None:
    bodies = [{"region": "330000", **ACCOUNT, "account_number": f"{place}" * 12} for place in range(1, 6)]
    headers = stage.caller(*SUPPLIER)
    answers = await asyncio.gather(*(stage.client.post("/accounts", json=body, headers=headers) for body in bodies))
    assert {answer.status_code for answer in answers} <= {201, 409}
    (named,) = (await stage.get("/accounts?state=named", SUPPLIER))["items"]
    path = f"/accounts/{named['id']}/confirmation"
    tagged = {**stage.caller(*PROVINCE), "if-match": f'"{named["version"]}"'}
    answers = await asyncio.gather(*(stage.client.post(path, headers=tagged) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert len((await stage.get("/accounts?state=confirmed", SUPPLIER))["items"]) == 1
