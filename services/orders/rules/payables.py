"""Whom the money for accepted goods waits for, and until when, as far as the other services have told.

Settlement names no sheet to a payable: it stands on the first sheet of its parties, of its month or a later one, that was issued
after its money was last released or taken off another.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

from services.orders.rules.lines import Line, goods_of
from services.orders.rules.recalls import Lot, Recalled, RecalledLot, open_now
from shared import clock, money
from shared.errors import Said
from shared.next_steps import PLATFORM, Actor, NextStep, agency, day_over, recall_step
from shared.values import frozen


@frozen
class Sent:
    """Goods of one lot that were sent for a line; `codes_required` is None until settlement owes for them."""

    line_number: int
    product_code: str
    lot_number: str
    unit: str
    quantity: int
    received_at: datetime | None
    codes_required: bool | None
    on_the_way: bool
    quantity_accepted: int
    quantity_traced: int
    """of what was accepted, covered by valid codes"""
    amount_yuan: Decimal
    payable_yuan: Decimal
    """for what codes cover, or for all of it where none are asked"""
    paid_yuan: Decimal
    due_on: date | None
    disputed: str | None
    moved_at: datetime | None
    """since when the money stands as it does: released, or off its sheet"""

    @property
    def lot(self) -> Lot:
        """Of which lot it is, as recalls name it."""
        return self.product_code, self.lot_number

    @property
    def missing(self) -> int:
        """Accepted units whose codes are asked for and not there."""
        return self.quantity_accepted - self.quantity_traced if self.codes_required else 0


@frozen
class Sheet:
    """A month's sheet of a hospital and a distributor; `issued_at` is None while only its confirmation has arrived."""

    distributor_code: str
    month: date
    confirm_by: date | None
    issued_at: datetime | None
    confirmed_at: datetime | None
    returned_at: datetime | None = None

    @property
    def confirmed(self) -> bool:
        """Whether the hospital stands by it: it was not sent back since."""
        return self.confirmed_at is not None and not (self.returned_at and self.returned_at > self.confirmed_at)


@frozen
class Known:
    """What became of the goods that were sent for an order: they, every recall of their lots, and the sheets of its parties by
    distributor; no distributor whose sheets the caller may not see."""

    sent: tuple[Sent, ...] = ()
    recalls: tuple[RecalledLot, ...] = ()
    sheets: Mapping[str, Sequence[Sheet]] = field(default_factory=dict)

    @property
    def recalled(self) -> Recalled:
        """The open recalls of their lots."""
        return open_now(self.recalls)


class _Ask(IntEnum):
    """What is asked for, in the order in which it is told."""

    DISPUTE, RECALL, CAPTURE, ISSUE, CONFIRM, PAY, PAY_LATER = range(7)


class _Wait(NamedTuple):
    """What some goods of a line wait for, and until when; goods that wait for the same are told together."""

    ask: _Ask
    by: datetime | None
    about: RecalledLot | Sheet | str | None = None


def money_steps(line: Line, buyer: Actor, known: Known) -> list[NextStep]:
    """Who must act on accepted goods of a line until they are paid."""
    waiting: dict[_Wait, list[Sent]] = defaultdict(list)
    sheets, recalled = known.sheets.get(line.distributor_code), known.recalled
    for sent in known.sent:
        if sent.line_number == line.line_number and sent.quantity_accepted and sent.codes_required is not None:
            for wait in _waits(sent, recalled.get(sent.lot), sheets):
                waiting[wait].append(sent)
    return [_step(line, buyer, wait, waiting[wait]) for wait in sorted(waiting, key=lambda wait: wait.ask)]


def _waits(sent: Sent, recall: RecalledLot | None, sheets: Sequence[Sheet] | None) -> Iterator[_Wait]:
    by = day_over(sent.due_on)
    if sent.disputed is not None:
        yield _Wait(_Ask.DISPUTE, by, sent.disputed)
    if recall is not None:
        if sent.amount_yuan > sent.paid_yuan:
            yield _Wait(_Ask.RECALL, None, recall)
        return
    if sent.missing > 0:
        yield _Wait(_Ask.CAPTURE, by)
    if sent.payable_yuan <= sent.paid_yuan or sent.disputed is not None:
        return
    if sheets is None:
        yield _Wait(_Ask.PAY_LATER, by)
    elif (sheet := _sheet_of(sent, sheets)) is None:
        yield _Wait(_Ask.ISSUE, by)
    elif not sheet.confirmed:
        yield _Wait(_Ask.CONFIRM, day_over(sheet.confirm_by), sheet)
    else:
        yield _Wait(_Ask.PAY, by)


def _sheet_of(sent: Sent, sheets: Sequence[Sheet]) -> Sheet | None:
    """The sheet on which the money stands; `sheets` the oldest month first."""
    if sent.moved_at is None or sent.received_at is None:
        return None
    month = clock.month_of(sent.received_at)
    return next(
        (one for one in sheets if one.month >= month and one.issued_at and one.issued_at >= sent.moved_at), None
    )


def _step(line: Line, buyer: Actor, wait: _Wait, goods: Sequence[Sent]) -> NextStep:
    unpaid = sum((one.payable_yuan - one.paid_yuan for one in goods), Decimal(0))
    yuan = Said("{yuan} yuan for line {line}", yuan=money.amount_text(unpaid), line=line.line_number)
    who = buyer
    match wait.ask, wait.about:
        case _, RecalledLot() as recall:
            return recall_step(recall, sum((one.amount_yuan - one.paid_yuan for one in goods), Decimal(0)))
        case _Ask.DISPUTE, reason:
            what = Said("settle the dispute over line {line}: {reason}", line=line.line_number, reason=reason)
        case _, Sheet() as sheet:
            what = Said(
                "confirm the sheet of {month:%Y-%m}, or dispute lines of it; {yuan} wait for it",
                month=sheet.month,
                yuan=yuan,
            )
        case _Ask.CAPTURE, _:
            missing, accepted = sum(one.missing for one in goods), sum(one.quantity_accepted for one in goods)
            what = Said("capture codes of {missing} of {goods}", missing=missing, goods=goods_of(line, accepted))
        case _Ask.ISSUE, _:
            who, what = PLATFORM, Said("issue the sheet when the month has closed; {yuan} wait for it", yuan=yuan)
        case _Ask.PAY, _:
            who, what = agency(line.region), Said("pay {yuan}", yuan=yuan)
        case _:
            who, what = agency(line.region), Said("pay {yuan}, when their sheet is confirmed", yuan=yuan)
    return NextStep(who=who, what=what, by=wait.by)
