"""Payment runs: two persons, all or none of the sheets, files to the bank and back."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from services.settlement.gateways import FileBank, ScriptedBank
from services.settlement.handlers import payments as payment_handlers
from shared import clock
from shared.events.settlement import PaymentFailed, PaymentPaid
from tests.house import WorkerInHand

from .conftest import (
    AGENCY_A,
    AGENCY_B,
    CLOSED,
    HOSPITAL,
    OPERATOR,
    OTHER_AGENCY,
    OTHER_SUPPLIER_CODE,
    SUPPLIER,
    Stage,
    delivery,
    line,
    with_bank,
)

RESULTS = "payment_id,result,paid_at,reason\n"


async def send(stage: Stage, run_id: str, text: str | bytes, who: Any = AGENCY_A) -> httpx.Response:
    return await stage.client.post(f"/payment-runs/{run_id}/result-file", content=text, headers=stage.caller(*who))


async def sent_by_file(stage: Stage, *deliveries: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """A run sent through the bank of files without a folder, and the rows of its payment file."""
    stage.worker = WorkerInHand(with_bank(stage.worker.service, FileBank(None)), stage.worker.database)
    run = await stage.run(*deliveries)
    await stage.worker.do_jobs()
    answer = await stage.client.get(f"/payment-runs/{run['id']}/payment-file", headers=stage.caller(*AGENCY_A))
    assert answer.status_code == 200, answer.text
    return run, list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def test_the_maker_of_a_run_may_not_approve_it(stage: Stage) -> None:
    await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    refused = await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_A, status=403)
    assert refused["code"] == "same_person"
    assert "person A of 113301000000000001 made this run of 1 payment over 1234.00 yuan" in refused["detail"]
    timeline = await stage.get(f"/payment-runs/{run['id']}/timeline")
    assert timeline["next"][0]["what"] == "another person than person A approves or rejects the run of 1 payment"


async def test_a_sheet_stands_in_one_run_only_and_every_fault_is_named(stage: Stage) -> None:
    (first, second) = await stage.reviewed(delivery(), delivery(supplier=OTHER_SUPPLIER_CODE))
    await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": [first["id"]]}, 201)
    asked = [first["id"], second["id"], second["id"], str(uuid7())]
    refused = await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": asked}, 422)
    assert [(fault["pointer"], fault["code"]) for fault in refused["errors"]] == [
        ("/sheet_ids/0", "sheet_not_open"),
        ("/sheet_ids/2", "repeated"),
        ("/sheet_ids/3", "sheet_not_found"),
    ]
    await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": [second["id"]]}, 201)
    assert (await stage.post("/payment-runs", AGENCY_A, {}, 409))["code"] == "nothing_to_pay"


async def test_an_agency_pays_and_sees_its_own_region_only(stage: Stage) -> None:
    (sheet,) = await stage.reviewed(delivery())
    refused = await stage.post("/payment-runs", OTHER_AGENCY, {"sheet_ids": [sheet["id"]]}, 422)
    assert refused["errors"][0]["code"] == "sheet_not_found"
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    for path in ("", "/timeline", "/payment-file"):
        answer = await stage.client.get(f"/payment-runs/{run['id']}{path}", headers=stage.caller(*OTHER_AGENCY))
        assert answer.status_code == 404
    await stage.post(f"/payment-runs/{run['id']}/approval", OTHER_AGENCY, status=404)
    assert (await stage.get("/payment-runs", OTHER_AGENCY))["items"] == []
    assert len((await stage.get("/payment-runs", OPERATOR))["items"]) == 1
    for who in (HOSPITAL, SUPPLIER, OPERATOR):
        await stage.post("/payment-runs", who, {}, 403)


@pytest.mark.parametrize("region", ["350100", "330102"], ids=["another region", "a part of it"])
async def test_a_colleague_whose_region_does_not_cover_a_run_can_do_nothing_with_it(stage: Stage, region: str) -> None:
    await stage.reviewed(delivery())
    run = f"/payment-runs/{(await stage.post('/payment-runs', AGENCY_A, {}, 201))['id']}"
    colleague = ("agency", AGENCY_A[1], region, "person D")
    assert (await stage.get("/payment-runs", colleague))["items"] == []
    for verb, body in (("approval", None), ("rejection", {"reason": "待核实"}), ("result-file", None)):
        await stage.post(f"{run}/{verb}", colleague, body, 404)
    for about in ("", "/timeline", "/payment-file"):
        answer = await stage.client.get(f"{run}{about}", headers=stage.caller(*colleague))
        assert answer.status_code == 404, about
    assert (await stage.get(run))["state"] == "made"
    whole = ("agency", AGENCY_A[1], "330000", "person E")
    await stage.post(f"{run}/approval", whole, status=202)


async def test_of_two_runs_made_at_once_one_holds_the_sheet(stage: Stage) -> None:
    (sheet,) = await stage.reviewed(delivery())
    body = {"sheet_ids": [sheet["id"]]}
    answers = await asyncio.gather(
        *(stage.client.post("/payment-runs", json=body, headers=stage.caller(*AGENCY_A)) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]


async def test_a_run_is_approved_once_however_many_try(stage: Stage, bank: ScriptedBank) -> None:
    await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    path, headers = f"/payment-runs/{run['id']}/approval", stage.caller(*AGENCY_B)
    answers = await asyncio.gather(*(stage.client.post(path, headers=headers) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    await stage.worker.do_jobs()
    assert list(bank.calls.values()) == [1]


async def test_a_rejected_run_gives_its_sheets_back(stage: Stage, bank: ScriptedBank) -> None:
    (sheet,) = await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    rejected = await stage.post(f"/payment-runs/{run['id']}/rejection", AGENCY_B, {"reason": "账户待核实"})
    assert (rejected["state"], rejected["reason"]) == ("rejected", "账户待核实")
    (payment,) = (await stage.get(f"/payments?run_id={run['id']}", AGENCY_B))["items"]
    life = await stage.get(f"/payments/{payment['id']}/timeline", AGENCY_B)
    assert [deed["action"] for deed in life["deeds"]] == ["planned", "withdrawn"]
    assert life["deeds"][1]["detail"]["reason"] == "账户待核实"
    await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=409)
    assert (await stage.get(f"/sheets/{sheet['id']}"))["state"] == "reviewed"
    again = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.post(f"/payment-runs/{again['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    assert sum(bank.moved.values()) == 1
    states = [each["state"] for each in (await stage.get(f"/payments?sheet_id={sheet['id']}", SUPPLIER))["items"]]
    assert states == ["withdrawn", "paid"]


async def test_the_job_of_an_approved_run_tells_its_progress(stage: Stage) -> None:
    run = await stage.run(delivery())
    await stage.worker.do_jobs()
    job = await stage.get(f"/jobs/{run['job_id']}", AGENCY_B)
    assert (job["state"], job["done"], job["result"]) == ("done", 1, {"paid": 1})


async def test_no_payment_file_before_everything_is_reserved(stage: Stage) -> None:
    run = await stage.run(delivery())
    answer = await stage.client.get(f"/payment-runs/{run['id']}/payment-file", headers=stage.caller(*AGENCY_A))
    assert (answer.status_code, answer.json()["code"]) == (409, "run_not_sent")


async def test_a_payment_file_goes_out_and_a_result_file_comes_back(stage: Stage) -> None:
    run, rows = await sent_by_file(stage, delivery(line(1)), delivery(line(2), supplier=OTHER_SUPPLIER_CODE))
    assert [(row["payee_code"], row["amount_yuan"], row["month"]) for row in rows] == [
        (SUPPLIER[1], "12.34", "2025-03"),
        (OTHER_SUPPLIER_CODE, "24.68", "2025-03"),
    ]
    first, second = (row["payment_id"] for row in rows)
    stage.drive(CLOSED + timedelta(days=1))
    answer = await send(
        stage, run["id"], f"{RESULTS}{first},paid,2025-04-01 23:00:00,\n{second},refused,,账号户名不符\n"
    )
    assert answer.json() == {"paid": 1, "failed": 1, "unchanged": 0, "refused": []}
    paid, failed = (await stage.get(f"/payments?run_id={run['id']}"))["items"]
    assert (paid["state"], paid["paid_at"]) == ("paid", "2025-04-01T15:00:00Z")
    assert (failed["state"], failed["reason"]) == ("failed", "账号户名不符")
    assert (await stage.get(f"/payment-runs/{run['id']}"))["state"] == "done"
    assert (await send(stage, run["id"], f"{RESULTS}{first},paid,,\n")).json()["unchanged"] == 1
    timeline = await stage.get(f"/payments/{second}/timeline")
    assert [deed["action"] for deed in timeline["deeds"]] == ["planned", "sent", "failed"]
    assert "账号户名不符" in timeline["next"][0]["what"]
    assert (await stage.get("/sheets?state=reviewed"))["items"][0]["distributor_code"] == OTHER_SUPPLIER_CODE
    await stage.ledger_agrees()


async def test_each_bad_row_of_a_result_file_is_named_and_the_good_ones_land(stage: Stage) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    key = row["payment_id"]
    text = (
        f"{RESULTS}nonsense,paid,,\n{uuid7()},paid,,\n{key},PERHAPS,,\n{key},refused,,\n{key},paid,2025-02-30,\n"
        f"{key},paid,2099-01-01,\n{key},paid,0001-01-01T00:00:00+14:00,\n{key},paid,,\n"
    )
    answer = (await send(stage, run["id"], text)).json()
    assert answer["paid"] == 1
    assert [
        (each["row"], each["code"], [fault["pointer"] for fault in each["errors"]]) for each in answer["refused"]
    ] == [
        (2, "invalid_row", ["/2/payment_id"]),
        (3, "payment_not_found", ["/3/payment_id"]),
        (4, "invalid_row", ["/4/result"]),
        (5, "invalid_row", ["/5/reason"]),
        (6, "invalid_row", ["/6/paid_at"]),
        (7, "invalid_row", ["/7/paid_at"]),
        (8, "invalid_row", ["/8/paid_at"]),
    ]


async def test_a_row_with_another_amount_or_a_time_before_the_payment_was_sent_books_nothing(stage: Stage) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    key = row["payment_id"]
    header = "payment_id,result,paid_at,amount_yuan,bank_reference\n"
    stage.drive(CLOSED + timedelta(days=1))
    refused = (await send(stage, run["id"], f"{header}{key},paid,2025-03-31 23:54:59,1234.01,\n")).json()
    assert (refused["paid"], [row["code"] for row in refused["refused"]]) == (0, ["invalid_row"])
    assert [(one["pointer"], one["given"], one["allowed"]) for one in refused["refused"][0]["errors"]] == [
        ("/2/amount_yuan", '"1234.01"', "1234.00"),
        ("/2/paid_at", '"2025-03-31T23:54:59+08:00"', "from 2025-04-01 00:00 (Shanghai) on"),
    ]
    assert (await stage.get(f"/payments/{key}"))["state"] == "sending"
    deed = (await stage.get(f"/payments/{key}/timeline"))["deeds"][-1]
    assert (deed["action"], deed["detail"]["answer"], deed["detail"]["amount_yuan"]) == (
        "answer_refused",
        "paid",
        "1234.01",
    )
    assert [one["field"] for one in deed["detail"]["faults"]] == ["/amount_yuan", "/paid_at"]
    for given in ("1234.001", "1234,00", "one"):
        unread = (await send(stage, run["id"], f'{header}{key},paid,,"{given}",2.02604080001e+15\n')).json()
        pointers = [one["pointer"] for one in unread["refused"][0]["errors"]]
        assert pointers == ["/2/bank_reference", "/2/amount_yuan"], given
    taken = await send(stage, run["id"], f"{header}{key},paid,2025-04-01 00:00:00,1234,2026040800012345\n")
    assert taken.json()["paid"] == 1, taken.text
    paid = await stage.get(f"/payments/{key}")
    assert (paid["paid_at"], paid["bank_reference"]) == ("2025-03-31T16:00:00Z", "2026040800012345")
    deed = (await stage.get(f"/payments/{key}/timeline"))["deeds"][-1]
    assert (deed["action"], deed["detail"]["bank_reference"]) == ("paid", "2026040800012345")


@pytest.mark.parametrize("paid_at", ["2025-04-01", "2025-03-31 23:56"])
async def test_a_day_without_a_time_and_a_bank_whose_clock_is_minutes_behind_are_taken(
    stage: Stage, paid_at: str
) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    stage.drive(CLOSED + timedelta(days=1))
    taken = await send(stage, run["id"], f"{RESULTS}{row['payment_id']},paid,{paid_at},\n")
    assert taken.json()["paid"] == 1, taken.text


async def test_money_that_came_back_does_not_show_as_paid_and_the_timeline_keeps_when_it_was(stage: Stage) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    key = row["payment_id"]
    stage.drive(CLOSED + timedelta(days=2))
    await send(stage, run["id"], f"{RESULTS}{key},paid,2025-04-01 10:00:00,\n")
    await send(stage, run["id"], f"{RESULTS}{key},bounced,,账户已销户\n")
    failed = await stage.get(f"/payments/{key}")
    assert (failed["state"], failed["paid_at"]) == ("failed", None)
    deeds = (await stage.get(f"/payments/{key}/timeline"))["deeds"]
    paid_at = datetime.fromisoformat(deeds[-2]["detail"]["changes"]["paid_at"][1])
    assert (deeds[-2]["action"], paid_at) == ("paid", datetime(2025, 4, 1, 2, tzinfo=UTC))
    assert datetime.fromisoformat(deeds[-1]["detail"]["changes"]["paid_at"][0]) == paid_at


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payment_id\nx\n",
        b"payment_id,result,colour\nx,paid,red\n",
        b"payment_id,result,result\nx,paid,paid\n",
        b"%PDF-1.7",
        b"PK\x03\x04 no workbook",
        b'payment_id,result\n"x,paid\n',
        "payment_id,result\n付款单据编号,支付\n".encode() + "款项支付完成".encode("gb18030"),
        b"\x00\xff\xfe",
        b"x" * (8 * 2**20 + 1),
    ],
    ids=["empty", "column", "unknown", "twice", "pdf", "zip", "quotes", "mixed", "binary", "huge"],
)
async def test_what_is_no_result_file_is_refused_as_a_whole(stage: Stage, body: bytes) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    answer = await send(stage, run["id"], body)
    assert answer.status_code in {413, 422}, answer.text
    assert answer.json()["detail"]
    assert (await stage.get(f"/payments/{row['payment_id']}"))["state"] == "sending"


async def test_payments_of_another_run_are_no_rows_of_this_one(stage: Stage) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    other = await send(stage, str(uuid7()), f"{RESULTS}{row['payment_id']},paid,,\n")
    assert other.status_code == 404
    foreign = await send(stage, run["id"], f"{RESULTS}{row['payment_id']},paid,,\n", OTHER_AGENCY)
    assert foreign.status_code == 404


async def test_a_bounced_payment_is_taken_back_and_may_be_paid_again(stage: Stage) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    key = row["payment_id"]
    await send(stage, run["id"], f"{RESULTS}{key},paid,,\n")
    assert (await stage.get("/payables"))["items"][0]["state"] == "paid"
    answer = await send(stage, run["id"], f"{RESULTS}{key},bounced,,账户已销户\n")
    assert answer.json()["failed"] == 1
    (payable,) = (await stage.get("/payables"))["items"]
    assert (payable["state"], payable["paid_yuan"]) == ("sheeted", "0.00")
    await stage.ledger_agrees()
    yesterday = (await send(stage, run["id"], f"{RESULTS}{key},paid,,\n")).json()
    assert (yesterday["unchanged"], yesterday["refused"]) == (1, [])
    contradiction = (await send(stage, run["id"], f"{RESULTS}{key},paid,2025-04-01 00:00:00,\n")).json()
    assert contradiction["refused"][0]["code"] == "payment_not_open"
    assert (await stage.get(f"/payments/{key}/timeline"))["deeds"][-1]["action"] == "contradicted"
    stage.drive(clock.now() + timedelta(hours=1))
    again = await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": [row["sheet_id"]]}, 201)
    await stage.post(f"/payment-runs/{again['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    (_, second) = (await stage.get("/payments"))["items"]
    await send(stage, again["id"], f"{RESULTS}{second['id']},paid,,\n")
    assert (await stage.get("/payables"))["items"][0]["state"] == "paid"
    await stage.ledger_agrees()


async def test_each_payment_and_return_says_what_is_paid_of_a_payable_at_which_step(stage: Stage) -> None:
    run, (row,) = await sent_by_file(stage, delivery(line(100, "12.3400")))
    await send(stage, run["id"], f"{RESULTS}{row['payment_id']},paid,,\n")
    await send(stage, run["id"], f"{RESULTS}{row['payment_id']},bounced,,账户已销户\n")
    again = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.post(f"/payment-runs/{again['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    (_, second) = (await stage.get("/payments"))["items"]
    await send(stage, again["id"], f"{RESULTS}{second['id']},refused,,账户已冻结\n")
    said = [fact for fact in await stage.worker.said() if isinstance(fact, PaymentPaid | PaymentFailed)]
    assert [
        (type(fact), getattr(fact, "returned", None), str(each.amount_yuan), each.step)
        for fact in said
        for each in fact.lines
    ] == [
        (PaymentPaid, None, "1234.00", 4),
        (PaymentFailed, True, "0.00", 5),
        (PaymentFailed, False, "0.00", 7),
    ]
    await stage.ledger_agrees()


async def test_a_failure_of_many_lines_is_said_in_parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payment_handlers, "LINES_AN_EVENT", 2)
    run, (row,) = await sent_by_file(stage, delivery(*(line(10, "1.0000") for _ in range(5))))
    await send(stage, run["id"], f"{RESULTS}{row['payment_id']},refused,,账户已冻结\n")
    said = [fact for fact in await stage.worker.said() if isinstance(fact, PaymentFailed)]
    assert [len(fact.lines) for fact in said] == [2, 2, 1]
    assert {str(fact.amount_yuan) for fact in said} == {"50.00"}


@pytest.mark.parametrize(
    ("first", "second"),
    [("paid,,", "bounced,,x"), ("refused,,x", "paid,2025-04-01 00:00:00,"), ("paid,,", "refused,,x")],
)
async def test_two_new_answers_for_one_payment_in_one_file_are_not_both_taken(
    stage: Stage, first: str, second: str
) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    key = row["payment_id"]
    answer = (await send(stage, run["id"], f"{RESULTS}{key},{first}\n{key},{second}\n")).json()
    assert (answer["paid"] + answer["failed"], answer["refused"][0]["code"]) == (1, "payment_not_open")
    assert answer["refused"][0]["detail"].endswith("send the later one by itself.")
    assert (await stage.get(f"/payments/{key}"))["contradicted_at"] is None
    await stage.ledger_agrees()


async def test_the_same_result_file_sent_at_once_by_several_books_once(stage: Stage) -> None:
    run, (row,) = await sent_by_file(stage, delivery())
    text = f"{RESULTS}{row['payment_id']},paid,,\n"
    answers = await asyncio.gather(*(send(stage, run["id"], text) for _ in range(4)))
    assert sorted(answer.json()["paid"] for answer in answers) == [0, 0, 0, 1]
    await stage.ledger_agrees()
