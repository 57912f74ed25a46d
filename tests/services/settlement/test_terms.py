"""What settlement tells multiplies, and each step that has a term tells it: the same everywhere, and its own."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.settlement.rules.payments import Verdict
from shared import clock, money
from shared.events.settlement import PayableReleased, PaymentFailed, PaymentPaid, SheetIssued, SheetPart

from .conftest import (
    AGENCY_A,
    AGENCY_B,
    CLOSED,
    HOSPITAL,
    PROVINCE,
    WITH_CODES,
    Stage,
    covered,
    delivery,
    line,
)

MARCH_OVER = datetime(2026, 3, 31, 16, tzinfo=UTC)
APRIL_OVER = datetime(2026, 4, 30, 16, tzinfo=UTC)
MAY_OVER = datetime(2026, 5, 31, 16, tzinfo=UTC)


async def lines_of(stage: Stage, month: str) -> list[dict[str, Any]]:
    (sheet,) = (await stage.get(f"/sheets?month={month}", HOSPITAL))["items"]
    lines: list[dict[str, Any]] = (await stage.get(f"/sheets/{sheet['id']}/lines", HOSPITAL))["items"]
    return lines


def quantities(lines: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(each["quantity"], each["quantity_accepted"], each["amount_yuan"]) for each in lines]


async def test_each_line_of_a_sheet_pays_for_its_own_quantity_of_what_was_accepted(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(line(27, "10.1230"), at=WITH_CODES)
    await stage.worker.deliver(accepted)
    for sequence, (quantity, over) in enumerate(((17, MARCH_OVER), (27, APRIL_OVER)), 2):
        await stage.worker.deliver(covered(accepted, quantity), sequence=sequence)
        stage.drive(over)
        await stage.worker.meet_deadlines()
    assert quantities(await lines_of(stage, "2026-03")) == [(17, 27, "172.09")]
    assert quantities(await lines_of(stage, "2026-04")) == [(10, 27, "101.23")]


@pytest.mark.parametrize("price", ["10.1230", "0.0150", "0.0101"])
async def test_a_line_that_left_a_sheet_comes_back_with_its_quantity(stage: Stage, price: str) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(line(27, price), at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.worker.deliver(covered(accepted, 17), sequence=2)
    stage.drive(MARCH_OVER)
    await stage.worker.meet_deadlines()
    (sheet,) = (await stage.get("/sheets", HOSPITAL))["items"]
    (first,) = await lines_of(stage, "2026-03")
    body = {"lines": [{"payable_id": first["payable_id"], "reason": "数量不符"}]}
    await stage.post(f"/sheets/{sheet['id']}/dispute", HOSPITAL, body, **{"if-match": '"1"'})
    await stage.post(f"/payables/{first['payable_id']}/resolution", HOSPITAL, {"reason": "已核对"})
    await stage.worker.deliver(covered(accepted, 20), sequence=3)
    stage.drive(APRIL_OVER)
    await stage.worker.meet_deadlines()
    await stage.worker.deliver(covered(accepted, 27), sequence=4)
    stage.drive(MAY_OVER)
    await stage.worker.meet_deadlines()
    told = [quantities(await lines_of(stage, month)) for month in ("2026-04", "2026-05")]
    yuan = [money.amount(quantity, Decimal(price)) for quantity in (20, 27)]
    assert told == [[(20, 27, str(yuan[0]))], [(7, 27, str(yuan[1] - yuan[0]))]]
    await stage.ledger_agrees()


async def test_a_line_of_an_earlier_version_tells_the_quantity_that_its_amount_makes(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(line(27, "10.1230"), at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.worker.deliver(covered(accepted, 17), sequence=2)
    stage.drive(MARCH_OVER)
    await stage.worker.meet_deadlines()
    await stage.worker.database.pool.execute("UPDATE sheet_lines SET quantity = NULL")
    await stage.worker.deliver(covered(accepted, 27), sequence=3)
    stage.drive(APRIL_OVER)
    await stage.worker.meet_deadlines()
    assert quantities(await lines_of(stage, "2026-03")) == [(17, 27, "172.09")]
    assert quantities(await lines_of(stage, "2026-04")) == [(10, 27, "101.23")]


async def test_a_payable_that_codes_cover_in_part_says_how_much_still_waits_for_them(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(line(45), at=WITH_CODES)
    await stage.worker.deliver(accepted)

    async def told() -> tuple[Any, ...]:
        (found,) = (await stage.get("/payables", HOSPITAL))["items"]
        names = ("state", "quantity", "quantity_released", "quantity_awaiting_codes", "quantity_cover_lost")
        return tuple(found[name] for name in names)

    assert await told() == ("awaiting_codes", 45, 0, 45, 0)
    await stage.worker.deliver(covered(accepted, 23), sequence=2)
    assert await told() == ("released", 45, 23, 22, 0)
    await stage.worker.deliver(covered(accepted, 20), sequence=3)
    assert await told() == ("released", 45, 23, 25, 3)
    await stage.worker.deliver(covered(accepted, 45), sequence=4)
    assert await told() == ("released", 45, 45, 0, 0)


async def test_what_needs_no_codes_waits_for_none(stage: Stage) -> None:
    await stage.worker.deliver(delivery(line(45, kind="slice"), at=WITH_CODES))
    (found,) = (await stage.get("/payables", HOSPITAL))["items"]
    assert (found["quantity_released"], found["quantity_awaiting_codes"]) == (45, 0)


async def test_codes_and_the_sheet_have_their_own_terms_and_not_that_of_the_money(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.worker.deliver(covered(accepted, 30), sequence=2)

    async def terms() -> list[tuple[str, str]]:
        (found,) = (await stage.get("/payables", HOSPITAL))["items"]
        return [(step["what"].split()[0], step["by"]) for step in found["next"]]

    codes = ("capture", "2026-03-08T02:00:00Z")
    assert await terms() == [("issue", "2026-03-31T16:00:00Z"), codes]
    stage.drive(MARCH_OVER)
    await stage.worker.meet_deadlines()
    (sheet,) = (await stage.get("/sheets", HOSPITAL))["items"]
    payable_id = (await lines_of(stage, "2026-03"))[0]["payable_id"]
    body = {"lines": [{"payable_id": payable_id, "reason": "数量不符"}]}
    await stage.post(f"/sheets/{sheet['id']}/dispute", HOSPITAL, body, **{"if-match": '"1"'})
    stage.drive(MARCH_OVER + timedelta(days=19))
    await stage.post(f"/payables/{payable_id}/resolution", HOSPITAL, {"reason": "已核对"})
    assert await terms() == [("issue", "2026-04-30T16:00:00Z"), codes]


@pytest.mark.parametrize(
    ("close_day", "now", "month"),
    [
        (0, "2026-03-31T15:59:59+00:00", "2026-03-01"),
        (0, "2026-03-31T16:00:00+00:00", "2026-04-01"),
        (3, "2026-04-03T15:59:59+00:00", "2026-03-01"),
        (3, "2026-04-03T16:00:00+00:00", "2026-04-01"),
        (40, "2026-05-10T15:59:59+00:00", "2026-03-01"),
        (40, "2026-05-10T16:00:00+00:00", "2026-04-01"),
        (0, "2026-02-01T00:00:00+00:00", "2026-03-01"),
    ],
)
def test_the_next_month_to_close_is_the_first_that_closes_after_now(close_day: int, now: str, month: str) -> None:
    accepted, at = date(2026, 3, 1), datetime.fromisoformat(now)
    found = clock.next_month_to_close(accepted, close_day, at)
    assert found.isoformat() == month
    assert clock.closing_at(found, close_day) > at


async def test_an_account_that_was_named_is_decided_on_within_three_working_days(stage: Stage) -> None:
    stage.drive(CLOSED)
    named = await stage.named()
    waits = named["waits_for"]
    assert clock.add_working_days(clock.local_date(CLOSED), 3).isoformat() == named["decide_by"] == "2025-04-07"
    assert (waits["who"]["role"], waits["by"]) == ("agency", "2025-04-07T16:00:00Z")
    decided = await stage.post(f"/accounts/{named['id']}/confirmation", PROVINCE, **{"if-match": '"1"'})
    assert (decided["waits_for"], decided["decide_by"]) == (None, "2025-04-07")


async def test_a_run_and_its_payments_wait_until_their_sheets_are_due(stage: Stage) -> None:
    early, late = delivery(), delivery(line(2), at=CLOSED - timedelta(days=2), supplier="91440101MA5CJQ4N59")
    sheets = await stage.reviewed(early, late)
    assert sorted(sheet["due_on"] for sheet in sheets) == ["2025-04-04", "2025-04-29"]
    first = min(sheets, key=lambda sheet: sheet["due_on"])
    made = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    path, due = f"/payment-runs/{made['id']}", "2025-04-04T16:00:00Z"
    assert made["waits_for"]["by"] == (await stage.get(path))["waits_for"]["by"] == due
    approved = await stage.post(f"{path}/approval", AGENCY_B, status=202)
    assert (approved["waits_for"]["who"]["role"], approved["waits_for"]["by"]) == ("bank", due)
    payments = (await stage.get("/payments"))["items"]
    by = {payment["sheet_id"]: payment["waits_for"]["by"] for payment in payments}
    assert sorted(by.values()) == [due, "2025-04-29T16:00:00Z"]
    assert by[first["id"]] == due
    stage.bank.script = {UUID(first["id"]): [Verdict.REFUSED]}
    await stage.worker.do_jobs()
    done = await stage.get(path)
    assert (done["state"], done["payments"]) == ("done", {"failed": 1, "paid": 1})
    assert (done["waits_for"]["who"]["role"], done["waits_for"]["by"]) == ("agency", due)
    assert done["waits_for"]["what"] == "see why 1 payment failed, and take the sheets into another run"
    assert (await stage.get(f"{path}/timeline"))["next"] == [done["waits_for"]]
    (failed,) = (await stage.get("/payments?state=failed"))["items"]
    assert failed["waits_for"]["by"] == due
    await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": [first["id"]]}, 201)
    assert (await stage.get(path))["waits_for"] is None


async def test_of_a_payable_of_which_a_part_is_disputed_the_sheet_of_the_other_part_is_told_too(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(line(27, "10.1230"), at=WITH_CODES)
    await stage.confirmed()
    await stage.worker.deliver(accepted)
    for sequence, (quantity, over) in enumerate(((17, MARCH_OVER), (27, APRIL_OVER)), 2):
        await stage.worker.deliver(covered(accepted, quantity), sequence=sequence)
        stage.drive(over)
        await stage.worker.meet_deadlines()
    (march,) = (await stage.get("/sheets?month=2026-03", HOSPITAL))["items"]
    (payable,) = (await stage.get("/payables", HOSPITAL))["items"]
    body = {"lines": [{"payable_id": payable["id"], "reason": "数量不符"}]}
    await stage.post(f"/sheets/{march['id']}/dispute", HOSPITAL, body, **{"if-match": '"1"'})
    steps = (await stage.get(f"/payables/{payable['id']}", HOSPITAL))["next"]
    settle, confirm = [step["what"] for step in steps]
    assert settle.startswith("settle the dispute over 172.09 yuan")
    assert confirm.startswith("confirm the sheet of 1 line")


async def test_an_older_part_that_is_not_paid_is_told_though_the_newer_one_is(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(line(27, "10.1230"), at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.confirmed()
    sheets = []
    for sequence, (quantity, over) in enumerate(((17, MARCH_OVER), (27, APRIL_OVER)), 2):
        await stage.worker.deliver(covered(accepted, quantity), sequence=sequence)
        stage.drive(over)
        await stage.worker.meet_deadlines()
        (sheet,) = (await stage.get("/sheets?state=issued", HOSPITAL))["items"]
        await stage.post(f"/sheets/{sheet['id']}/confirmation", HOSPITAL, **{"if-match": '"1"'})
        await stage.post(f"/sheets/{sheet['id']}/review", AGENCY_A, **{"if-match": '"2"'})
        sheets.append(sheet["id"])
    said = await stage.worker.said()
    stood = [fact.on_sheets for fact in said if isinstance(fact, PayableReleased)]
    assert stood == [(), (SheetPart(sheet_id=UUID(sheets[0]), amount_yuan=Decimal("172.09")),)]
    issued = [(fact.sheet_id, fact.due_on) for fact in said if isinstance(fact, SheetIssued)]
    assert issued == [(UUID(sheet_id), date(2026, 4, 4)) for sheet_id in sheets]
    stage.bank.script = {UUID(sheets[0]): [Verdict.REFUSED]}
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    said = await stage.worker.said()
    (payable,) = (await stage.get("/payables"))["items"]
    assert (payable["paid_yuan"], payable["sheet_id"]) == ("101.23", sheets[1])
    steps = (await stage.get(f"/sheets/{sheets[0]}/timeline"))["next"]
    assert steps[0]["what"].startswith("take the sheet into another payment run; the bank did not pay")
    assert payable["next"] == steps
    assert payable["waits_for"] == steps[0]
    months = {fact.sheet_id: fact.month for fact in said if isinstance(fact, PaymentFailed | PaymentPaid)}
    assert months == {UUID(sheet_id): date(2026, month, 1) for month, sheet_id in enumerate(sheets, 3)}
    for sheet_id in sheets:
        on_it = (await stage.get(f"/payables?sheet_id={sheet_id}"))["items"]
        assert [one["id"] for one in on_it] == [payable["id"]]
