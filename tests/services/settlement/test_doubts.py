"""A payment of which the bank has said both: the agency finds out, and books it as made or dismisses the doubt."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from services.settlement.handlers.again import payments_again
from services.settlement.rules.payments import Verdict
from shared.events.settlement import PaymentDoubted, PaymentPaid

from .conftest import AGENCY_A, AGENCY_B, CLOSED, HOSPITAL, SUPPLIER, Stage, delivery
from .test_failed_payments import DUE, FIND_OUT, answer, refused, told
from .test_next_steps import APPROVE, REJECT
from .test_recalls import BAD_LOT, GOOD_LOT, of_lot, opened

MADE = {"bank_reference": "2025040100012345", "reason": "银行回单证实已入账"}
NOT_MADE = {"reason": "银行确认未扣款"}
SAID = "2025-04-01 10:00:00"
WHEN = "2025-04-01T02:00:00Z"


async def doubted(stage: Stage, verdict: Verdict = Verdict.REFUSED) -> tuple[str, dict[str, Any]]:
    """A sheet whose payment failed and was called paid later, and the payment."""
    path, payment = await refused(stage, verdict)
    await answer(stage, payment, f"{payment['id']},paid,{SAID},")
    return path, await stage.get(f"/payments/{payment['id']}")


async def confirm(stage: Stage, payment: dict[str, Any], status: int = 200, **headers: str) -> Any:
    return await stage.post(f"/payments/{payment['id']}/confirmation", AGENCY_A, MADE, status, **headers)


async def doubts_told(stage: Stage) -> list[bool]:
    """What the doubts that were told say of their sheet."""
    return [fact.in_doubt for fact in await stage.worker.said() if isinstance(fact, PaymentDoubted)]


async def paid_and_refused(stage: Stage) -> tuple[str, dict[str, Any]]:
    """A sheet whose payment was made and was called refused later, and the payment."""
    path, payment = await refused(stage, Verdict.PAID, state="paid")
    taken = await answer(stage, payment, f"{payment['id']},refused,,账户不存在")
    assert [row["code"] for row in taken["refused"]] == ["payment_not_open"]
    return path, await stage.get(f"/payments/{payment['id']}")


async def run_over(stage: Stage, path: str) -> dict[str, Any]:
    """A run made by somebody who names the sheet."""
    body = {"sheet_ids": [path.removeprefix("/sheets/")]}
    made: dict[str, Any] = await stage.post("/payment-runs", AGENCY_A, body, 201)
    return made


async def test_while_the_doubt_is_open_everything_says_who_finds_out(stage: Stage) -> None:
    path, payment = await doubted(stage)
    assert await told(stage, path) == [("agency", FIND_OUT, DUE)]
    assert await told(stage, f"/payments/{payment['id']}") == [("agency", FIND_OUT, DUE)]
    (payable,) = (await stage.get("/payables", HOSPITAL))["items"]
    assert await told(stage, f"/payables/{payable['id']}") == [("agency", FIND_OUT, DUE)]
    ((who, what, by),) = await told(stage, f"/payment-runs/{payment['run_id']}")
    assert (who, by) == ("agency", DUE)
    assert what == "find out with the bank whether 1 payment of the run were made, of which it has said both"
    assert await doubts_told(stage) == [True]


@pytest.mark.parametrize("cells", ["paid,2025-03-31 10:00:00,995.00", "paid,2020-01-01 10:00:00,", "paid,2025-03-31,"])
async def test_whatever_else_is_odd_about_it_a_contradiction_is_a_doubt(stage: Stage, cells: str) -> None:
    path, payment = await refused(stage)
    await answer(stage, payment, f"{payment['id']},{cells}", "payment_id,result,paid_at,amount_yuan")
    assert await told(stage, path) == [("agency", FIND_OUT, DUE)]
    nothing = await stage.post("/payment-runs", AGENCY_A, {}, 409)
    assert nothing["code"] == "nothing_to_pay"


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.BOUNCED])
async def test_a_payment_that_was_made_after_all_is_booked_once(stage: Stage, verdict: Verdict) -> None:
    path, payment = await doubted(stage, verdict)
    key = {"idempotency-key": str(uuid4())}
    paid = await confirm(stage, payment, **key)
    assert (paid["state"], paid["paid_at"], paid["contradicted_at"]) == ("paid", WHEN, None)
    assert (paid["bank_reference"], paid["waits_for"]) == (MADE["bank_reference"], None)
    assert await confirm(stage, payment, **key) == paid
    again = await confirm(stage, payment, 409)
    assert (again["code"], "nothing about it is in doubt" in again["detail"]) == ("payment_not_open", True)
    assert ((await stage.get(path))["state"], await told(stage, path)) == ("paid", [])
    (payable,) = (await stage.get("/payables"))["items"]
    assert (payable["state"], payable["next"]) == ("paid", [])
    entries = (await stage.get(f"/ledger/entries?payable_id={payable['id']}"))["items"]
    assert [entry["kind"] for entry in entries][-2:] == ["sent", "paid"]
    await stage.ledger_agrees()
    said = await stage.worker.said()
    assert [fact.in_doubt for fact in said if isinstance(fact, PaymentDoubted)] == [True, False]
    (fact,) = [fact for fact in said if isinstance(fact, PaymentPaid)]
    assert [str(part.amount_yuan) for part in fact.lines] == [payable["paid_yuan"]] == [str(fact.amount_yuan)]
    for about in (f"/payments/{payment['id']}", path):
        deed = (await stage.get(f"{about}/timeline"))["deeds"][-1]
        assert (deed["action"], deed["person"]) == ("paid", AGENCY_A[3])
        assert {name: deed["detail"][name] for name in MADE} == MADE
    nothing = await stage.post("/payment-runs", AGENCY_A, {}, 409)
    assert nothing["code"] == "nothing_to_pay"


async def test_a_doubt_that_was_dismissed_leaves_the_sheet_to_be_paid_again(stage: Stage) -> None:
    path, payment = await doubted(stage)
    gone = await stage.post(f"/payments/{payment['id']}/dismissal", AGENCY_A, NOT_MADE)
    assert (gone["state"], gone["contradicted_at"]) == ("failed", None)
    for about in (f"/payments/{payment['id']}", path):
        deed = (await stage.get(f"{about}/timeline"))["deeds"][-1]
        assert (deed["action"], deed["detail"]["reason"]) == ("doubt_dismissed", NOT_MADE["reason"])
    assert (await told(stage, path))[0][1].startswith("take the sheet into another payment run")
    again = await stage.post(f"/payments/{payment['id']}/dismissal", AGENCY_A, NOT_MADE, 409)
    assert again["code"] == "payment_not_open"
    await confirm(stage, payment, 409)
    heard = await answer(stage, payment, f"{payment['id']},paid,{SAID},")
    assert (heard["unchanged"], heard["refused"]) == (1, [])
    stage.bank.script = {}
    made = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.post(f"/payment-runs/{made['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    assert (await stage.get(path))["state"] == "paid"
    await stage.ledger_agrees()


async def test_a_payment_that_was_made_and_is_called_refused_is_in_doubt_until_that_is_dismissed(stage: Stage) -> None:
    path, payment = await paid_and_refused(stage)
    (payable,) = (await stage.get("/payables"))["items"]
    assert (payment["state"], payment["contradicted_at"] is None) == ("paid", False)
    for about in (path, f"/payments/{payment['id']}", f"/payables/{payable['id']}"):
        assert await told(stage, about) == [("agency", FIND_OUT, DUE)]
    assert [who for who, _, _ in await told(stage, f"/payment-runs/{payment['run_id']}")] == ["agency"]
    booked = await confirm(stage, payment, 409)
    assert (booked["code"], "is booked as paid" in booked["detail"]) == ("payment_not_open", True)
    gone = await stage.post(f"/payments/{payment['id']}/dismissal", AGENCY_A, NOT_MADE)
    assert (gone["state"], gone["contradicted_at"], gone["waits_for"]) == ("paid", None, None)
    assert (await told(stage, path), await told(stage, f"/payables/{payable['id']}")) == ([], [])
    heard = await answer(stage, payment, f"{payment['id']},refused,,账户不存在")
    assert (heard["unchanged"], heard["refused"]) == (1, [])
    assert await doubts_told(stage) == [True, False]
    await stage.ledger_agrees()


async def test_such_a_doubt_ends_when_the_money_came_back(stage: Stage) -> None:
    path, payment = await paid_and_refused(stage)
    assert (await answer(stage, payment, f"{payment['id']},bounced,,账户已销户"))["failed"] == 1
    found = await stage.get(f"/payments/{payment['id']}")
    assert (found["state"], found["contradicted_at"]) == ("failed", None)
    assert (await told(stage, path))[0][1].startswith("take the sheet into another payment run")
    assert await doubts_told(stage) == [True, False]
    await stage.ledger_agrees()


async def test_a_sheet_of_which_two_payments_are_in_doubt_is_so_until_both_are_known(stage: Stage) -> None:
    path, first = await doubted(stage)
    run = await run_over(stage, path)
    await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    (second,) = [one for one in (await stage.get("/payments"))["items"] if one["id"] != first["id"]]
    await answer(stage, second, f"{second['id']},paid,,")
    for payment in (first, second):
        await stage.post(f"/payments/{payment['id']}/dismissal", AGENCY_A, NOT_MADE)
    assert await doubts_told(stage) == [True, True, True, False]
    assert (await told(stage, path))[0][1].startswith("take the sheet into another payment run")


async def test_a_doubt_that_is_open_is_told_again(stage: Stage) -> None:
    await doubted(stage)
    async with stage.worker.database.transaction() as tx:
        again = (await payments_again(tx, "", 10)).facts
    assert [type(one.fact).__name__ for one in again] == ["PaymentSent", "PaymentFailed", "PaymentDoubted"]
    doubt = again[-1]
    assert doubt.sequence > 0
    assert doubt.fact.in_doubt


async def test_a_result_file_of_yesterday_raises_no_doubt(stage: Stage) -> None:
    await stage.run(delivery())
    stage.bank.script = {UUID((await stage.get("/sheets"))["items"][0]["id"]): [Verdict.PENDING]}
    await stage.worker.do_jobs()
    stage.drive(CLOSED + timedelta(days=1))
    (payment,) = (await stage.get("/payments"))["items"]
    old, bounce = f"{payment['id']},paid,{SAID},", f"{payment['id']},bounced,,账户已销户"
    assert (await answer(stage, payment, old))["paid"] == 1
    assert (await answer(stage, payment, bounce))["failed"] == 1
    again = await answer(stage, payment, old)
    assert (again["unchanged"], again["refused"]) == (1, [])
    found = await stage.get(f"/payments/{payment['id']}")
    assert (found["state"], found["contradicted_at"]) == ("failed", None)
    other = await answer(stage, payment, f"{payment['id']},paid,2025-04-01 11:00:00,")
    assert [row["code"] for row in other["refused"]] == ["payment_not_open"]
    paid = await confirm(stage, payment)
    assert (paid["state"], paid["paid_at"]) == ("paid", "2025-04-01T03:00:00Z")
    assert (await answer(stage, payment, bounce))["unchanged"] == 1
    assert (await stage.get(f"/payments/{payment['id']}"))["state"] == "paid"
    await stage.ledger_agrees()
    async with stage.worker.database.transaction() as tx:
        facts = [one.fact for one in (await payments_again(tx, "", 10)).facts]
    assert [(type(fact), len(fact.lines)) for fact in facts if isinstance(fact, PaymentPaid)] == [(PaymentPaid, 1)]


@pytest.mark.parametrize("contradicted_first", [False, True])
async def test_what_stands_in_a_run_is_not_booked_before_the_run_is_rejected(
    stage: Stage, contradicted_first: bool
) -> None:
    path, payment = await refused(stage)
    row = f"{payment['id']},paid,{SAID},"
    if contradicted_first:
        await answer(stage, payment, row)
    made = await run_over(stage, path)
    if not contradicted_first:
        await answer(stage, payment, row)
    run = f"/payment-runs/{made['id']}"
    (planned,) = (await stage.get(f"/payments?run_id={made['id']}"))["items"]
    (payable,) = (await stage.get("/payables"))["items"]
    step = APPROVE if contradicted_first else REJECT
    for about in (path, f"/payables/{payable['id']}", f"/payments/{planned['id']}"):
        assert [what for _, what, _ in await told(stage, about)] == [step], about
    assert (await told(stage, run))[0][1].startswith("another person" if contradicted_first else "reject")
    stopped = await confirm(stage, payment, 409)
    assert made["id"] in stopped["detail"]
    if not contradicted_first:
        await stage.post(f"{run}/approval", AGENCY_B, status=409)
    await stage.post(f"{run}/rejection", AGENCY_B, {"reason": "银行称已付"})
    assert (await confirm(stage, payment))["state"] == "paid"
    await stage.ledger_agrees()


async def test_what_was_paid_otherwise_is_not_booked_twice(stage: Stage) -> None:
    path, payment = await doubted(stage)
    made = await run_over(stage, path)
    stage.bank.script = {UUID(path.removeprefix("/sheets/")): [Verdict.PENDING, Verdict.PAID]}
    await stage.post(f"/payment-runs/{made['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    (other,) = (await stage.get(f"/payments?run_id={made['id']}"))["items"]
    assert f"payment {other['id']} is sending" in (await confirm(stage, payment, 409))["detail"]
    await answer(stage, other, f"{other['id']},paid,,")
    stopped = await confirm(stage, payment, 409)
    assert f"was paid by payment {other['id']} of run {made['id']}" in stopped["detail"]
    assert await told(stage, path) == [("agency", FIND_OUT, DUE)]
    await stage.post(f"/payments/{payment['id']}/dismissal", AGENCY_A, {"reason": "重复付款已追回"})
    assert await told(stage, path) == []
    await stage.ledger_agrees()


async def test_lines_that_have_left_the_sheet_are_not_booked(stage: Stage) -> None:
    (sheet,) = await stage.reviewed(delivery(of_lot(BAD_LOT), of_lot(GOOD_LOT)))
    path = f"/sheets/{sheet['id']}"
    stage.bank.script = {UUID(sheet["id"]): [Verdict.REFUSED]}
    first = await run_over(stage, path)
    await stage.post(f"/payment-runs/{first['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    (payment,) = (await stage.get("/payments"))["items"]
    await stage.worker.deliver(opened(uuid7()))
    second = await run_over(stage, path)
    await stage.post(f"/payment-runs/{second['id']}/rejection", AGENCY_B, {"reason": "待核实"})
    await answer(stage, payment, f"{payment['id']},paid,,")
    stopped = await confirm(stage, payment, 409)
    assert "its timeline says which lines have left it" in stopped["detail"]
    await stage.ledger_agrees()


async def test_a_run_with_an_account_that_is_not_the_confirmed_one_any_more_is_to_be_rejected(stage: Stage) -> None:
    (sheet,) = await stage.reviewed(delivery())
    path = f"/sheets/{sheet['id']}"
    run = f"/payment-runs/{(await run_over(stage, path))['id']}"
    assert [what for _, what, _ in await told(stage, path)] == [APPROVE]
    await stage.confirmed(account_number="1202021509900054321")
    (payable,) = (await stage.get("/payables"))["items"]
    (payment,) = (await stage.get("/payments"))["items"]
    for about in (path, f"/payables/{payable['id']}", f"/payments/{payment['id']}", run):
        assert [what for _, what, _ in await told(stage, about)] == [REJECT], about
    assert (await stage.get(path, SUPPLIER))["waits_for"]["what"] == REJECT
    await stage.post(f"{run}/rejection", AGENCY_B, {"reason": "账户已变更"})
    assert [what for _, what, _ in await told(stage, path)] == ["take the sheet into a payment run"]


async def test_of_many_who_book_and_who_pay_at_once_one_does(stage: Stage) -> None:
    path, payment = await doubted(stage)
    body = {"sheet_ids": [path.removeprefix("/sheets/")]}
    asked = [
        stage.client.post(f"/payments/{payment['id']}/confirmation", json=MADE, headers=stage.caller(*AGENCY_A))
        for _ in range(4)
    ] + [stage.client.post("/payment-runs", json=body, headers=stage.caller(*AGENCY_B)) for _ in range(4)]
    found = Counter(answer.status_code for answer in await asyncio.gather(*asked))
    assert sum(found[code] for code in (200, 201)) == 1, found
    assert sum(found.values()) == 8
    assert set(found) <= {200, 201, 409, 422}
    await stage.ledger_agrees()


@pytest.mark.parametrize("who", [HOSPITAL, SUPPLIER])
@pytest.mark.parametrize(("verb", "body"), [("confirmation", MADE), ("dismissal", NOT_MADE)])
async def test_only_the_agency_ends_a_doubt(stage: Stage, who: Any, verb: str, body: Any) -> None:
    _, payment = await doubted(stage)
    await stage.post(f"/payments/{payment['id']}/{verb}", who, body, 403)
    await stage.post(f"/payments/{uuid7()}/{verb}", AGENCY_A, body, 404)
