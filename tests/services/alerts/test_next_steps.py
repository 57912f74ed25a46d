"""Who acts next on an alert of each kind and on a direct report in each state: who, what, and by when."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.alerts.rules.alerts import Alert, Kind
from services.alerts.rules.next_steps import Around, alert_steps, problem_step
from services.alerts.rules.problems import State
from services.alerts.rules.recalls import RecalledLot
from services.alerts.rules.receipts import WatchedReceipt
from services.alerts.rules.sheets import WatchedSheet
from shared import clock
from shared.next_steps import PLATFORM, Actor, NextStep, Role, agency, authority, day_over, distributor, hospital
from tests.services.alerts.facts import DUE_ON, HOSPITAL, NOON, PRODUCT, REGION, SUPPLIER
from tests.services.alerts.test_problem_rules import ASSIGNEE, REPORTER, problem

NAMES = {HOSPITAL: "市第一医院", SUPPLIER: "医药公司"}
H, S, OFFICE = hospital(HOSPITAL, "市第一医院"), distributor(SUPPLIER, "医药公司"), agency(REGION)
DUE, MONTH = day_over(DUE_ON), clock.month_of(NOON)
CODES_BY, SHEET_BY = NOON + timedelta(hours=72), NOON + timedelta(days=20)
CONFIRM_ON, SHEET_DUE_ON, RESOLVE_ON = (NOON.date() + timedelta(days=days) for days in (25, 28, 30))
PARTIES = {"institution_code": HOSPITAL, "supplier_code": SUPPLIER, "region": REGION}


def alert(kind: Kind, state: str = "open", **fields: Any) -> Alert:
    made = Alert(
        id=uuid7(),
        kind=kind,
        about="x",
        about_id="x",
        cause="x",
        remedy_key="x",
        state=state,
        institution_code=HOSPITAL,
        supplier_code=SUPPLIER,
        region=REGION,
        product_code=PRODUCT,
        detail="x",
        evidence={},
        happened_at=NOON,
        raised_at=NOON,
        resolved_at=None,
        resolution=None,
        version=1,
    )
    return replace(made, **fields)


def receipt(**fields: Any) -> WatchedReceipt:
    unknown: dict[str, Any] = dict.fromkeys(WatchedReceipt.__dataclass_fields__)
    known = {
        **PARTIES,
        "product_code": PRODUCT,
        "lot_number": "L1",
        "accepted_at": NOON,
        "quantity_accepted": 10,
        "amount_yuan": Decimal("123.40"),
        "due_on": DUE_ON,
        "codes_required": True,
        "moved_at": NOON,
    }
    return WatchedReceipt(**{**unknown, **known, **fields})


@pytest.mark.parametrize(
    ("kind", "who", "what", "by"),
    [
        (Kind.ORDER_UNCONFIRMED, S, "confirm or refuse the lines", NOON),
        (Kind.SHEET_UNCONFIRMED, H, "confirm the sheet, or dispute lines of it", NOON),
        (Kind.COVERAGE_SHORT, H, "capture the missing trace codes", None),
        (Kind.PAYMENT_OVERDUE, OFFICE, "pay what is released", None),
        (Kind.LINE_REFUSED, H, "order from another supplier; the authority may resolve with a reason", None),
        (Kind.PAYMENT_FAILED, OFFICE, "take the sheet into another payment run", None),
        (Kind.CODE_FLAGGED, H, "set the pack aside and clear up where it came from", None),
        (Kind.RECALL, H, "set the lots aside until the recall is closed", None),
    ],
)
def test_an_alert_says_who_acts_next(kind: Kind, who: Actor, what: str, by: datetime | None) -> None:
    assert alert_steps(alert(kind), NAMES, None) == [NextStep(who=who, what=what, by=by)]
    assert alert_steps(alert(kind, "resolved"), NAMES, None) == []


def test_a_late_delivery_waits_for_who_ships_and_for_who_receives() -> None:
    assert alert_steps(alert(Kind.DELIVERY_OVERDUE), NAMES, None) == [
        NextStep(who=S, what="ship what was confirmed and has not left yet", by=NOON),
        NextStep(who=H, what="accept or reject what has come, or close the remainder of the line", by=None),
    ]
    assert alert_steps(alert(Kind.DELIVERY_OVERDUE, "resolved"), NAMES, None) == []


def codes(missing: int) -> str:
    return f"capture trace codes of {missing} of 10 accepted; the money for them is held until then"


@pytest.mark.parametrize(
    ("known", "who", "what"),
    [
        ({}, H, codes(10)),
        ({"quantity_covered": 4}, H, codes(6)),
        ({"quantity_covered": 4, "quantity_released": 7}, H, codes(3)),
        ({"covered": True}, OFFICE, "pay what is released: 123.40 yuan"),
        ({"released": True, "paid_yuan": Decimal("100.00")}, OFFICE, "pay what is released: 23.40 yuan"),
        ({"codes_required": False}, OFFICE, "pay what is released: 123.40 yuan"),
    ],
)
def test_an_overdue_payment_waits_for_the_hospital_while_codes_are_missing(
    known: dict[str, Any], who: Actor, what: str
) -> None:
    steps = alert_steps(alert(Kind.PAYMENT_OVERDUE), NAMES, around(receipt(**known), sheet()))
    assert steps == [NextStep(who=who, what=what, by=CODES_BY if who == H else DUE)]


PART: dict[str, Any] = {"quantity_covered": 6, "quantity_released": 6, "released_yuan": Decimal("74.04")}


@pytest.mark.parametrize(
    ("known", "money"),
    [
        ({}, (OFFICE, "pay what is released: 74.04 yuan", DUE)),
        ({"paid_yuan": Decimal("50.00")}, (OFFICE, "pay what is released: 24.04 yuan", DUE)),
        ({"disputed": "数量不符"}, (H, "settle the dispute: 数量不符; 74.04 yuan are not paid until then", DUE)),
        (
            {"disputed": "数量不符", "resolve_by": RESOLVE_ON},
            (H, "settle the dispute: 数量不符; 74.04 yuan are not paid until then", day_over(RESOLVE_ON)),
        ),
        (
            {"moved_at": NOON + timedelta(hours=1)},
            (PLATFORM, "issue the sheet when the month has closed; 74.04 yuan wait for it", SHEET_BY),
        ),
        ({"paid_yuan": Decimal("74.04")}, None),
        ({"quantity_uncovered": 2, "quantity_released": 8}, None),
    ],
)
def test_an_overdue_payment_waits_also_for_who_moves_the_part_that_is_released(
    known: dict[str, Any], money: tuple[Actor, str, datetime] | None
) -> None:
    goods = around(receipt(**PART | known), sheet())
    steps = alert_steps(alert(Kind.PAYMENT_OVERDUE), NAMES, goods)
    asked = NextStep(who=H, what=codes(4), by=CODES_BY)
    assert [(step.who, step.what, step.by) for step in steps[:-1]] == ([money] if money else [])
    assert steps[-1] == asked
    assert alert_steps(alert(Kind.COVERAGE_SHORT), NAMES, goods) == [asked]


def around(goods: WatchedReceipt, *sheets: WatchedSheet, recalls: Sequence[RecalledLot] = ()) -> Around:
    return Around(goods, recalls, sheets, CODES_BY, SHEET_BY)


def sheet(month: date = MONTH, confirmed_at: datetime | None = NOON, **fields: Any) -> WatchedSheet:
    unknown: dict[str, Any] = dict.fromkeys(WatchedSheet.__dataclass_fields__)
    told: dict[str, Any] = {"sheet_id": sheet_id(month), "month": month, "issued_at": NOON}
    told |= {"confirmed_at": confirmed_at, "confirm_by": CONFIRM_ON, "receiving": "confirmed"}
    return WatchedSheet(**{**unknown, **PARTIES, **told, **fields})


def sheet_id(month: date) -> UUID:
    return UUID(int=month.month)


BEFORE, AFTER = clock.month_of(NOON - timedelta(days=40)), clock.next_month(MONTH)


@pytest.mark.parametrize(
    ("sheets", "who"),
    [
        ([], PLATFORM),
        ([sheet(BEFORE)], PLATFORM),
        ([sheet(supplier_code="another")], PLATFORM),
        ([sheet(confirmed_at=None)], H),
        ([sheet(returned_at=NOON + timedelta(hours=1))], H),
        ([sheet(returned_at=NOON - timedelta(hours=1))], OFFICE),
        ([sheet(BEFORE, None), sheet()], OFFICE),
        ([sheet(), sheet(AFTER, None)], OFFICE),
        ([sheet(issued_at=NOON - timedelta(seconds=1)), sheet(AFTER, None)], H),
        ([sheet(issued_at=NOON - timedelta(seconds=1)), sheet(AFTER)], OFFICE),
        ([sheet(issued_at=None), sheet(AFTER, None)], H),
        ([sheet(issued_at=NOON - timedelta(seconds=1))], PLATFORM),
    ],
)
def test_an_overdue_payment_waits_for_whom_its_sheet_waits_for(sheets: list[WatchedSheet], who: Actor) -> None:
    (step,) = alert_steps(alert(Kind.PAYMENT_OVERDUE), NAMES, Around(receipt(covered=True), (), sheets))
    assert step.who == who
    assert "123.40 yuan" in step.what


OLD, NEW = ({str(sheet_id(month)): yuan} for month, yuan in ((MONTH, "70.00"), (AFTER, "53.40")))
PAID = {"paid_at": NOON + timedelta(hours=2)}
BACK = {**PAID, "unpaid_at": NOON + timedelta(hours=3)}
LATER = {"issued_at": NOON + timedelta(hours=4)}


@pytest.mark.parametrize(
    ("on_sheets", "sheets", "paid", "expected"),
    [
        (OLD, [sheet(confirmed_at=None)], "0.00", (H, "70.00", day_over(CONFIRM_ON))),
        (OLD, [sheet(due_on=SHEET_DUE_ON)], "0.00", (OFFICE, "70.00", day_over(SHEET_DUE_ON))),
        (OLD, [sheet(**PAID)], "70.00", (PLATFORM, "53.40", SHEET_BY)),
        (OLD, [sheet(issued_at=NOON + timedelta(hours=1), **PAID)], "70.00", (PLATFORM, "53.40", SHEET_BY)),
        (OLD, [sheet(**BACK), sheet(AFTER, None, **LATER)], "0.00", (OFFICE, "70.00", DUE)),
        (OLD, [sheet(), sheet(AFTER, **LATER, **PAID)], "53.40", (OFFICE, "70.00", DUE)),
        (OLD, [sheet(**PAID), sheet(AFTER, None, **LATER)], "70.00", (H, "53.40", day_over(CONFIRM_ON))),
        (OLD | NEW, [sheet(**PAID), sheet(AFTER, None)], "70.00", (H, "53.40", day_over(CONFIRM_ON))),
        (OLD, [sheet(supplier_code="another")], "0.00", (PLATFORM, "123.40", SHEET_BY)),
    ],
)
def test_an_overdue_payment_waits_for_the_oldest_sheet_that_is_not_paid(
    on_sheets: dict[str, str], sheets: list[WatchedSheet], paid: str, expected: tuple[Actor, str, datetime]
) -> None:
    moved_at = NOON + timedelta(hours=1)
    goods = receipt(covered=True, on_sheets=on_sheets, paid_yuan=Decimal(paid), moved_at=moved_at)
    (step,) = alert_steps(alert(Kind.PAYMENT_OVERDUE), NAMES, around(goods, *sheets))
    who, yuan, by = expected
    assert (step.who, step.by) == (who, by)
    assert f"{yuan} yuan" in step.what


NAME = f"name a receiving account for region {REGION} or one around it; nothing is paid without"
CHECK = "confirm or refuse the receiving account of 医药公司"


@pytest.mark.parametrize(("receiving", "who", "what"), [(None, S, NAME), ("named", OFFICE, CHECK)])
def test_an_overdue_payment_without_an_account_to_pay_to_waits_for_who_sees_to_it(
    receiving: str | None, who: Actor, what: str
) -> None:
    missing = NextStep(who=who, what=what, by=DUE)
    goods = receipt(covered=True)
    agreed, asked = (sheet(confirmed_at=at, receiving=receiving) for at in (NOON, None))
    assert alert_steps(alert(Kind.PAYMENT_OVERDUE), NAMES, around(goods, agreed)) == [missing]
    first, second = alert_steps(alert(Kind.PAYMENT_OVERDUE), NAMES, around(goods, asked))
    assert (first.who, first.what.split()[0], second) == (H, "confirm", missing)


def test_an_overdue_payment_that_is_disputed_waits_for_the_hospital() -> None:
    disputed = receipt(covered=True, disputed="数量不符")
    (step,) = alert_steps(alert(Kind.PAYMENT_OVERDUE), NAMES, Around(disputed, (), [sheet()]))
    assert (step.who, step.what) == (H, "settle the dispute: 数量不符; 123.40 yuan are not paid until then")


MAKER = "91350200MA31E12PXF"


def recall(lot: str, opened_by: str) -> RecalledLot:
    return RecalledLot(uuid7(), lot, PRODUCT, "含量不合格", opened_by, "药厂", MAKER, NOON, None, None)


@pytest.mark.parametrize("kind", [Kind.PAYMENT_OVERDUE, Kind.COVERAGE_SHORT])
@pytest.mark.parametrize(("opened_by", "role"), [(MAKER, Role.MANUFACTURER), ("AUTH-330000", Role.AUTHORITY)])
def test_money_for_a_recalled_lot_waits_for_who_opened_the_recall(kind: Kind, opened_by: str, role: Role) -> None:
    lot = recall("L1", opened_by)
    steps = alert_steps(alert(kind), NAMES, Around(receipt(paid_yuan=Decimal("100.00")), [lot], [sheet()]))
    what = (
        "close the recall when the goods are back or destroyed; 23.40 yuan are not paid until then:"
        f" lot L1 is recalled: 含量不合格 (recall {lot.recall_id})"
    )
    assert steps == [NextStep(who=Actor(role=role, code=opened_by, name="药厂"), what=what)]


def test_the_recall_of_another_lot_keeps_nobody_from_capturing() -> None:
    goods = around(receipt(), sheet(), recalls=[recall("L2", MAKER)])
    steps = alert_steps(alert(Kind.PAYMENT_OVERDUE), NAMES, goods)
    assert steps == [NextStep(who=H, what=codes(10), by=CODES_BY)]


@pytest.mark.parametrize(
    ("state", "who", "what"),
    [
        (State.REPORTED, authority("330100"), "assign it to the party that must answer"),
        (State.ASSIGNED, Actor(role=Role.ENTERPRISE, code=ASSIGNEE), "reply with evidence"),
        (State.PARTY_REPLIED, authority("330100"), "resolve it with a finding, or escalate"),
        (State.ESCALATED, authority("330100"), "assign it, or resolve it with a finding"),
        (
            State.RESOLVED,
            hospital(REPORTER, "报告医院"),
            "confirm, or reopen with a reason; silence closes it",
        ),
    ],
)
def test_a_direct_report_says_who_acts_next_and_when_its_clock_runs_out(state: State, who: Actor, what: str) -> None:
    one = problem(state)
    assert problem_step(one, {REPORTER: "报告医院"}) == NextStep(who=who, what=what, by=one.act_by)


@pytest.mark.parametrize("state", [State.CLOSED, State.CONFIRMED_BY_REPORTER])
def test_a_closed_report_waits_for_nobody(state: State) -> None:
    assert problem_step(problem(state), {}) is None


def test_an_institution_that_must_reply_is_a_hospital() -> None:
    step = problem_step(problem(State.ASSIGNED, assignee_code=HOSPITAL), {})
    assert step is not None
    assert step.who == hospital(HOSPITAL)
