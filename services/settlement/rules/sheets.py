"""What may become of a month's sheet: states, who acts next, and by when.

A sheet is the sum of its lines that are not disputed; nothing enters it once it was issued.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.settlement.errors import SheetNotOpen
from services.settlement.rules import accounts
from shared.errors import Said
from shared.next_steps import (
    BANK,
    OPERATOR,
    PLATFORM,
    Actor,
    NextStep,
    account_step,
    again_step,
    agency,
    bank_step,
    day_over,
    distributor,
    doubt_step,
    hospital,
    other_account_step,
)
from shared.values import frozen

ISSUED, DISPUTED, CONFIRMED, REVIEWED, IN_RUN, PAID, EMPTY = STATES = (
    "issued",
    "disputed",
    "confirmed",
    "reviewed",
    "in_run",
    "paid",
    "empty",
)

NEXT = {
    (ISSUED, "confirm"): CONFIRMED,
    (ISSUED, "dispute"): DISPUTED,
    (DISPUTED, "confirm"): CONFIRMED,
    (DISPUTED, "dispute"): DISPUTED,
    (CONFIRMED, "review"): REVIEWED,
    (CONFIRMED, "return"): ISSUED,
    (REVIEWED, "enter_run"): IN_RUN,
    (IN_RUN, "leave_run"): REVIEWED,
    (IN_RUN, "pay"): PAID,
    (IN_RUN, "fail"): REVIEWED,
    (PAID, "fail"): REVIEWED,
    (REVIEWED, "pay_after_all"): PAID,
}
"""A sheet that loses its last line to a dispute is `empty`, which is an end."""

AFTER = {
    ("planned", "paid"): "pay",
    ("sending", "paid"): "pay",
    ("sending", "failed"): "fail",
    ("paid", "failed"): "fail",
    ("failed", "paid"): "pay_after_all",
}
"""What a payment that goes from state to state does to its sheet."""


class Paying(StrEnum):
    """How far the payment of a sheet in a run is."""

    PLANNED = "planned"
    """another person has not approved the run"""
    CHANGED = "changed"
    """the payments of the run are not those that it was made of, and nobody has approved it"""
    BARRED = "barred"
    """nobody can approve the run"""
    APPROVED = "approved"
    """it will be sent"""
    HELD_BACK = "held_back"
    """it was approved, and the payments of its run are not those that were"""
    SENDING = "sending"
    """the bank was asked"""


@frozen
class Disputed:
    """A line that left a sheet and is still held: which goods, how much, and why."""

    payable_id: UUID
    order_number: str
    product_name: str
    lot_number: str
    held_yuan: Decimal
    reason: str
    resolve_by: date | None = None


@frozen
class Sheet:
    """What one institution owes one distributor for a month; `version` is raised by every change."""

    id: UUID
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    month: date
    amount_yuan: Decimal
    line_count: int
    disputed_yuan: Decimal
    disputed_count: int
    state: str
    confirm_by: date
    review_by: date | None
    due_on: date
    issued_at: datetime
    version: int
    return_reason: str | None = None
    """why the agency sent it back, until it is confirmed again"""
    paying: Paying | None = None
    """how far the payment of the sheet is while it stands in a run; not kept in the sheet's own row"""
    receiving: str | None = None
    """how far the supplier's receiving account is: `named`, `confirmed`, or None; not kept in the sheet's own row"""
    failed_for: str | None = None
    """why its last payment failed, while it waits for another run; not kept in the sheet's own row"""
    failed_to: str | None = None
    """what the account of that payment is now; not kept in the sheet's own row"""
    in_doubt: bool = False
    """whether the bank has said both of a payment of it; not kept in the sheet's own row"""


def moved(sheet: Sheet, verb: str) -> Sheet:
    """The sheet one step on; raises SheetNotOpen naming its state and those that allow the verb."""
    state = NEXT.get((sheet.state, verb))
    if state is None:
        allowed = ", ".join(before for before, known in NEXT if known == verb)
        raise SheetNotOpen(
            "Sheet {id} is {state} (version {version}); {verb} is for a sheet that is {allowed}.",
            id=sheet.id,
            state=sheet.state,
            version=sheet.version,
            verb=verb,
            allowed=allowed,
        )
    return replace(sheet, state=state, version=sheet.version + 1)


def confirmed(sheet: Sheet, review_by: date) -> Sheet:
    """The institution stands by what is left on the sheet; raises SheetNotOpen."""
    return replace(moved(sheet, "confirm"), review_by=review_by, return_reason=None)


def returned(sheet: Sheet, confirm_by: date, reason: str) -> Sheet:
    """The sheet with the institution again, which confirms or disputes it anew; raises SheetNotOpen."""
    return replace(moved(sheet, "return"), confirm_by=confirm_by, review_by=None, return_reason=reason)


def disputed(sheet: Sheet, yuan: Decimal, lines: int) -> Sheet:
    """The sheet without the disputed lines; raises SheetNotOpen."""
    after = replace(
        moved(sheet, "dispute"),
        amount_yuan=sheet.amount_yuan - yuan,
        line_count=sheet.line_count - lines,
        disputed_yuan=sheet.disputed_yuan + yuan,
        disputed_count=sheet.disputed_count + lines,
    )
    return after if after.line_count else replace(after, state=EMPTY)


def without(sheet: Sheet, yuan: Decimal, lines: int) -> Sheet:
    """The sheet without lines whose lots are recalled; it keeps at least one."""
    return replace(
        sheet,
        amount_yuan=sheet.amount_yuan - yuan,
        line_count=sheet.line_count - lines,
        version=sheet.version + 1,
    )


def next_step(sheet: Sheet) -> NextStep | None:
    """Whom a sheet waits for; None when nobody has to act any more."""
    office = agency(sheet.region)
    if sheet.in_doubt and sheet.state in (REVIEWED, PAID):
        return doubt_step(sheet.region, day_over(sheet.due_on))
    match sheet.state:
        case "issued" | "disputed":
            who = hospital(sheet.institution_code, sheet.institution_name)
            what = Said("confirm the sheet of {count:#line}, or dispute lines of it", count=sheet.line_count)
            if sheet.confirm_by > sheet.due_on:
                what = Said("{what}; money of it is due on {due_on} all the same", what=what, due_on=sheet.due_on)
            if sheet.return_reason:
                what = Said("{what}; the agency sent it back: {reason}", what=what, reason=sheet.return_reason)
            return NextStep(who=who, what=what, by=day_over(sheet.confirm_by))
        case "confirmed":
            what = Said("review the sheet, or send it back")
            return NextStep(who=office, what=what, by=day_over(sheet.review_by))
        case "reviewed":
            return _account_step(sheet) or _pay_step(sheet)
        case "in_run":
            who, what = PAYING[sheet.paying or Paying.PLANNED](sheet.region)
            return NextStep(who=who, what=what, by=day_over(sheet.due_on))
    return None


def next_steps(sheet: Sheet) -> list[NextStep]:
    """Everybody a sheet waits for: who moves it on, then who sees to the account that it will be paid to."""
    first = next_step(sheet)
    own = [] if first is None else [first]
    before_a_run = sheet.state in (ISSUED, DISPUTED, CONFIRMED)
    account = _account_step(sheet) if before_a_run else _other_account_step(sheet)
    return own if account is None else [*own, account]


def _pay_step(sheet: Sheet) -> NextStep:
    """What the agency does with a reviewed sheet: the first time, and after a payment that failed."""
    due = day_over(sheet.due_on)
    if sheet.failed_for:
        return again_step(sheet.region, sheet.failed_for, due)
    return NextStep(who=agency(sheet.region), what=Said("take the sheet into a payment run"), by=due)


def _other_account_step(sheet: Sheet) -> NextStep | None:
    """What the supplier mends while the account is the same to which a payment failed."""
    failed = sheet.state == REVIEWED and not sheet.in_doubt and sheet.failed_to == accounts.CONFIRMED
    if not failed or sheet.failed_for is None:
        return None
    supplier = distributor(sheet.distributor_code, sheet.distributor_name)
    return other_account_step(supplier, sheet.failed_for, day_over(sheet.due_on))


def _account_step(sheet: Sheet) -> NextStep | None:
    """Who sees to it that the supplier has an account that can be paid to; None when it has."""
    if sheet.receiving == accounts.CONFIRMED:
        return None
    supplier = distributor(sheet.distributor_code, sheet.distributor_name)
    named = sheet.receiving == accounts.NAMED
    return account_step(named=named, supplier=supplier, region=sheet.region, by=day_over(sheet.due_on))


PAYING: Mapping[Paying, Callable[[str], tuple[Actor, Said]]] = {
    Paying.PLANNED: lambda region: (agency(region), Said("another person than its maker approves the payment run")),
    Paying.BARRED: lambda region: (
        agency(region),
        Said(
            "reject the payment run, which cannot be approved: the bank has said paid of a sheet in it, a lot in it is"
            " recalled, or an account in it is not the confirmed one any more; then make another"
        ),
    ),
    Paying.CHANGED: lambda _: (
        OPERATOR,
        Said(
            "put the payments of the run back as they were made, which were changed in the database since, and find out how;"
            " `jicai audit` names them, and before that the run cannot be approved"
        ),
    ),
    Paying.APPROVED: lambda _: (PLATFORM, Said("send the payment to the bank")),
    Paying.HELD_BACK: lambda _: (
        OPERATOR,
        Said(
            "put the payments of the run back as they were approved, which were changed in the database since, and find out how;"
            " `jicai audit` names them, and before that the bank is told nothing of the run and no answer of it is booked"
        ),
    ),
    Paying.SENDING: lambda _: (BANK, bank_step(None).what),
}
"""Whom a sheet or a payment in a run waits for."""


def dispute_step(sheet: Sheet, line: Disputed) -> NextStep:
    """Whom a line waits for that left a sheet."""
    what = Said(
        "settle the dispute over {held_yuan} yuan of {product}, lot {lot_number}, order {order} (payable {payable_id}):"
        " {reason}",
        held_yuan=line.held_yuan,
        product=line.product_name,
        lot_number=line.lot_number,
        order=line.order_number,
        payable_id=line.payable_id,
        reason=line.reason,
    )
    by = day_over(line.resolve_by or sheet.due_on)
    return NextStep(who=hospital(sheet.institution_code, sheet.institution_name), what=what, by=by)
