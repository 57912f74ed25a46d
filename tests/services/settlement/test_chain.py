"""The whole way of a delivery over HTTP: opened, released, summed up, confirmed, reviewed, run, paid."""

from decimal import Decimal
from typing import Any

from services.settlement.gateways import ScriptedBank
from shared.events.settlement import (
    PayableOpened,
    PayableReleased,
    PaymentPaid,
    PaymentSent,
    ReceivingAccountChanged,
    SheetConfirmed,
    SheetIssued,
)

from .conftest import AGENCY_A, AGENCY_B, BEFORE_CODES, HOSPITAL, OPERATOR, SUPPLIER, Stage, delivery, line


async def test_an_accepted_delivery_is_paid_in_the_end(stage: Stage, bank: ScriptedBank) -> None:
    accepted = delivery(line(100, "12.3400"), line(3, "0.3333"))
    await stage.confirmed()
    (sheet,) = await stage.sheets(accepted)
    assert (sheet["month"], sheet["amount_yuan"], sheet["line_count"]) == ("2025-03", "1235.00", 2)
    assert sheet["confirm_by"] == "2025-04-05"

    shown = await stage.client.get(f"/sheets/{sheet['id']}", headers=stage.caller(*HOSPITAL))
    tag = shown.headers["etag"]
    confirmed = await stage.post(f"/sheets/{sheet['id']}/confirmation", HOSPITAL, **{"if-match": tag})
    assert (confirmed["state"], confirmed["review_by"]) == ("confirmed", "2025-04-03")
    reviewed = await stage.post(f"/sheets/{sheet['id']}/review", AGENCY_A, **{"if-match": '"2"'})
    assert reviewed["waits_for"]["who"]["role"] == "agency"

    run = await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": [sheet["id"]]}, 201)
    assert (run["state"], run["amount_yuan"], run["payment_count"]) == ("made", "1235.00", 1)
    approved = await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
    assert (approved["state"], approved["decided_by"]) == ("approved", "person B")
    await stage.worker.do_jobs()
    assert list(bank.moved.values()) == [1]

    assert (await stage.get(f"/payment-runs/{run['id']}"))["state"] == "done"
    payables = (await stage.get("/payables?state=paid", SUPPLIER))["items"]
    assert [each["paid_yuan"] for each in payables] == ["1234.00", "1.00"]
    assert all(each["waits_for"] is None and each["due_on"] == "2025-04-04" for each in payables)
    timeline = await stage.get(f"/payables/{payables[0]['id']}/timeline", HOSPITAL)
    assert [deed["action"] for deed in timeline["deeds"]] == ["opened", "sheeted", "sent", "paid"]
    await stage.ledger_agrees()
    await _said_everything(stage)


async def _said_everything(stage: Stage) -> None:
    said = await stage.worker.said()
    assert [type(fact) for fact in said] == [
        ReceivingAccountChanged, ReceivingAccountChanged,
        PayableOpened, PayableReleased, PayableOpened, PayableReleased, SheetIssued, SheetConfirmed, PaymentSent,
        PaymentPaid,
    ]  # fmt: skip
    paid: Any = said[-1]
    assert (paid.amount_yuan, [each.amount_yuan for each in paid.lines]) == (
        Decimal("1235.00"),
        [Decimal("1234.00"), Decimal("1.00")],
    )


async def test_every_subject_counts_its_events_from_one_without_a_gap(stage: Stage) -> None:
    await stage.run(delivery(line(), line()), delivery(line(), at=BEFORE_CODES))
    await stage.worker.do_jobs()
    rows = await stage.worker.database.pool.fetch(
        "SELECT subject, array_agg(sequence ORDER BY id) AS sequences FROM outbox GROUP BY subject"
    )
    assert rows
    assert all(row["sequences"] == list(range(1, len(row["sequences"]) + 1)) for row in rows)


async def test_balances_come_from_the_entries_alone(stage: Stage) -> None:
    await stage.run(delivery(line(10, "1.0000")))
    await stage.worker.do_jobs()
    shown = await stage.get("/ledger/balances", OPERATOR)
    balances = {each["account"]: each["balance_yuan"] for each in shown["balances"]}
    assert balances == {
        "claim_released": "0.00",
        "claim_sent": "0.00",
        "claim_sheeted": "0.00",
        "fund_deduction": "-10.00",
        "goods_accepted": "10.00",
    }
    assert shown["ledger_sum_yuan"] == "0.00"
    entries = (await stage.get("/ledger/entries", SUPPLIER))["items"]
    assert [each["kind"] for each in entries] == ["opened_released", "sheeted", "sent", "paid"]
    assert all(sum(Decimal(side["amount_yuan"]) for side in each["entries"]) == 0 for each in entries)
    assert [each["step"] for each in entries] == [1, 2, 3, 4]
