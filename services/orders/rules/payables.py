"""Whom the money for accepted goods waits for, and until when, as far as the other services have told.

Settlement tells on which sheets parts of a payable stood when its money moved last, and which it had left. What moved then
stands on the first other sheet of its parties, of its month or a later one, that was issued after, unless it is disputed. The
oldest sheet that is not paid is the one that is told.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from services.orders.rules.lines import Line, goods_of
from services.orders.rules.recalls import Lot, Recalled, RecalledLot, open_now
from shared import clock, money
from shared.errors import Said
from shared.next_steps import (
    PLATFORM,
    Actor,
    HeardOfPayment,
    NextStep,
    account_step,
    again_step,
    agency,
    bank_step,
    day_over,
    distributor,
    doubt_step,
    other_account_step,
    recall_step,
)
from shared.values import frozen

NAMED, CONFIRMED = "named", "confirmed"
"""How far a supplier's receiving account is; an account that was refused or replaced is none."""


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
    resolve_by: date | None
    on_sheets: Mapping[str, str] | None
    """the yuan on each sheet, by its id, on which a part of the money stood when it moved last; 0.00 on one that it had left"""
    moved_at: datetime | None
    """since when the money stands as it does: released, or off its sheet"""
    codes_by: datetime | None = None
    """when the codes of it are late"""
    sheet_by: datetime | None = None
    """when the next sheet is issued that may hold it"""

    @property
    def lot(self) -> Lot:
        """Of which lot it is, as recalls name it."""
        return self.product_code, self.lot_number

    @property
    def missing(self) -> int:
        """Accepted units whose codes are asked for and not there."""
        return self.quantity_accepted - self.quantity_traced if self.codes_required else 0


@frozen
class Sheet(HeardOfPayment):
    """A month's sheet of a hospital and a distributor; `issued_at` is None while only its confirmation has arrived."""

    sheet_id: UUID
    distributor_code: str
    month: date
    confirm_by: date | None
    issued_at: datetime | None
    confirmed_at: datetime | None
    returned_at: datetime | None = None
    due_on: date | None = None
    """when the first of its money is due"""
    paid_at: datetime | None = None
    unpaid_at: datetime | None = None
    """when its payment failed or came back last"""
    sent_at: datetime | None = None
    """when the bank was asked last to pay it"""
    doubted_at: datetime | None = None
    undoubted_at: datetime | None = None
    """when the bank said both of a payment of it, and when the agency had found out of all"""
    failed_reason: str | None = None
    failed_account_id: UUID | None = None
    failed_to: str | None = None
    receiving: str | None = None
    """how far the account is that its distributor is paid to: `named`, `confirmed`; None before one is named"""

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

    DISPUTE, RECALL, CAPTURE, ISSUE, CONFIRM, PAY, AS_SHEET, PAY_LATER = range(8)
    """`AS_SHEET`: what its sheet waits for, in the words of settlement, which name no line"""


class _Wait(NamedTuple):
    """What some goods of a line wait for, and until when; goods that wait for the same are told together."""

    ask: _Ask
    by: datetime | None
    about: RecalledLot | Sheet | NextStep | str | None = None


class _Part(NamedTuple):
    """Goods that wait for something, and the money for them that does."""

    sent: Sent
    yuan: Decimal = Decimal(0)


def money_steps(line: Line, buyer: Actor, known: Known) -> list[NextStep]:
    """Who must act on accepted goods of a line until they are paid."""
    waiting: dict[_Wait, list[_Part]] = defaultdict(list)
    sheets, recalled = known.sheets.get(line.distributor_code), known.recalled
    for sent in known.sent:
        if sent.line_number == line.line_number and sent.quantity_accepted and sent.codes_required is not None:
            for wait, yuan in _waits(line, sent, recalled.get(sent.lot), sheets):
                waiting[wait].append(_Part(sent, yuan))
    return [_step(line, buyer, wait, waiting[wait]) for wait in sorted(waiting, key=lambda wait: wait.ask)]


def _waits(
    line: Line, sent: Sent, recall: RecalledLot | None, sheets: Sequence[Sheet] | None
) -> Iterator[tuple[_Wait, Decimal]]:
    """Each thing that goods wait for, with the money that waits for it."""
    if sent.disputed is not None:
        yield _Wait(_Ask.DISPUTE, day_over(sent.resolve_by or sent.due_on), sent.disputed), Decimal(0)
    if recall is not None:
        if (unpaid := sent.amount_yuan - sent.paid_yuan) > 0:
            yield _Wait(_Ask.RECALL, None, recall), unpaid
        return
    if sent.missing > 0:
        yield _Wait(_Ask.CAPTURE, sent.codes_by), Decimal(0)
    sheet, yuan = _sheet_of(sent, sheets or ())
    if (yuan > 0 and sent.paid_yuan < sent.amount_yuan) or (sheet is not None and sheet.in_doubt):
        yield from ((wait, yuan) for wait in _moving(line, sent, sheet, seen=sheets is not None))


def _moving(line: Line, sent: Sent, sheet: Sheet | None, *, seen: bool) -> Iterator[_Wait]:
    """Who moves money that codes hold no more; `seen`: the caller may see the sheets."""
    due = day_over((sheet and sheet.due_on) or sent.due_on)
    of_sheet = [] if sheet is None else list(_of_sheet(line, sheet, due))
    if not seen:
        yield _Wait(_Ask.PAY_LATER, due)
    elif sheet is None:
        yield _Wait(_Ask.ISSUE, sent.sheet_by)
    elif not sheet.confirmed:
        yield _Wait(_Ask.CONFIRM, day_over(sheet.confirm_by), sheet)
    elif not of_sheet:
        yield _Wait(_Ask.PAY, due)
    yield from (_Wait(_Ask.AS_SHEET, step.by, step) for step in of_sheet)


def _of_sheet(line: Line, sheet: Sheet, due: datetime | None) -> Iterator[NextStep]:
    """What settlement says that a sheet waits for, beside its confirmation and its first payment."""
    supplier = distributor(line.distributor_code, line.distributor_name)
    if sheet.receiving != CONFIRMED and not (sheet.sending or sheet.in_doubt):
        yield account_step(named=sheet.receiving == NAMED, supplier=supplier, region=line.region, by=due)
    elif not sheet.confirmed:
        return
    elif sheet.sending:
        yield bank_step(due)
    elif sheet.in_doubt:
        yield doubt_step(line.region, due)
    elif sheet.failed_for is not None:
        yield again_step(line.region, sheet.failed_for, due)
        if sheet.account_failed:
            yield other_account_step(supplier, sheet.failed_for, due)


def _sheet_of(sent: Sent, sheets: Sequence[Sheet]) -> tuple[Sheet | None, Decimal]:
    """The oldest sheet on which money waits, None before it is issued, and how much waits; `sheets` the oldest month first."""
    parts = sent.on_sheets or {}
    for sheet in sheets:
        if (part := Decimal(parts.get(str(sheet.sheet_id), 0))) and (sheet.in_doubt or not sheet.paid):
            return sheet, part
    if sent.disputed is not None:
        return None, Decimal(0)
    unpaid = sent.payable_yuan - sent.paid_yuan
    if sent.moved_at is None or sent.received_at is None:
        return None, unpaid
    month = clock.month_of(sent.received_at)
    unnamed = (one for one in sheets if str(one.sheet_id) not in parts and one.month >= month)
    return next((one for one in unnamed if one.issued_at and one.issued_at >= sent.moved_at), None), unpaid


def _step(line: Line, buyer: Actor, wait: _Wait, parts: Sequence[_Part]) -> NextStep:
    unpaid = sum((part.yuan for part in parts), Decimal(0))
    yuan = Said("{yuan} yuan for line {line}", yuan=money.amount_text(unpaid), line=line.line_number)
    who = buyer
    match wait.ask, wait.about:
        case _, RecalledLot() as recall:
            return recall_step(recall, unpaid)
        case _, NextStep() as step:
            return step
        case _Ask.DISPUTE, reason:
            what = Said("settle the dispute over line {line}: {reason}", line=line.line_number, reason=reason)
        case _, Sheet() as sheet:
            what = Said(
                "confirm the sheet of {month:%Y-%m}, or dispute lines of it; {yuan} wait for it",
                month=sheet.month,
                yuan=yuan,
            )
        case _Ask.CAPTURE, _:
            missing = sum(part.sent.missing for part in parts)
            accepted = sum(part.sent.quantity_accepted for part in parts)
            what = Said("capture codes of {missing} of {goods}", missing=missing, goods=goods_of(line, accepted))
        case _Ask.ISSUE, _:
            who, what = PLATFORM, Said("issue the sheet when the month has closed; {yuan} wait for it", yuan=yuan)
        case _Ask.PAY, _:
            who, what = agency(line.region), Said("pay {yuan}", yuan=yuan)
        case _:
            who, what = agency(line.region), Said("pay {yuan}, when their sheet is confirmed", yuan=yuan)
    return NextStep(who=who, what=what, by=wait.by)
