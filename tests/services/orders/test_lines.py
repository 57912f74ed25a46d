"""The line's own rules: its table of states, and whatever comes in whatever order, no unit is lost, doubled or over-shipped."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.orders.errors import ConfirmationRefused, LineDecided, LineNotOpen
from services.orders.rules.confirmations import confirmed
from services.orders.rules.lines import (
    CANCELLED,
    CLOSED,
    CLOSING,
    CONFIRMED,
    FULFILLED,
    NEXT,
    PENDING,
    REFUSED,
    Line,
    LineState,
    call_back,
    cancel,
    close,
    confirm,
    receive,
    ship,
    step,
)
from services.orders.rules.orders import Book, Order, counted

AT = datetime(2026, 3, 2, tzinfo=UTC)
VERBS = ("confirm", "refuse", "cancel", "ship", "call back", "receive", "fulfil", "close", "settle")


def line(ordered: int = 100, **changes: Any) -> Line:
    whole = Line(
        id=uuid4(),
        order_id=uuid4(),
        line_number=1,
        institution_code="H33010200059",
        distributor_code="D",
        distributor_name="D",
        manufacturer_code="M",
        manufacturer_name="M",
        region="330102",
        listing_id=uuid4(),
        product_code="X",
        product_kind="western",
        product_name="X",
        specification=None,
        unit="盒",
        unit_price_yuan=Decimal(1),
        amount_yuan=Decimal(ordered),
        state=PENDING,
        quantity_ordered=ordered,
    )
    return replace(whole, **changes)


ALLOWED = {
    (PENDING, "confirm"): CONFIRMED,
    (PENDING, "refuse"): REFUSED,
    (PENDING, "cancel"): CANCELLED,
    (CONFIRMED, "ship"): CONFIRMED,
    (CONFIRMED, "call back"): CONFIRMED,
    (CONFIRMED, "receive"): CONFIRMED,
    (CONFIRMED, "fulfil"): FULFILLED,
    (CONFIRMED, "close"): CLOSING,
    (CLOSING, "call back"): CLOSING,
    (CLOSING, "receive"): CLOSING,
    (CLOSING, "settle"): CLOSED,
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", list(LineState))
def test_only_what_the_table_names_is_allowed(state: LineState, verb: str) -> None:
    if (state, verb) in ALLOWED:
        assert step(line(state=state), verb) == ALLOWED[state, verb] == NEXT[state, verb]
    else:
        with pytest.raises(LineNotOpen, match=str(state)):
            step(line(state=state), verb)


@pytest.mark.parametrize("quantity", [0, 1, 99, 100])
def test_what_is_not_confirmed_is_refused(quantity: int) -> None:
    after = confirm(line(100), quantity, AT, "short")
    assert (after.quantity_confirmed, after.quantity_refused) == (quantity, 100 - quantity)
    assert after.state == (CONFIRMED if quantity else REFUSED)
    assert (after.deliver_by is None) == (quantity == 0)


@pytest.mark.parametrize(("quantity", "fine"), [(99, True), (100, True), (101, False)])
def test_no_more_is_shipped_than_was_confirmed(quantity: int, fine: bool) -> None:
    ready = confirm(line(120), 100, AT, "short")
    if fine:
        assert ship(ready, quantity).shippable == 100 - quantity
    else:
        with pytest.raises(LineNotOpen, match="100 left to ship, not 101"):
            ship(ready, quantity)


@pytest.mark.parametrize(
    ("accepted", "rejected", "fine"), [(60, 0, True), (0, 60, True), (30, 30, True), (60, 1, False)]
)
def test_no_more_is_received_than_is_on_the_way(accepted: int, rejected: int, fine: bool) -> None:
    under_way = ship(confirm(line(), 100, AT, None), 60)
    if fine:
        assert receive(under_way, accepted, rejected).on_the_way == 0
    else:
        with pytest.raises(LineNotOpen, match="60 on the way, not 61"):
            receive(under_way, accepted, rejected)


def test_a_rejected_unit_may_be_shipped_again_until_the_line_is_closed() -> None:
    rejected = receive(ship(confirm(line(), 100, AT, None), 100), 90, 10)
    assert (rejected.state, rejected.shippable) == (CONFIRMED, 10)
    closed = close(rejected, "enough")
    assert (closed.state, closed.shippable, closed.quantity_closed) == (CLOSED, 0, 10)


def test_an_answer_to_a_line_taken_back_is_not_the_same_answer() -> None:
    taken = cancel(line(), "doubled")
    with pytest.raises(LineDecided, match="cancelled"):
        confirmed(book(taken), "D", [Answer(1, 0, "none")], AT)


def test_a_line_of_another_distributor_is_not_there() -> None:
    with pytest.raises(ConfirmationRefused, match="no such line of yours"):
        confirmed(book(line()), "E", [Answer(1, 100, None)], AT)


@dataclass(frozen=True)
class Answer:
    line_number: int
    quantity: int
    reason: str | None


def book(*lines: Line) -> Book:
    order = Order(
        id=uuid4(),
        order_number="CG-1",
        institution_code="H33010200059",
        institution_name="H",
        region="330102",
        delivery_point=None,
        distributor_codes=("D",),
        manufacturer_codes=("M",),
        placed_at=AT,
        confirm_by=AT,
        line_count=len(lines),
        lines_pending=len(lines),
        lines_active=0,
        lines_cancelled=0,
        version=1,
    )
    return Book(order, lines)


class Deliveries(RuleBasedStateMachine):
    """Distributor and hospital do whatever they like to two lines, in whatever order."""

    @initialize(first=st.integers(1, 50), second=st.integers(1, 50))
    def placed(self, first: int, second: int) -> None:
        self.lines = [line(first), line(second)]
        self.order = book(*self.lines).order
        self.under_way: list[tuple[int, int]] = []
        self.taken = [0, 0]

    def _put(self, place: int, after: Line) -> None:
        self.order = counted(self.order, [self.lines[place]], [after])
        self.lines[place] = after

    @rule(place=st.integers(0, 1), share=st.floats(0, 1))
    def answer(self, place: int, share: float) -> None:
        before = self.lines[place]
        quantity = round(before.quantity_ordered * share)
        if before.state == PENDING:
            self._put(place, confirm(before, quantity, AT, "short"))
        else:
            with pytest.raises(LineNotOpen):
                confirm(before, quantity, AT, "short")

    @rule(place=st.integers(0, 1))
    def take_back(self, place: int) -> None:
        if self.lines[place].state == PENDING:
            self._put(place, cancel(self.lines[place], "x"))
        else:
            with pytest.raises(LineNotOpen):
                cancel(self.lines[place], "x")

    @rule(place=st.integers(0, 1), quantity=st.integers(1, 60))
    def dispatch(self, place: int, quantity: int) -> None:
        before = self.lines[place]
        if quantity <= before.shippable:
            self._put(place, ship(before, quantity))
            self.under_way.append((place, quantity))
        else:
            with pytest.raises(LineNotOpen):
                ship(before, quantity)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        place, quantity = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        accepted = data.draw(st.integers(0, quantity))
        self._put(place, receive(self.lines[place], accepted, quantity - accepted))
        self.taken[place] += accepted

    @rule(place=st.integers(0, 1))
    def arrive_from_nowhere(self, place: int) -> None:
        with pytest.raises(LineNotOpen):
            receive(self.lines[place], self.lines[place].on_the_way + 1, 0)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def turn_round(self, data: st.DataObject) -> None:
        place, quantity = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self._put(place, call_back(self.lines[place], quantity))

    @rule(place=st.integers(0, 1))
    def give_up(self, place: int) -> None:
        if self.lines[place].state == CONFIRMED:
            self._put(place, close(self.lines[place], "x"))
        else:
            with pytest.raises(LineNotOpen):
                close(self.lines[place], "x")

    @invariant()
    def every_unit_is_counted_once(self) -> None:
        for one in self.lines:
            pending = one.quantity_ordered if one.state == PENDING else 0
            places = (pending, one.quantity_refused, one.quantity_accepted, one.on_the_way, one.shippable)
            assert min(places) >= 0
            assert sum(places) + one.quantity_closed == one.quantity_ordered

    @invariant()
    def nothing_is_over_shipped_or_accepted_twice(self) -> None:
        for place, one in enumerate(self.lines):
            assert one.quantity_accepted == self.taken[place]
            assert one.on_the_way == sum(quantity for at, quantity in self.under_way if at == place)
            assert one.quantity_accepted + one.on_the_way <= one.quantity_confirmed

    @invariant()
    def a_line_has_ended_when_nothing_can_come(self) -> None:
        for one in self.lines:
            ended = one.state in (REFUSED, CANCELLED, FULFILLED, CLOSED)
            assert ended == (one.state != PENDING and one.on_the_way == 0 and one.shippable == 0)

    @invariant()
    def the_order_counts_its_lines(self) -> None:
        states = [one.state for one in self.lines]
        assert self.order.lines_pending == states.count(PENDING)
        assert self.order.lines_active == states.count(CONFIRMED) + states.count(CLOSING)
        assert self.order.lines_cancelled == states.count(CANCELLED)


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
