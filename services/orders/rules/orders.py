"""An order as a whole: what its number stands for, how its lines add up, and who must act next.

An order number stands for one content for good. The order's row counts its lines by what they wait for, so that its state
follows from its own row, whatever part of the lines the caller may see.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import groupby
from uuid import UUID

from services.orders.errors import LineNotFound, NothingToCancel, OrderNumberUsed, OrderRefused
from services.orders.rules import lines as line_rules
from services.orders.rules.lines import ACTIVE, CANCELLED, ENDED, PENDING, Line, goods_of
from services.orders.rules.market import Institution, Market, Offer, Wanted, institution_of, offer_of
from services.orders.rules.payables import Known, money_steps
from services.orders.rules.recalls import reject_step
from shared.codes import normal_name
from shared.errors import Fault, Said, first_of
from shared.next_steps import Actor, NextStep, distributor, hospital
from shared.values import frozen


@frozen
class Order:
    """An order's own row; the counts are of all its lines, `version` counts what was said about it."""

    id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    region: str
    delivery_point: str | None
    distributor_codes: tuple[str, ...]
    manufacturer_codes: tuple[str, ...]
    placed_at: datetime
    confirm_by: datetime
    line_count: int
    lines_pending: int
    lines_active: int
    lines_cancelled: int
    version: int

    @property
    def state(self) -> str:
        """placed, confirmed, cancelled, closed: by what its lines wait for."""
        if self.lines_pending:
            return "placed"
        if self.lines_active:
            return "confirmed"
        return "cancelled" if self.lines_cancelled == self.line_count else "closed"


COUNTS = ("line_count", "lines_pending", "lines_active", "lines_cancelled")
"""How the lines of an order add up."""


def counts_of(states: Sequence[str]) -> dict[str, int]:
    """How the lines of an order add up, named as in Order, for somebody who sees lines in these states and no others."""
    return {
        "line_count": len(states),
        "lines_pending": states.count(PENDING),
        "lines_active": len([state for state in states if state in ACTIVE]),
        "lines_cancelled": states.count(CANCELLED),
    }


@frozen
class Book:
    """An order with those of its lines that the caller may see, in their order."""

    order: Order
    lines: tuple[Line, ...]

    def line(self, number: int) -> Line | None:
        """The line of that number."""
        return next((line for line in self.lines if line.line_number == number), None)

    def get_line(self, number: int) -> Line:
        """The line of that number; raises LineNotFound."""
        line = self.line(number)
        if line is None:
            numbers = ", ".join(str(known.line_number) for known in self.lines)
            raise LineNotFound(
                "Order {order_number} has {count:#line} that you may see ({numbers}); there is no line {line_number}.",
                order_number=self.order.order_number,
                count=len(self.lines),
                numbers=numbers,
                line_number=number,
            )
        return line


def offers_for(
    market: Market,
    institution_code: str,
    delivery_point: str | None,
    wanted: Sequence[Wanted],
    on: date,
    *,
    provisional_trade: bool,
) -> tuple[Institution, str | None, list[Offer]]:
    """What an institution may order of what it wants on a day; raises OrderRefused with every fault of every line."""
    faults: list[Fault] = []
    institution, delivered_to = institution_of(market, institution_code, delivery_point, faults)
    lines = dict(enumerate(wanted))
    offers = offers_of(market, institution, lines, on, provisional_trade=provisional_trade, faults=faults)
    if faults or institution is None:
        raise OrderRefused(said(faults), faults=faults)
    return institution, delivered_to, offers


def offers_of(
    market: Market,
    institution: Institution | None,
    wanted: Mapping[int, Wanted],
    on: date,
    *,
    provisional_trade: bool,
    faults: list[Fault],
) -> list[Offer]:
    """What may be ordered of lines, which are named by their place; adds what speaks against them to `faults`."""
    if institution is None:
        return []
    region = institution.region
    offers = (
        offer_of(market, region, line, on, provisional_trade=provisional_trade, place=f"/lines/{place}", faults=faults)
        for place, line in wanted.items()
    )
    return [offer for offer in offers if offer is not None]


def said(faults: Sequence[Fault]) -> Said:
    """The faults in one sentence: how many, and the first of them."""
    first = first_of(faults)
    if len(faults) == 1:
        return Said("One fault; nothing was changed. {first}.", first=first)
    return Said("{count} faults; nothing was changed. {first}.", count=len(faults), first=first)


def check_same(book: Book, delivery_point: str | None, wanted: Sequence[Wanted]) -> None:
    """Whether an order that is asked for again is the one that stands; raises OrderNumberUsed saying what differs."""
    order, lines = book.order, book.lines
    faults: list[Fault] = []
    if delivery_point is not None and normal_name(delivery_point) != normal_name(order.delivery_point or ""):
        faults.append(_differs("/delivery_point", delivery_point, order.delivery_point))
    elif delivery_point is None and order.delivery_point is not None:
        faults.append(_differs("/delivery_point", None, order.delivery_point))
    if len(wanted) != len(lines):
        faults.append(_differs("/lines", len(wanted), Said("{count:#line}", count=len(lines))))
    for place, (line, stands) in enumerate(zip(wanted, lines, strict=False)):
        pairs = {
            "product_code": (line.product_code, stands.product_code),
            "quantity": (line.quantity, stands.quantity_ordered),
            "distributor_code": (line.distributor_code, stands.distributor_code),
            "unit_price_yuan": (line.unit_price_yuan or stands.unit_price_yuan, stands.unit_price_yuan),
        }
        faults += [_differs(f"/lines/{place}/{name}", *pair) for name, pair in pairs.items() if pair[0] != pair[1]]
    if faults:
        raise OrderNumberUsed(
            "Order {order_number} of {placed_at} stands with other content ({id}): {pointer} is "
            "{allowed} there and {given!j} here.",
            faults=faults,
            order_number=order.order_number,
            placed_at=order.placed_at,
            id=order.id,
            pointer=faults[0].pointer,
            allowed=faults[0].allowed,
            given=faults[0].given,
        )


def _differs(pointer: str, given: object, stands: object) -> Fault:
    allowed = stands if isinstance(stands, Said) else Said("nothing") if stands is None else str(stands)
    return Fault(pointer, given, "the order of this number stands with another value", allowed, "differs")


def cancel(book: Book, reason: str) -> Book:
    """Every pending line is taken back; raises NothingToCancel, an order that is cancelled stays as it is."""
    if book.order.state == CANCELLED:
        return book
    if not any(line.state == PENDING for line in book.lines):
        states = ", ".join(f"{line.line_number} {line.state}" for line in book.lines)
        raise NothingToCancel(
            "Order {order_number} has no pending line: {states}.", order_number=book.order.order_number, states=states
        )
    lines = (line_rules.cancel(line, reason) if line.state == PENDING else line for line in book.lines)
    return replace(book, lines=tuple(lines))


def counted(order: Order, before: Iterable[Line], after: Iterable[Line]) -> Order:
    """The order with its counts moved as these lines moved."""
    pending = active = cancelled = 0
    for weight, moved in ((-1, before), (1, after)):
        for line in moved:
            pending += weight * (line.state == PENDING)
            active += weight * (line.state in ACTIVE)
            cancelled += weight * (line.state == CANCELLED)
    if not (pending or active or cancelled):
        return order
    return replace(
        order,
        lines_pending=order.lines_pending + pending,
        lines_active=order.lines_active + active,
        lines_cancelled=order.lines_cancelled + cancelled,
    )


def deliver_by(placed_at: datetime, confirmed_at: datetime, hours: int, counted_from: str) -> datetime:
    """By when confirmed goods must be there. Source: domain rules 4.3 (72 h from the order; elsewhere from confirmation)."""
    return (confirmed_at if counted_from == "confirmed" else placed_at) + timedelta(hours=hours)


def closing_reason(line: Line) -> str:
    """What a line's end is called: fulfilled, or why the hospital closed the remainder."""
    return "fulfilled" if line.state == line_rules.FULFILLED else line.reason or "closed"


def newly_ended(before: Line, after: Line) -> bool:
    """Whether nothing more will come for a line that was active."""
    return before.state not in ENDED and after.state in ENDED


def next_steps(book: Book, known: Known, now: datetime) -> list[NextStep]:
    """Who must act now on an order: distributors confirm and ship, the hospital receives, rejects what is recalled, closes what
    does not come, captures codes and confirms sheets, the agency pays."""
    order = book.order
    buyer = hospital(order.institution_code, order.institution_name)
    steps: list[NextStep] = []
    by_distributor = sorted(book.lines, key=lambda line: (line.distributor_code, line.line_number))
    for _, group in groupby(by_distributor, key=lambda line: line.distributor_code):
        lines = list(group)
        seller = distributor(lines[0].distributor_code, lines[0].distributor_name)
        if pending := [line.line_number for line in lines if line.state == PENDING]:
            what = Said("confirm or refuse {lines}", lines=_numbers(pending))
            steps.append(NextStep(who=seller, what=what, by=order.confirm_by))
        steps += [
            NextStep(who=seller, what=Said("ship {goods}", goods=goods_of(line, line.shippable)), by=line.deliver_by)
            for line in lines
            if line.shippable
        ]
    for line in book.lines:
        steps += _arrivals(line, buyer, known)
        if line.shippable and line.deliver_by is not None and line.deliver_by <= now:
            goods = goods_of(line, line.shippable)
            what = Said("wait for {goods}, which are late, or close the remainder", goods=goods)
            steps.append(NextStep(who=buyer, what=what))
    return steps + [step for line in book.lines for step in money_steps(line, buyer, known)]


def _arrivals(line: Line, buyer: Actor, known: Known) -> list[NextStep]:
    """What the hospital does with goods of a line that are on the way: those of a recalled lot it may not accept."""
    recalled = known.recalled
    barred = [
        one for one in known.sent if one.line_number == line.line_number and one.on_the_way and one.lot in recalled
    ]
    steps = [reject_step(buyer, goods_of(line, one.quantity), recalled[one.lot]) for one in barred]
    if (acceptable := line.on_the_way - sum(one.quantity for one in barred)) > 0:
        what = Said("accept or reject {goods}, on the way", goods=goods_of(line, acceptable))
        steps.insert(0, NextStep(who=buyer, what=what))
    return steps


def _numbers(numbers: Sequence[int]) -> Said:
    if len(numbers) == 1:
        return Said("line {number}", number=numbers[0])
    return Said("lines {numbers}", numbers=", ".join(map(str, numbers)))
