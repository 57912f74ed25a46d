"""Who acts next on an order, line by line: the distributor confirms and ships, the hospital receives and closes."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.orders.rules.lines import Line
from services.orders.rules.orders import Book, Order, next_steps
from services.orders.rules.payables import Known, Sent, Sheet
from services.orders.rules.recalls import RecalledLot
from shared.next_steps import (
    PLATFORM,
    Actor,
    NextStep,
    Role,
    agency,
    bank_step,
    day_over,
    distributor,
    doubt_step,
    hospital,
)

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
CONFIRM_BY, DELIVER_BY = NOW + timedelta(hours=24), NOW + timedelta(hours=72)
BUYER, SELLER = hospital("H33010200059", "市第一医院"), distributor("91330100MA27XF6Q6M", "医药公司")
LATE = "wait for 60 盒 of line 1, which are late, or close the remainder"


def line(state: str, number: int = 1, **figures: Any) -> Line:
    return Line(
        id=uuid7(),
        order_id=uuid7(),
        line_number=number,
        institution_code="H33010200059",
        distributor_code="91330100MA27XF6Q6M",
        distributor_name="医药公司",
        manufacturer_code="M",
        manufacturer_name="药厂",
        region="330102",
        listing_id=uuid7(),
        product_code="X",
        product_kind="western",
        product_name="奥美拉唑",
        specification=None,
        unit="盒",
        unit_price_yuan=Decimal("1.0000"),
        amount_yuan=Decimal("100.00"),
        state=state,
        quantity_ordered=100,
        **{"deliver_by": None if state == "pending" else DELIVER_BY, **figures},
    )


def book(*lines: Line) -> Book:
    return Book(
        Order(
            id=uuid7(),
            order_number="CG-1",
            institution_code="H33010200059",
            institution_name="市第一医院",
            region="330102",
            delivery_point=None,
            distributor_codes=("91330100MA27XF6Q6M",),
            manufacturer_codes=("M",),
            placed_at=NOW,
            confirm_by=CONFIRM_BY,
            line_count=len(lines),
            lines_pending=0,
            lines_active=0,
            lines_cancelled=0,
            version=1,
        ),
        lines,
    )


@pytest.mark.parametrize(
    ("state", "figures", "expected"),
    [
        ("pending", {}, [NextStep(who=SELLER, what="confirm or refuse line 1", by=CONFIRM_BY)]),
        (
            "confirmed",
            {"quantity_confirmed": 60, "quantity_refused": 40},
            [NextStep(who=SELLER, what="ship 60 盒 of line 1", by=DELIVER_BY)],
        ),
        (
            "confirmed",
            {"quantity_confirmed": 100, "quantity_shipped": 60},
            [
                NextStep(who=SELLER, what="ship 40 盒 of line 1", by=DELIVER_BY),
                NextStep(who=BUYER, what="accept or reject 60 盒 of line 1, on the way"),
            ],
        ),
        (
            "confirmed",
            {"quantity_confirmed": 100, "quantity_shipped": 100, "quantity_accepted": 96, "quantity_rejected": 4},
            [NextStep(who=SELLER, what="ship 4 盒 of line 1", by=DELIVER_BY)],
        ),
        (
            "closing",
            {"quantity_confirmed": 100, "quantity_shipped": 60, "quantity_closed": 40},
            [NextStep(who=BUYER, what="accept or reject 60 盒 of line 1, on the way")],
        ),
        ("refused", {"quantity_refused": 100}, []),
        ("cancelled", {"quantity_closed": 100}, []),
        ("fulfilled", {"quantity_confirmed": 100, "quantity_shipped": 100, "quantity_accepted": 100}, []),
        ("closed", {"quantity_confirmed": 100, "quantity_closed": 100}, []),
    ],
)
def test_a_line_says_who_acts_next(state: str, figures: dict[str, int], expected: list[NextStep]) -> None:
    assert next_steps(book(line(state, **figures)), Known(), NOW) == expected


@pytest.mark.parametrize(("after", "late"), [(timedelta(seconds=-1), False), (timedelta(0), True)])
def test_the_hospital_may_close_what_is_late(after: timedelta, late: bool) -> None:
    steps = next_steps(book(line("confirmed", quantity_confirmed=60, quantity_refused=40)), Known(), DELIVER_BY + after)
    assert ([step.what for step in steps if step.who == BUYER] == [LATE]) is late


def test_lines_of_one_distributor_are_asked_for_together() -> None:
    (step,) = next_steps(book(line("pending", 2), line("pending", 1)), Known(), NOW)
    assert step.what == "confirm or refuse lines 1, 2"


FUND, MAKER = agency("330102"), "91350200MA31E12PXF"
DUE_ON, CONFIRM_ON = date(2026, 4, 1), date(2026, 4, 8)
DUE = day_over(DUE_ON)
CODES_BY, SHEET_BY, SHEET_DUE_ON = NOW + timedelta(days=3), NOW + timedelta(days=29), date(2026, 3, 30)
DONE = line("fulfilled", quantity_confirmed=100, quantity_shipped=100, quantity_accepted=100)
RECALL = RecalledLot(uuid7(), "A1", "X", "含量不符", MAKER, "药厂", MAKER, NOW)
RECALLED = f"lot A1 is recalled: 含量不符 (recall {RECALL.recall_id})"


def sent(accepted: int = 100, traced: int = 100, paid: str = "0.00", **more: Any) -> Sent:
    """Goods of line 1 at a yuan each, accepted and released as far as codes cover them."""
    required = more.get("codes_required", True)
    values: dict[str, Any] = {
        "line_number": 1,
        "product_code": "X",
        "lot_number": "A1",
        "unit": "盒",
        "quantity": accepted,
        "received_at": NOW,
        "codes_required": True,
        "on_the_way": False,
        "quantity_accepted": accepted,
        "quantity_traced": traced,
        "amount_yuan": Decimal(accepted),
        "payable_yuan": Decimal(traced if required else accepted),
        "paid_yuan": Decimal(paid),
        "due_on": DUE_ON,
        "disputed": None,
        "resolve_by": None,
        "on_sheets": None,
        "moved_at": NOW,
        "codes_by": CODES_BY,
        "sheet_by": SHEET_BY,
    }
    return Sent(**{**values, **more})


def sheet(
    month: int = 3, confirmed: bool = False, issued_at: datetime | None = NOW + timedelta(days=30), **more: Any
) -> Sheet:
    known = {"confirm_by": CONFIRM_ON, "issued_at": issued_at, "confirmed_at": NOW if confirmed else None}
    known["receiving"] = "confirmed"
    return Sheet(UUID(int=month), DONE.distributor_code, date(2026, month, 1), **{**known, **more})


def steps(*goods: Sent, sheets: tuple[Sheet, ...] | None = (), recalls: tuple[RecalledLot, ...] = ()) -> list[NextStep]:
    known = {} if sheets is None else {DONE.distributor_code: sheets}
    return next_steps(book(DONE), Known(goods, recalls, known), NOW)


def capture(missing: int, accepted: int = 100) -> NextStep:
    return NextStep(who=BUYER, what=f"capture codes of {missing} of {accepted} 盒 of line 1", by=CODES_BY)


def pay(yuan: str, by: datetime | None = DUE) -> NextStep:
    return NextStep(who=FUND, what=f"pay {yuan} yuan for line 1", by=by)


@pytest.mark.parametrize(
    ("goods", "expected"),
    [
        ([sent(traced=0)], [capture(100)]),
        ([sent(traced=43)], [capture(57), pay("43.00")]),
        ([sent(traced=43, paid="43.00")], [capture(57)]),
        ([sent(traced=99, paid="43.00")], [capture(1), pay("56.00")]),
        ([sent(paid="99.99")], [pay("0.01")]),
        ([sent(paid="100.00")], []),
        ([sent(traced=90, paid="100.00")], [capture(10)]),
        ([sent(traced=0, codes_required=False)], [pay("100.00")]),
        ([sent(codes_required=None)], []),
        ([sent(60, 20), sent(40, 0, codes_required=False)], [capture(40, 60), pay("60.00")]),
    ],
)
def test_accepted_goods_say_who_captures_and_who_pays(goods: list[Sent], expected: list[NextStep]) -> None:
    assert steps(*goods, sheets=(sheet(confirmed=True),)) == expected


ISSUE = NextStep(
    who=PLATFORM, what="issue the sheet when the month has closed; 100.00 yuan for line 1 wait for it", by=SHEET_BY
)


def confirm(yuan: str = "100.00", month: int = 3) -> NextStep:
    what = f"confirm the sheet of 2026-0{month}, or dispute lines of it; {yuan} yuan for line 1 wait for it"
    return NextStep(who=BUYER, what=what, by=day_over(CONFIRM_ON))


@pytest.mark.parametrize(
    ("sheets", "moved_at", "expected"),
    [
        ([], NOW, ISSUE),
        ([sheet(2)], NOW, ISSUE),
        ([sheet(issued_at=NOW - timedelta(seconds=1))], NOW, ISSUE),
        ([sheet(issued_at=NOW)], NOW, confirm()),
        ([sheet()], None, ISSUE),
        ([sheet(issued_at=None, confirmed=True)], NOW, ISSUE),
        ([sheet(), sheet(4)], NOW, confirm()),
        ([sheet(confirmed=True), sheet(4)], NOW, pay("100.00")),
        ([sheet(confirmed=True, due_on=SHEET_DUE_ON)], NOW, pay("100.00", day_over(SHEET_DUE_ON))),
        (None, NOW, NextStep(who=FUND, what="pay 100.00 yuan for line 1, when their sheet is confirmed", by=DUE)),
    ],
)
def test_money_waits_for_the_first_sheet_that_came_after_it_was_free(
    sheets: list[Sheet] | None, moved_at: datetime | None, expected: NextStep
) -> None:
    assert steps(sent(moved_at=moved_at), sheets=None if sheets is None else tuple(sheets)) == [expected]


MARCH, APRIL = ({str(UUID(int=month)): yuan} for month, yuan in ((3, "30.00"), (4, "50.00")))
LATER, PAID = NOW + timedelta(days=40), {"paid_at": NOW + timedelta(days=41)}
UNPAID = {**PAID, "unpaid_at": NOW + timedelta(days=42)}


@pytest.mark.parametrize(
    ("on_sheets", "sheets", "paid", "expected"),
    [
        (MARCH, [sheet()], "0.00", confirm("30.00")),
        (MARCH, [sheet(confirmed=True)], "0.00", pay("30.00")),
        (MARCH, [sheet(confirmed=True, **PAID)], "30.00", ISSUE),
        (MARCH, [sheet(confirmed=True, issued_at=NOW + timedelta(days=35), **PAID)], "30.00", ISSUE),
        (MARCH, [sheet(confirmed=True, **PAID), sheet(4, issued_at=LATER)], "30.00", confirm("70.00", 4)),
        (MARCH, [sheet(confirmed=True, **UNPAID), sheet(4, issued_at=LATER)], "0.00", pay("30.00")),
        (MARCH, [sheet(confirmed=True), sheet(4, True, issued_at=LATER, **PAID)], "70.00", pay("30.00")),
        (MARCH | APRIL, [sheet(), sheet(4)], "0.00", confirm("30.00")),
        (MARCH | APRIL, [sheet(confirmed=True, **PAID), sheet(4)], "30.00", confirm("50.00", 4)),
        (
            MARCH | APRIL,
            [sheet(3, True, **PAID), sheet(4, **PAID), sheet(5, issued_at=LATER)],
            "80.00",
            confirm("20.00", 5),
        ),
        (MARCH | APRIL, [sheet(4)], "0.00", confirm("50.00", 4)),  # that of March has not arrived yet
        (MARCH | APRIL, [sheet(), sheet(4)], "100.00", None),
    ],
)
def test_money_on_several_sheets_waits_for_the_oldest_that_is_not_paid(
    on_sheets: dict[str, str], sheets: list[Sheet], paid: str, expected: NextStep | None
) -> None:
    goods = sent(on_sheets=on_sheets, paid=paid, moved_at=NOW + timedelta(days=35))
    if expected is ISSUE:
        expected = ISSUE.model_copy(update={"what": str(ISSUE.what).replace("100.00", "70.00")})
    assert steps(goods, sheets=tuple(sheets)) == ([expected] if expected else [])


def test_a_part_on_a_sheet_is_paid_though_codes_were_lost_since() -> None:
    lost = sent(traced=80, on_sheets={str(UUID(int=3)): "100.00"}, moved_at=LATER)
    assert steps(lost, sheets=(sheet(confirmed=True),)) == [capture(20), pay("100.00")]


REASON = "账户不存在"
AGAIN = NextStep(who=FUND, what=f"take the sheet into another payment run; the bank did not pay: {REASON}", by=DUE)
OTHER = NextStep(
    who=SELLER, what=f"name another receiving account if this is why the bank did not pay: {REASON}", by=DUE
)
ACCOUNT = UUID(int=7)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ({}, [AGAIN, OTHER]),
        ({"failed_account_id": ACCOUNT, "failed_to": "confirmed"}, [AGAIN, OTHER]),
        ({"failed_account_id": ACCOUNT, "failed_to": "replaced"}, [AGAIN]),
        ({"sent_at": NOW + timedelta(days=43)}, [bank_step(DUE)]),
        ({"doubted_at": NOW + timedelta(days=43)}, [doubt_step("330102", DUE)]),
        ({"failed_reason": None}, [pay("100.00")]),  # told by an earlier version
        ({"paid_at": NOW + timedelta(days=43)}, [ISSUE]),
    ],
)
def test_money_that_the_bank_did_not_pay_waits_for_what_its_sheet_waits_for(
    since: dict[str, Any], expected: list[NextStep]
) -> None:
    failed = sheet(confirmed=True, **{**UNPAID, "failed_reason": REASON, **since})
    on_sheet = sent(on_sheets={str(failed.sheet_id): "100.00"}, moved_at=LATER)
    assert steps(on_sheet, sheets=(failed,)) == expected


NAME = "name a receiving account for region 330102 or one around it; nothing is paid without"
CHECK = "confirm or refuse the receiving account of 医药公司"


@pytest.mark.parametrize(("receiving", "who", "what"), [(None, SELLER, NAME), ("named", FUND, CHECK)])
def test_money_without_an_account_to_pay_to_waits_for_who_sees_to_it(
    receiving: str | None, who: Actor, what: str
) -> None:
    missing = NextStep(who=who, what=what, by=DUE)
    assert steps(sent(), sheets=(sheet(receiving=receiving),)) == [confirm(), missing]
    assert steps(sent(), sheets=(sheet(receiving=receiving, confirmed=True),)) == [missing]
    assert steps(sent(), sheets=()) == [ISSUE]


@pytest.mark.parametrize(("resolve_by", "by"), [(None, DUE), (SHEET_DUE_ON, day_over(SHEET_DUE_ON))])
def test_a_dispute_is_settled_by_its_own_day(resolve_by: date | None, by: datetime) -> None:
    (settle,) = steps(sent(disputed="数量不符", resolve_by=resolve_by))
    assert settle.by == by


def test_what_is_disputed_waits_for_the_hospital_and_codes_are_still_asked_for() -> None:
    settle = NextStep(who=BUYER, what="settle the dispute over line 1: 数量不符", by=DUE)
    goods = sent(traced=60, disputed="数量不符")
    assert steps(goods, sheets=(sheet(confirmed=True),)) == [settle, capture(40)]


@pytest.mark.parametrize(("by", "role"), [(MAKER, Role.MANUFACTURER), ("AUTH-330000", Role.AUTHORITY)])
def test_money_for_a_recalled_lot_waits_for_who_opened_the_recall(by: str, role: Role) -> None:
    recall = RecalledLot(RECALL.recall_id, "A1", "X", "含量不符", by, None, MAKER, NOW)
    what = f"close the recall when the goods are back or destroyed; 57.00 yuan are not paid until then: {RECALLED}"
    goods = sent(traced=50, paid="43.00"), sent(traced=0, lot_number="A2")
    expected = [NextStep(who=Actor(role=role, code=by), what=what), capture(100)]
    assert steps(*goods, sheets=(sheet(),), recalls=(recall,)) == expected
    assert steps(sent(paid="100.00"), recalls=(recall,)) == []


def test_goods_of_a_recalled_lot_on_the_way_are_to_be_rejected_and_the_others_not() -> None:
    one = line("confirmed", quantity_confirmed=100, quantity_shipped=100)
    way: dict[str, Any] = {"accepted": 0, "received_at": None, "codes_required": None, "on_the_way": True}
    known = Known((sent(**way, quantity=60), sent(**way, quantity=40, lot_number="A2")), (RECALL,))
    told = [step.what for step in next_steps(book(one), known, NOW)]
    assert told == [
        "accept or reject 40 盒 of line 1, on the way",
        f"reject 60 盒 of line 1, on the way, or wait for the end of the recall: {RECALLED}",
    ]
