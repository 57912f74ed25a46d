"""The decisions of settlement as tables, both sides of each boundary."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.settlement.errors import PayableNotHeld, PaymentNotOpen, RunNotOpen, SamePerson, SheetNotOpen
from services.settlement.rules import payables, payments, runs, sheets
from services.settlement.rules.ledger import SIDES, Account, Posting
from services.settlement.rules.payables import Payable, Seen
from services.settlement.rules.payments import BankAnswer, Payment, Verdict
from services.settlement.rules.reconciliation import Totals, differences
from services.settlement.rules.runs import Run
from services.settlement.rules.sheets import Sheet
from shared import clock, money

NOW = datetime(2026, 4, 1, tzinfo=UTC)
ZERO = Decimal("0.00")


def payable(quantity: int = 10, price: str = "0.3333", released: int = 0, state: str = "awaiting_codes") -> Payable:
    amount = money.amount(quantity, Decimal(price))
    ids = {name: uuid7() for name in ("id", "shipment_line_id", "shipment_id", "order_id", "order_line_id")}
    texts = dict.fromkeys(
        (
            "order_number",
            "institution_name",
            "distributor_name",
            "product_code",
            "product_kind",
            "product_name",
            "lot_number",
        ),
        "x",
    )
    return Payable(
        **ids,
        **texts,
        institution_code="H1",
        distributor_code="S1",
        region="330100",
        unit="盒",
        quantity=quantity,
        unit_price_yuan=Decimal(price),
        amount_yuan=amount,
        accepted_at=NOW,
        accepted_month=date(2026, 4, 1),
        due_on=date(2026, 5, 1),
        codes_required=True,
        quantity_released=released,
        quantity_uncovered=0,
        released_yuan=money.amount(released, Decimal(price)),
        sheeted_yuan=ZERO,
        held_yuan=ZERO,
        paid_yuan=ZERO,
        sheet_id=None,
        held_reason=None,
        resolve_by=None,
        entries=1,
        version=1,
        state=state,
    )


def sheet(state: str = "issued", amount: str = "10.00", lines: int = 2) -> Sheet:
    return Sheet(
        id=uuid7(),
        institution_code="H1",
        institution_name="医院",
        distributor_code="S1",
        distributor_name="公司",
        region="330100",
        month=date(2026, 3, 1),
        amount_yuan=Decimal(amount),
        line_count=lines,
        disputed_yuan=ZERO,
        disputed_count=0,
        state=state,
        confirm_by=date(2026, 4, 5),
        review_by=None,
        due_on=date(2026, 4, 30),
        issued_at=NOW,
        version=3,
    )


def payment(state: str = "sending") -> Payment:
    return Payment(
        id=uuid7(),
        run_id=uuid7(),
        sheet_id=uuid7(),
        institution_code="H1",
        institution_name="医院",
        distributor_code="S1",
        distributor_name="公司",
        region="330100",
        month=date(2026, 3, 1),
        amount_yuan=Decimal("10.00"),
        state=state,
        reason=None,
        sent_at=NOW,
        answered_at=None,
        paid_at=None,
        version=1,
    )


def run(state: str = "made") -> Run:
    return Run(
        id=uuid7(),
        agency_code="A1",
        region="330100",
        state=state,
        amount_yuan=Decimal("10.00"),
        payment_count=1,
        made_by_organisation="A1",
        made_by="person A",
        made_at=NOW,
        decided_by_organisation=None,
        decided_by=None,
        decided_at=None,
        reason=None,
        asked_times=0,
        job_id=None,
        version=1,
    )


@pytest.mark.parametrize(
    ("released", "covered", "expected"),
    [(0, 0, 0), (0, 1, 1), (0, 9, 9), (0, 10, 10), (0, 11, 10), (5, 4, 5), (5, 5, 5), (5, 6, 6), (10, 0, 10), (10, 99, 10)],
)  # fmt: skip
def test_a_payable_is_released_as_far_as_codes_cover_and_never_back(released: int, covered: int, expected: int) -> None:
    before = payable(released=released)
    after = payables.released(before, covered)
    lost = max(0, expected - covered)
    assert (after.quantity_released, after.quantity_uncovered) == (expected, lost)
    assert (after is before) == (expected == released and not lost)
    assert after.version == before.version + (after is not before)


@pytest.mark.parametrize("price", ["0.0049", "0.0050", "0.3333", "12.3455", "999.9999"])
def test_the_steps_of_a_release_sum_exactly_to_the_amount(price: str) -> None:
    one, steps = payable(quantity=37, price=price), []
    for covered in (1, 3, 4, 19, 36, 37):
        after = payables.released(one, covered)
        steps.append(after.released_yuan - one.released_yuan)
        one = after
    assert sum(steps) == one.amount_yuan == one.released_yuan
    assert all(step >= 0 for step in steps)


def test_only_a_held_payable_can_be_resolved() -> None:
    free = replace(payable(released=10), sheeted_yuan=Decimal("3.33"))
    with pytest.raises(PayableNotHeld, match="No dispute over payable"):
        payables.resolved(free)
    held = payables.held(free, Decimal("3.33"), "短少", free.due_on, free.due_on)
    assert (held.sheeted_yuan, held.held_yuan, held.held_reason, held.entries) == (ZERO, Decimal("3.33"), "短少", 2)
    resolved = payables.resolved(held)
    assert (resolved.held_yuan, resolved.held_reason, resolved.version) == (ZERO, None, held.version + 1)
    assert (held.resolve_by, resolved.resolve_by) == (free.due_on, None)


def test_a_paid_payable_waits_for_nobody() -> None:
    assert payables.next_steps(Seen(payable(released=10, state="paid"), sheet("paid"))) == []


@pytest.mark.parametrize("state", sheets.STATES)
@pytest.mark.parametrize("verb", ["confirm", "dispute", "review", "enter_run", "leave_run", "pay", "fail"])
def test_a_sheet_moves_as_the_table_says_and_no_other_way(state: str, verb: str) -> None:
    expected = sheets.NEXT.get((state, verb))
    if expected is None:
        with pytest.raises(SheetNotOpen, match=state):
            sheets.moved(sheet(state), verb)
    else:
        after = sheets.moved(sheet(state), verb)
        assert (after.state, after.version) == (expected, 4)


def test_a_sheet_that_loses_its_last_line_is_empty() -> None:
    one_left = sheets.disputed(sheet(), Decimal("4.00"), 1)
    assert (one_left.state, one_left.amount_yuan, one_left.disputed_yuan) == (
        "disputed",
        Decimal("6.00"),
        Decimal("4.00"),
    )
    none_left = sheets.disputed(one_left, Decimal("6.00"), 1)
    assert (none_left.state, none_left.amount_yuan) == ("empty", ZERO)
    with pytest.raises(SheetNotOpen):
        sheets.confirmed(none_left, date(2026, 4, 7))


def test_a_term_by_day_runs_to_the_midnight_that_ends_it() -> None:
    step = sheets.next_step(sheet("issued"))
    assert step is not None
    assert step.by == datetime(2026, 4, 5, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "close_day", "at"),
    [
        (date(2026, 3, 1), 0, datetime(2026, 3, 31, 16, tzinfo=UTC)),
        (date(2026, 12, 1), 0, datetime(2026, 12, 31, 16, tzinfo=UTC)),
        (date(2026, 3, 1), 2, datetime(2026, 4, 2, 16, tzinfo=UTC)),
    ],
)
def test_a_month_closes_at_midnight_in_shanghai(month: date, close_day: int, at: datetime) -> None:
    assert clock.closing_at(month, close_day) == at


@pytest.mark.parametrize("state", payments.STATES)
@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_bank_s_answer_moves_a_payment_as_the_table_says(state: str, verdict: Verdict) -> None:
    before, answer = payment(state), BankAnswer(UUID(int=1), verdict, "reason")
    expected = payments.NEXT.get((state, verdict))
    harmless = {
        *product(payments.SENT, ("pending", "unknown")),
        ("paid", "paid"),
        ("failed", "refused"),
        ("failed", "bounced"),
    }
    if expected is not None:
        after, posting = payments.answered(before, answer, NOW)
        assert (after.state, posting) == expected
    elif (state, verdict) in harmless:
        assert payments.answered(before, answer, NOW) == (before, None)
    else:
        with pytest.raises(PaymentNotOpen, match=r"10\.00"):
            payments.answered(before, answer, NOW)


def test_an_unknown_answer_is_neither_paid_nor_failed() -> None:
    assert ("sending", Verdict.UNKNOWN) not in payments.NEXT


@pytest.mark.parametrize(("times", "seconds"), [(0, 60), (1, 120), (8, 15_360), (9, 21_600), (1_000, 21_600)])
def test_the_bank_is_asked_again_later_each_time_up_to_a_bound(times: int, seconds: int) -> None:
    assert payments.ask_again_after(times) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("organisation", "person", "refused"),
    [("A1", "person A", True), ("A1", "person B", False), ("A2", "person A", False)],
)
def test_nobody_approves_what_he_made(organisation: str, person: str, refused: bool) -> None:
    if refused:
        with pytest.raises(SamePerson, match=r"person A of A1 made this run of 1 payment over 10\.00 yuan"):
            runs.decided(run(), "approve", organisation, person, NOW)
    else:
        assert runs.decided(run(), "approve", organisation, person, NOW).state == "approved"


def test_the_maker_may_reject_his_own_run() -> None:
    assert runs.decided(run(), "reject", "A1", "person A", NOW, "wrong").state == "rejected"


@pytest.mark.parametrize("state", ["approved", "done", "rejected"])
@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_run_is_decided_once(state: str, verb: str) -> None:
    with pytest.raises(RunNotOpen, match=state):
        runs.decided(run(state), verb, "A1", "person B", NOW)


def test_every_posting_has_two_different_sides_and_every_account_is_used() -> None:
    assert set(SIDES) == set(Posting)
    assert all(debit != credit for debit, credit in SIDES.values())
    assert {account for sides in SIDES.values() for account in sides} == set(Account)


def totals(**yuan: str) -> Totals:
    names = ("lines", "payables", "released", "sheeted", "held", "paid")
    values = {f"{name}_yuan": Decimal(yuan.get(name, "0")) for name in names}
    return Totals(**dict.fromkeys(names, 1), **values)  # type: ignore[arg-type]


def test_reconciliation_names_what_does_not_agree_with_both_numbers() -> None:
    booked = {
        "goods_accepted": Decimal(10),
        "claim_released": Decimal(-1),
        "claim_sheeted": Decimal(-2),
        "claim_held": Decimal(-3),
        "fund_deduction": Decimal(-4),
    }
    agreed = {"lines": "10", "payables": "10", "released": "10", "sheeted": "6", "held": "3", "paid": "4"}
    assert differences(totals(**agreed), booked) == []
    assert differences(totals(**{**agreed, "paid": "5"}), booked) == ["paid: 5 yuan against 4 yuan"]
    assert len(differences(totals(**agreed), {**booked, "goods_accepted": Decimal(11)})) == 2
