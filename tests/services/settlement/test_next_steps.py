"""Who acts next on what settlement owns: for each state who, what, and by when."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from uuid_utils.compat import uuid7

from services.settlement.rules import payables, payments, runs, sheets
from services.settlement.rules.payables import Seen
from services.settlement.rules.sheets import Disputed, Paying
from shared.errors import number_of
from shared.next_steps import BANK, PLATFORM, Actor, NextStep, agency, distributor, hospital
from tests.services.settlement.test_rules import NOW, payable, payment, run, sheet

H, OFFICE = hospital("H1", "医院"), agency("330100")
PAYER = hospital("H1", "x")
CONFIRM_BY = datetime(2026, 4, 5, 16, tzinfo=UTC)
REVIEW_BY = datetime(2026, 4, 7, 16, tzinfo=UTC)
SHEET_DUE = datetime(2026, 4, 30, 16, tzinfo=UTC)
PAYABLE_DUE = datetime(2026, 5, 1, 16, tzinfo=UTC)
CODES_BY = datetime(2026, 4, 4, tzinfo=UTC)
CLOSES_AT = datetime(2026, 4, 30, 16, tzinfo=UTC)
APPROVE = "another person than its maker approves the payment run"
REJECT = (
    "reject the payment run, which cannot be approved: the bank has said paid of a sheet in it, a lot in it is recalled, or an"
    " account in it is not the confirmed one any more; then make another"
)
FIND_OUT = (
    "find out with the bank whether the payment was made, of which it has said both; then confirm it if it was made and"
    " counts as failed, load a `bounced` row if its money came back, or else dismiss the doubt"
)
ANSWER = "pay and answer; it is asked again under the same key"

OF_SHEETS = [
    ("issued", None, H, "confirm the sheet of 2 lines, or dispute lines of it", CONFIRM_BY),
    ("disputed", None, H, "confirm the sheet of 2 lines, or dispute lines of it", CONFIRM_BY),
    ("confirmed", None, OFFICE, "review the sheet, or send it back", REVIEW_BY),
    ("reviewed", None, OFFICE, "take the sheet into a payment run", SHEET_DUE),
    ("in_run", Paying.PLANNED, OFFICE, APPROVE, SHEET_DUE),
    ("in_run", Paying.BARRED, OFFICE, REJECT, SHEET_DUE),
    ("in_run", Paying.APPROVED, PLATFORM, "send the payment to the bank", SHEET_DUE),
    ("in_run", Paying.SENDING, BANK, ANSWER, SHEET_DUE),
]


@pytest.mark.parametrize(("state", "paying", "who", "what", "by"), OF_SHEETS)
def test_a_sheet_says_whom_it_waits_for_and_so_does_a_payable_on_it(
    state: str, paying: Paying | None, who: Actor, what: str, by: datetime
) -> None:
    one = replace(sheet(state), review_by=REVIEW_BY.date(), paying=paying, receiving="confirmed")
    expected = NextStep(who=who, what=what, by=by)
    assert sheets.next_step(one) == expected
    assert payables.next_steps(Seen(payable(released=10, state="sheeted"), one)) == [expected]


@pytest.mark.parametrize(
    ("due_on", "more"), [(date(2026, 4, 5), ""), (date(2026, 4, 4), "; money of it is due on 2026-04-04 all the same")]
)
@pytest.mark.parametrize("state", ["issued", "disputed"])
def test_a_sheet_that_may_be_confirmed_after_its_money_is_due_says_that_the_day_stands(
    state: str, due_on: date, more: str
) -> None:
    what = "confirm the sheet of 2 lines, or dispute lines of it" + more
    assert sheets.next_step(replace(sheet(state), due_on=due_on)) == NextStep(who=H, what=what, by=CONFIRM_BY)


NAME = "name a receiving account for region 330100 or one around it; nothing is paid without"
CONFIRM = "confirm or refuse the receiving account of 公司"
OF_ACCOUNTS = [(None, distributor("S1", "公司"), NAME), ("named", OFFICE, CONFIRM)]


@pytest.mark.parametrize(("receiving", "who", "what"), OF_ACCOUNTS)
def test_a_sheet_that_cannot_be_paid_to_an_account_says_so_from_the_beginning(
    receiving: str | None, who: Actor, what: str
) -> None:
    missing = NextStep(who=who, what=what, by=SHEET_DUE)
    for state in ("issued", "disputed", "confirmed"):
        one = replace(sheet(state), receiving=receiving)
        assert sheets.next_steps(one) == [sheets.next_step(one), missing]
        assert payables.next_steps(Seen(payable(released=10, state="sheeted"), one))[1] == missing
    ready = replace(sheet("reviewed"), receiving=receiving)
    assert sheets.next_steps(ready) == [missing]
    assert payables.next_steps(Seen(payable(released=10, state="sheeted"), ready)) == [missing]
    assert sheets.next_steps(replace(sheet("in_run"), receiving=receiving))[1:] == []


@pytest.mark.parametrize("state", ["reviewed", "paid"])
def test_a_sheet_in_doubt_waits_for_who_finds_out_with_the_bank(state: str) -> None:
    one = replace(sheet(state), receiving="confirmed", failed_for="账户不存在", failed_to="confirmed", in_doubt=True)
    assert sheets.next_steps(one) == [NextStep(who=OFFICE, what=FIND_OUT, by=SHEET_DUE)]
    again = sheets.next_step(replace(one, state="in_run", paying=Paying.PLANNED))
    assert again is not None
    assert again.what == APPROVE


@pytest.mark.parametrize("state", ["paid", "empty"])
def test_a_sheet_that_is_over_waits_for_nobody(state: str) -> None:
    assert sheets.next_step(sheet(state)) is None


def test_a_line_that_is_disputed_is_named() -> None:
    line = Disputed(uuid7(), "CG-1", "阿莫西林胶囊", "L1", Decimal("12.34"), "数量不符")
    step = sheets.dispute_step(sheet("disputed"), line)
    what = (
        f"settle the dispute over 12.34 yuan of 阿莫西林胶囊, lot L1, order CG-1 (payable {line.payable_id}): 数量不符"
    )
    assert step == NextStep(who=H, what=what, by=SHEET_DUE)


@pytest.mark.parametrize(
    ("state", "who", "what"),
    [
        ("awaiting_codes", None, ""),
        ("released", PLATFORM, "issue the sheet when the month has closed"),
        ("held", PAYER, "settle the dispute over 1.00 yuan of x, lot x, order x: 短少"),
    ],
)
@pytest.mark.parametrize(
    ("released", "required", "missing"), [(0, True, 10), (3, True, 7), (9, True, 1), (10, True, 0), (3, False, 0)]
)
def test_a_payable_says_who_moves_what_is_released_and_who_captures_what_is_not(
    state: str, who: Actor | None, what: str, released: int, required: bool, missing: int
) -> None:
    one = replace(payable(released=released, state=state), held_yuan=Decimal("1.00"), held_reason="短少")
    expected = [NextStep(who=who, what=what, by=CLOSES_AT if who == PLATFORM else PAYABLE_DUE)] if who else []
    if missing:
        codes = f"capture trace codes of {missing} 盒 of 10"
        expected.append(NextStep(who=PAYER, what=codes, by=CODES_BY))
    seen = Seen(replace(one, codes_required=required), None, codes_by=CODES_BY, closes_at=CLOSES_AT)
    assert payables.next_steps(seen) == expected


def test_a_payable_on_a_sheet_still_waits_for_the_codes_of_the_rest() -> None:
    issued = replace(sheet("issued"), receiving="confirmed")
    confirm, capture = payables.next_steps(Seen(payable(released=3, state="sheeted"), issued))
    assert (confirm.who, confirm.what.split()[0]) == (H, "confirm")
    assert (capture.who, capture.what) == (PAYER, "capture trace codes of 7 盒 of 10")


@pytest.mark.parametrize(
    ("state", "approved", "sheet_state", "expected"),
    [
        ("planned", False, "in_run", NextStep(who=OFFICE, what=APPROVE)),
        ("planned", True, "in_run", NextStep(who=PLATFORM, what="send the payment to the bank")),
        ("sending", True, "in_run", NextStep(who=BANK, what=ANSWER)),
        (
            "failed",
            True,
            "reviewed",
            NextStep(who=OFFICE, what="take the sheet into another payment run; the bank did not pay: 账户不存在"),
        ),
        ("failed", True, "in_run", None),
        ("failed", True, "paid", None),
        ("paid", True, "paid", None),
        ("withdrawn", False, "reviewed", None),
    ],
)
def test_a_payment_says_whom_it_waits_for(
    state: str, approved: bool, sheet_state: str, expected: NextStep | None
) -> None:
    one = replace(
        payment(state),
        reason="账户不存在",
        approved_at=NOW if approved else None,
        sheet_state=sheet_state,
        due_on=date(2026, 4, 30),
    )
    assert payments.next_step(one) == (expected and expected.model_copy(update={"by": SHEET_DUE}))


@pytest.mark.parametrize("sheet_state", ["reviewed", "in_run", "paid"])
def test_a_payment_in_doubt_waits_for_who_finds_out_whatever_became_of_its_sheet(sheet_state: str) -> None:
    due = {"sheet_state": sheet_state, "due_on": date(2026, 4, 30)}
    one = replace(payment("failed"), reason="账户不存在", contradicted_at=NOW, **due)
    assert payments.next_step(one) == NextStep(who=OFFICE, what=FIND_OUT, by=SHEET_DUE)


def test_a_run_that_cannot_be_approved_is_to_be_rejected_and_so_are_its_payments() -> None:
    barred = {"barred": True, "due_on": date(2026, 4, 30)}
    assert payments.next_step(replace(payment("planned"), **barred)) == NextStep(who=OFFICE, what=REJECT, by=SHEET_DUE)
    one = replace(run("made"), **barred)
    assert runs.next_step(one) == NextStep(who=agency(one.region, one.agency_code), what=REJECT, by=SHEET_DUE)


def test_a_run_says_whom_it_waits_for() -> None:
    due = {"due_on": date(2026, 4, 30)}
    one = replace(run("made"), **due)
    what = f"another person than {one.made_by} approves or rejects the run of {number_of(one.payment_count, 'payment')}"
    assert runs.next_step(one) == NextStep(who=agency(one.region, one.agency_code), what=what, by=SHEET_DUE)
    what = "pay, and answer for each of " + number_of(one.payment_count, "payment")
    decided = {"decided_by": "B", "decided_by_organisation": "A"}
    assert runs.next_step(replace(run("approved"), **decided, **due)) == NextStep(who=BANK, what=what, by=SHEET_DUE)
    assert runs.next_step(run("done")) is None
    assert runs.next_step(run("rejected")) is None
