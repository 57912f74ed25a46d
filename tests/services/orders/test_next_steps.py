"""Who acts next on an order, line by line: the distributor confirms and ships, the hospital receives and closes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from services.orders.rules.lines import Line, Owed
from services.orders.rules.orders import Book, Order, next_steps
from shared.next_steps import NextStep, agency, distributor, hospital

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
    assert next_steps(book(line(state, **figures)), {}, NOW) == expected


@pytest.mark.parametrize(("after", "late"), [(timedelta(seconds=-1), False), (timedelta(0), True)])
def test_the_hospital_may_close_what_is_late(after: timedelta, late: bool) -> None:
    steps = next_steps(book(line("confirmed", quantity_confirmed=60, quantity_refused=40)), {}, DELIVER_BY + after)
    assert ([step.what for step in steps if step.who == BUYER] == [LATE]) is late


def test_lines_of_one_distributor_are_asked_for_together() -> None:
    (step,) = next_steps(book(line("pending", 2), line("pending", 1)), {}, NOW)
    assert step.what == "confirm or refuse lines 1, 2"


PAY, CAPTURE = "pay {} yuan for line 1", "capture codes of {} of 100 盒 of line 1"


@pytest.mark.parametrize(
    ("asked", "traced", "payable", "paid", "expected"),
    [
        (100, 0, "0.00", "0.00", [CAPTURE.format(100)]),
        (100, 43, "43.00", "0.00", [CAPTURE.format(57), PAY.format("43.00")]),
        (100, 43, "43.00", "43.00", [CAPTURE.format(57)]),
        (100, 99, "99.00", "43.00", [CAPTURE.format(1), PAY.format("56.00")]),
        (100, 100, "100.00", "99.99", [PAY.format("0.01")]),
        (100, 100, "100.00", "100.00", []),
        (100, 90, "90.00", "100.00", [CAPTURE.format(10)]),
        (0, 0, "100.00", "0.00", [PAY.format("100.00")]),
    ],
)
def test_a_line_that_is_closed_says_who_captures_and_who_pays(
    asked: int, traced: int, payable: str, paid: str, expected: list[str]
) -> None:
    one = line("fulfilled", quantity_confirmed=100, quantity_shipped=100, quantity_accepted=100)
    one = replace(one, paid_yuan=Decimal(paid))
    steps = next_steps(book(one), {one.id: Owed(one.id, asked, traced, Decimal(payable))}, NOW)
    assert [step.what for step in steps] == expected
    assert {step.who for step in steps} <= {BUYER, agency("330102")}
