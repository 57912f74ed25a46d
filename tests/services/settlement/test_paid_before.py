"""A payment that the bank made before it was sent, as after a restore: booked as paid by another person, and never sent."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from deploy.deeds import connected
from services.settlement.gateways import FileBank
from services.settlement.handlers import doubts as doubt_handlers
from services.settlement.handlers import payments as payment_handlers
from services.settlement.handlers.again import payments_again
from services.settlement.handlers.runs import check_content
from shared.events.settlement import PaymentFailed, PaymentPaid, PaymentSent
from tests.house import WorkerInHand

from .conftest import (
    AGENCY_A,
    AGENCY_B,
    CLOSED,
    HOSPITAL,
    OTHER_AGENCY,
    OTHER_SUPPLIER_CODE,
    SUPPLIER,
    Stage,
    delivery,
    with_bank,
)
from .test_doubts import doubted
from .test_failed_payments import answer

PAID = {"bank_reference": "2025040100012345", "reason": "恢复前已付", "paid_on": "2025-04-01"}
BEGAN = "2025-03-31T16:00:00Z"


async def approved(stage: Stage, *deliveries: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A run that was approved and not sent, a day after its sheets were issued, and its payments."""
    run = await stage.run(*(deliveries or [delivery()]))
    stage.drive(CLOSED + timedelta(days=1))
    return run, (await stage.get(f"/payments?run_id={run['id']}"))["items"]


async def book(stage: Stage, payment: dict[str, Any], who: Any = AGENCY_B, status: int = 200, **other: Any) -> Any:
    return await stage.post(f"/payments/{payment['id']}/confirmation", who, {**PAID, **other}, status)


async def test_what_the_bank_paid_before_it_was_sent_is_booked_and_never_sent(stage: Stage) -> None:
    run, (payment,) = await approved(stage)
    paid = await book(stage, payment)
    assert (paid["state"], paid["paid_at"], paid["sent_at"], paid["waits_for"]) == ("paid", BEGAN, None, None)
    assert paid["bank_reference"] == PAID["bank_reference"]
    assert (await stage.get(f"/payment-runs/{run['id']}"))["state"] == "done"
    await stage.worker.do_jobs()
    stage.drive(CLOSED + timedelta(days=30))
    await stage.worker.meet_deadlines()
    await stage.worker.do_jobs()
    assert not stage.bank.calls
    file = await stage.client.get(f"/payment-runs/{run['id']}/payment-file", headers=stage.caller(*AGENCY_A))
    assert (file.status_code, payment["id"] in file.text) == (200, False)
    sheet = await stage.get(f"/sheets/{payment['sheet_id']}")
    (payable,) = (await stage.get("/payables"))["items"]
    assert (sheet["state"], payable["state"], payable["next"]) == ("paid", "paid", [])
    entries = (await stage.get(f"/ledger/entries?payable_id={payable['id']}"))["items"]
    assert [entry["kind"] for entry in entries][-2:] == ["sent", "paid"]
    await stage.ledger_agrees()
    said = [fact for fact in await stage.worker.said() if isinstance(fact, PaymentPaid | PaymentSent)]
    assert [type(fact) for fact in said] == [PaymentPaid]
    assert [str(part.amount_yuan) for part in said[0].lines] == [payable["paid_yuan"]]
    async with stage.worker.database.transaction() as tx:
        again = [one.fact for one in (await payments_again(tx, "", 10)).facts]
    assert [type(fact) for fact in again] == [PaymentPaid]


async def test_history_says_who_booked_it_why_and_that_it_was_never_sent(stage: Stage) -> None:
    _, (payment,) = await approved(stage)
    await book(stage, payment)
    deeds = (await stage.get(f"/payments/{payment['id']}/timeline"))["deeds"]
    assert [deed["action"] for deed in deeds] == ["planned", "paid"]
    about_sheet = (await stage.get(f"/sheets/{payment['sheet_id']}/timeline"))["deeds"][-1]
    for deed in (deeds[-1], about_sheet):
        assert (deed["action"], deed["person"]) == ("paid", AGENCY_B[3])
        assert {name: deed["detail"][name] for name in ("bank_reference", "reason")} == {
            name: PAID[name] for name in ("bank_reference", "reason")
        }
    assert deeds[-1]["detail"]["changes"]["state"] == ["planned", "paid"]


async def test_the_run_is_done_when_the_rest_is_answered_and_only_the_rest_is_sent(stage: Stage) -> None:
    stage.worker = WorkerInHand(with_bank(stage.worker.service, FileBank(None)), stage.worker.database)
    run, (first, second) = await approved(stage, delivery(), delivery(supplier=OTHER_SUPPLIER_CODE))
    await book(stage, first)
    assert (await stage.get(f"/payment-runs/{run['id']}"))["state"] == "approved"
    await stage.worker.do_jobs()
    for only in ("", "?only=unanswered"):
        path = f"/payment-runs/{run['id']}/payment-file{only}"
        file = await stage.client.get(path, headers=stage.caller(*AGENCY_A))
        assert [one["id"] in file.text for one in (first, second)] == [False, True]
    assert (await answer(stage, second, f"{second['id']},paid,,"))["paid"] == 1
    assert (await stage.get(f"/payment-runs/{run['id']}"))["state"] == "done"
    await stage.ledger_agrees()


async def test_who_made_the_run_does_not_book_it(stage: Stage) -> None:
    _, (payment,) = await approved(stage)
    refused = await book(stage, payment, AGENCY_A, 403)
    assert refused["code"] == "same_person"
    assert "person A of 113301000000000001 made this run of 1 payment over 1234.00 yuan" in refused["detail"]
    assert refused["detail"].endswith("another person must book what the bank has paid of it already.")
    for who, status in ((HOSPITAL, 403), (SUPPLIER, 403), (OTHER_AGENCY, 404)):
        await book(stage, payment, who, status)
    assert (await stage.get(f"/payments/{payment['id']}"))["state"] == "planned"


async def test_before_the_approval_nothing_is_booked(stage: Stage) -> None:
    await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    (payment,) = (await stage.get("/payments"))["items"]
    for who in (AGENCY_A, AGENCY_B):
        refused = await book(stage, payment, who, 409)
        assert refused["code"] == "payment_not_open"
        assert f"is planned in run {run['id']}, which nobody has approved" in refused["detail"]
    await stage.post(f"/payment-runs/{run['id']}/rejection", AGENCY_B, {"reason": "待核实"})
    assert "is withdrawn" in (await book(stage, payment, AGENCY_B, 409))["detail"]


async def test_a_planned_payment_is_not_called_unpaid(stage: Stage) -> None:
    _, (payment,) = await approved(stage)
    refused = await stage.post(f"/payments/{payment['id']}/dismissal", AGENCY_B, {"reason": "未付"}, 409)
    assert refused["code"] == "payment_not_open"
    assert "is planned and was not sent, so it counts as not paid as it is" in refused["detail"]


@pytest.mark.parametrize(
    ("paid_on", "code"),
    [(None, "missing"), ("2025-03-31", "early"), ("2025-04-01", None), ("2025-04-02", None), ("2025-04-03", "late")],
)
async def test_the_day_lies_after_the_month_and_not_in_the_future(
    stage: Stage, paid_on: str | None, code: str | None
) -> None:
    _, (payment,) = await approved(stage)
    found = await book(stage, payment, status=422 if code else 200, paid_on=paid_on)
    if code is None:
        assert found["state"] == "paid"
    else:
        (fault,) = found["errors"]
        assert (fault["pointer"], fault["given"], fault["code"]) == ("/paid_on", paid_on and json.dumps(paid_on), code)
        assert fault["allowed"] == "from 2025-04-01 to 2025-04-02"
        assert (await stage.get(f"/payments/{payment['id']}"))["state"] == "planned"


async def test_of_a_payment_in_doubt_no_day_is_told(stage: Stage) -> None:
    _, payment = await doubted(stage)
    refused = await book(stage, payment, status=422)
    assert [(fault["pointer"], fault["code"]) for fault in refused["errors"]] == [("/paid_on", "not_expected")]
    assert (await book(stage, payment, paid_on=None))["state"] == "paid"


async def test_money_of_it_that_came_back_is_paid_again(stage: Stage) -> None:
    _, (payment,) = await approved(stage)
    await book(stage, payment)
    assert (await answer(stage, payment, f"{payment['id']},bounced,,账户已销户"))["failed"] == 1
    again = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.post(f"/payment-runs/{again['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    assert [str(one) for one in stage.bank.calls] != [payment["id"]]
    assert sum(stage.bank.calls.values()) == 1
    assert (await stage.get(f"/sheets/{payment['sheet_id']}"))["state"] == "paid"
    said = [type(fact) for fact in await stage.worker.said() if isinstance(fact, PaymentPaid | PaymentFailed)]
    assert said == [PaymentPaid, PaymentFailed, PaymentPaid]
    await stage.ledger_agrees()


async def test_of_many_who_book_at_once_one_does(stage: Stage) -> None:
    _, (payment,) = await approved(stage)
    path, headers = f"/payments/{payment['id']}/confirmation", stage.caller(*AGENCY_B)
    answers = await asyncio.gather(*(stage.client.post(path, json=PAID, headers=headers) for _ in range(4)))
    assert Counter(one.status_code for one in answers) == {200: 1, 409: 3}
    await stage.ledger_agrees()


@pytest.mark.parametrize("first", ["sends", "books"])
async def test_who_sends_and_who_books_at_once_exclude_each_other(
    stage: Stage, first: str, database_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One holds the payment, and the other waits for it before the first goes on."""
    _, (payment,) = await approved(stage)
    held, go = asyncio.Event(), asyncio.Event()

    async def slowly(*given: Any) -> None:
        held.set()
        await go.wait()
        await check_content(*given)

    monkeypatch.setattr(payment_handlers if first == "sends" else doubt_handlers, "check_content", slowly)
    path, headers = f"/payments/{payment['id']}/confirmation", stage.caller(*AGENCY_B)
    roads: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
        "sends": stage.worker.do_jobs,
        "books": lambda: stage.client.post(path, json=PAID, headers=headers),
    }
    (second,) = roads.keys() - {first}
    one = asyncio.create_task(roads[first]())
    await held.wait()
    other = asyncio.create_task(roads[second]())
    async with connected(database_url("settlement")) as owner:
        while not other.done() and not await owner.fetch("SELECT FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not other.done(), "it did not wait"
    go.set()
    done = {first: await one, second: await other}
    assert done["books"].status_code == (409 if first == "sends" else 200)
    assert sum(stage.bank.calls.values()) == (1 if first == "sends" else 0)
    assert (await stage.get(f"/payments/{payment['id']}"))["state"] == "paid"
    await stage.ledger_agrees()
