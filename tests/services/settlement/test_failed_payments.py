"""After a payment that the bank did not make: who mends what, and no second payment on the bank's contradictory word."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.settlement.gateways import FileBank
from services.settlement.handlers.payments import record_answers
from services.settlement.rules.payments import BankAnswer, Verdict
from shared.history import BY_ITSELF
from tests.house import WorkerInHand

from .conftest import AGENCY_A, AGENCY_B, CLOSED, SUPPLIER, Stage, delivery, with_bank

HEADER = "payment_id,result,paid_at,reason"
REFUSAL = "scripted refused"
FIND_OUT = (
    "find out with the bank whether the payment was made, of which it has said both; then confirm it if it was made and"
    " counts as failed, load a `bounced` row if its money came back, or else dismiss the doubt"
)
DUE = "2025-04-04T16:00:00Z"


async def refused(
    stage: Stage, verdict: Verdict = Verdict.REFUSED, state: str = "failed"
) -> tuple[str, dict[str, Any]]:
    """A sheet whose payment failed, or is in another state, and the payment."""
    (sheet,) = await stage.reviewed(delivery())
    stage.bank.script = {UUID(sheet["id"]): [verdict]}
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    stage.drive(CLOSED + timedelta(days=1))
    (payment,) = (await stage.get("/payments"))["items"]
    assert payment["state"] == state
    return f"/sheets/{sheet['id']}", payment


async def planned(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run that nobody has approved, and its payment."""
    await stage.reviewed(delivery())
    stage.worker = WorkerInHand(with_bank(stage.worker.service, FileBank(None)), stage.worker.database)
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    (payment,) = (await stage.get("/payments"))["items"]
    return run, payment


async def send(stage: Stage, run: dict[str, Any]) -> None:
    await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()


async def answer(stage: Stage, payment: dict[str, Any], rows: str, header: str = HEADER) -> Any:
    path = f"/payment-runs/{payment['run_id']}/result-file"
    head = {**stage.caller(*AGENCY_B), "content-type": "text/csv"}
    taken = await stage.client.post(path, content=f"{header}\n{rows}\n", headers=head)
    assert taken.status_code == 200, taken.text
    return taken.json()


async def told(stage: Stage, path: str) -> list[tuple[str, str, str]]:
    steps = (await stage.get(f"{path}/timeline"))["next"]
    return [(step["who"]["role"], step["what"], step["by"]) for step in steps]


async def test_a_sheet_whose_payment_failed_says_why_and_that_the_supplier_may_name_another_account(
    stage: Stage,
) -> None:
    path, _ = await refused(stage)
    again = ("agency", f"take the sheet into another payment run; the bank did not pay: {REFUSAL}", DUE)
    mend = f"name another receiving account if this is why the bank did not pay: {REFUSAL}"
    assert await told(stage, path) == [again, ("distributor", mend, DUE)]
    assert (await stage.get(path, SUPPLIER))["waits_for"]["what"] == again[1]
    (payable,) = (await stage.get("/payables", SUPPLIER))["items"]
    assert [step["what"] for step in payable["next"]] == [again[1], mend]
    await stage.confirmed(account_number="1202021509900054321")
    assert await told(stage, path) == [again]


async def test_what_the_bank_calls_paid_after_all_is_kept_and_not_paid_again_unasked(stage: Stage) -> None:
    path, payment = await refused(stage)
    taken = await answer(stage, payment, f"{payment['id']},paid,2025-04-01 10:00:00,")
    assert [row["code"] for row in taken["refused"]] == ["payment_not_open"]
    for about, action in ((f"/payments/{payment['id']}", "contradicted"), (path, "payment_contradicted")):
        deed = (await stage.get(f"{about}/timeline"))["deeds"][-1]
        assert (deed["action"], deed["person"], deed["detail"]["answer"]) == (action, AGENCY_B[3], "paid")
        assert deed["detail"]["paid_at"] == "2025-04-01T10:00:00+08:00"
    assert (await stage.get(f"/payments/{payment['id']}"))["contradicted_at"] is not None
    ((who, what, by),) = await told(stage, path)
    assert (who, what, by) == ("agency", FIND_OUT, DUE)
    nothing = await stage.post("/payment-runs", AGENCY_A, {}, 409)
    assert (nothing["code"], "of 1 sheet the bank has said paid" in nothing["detail"]) == ("nothing_to_pay", True)
    named = await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": [path.removeprefix("/sheets/")]}, 201)
    await stage.post(f"/payment-runs/{named['id']}/approval", AGENCY_B, status=202)
    stage.bank.script = {}
    await stage.worker.do_jobs()
    assert (await stage.get(path))["state"] == "paid"
    await stage.ledger_agrees()


async def test_a_run_that_was_made_before_the_bank_said_paid_is_not_approved(stage: Stage) -> None:
    _, payment = await refused(stage)
    made = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await answer(stage, payment, f"{payment['id']},paid,,")
    stopped = await stage.post(f"/payment-runs/{made['id']}/approval", AGENCY_B, status=409)
    assert (stopped["code"], "of which the bank has said paid" in stopped["detail"]) == ("run_not_open", True)


async def test_a_time_in_the_future_is_refused_in_the_time_of_shanghai(stage: Stage) -> None:
    _, payment = await refused(stage)
    taken = await answer(stage, payment, f"{payment['id']},paid,2099-01-01 10:00:00,")
    ((fault,),) = [row["errors"] for row in taken["refused"]]
    assert fault["allowed"] == "up to 2025-04-02 00:00 (Shanghai)"


async def test_what_the_bank_says_of_a_payment_before_it_was_sent_is_no_answer_to_it(stage: Stage) -> None:
    run, payment = await planned(stage)
    row = f"{payment['id']},paid,,"
    for _ in range(2):
        early = await answer(stage, payment, row)
        assert ([one["code"] for one in early["refused"]], early["unchanged"]) == (["payment_not_open"], 0)
    await send(stage, run)
    assert (await answer(stage, payment, row))["paid"] == 1
    assert (await stage.get(f"/payments/{payment['id']}"))["state"] == "paid"
    await stage.ledger_agrees()


async def test_what_the_bank_said_too_early_does_not_hide_that_it_paid_what_it_had_refused(stage: Stage) -> None:
    run, payment = await planned(stage)
    row = f"{payment['id']},paid,,"
    await answer(stage, payment, row)
    await send(stage, run)
    assert (await answer(stage, payment, f"{payment['id']},refused,,余额不足"))["failed"] == 1
    assert [one["code"] for one in (await answer(stage, payment, row))["refused"]] == ["payment_not_open"]
    assert (await stage.get(f"/payments/{payment['id']}"))["contradicted_at"] is not None
    assert (await stage.post("/payment-runs", AGENCY_A, {}, 409))["code"] == "nothing_to_pay"


async def test_what_the_bank_says_of_a_payment_that_was_withdrawn_is_refused_each_time(stage: Stage) -> None:
    run, payment = await planned(stage)
    await stage.post(f"/payment-runs/{run['id']}/rejection", AGENCY_B, {"reason": "待核实"})
    for _ in range(2):
        heard = await answer(stage, payment, f"{payment['id']},paid,,")
        assert [one["code"] for one in heard["refused"]] == ["payment_not_open"]


async def test_a_row_that_was_refused_for_its_amount_or_time_does_not_count_as_said(stage: Stage) -> None:
    run, payment = await planned(stage)
    await send(stage, run)
    stage.drive(CLOSED + timedelta(days=1))
    for cells, fault in (("paid,2025-03-31 10:00:00,1234.00", "/paid_at"), ("paid,,1.00", "/amount_yuan")):
        wrong = await answer(stage, payment, f"{payment['id']},{cells}", "payment_id,result,paid_at,amount_yuan")
        assert [one["pointer"].removeprefix("/2") for one in wrong["refused"][0]["errors"]] == [fault]
    assert (await answer(stage, payment, f"{payment['id']},paid,,"))["paid"] == 1


@pytest.mark.parametrize("verdict", [Verdict.PENDING, Verdict.UNKNOWN])
@pytest.mark.parametrize("state", ["paid", "failed"])
async def test_a_bank_that_knows_nothing_yet_does_not_contradict_what_it_said_in_a_file(
    stage: Stage, verdict: Verdict, state: str
) -> None:
    _, payment = await refused(stage, Verdict.PAID if state == "paid" else Verdict.REFUSED, state)
    told_before = await stage.get(f"/payments/{payment['id']}/timeline")
    async with stage.worker.database.transaction() as tx:
        assert await record_answers(tx, BY_ITSELF, [BankAnswer(UUID(payment["id"]), verdict)]) == [None]
    assert await stage.get(f"/payments/{payment['id']}/timeline") == told_before
    assert (await stage.get(f"/payments/{payment['id']}")) == payment
