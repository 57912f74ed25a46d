"""Payment runs that somebody changes in the database: not approved, not sent, no file, no answer booked."""

from collections.abc import Callable, Sequence
from datetime import date, datetime

import pytest

from deploy.deeds import connected
from services.settlement.handlers import payments as payment_handlers
from services.settlement.handlers.runs import LONGEST
from services.settlement.rules.payments import BankAnswer, Payment, Verdict
from shared import clock
from shared.next_steps import day_over
from tests.house import WorkerInHand

from .conftest import AGENCY_A, AGENCY_B, HOSPITAL, OTHER_SUPPLIER_CODE, SUPPLIER, Stage, delivery, line, with_bank
from .test_failed_payments import answer, refused

TAMPERED = ("account_number = '6222000000000000000'", "amount_yuan = amount_yuan + 1000")
MOVED = "institution_code = 'H33010299999'"
BACK = "UPDATE payments SET account_number = $1, amount_yuan = $2, institution_code = $3"


async def waits_for_who_puts_it_back(stage: Stage, run_id: str) -> None:
    """The run, its sheets and its payments name who must act and by when, in lists too, and the run tells why and since when."""
    run = await stage.get(f"/payment-runs/{run_id}")
    step = run["waits_for"]
    assert step["who"]["role"] == "operator"
    assert step["what"].startswith("put the payments of the run back as they were approved")
    (sheet,), (payment,) = [(await stage.get(path))["items"] for path in ("/sheets", "/payments")]
    assert datetime.fromisoformat(step["by"]) == day_over(date.fromisoformat(sheet["due_on"]))
    (listed,) = (await stage.get("/payment-runs"))["items"]
    assert [one["waits_for"] for one in (listed, sheet, payment)] == [step] * 3
    (payable,) = (await stage.get("/payables"))["items"]
    assert (await stage.get(f"/payables/{payable['id']}/timeline"))["next"] == [step]
    timeline = await stage.get(f"/payment-runs/{run_id}/timeline")
    assert timeline["next"] == [step]
    assert [deed["action"] for deed in timeline["deeds"]] == ["made", "approved", "held_back"]


async def parties_read_so_too(stage: Stage, run_id: str, *parties: Sequence[str]) -> None:
    """Who sees the money and no runs reads the same of its sheet and its payment, in both languages."""
    step = (await stage.get(f"/payment-runs/{run_id}"))["waits_for"]
    (payable,) = (await stage.get("/payables"))["items"]
    for party in parties:
        assert (await stage.client.get(f"/payment-runs/{run_id}", headers=stage.caller(*party))).status_code in (
            403,
            404,
        )
        theirs = [(await stage.get(path, party))["items"] for path in ("/sheets", "/payments")]
        assert [one["waits_for"] for (one,) in theirs] == [step] * 2, party
        assert (await stage.get(f"/payables/{payable['id']}/timeline", party))["next"] == [step]
        chinese = {**stage.caller(*party), "accept-language": "zh"}
        (told,) = (await stage.client.get("/sheets", headers=chinese)).json()["items"]
        assert told["waits_for"]["what"].startswith("该批次的付款在")


@pytest.mark.parametrize("change", [*TAMPERED, MOVED])
async def test_a_run_that_is_not_what_was_approved_is_not_sent_and_has_no_file(
    stage: Stage, database_url: Callable[[str], str], change: str
) -> None:
    run = await stage.run(delivery())
    async with connected(database_url("settlement")) as owner:
        (was,) = await owner.fetch("SELECT account_number, amount_yuan, institution_code FROM payments")
        await owner.execute(f"UPDATE payments SET {change}")
        await stage.worker.do_jobs()
        assert not stage.bank.calls
        assert await owner.fetchval("SELECT state FROM payments") == "planned"
        await waits_for_who_puts_it_back(stage, run["id"])
        await parties_read_so_too(stage, run["id"], SUPPLIER, *([HOSPITAL] if change in TAMPERED else []))
        await owner.execute(BACK, *was)
        stage.drive(clock.now() + LONGEST)
        await stage.worker.meet_deadlines()
        await stage.worker.do_jobs()
        assert await owner.fetchval("SELECT state FROM payments") == "paid"
        timeline = await stage.get(f"/payment-runs/{run['id']}/timeline")
        assert [deed["action"] for deed in timeline["deeds"][2:]] == ["held_back", "let_go", "done"]
        assert timeline["next"] == []
        await owner.execute(f"UPDATE payments SET {change}")
        path = f"/payment-runs/{run['id']}/payment-file"
        answer = await stage.client.get(path, headers=stage.caller(*AGENCY_A))
        await owner.execute(BACK, *was)
    assert (answer.status_code, answer.json()["code"]) == (409, "run_changed")
    assert f"The payments of run {run['id']} are not those that were approved" in answer.json()["detail"]


async def test_no_answer_is_booked_of_a_run_that_is_not_what_was_approved_until_it_is_again(
    stage: Stage, database_url: Callable[[str], str]
) -> None:
    _, payment = await refused(stage, Verdict.PENDING, "sending")
    row = f"{payment['id']},paid"
    async with connected(database_url("settlement")) as owner:
        (was,) = await owner.fetchrow("SELECT amount_yuan FROM payments")
        await owner.execute("UPDATE payments SET amount_yuan = amount_yuan + 1000")
        for rows, header in ((row, "payment_id,result"), (f"{row},{was}", "payment_id,result,amount_yuan")):
            taken = await answer(stage, payment, rows, header)
            assert (taken["paid"], [one["code"] for one in taken["refused"]]) == (0, ["run_changed"])
        deeds = (await stage.get(f"/payments/{payment['id']}/timeline"))["deeds"]
        assert [deed["action"] for deed in deeds[-3:]] == ["sent", "answer_refused", "answer_refused"]
        await waits_for_who_puts_it_back(stage, payment["run_id"])
        await parties_read_so_too(stage, payment["run_id"], SUPPLIER, HOSPITAL)
        await owner.execute("UPDATE payments SET amount_yuan = $1", was)
    assert (await answer(stage, payment, row, "payment_id,result"))["paid"] == 1
    assert (await stage.get(f"/payments/{payment['id']}"))["amount_yuan"] == str(was)
    deeds = (await stage.get(f"/payment-runs/{payment['run_id']}/timeline"))["deeds"]
    assert [deed["action"] for deed in deeds[2:]] == ["held_back", "let_go", "done"]
    await stage.ledger_agrees()


async def test_no_answer_is_booked_of_a_run_that_is_changed_while_the_bank_is_asked(
    stage: Stage, database_url: Callable[[str], str]
) -> None:
    await stage.run(delivery())
    async with connected(database_url("settlement")) as owner:
        (was,) = await owner.fetchrow("SELECT amount_yuan FROM payments")

        class Changing:
            async def pay(self, orders: Sequence[Payment]) -> list[BankAnswer]:
                await owner.execute("UPDATE payments SET amount_yuan = amount_yuan + 1000")
                return await stage.bank.pay(orders)

        await WorkerInHand(with_bank(stage.worker.service, Changing()), stage.worker.database).do_jobs()
        assert await owner.fetchval("SELECT state FROM payments") == "sending"
        await owner.execute("UPDATE payments SET amount_yuan = $1", was)
    stage.drive(clock.now() + LONGEST)
    await stage.worker.meet_deadlines()
    await stage.worker.do_jobs()
    (payment,) = (await stage.get("/payments"))["items"]
    assert (payment["state"], payment["amount_yuan"]) == ("paid", str(was))
    assert list(stage.bank.moved.values()) == [1]
    await stage.ledger_agrees()


async def test_a_payment_of_a_run_that_is_not_what_was_approved_is_not_confirmed(
    stage: Stage, database_url: Callable[[str], str]
) -> None:
    _, payment = await refused(stage)
    await answer(stage, payment, f"{payment['id']},paid", "payment_id,result")
    path, made = f"/payments/{payment['id']}/confirmation", {"bank_reference": "2025040100012345", "reason": "已入账"}
    async with connected(database_url("settlement")) as owner:
        (was,) = await owner.fetchrow("SELECT account_number FROM payments")
        await owner.execute(f"UPDATE payments SET {TAMPERED[0]}")
        taken = await stage.post(path, AGENCY_A, made, status=409)
        await owner.execute("UPDATE payments SET account_number = $1", was)
    assert taken["code"] == "run_changed"
    assert (await stage.post(path, AGENCY_A, made))["state"] == "paid"


@pytest.mark.parametrize("change", [*TAMPERED, MOVED])
async def test_a_run_that_is_not_what_it_was_made_of_says_so_and_is_not_approved(
    stage: Stage, database_url: Callable[[str], str], change: str
) -> None:
    await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    path = f"/payment-runs/{run['id']}/approval"
    async with connected(database_url("settlement")) as owner:
        (was,) = await owner.fetch("SELECT account_number, amount_yuan, institution_code FROM payments")
        await owner.execute(f"UPDATE payments SET {change}")
        step = (await stage.get(f"/payment-runs/{run['id']}"))["waits_for"]
        assert step["who"]["role"] == "operator"
        assert step["what"].startswith("put the payments of the run back as they were made")
        waiting = [(await stage.get(of))["items"] for of in ("/payment-runs", "/sheets", "/payments")]
        assert [one["waits_for"] for (one,) in waiting] == [step] * 3
        await parties_read_so_too(stage, run["id"], SUPPLIER, *([HOSPITAL] if change in TAMPERED else []))
        problem = await stage.post(path, AGENCY_B, status=409)
        await owner.execute(BACK, *was)
    assert problem["code"] == "run_changed"
    assert (await stage.get(f"/payment-runs/{run['id']}"))["waits_for"] == run["waits_for"]
    await stage.post(path, AGENCY_B, status=202)


async def test_a_run_of_other_sums_than_its_payments_says_so(stage: Stage, database_url: Callable[[str], str]) -> None:
    await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    async with connected(database_url("settlement")) as owner:
        for name, other in (("payment_count", "payment_count + 1"), ("amount_yuan", "amount_yuan + 1")):
            await owner.execute(f"UPDATE payment_runs SET {name} = {other}")
            assert (await stage.get(f"/payment-runs/{run['id']}"))["waits_for"]["who"]["role"] == "operator"
            await owner.execute(f"UPDATE payment_runs SET {name} = $1::text::numeric", str(run[name]))
    assert (await stage.get(f"/payment-runs/{run['id']}"))["waits_for"] == run["waits_for"]


async def test_a_run_changed_between_two_calls_of_the_bank_is_not_sent_further(
    stage: Stage, database_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_handlers, "ORDERS_A_CALL", 1)
    await stage.run(delivery(line(1)), delivery(line(2), supplier=OTHER_SUPPLIER_CODE))
    async with connected(database_url("settlement")) as owner:
        (was,) = await owner.fetch("SELECT id, account_number FROM payments ORDER BY id DESC LIMIT 1")

        class Changing:
            async def pay(self, orders: Sequence[Payment]) -> list[BankAnswer]:
                await owner.execute(f"UPDATE payments SET {TAMPERED[0]} WHERE id = $1", was["id"])
                return await stage.bank.pay(orders)

        await WorkerInHand(with_bank(stage.worker.service, Changing()), stage.worker.database).do_jobs()
        states = await owner.fetch("SELECT state FROM payments ORDER BY id")
        await owner.execute("UPDATE payments SET account_number = $2 WHERE id = $1", *was)
    assert [row["state"] for row in states] == ["sending", "planned"]
    assert sum(stage.bank.calls.values()) == 1


COPY_DEED = (
    "INSERT INTO history (about, action, detail, at, organisation, person, region)"
    ' SELECT about, action, detail || \'{"digest": "00"}\', at, organisation, person, region FROM history'
    " WHERE action = 'approved'"
)
HIDE_DEED = "UPDATE history SET action = 'hidden' WHERE action = 'approved'"


@pytest.mark.parametrize(("deeds", "count"), [(HIDE_DEED, 0), (COPY_DEED, 2)], ids=["none", "two"])
async def test_a_run_that_history_does_not_say_approved_just_once_is_not_sent(
    stage: Stage, database_url: Callable[[str], str], deeds: str, count: int
) -> None:
    run = await stage.run(delivery())
    async with connected(database_url("settlement")) as owner:
        await owner.execute(deeds)
        await stage.worker.do_jobs()
        assert await owner.fetchval("SELECT state FROM payments") == "planned"
        await owner.execute("DELETE FROM history WHERE detail ->> 'digest' = '00'")
        await owner.execute("UPDATE history SET action = 'approved' WHERE action = 'hidden'")
    assert not stage.bank.calls
    job = await stage.get(f"/jobs/{run['job_id']}", AGENCY_B)
    assert f"History tells {count} times and not once" in str(job)
