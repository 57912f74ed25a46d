"""What is owed for one accepted line, how much of it may be paid, and whom it waits for.

What was released is a total that never falls: round(quantity released × price), so that steps sum exactly to the amount.
"""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from services.settlement.errors import PayableNotHeld
from services.settlement.rules import sheets
from services.settlement.rules.recalls import RecalledLot
from services.settlement.rules.sheets import IN_RUN, Sheet
from shared import money
from shared.errors import Said
from shared.next_steps import PLATFORM, NextStep, day_over, hospital, recall_step
from shared.values import frozen

AWAITING_CODES, RELEASED, SHEETED, HELD, PAID = ("awaiting_codes", "released", "sheeted", "held", "paid")
RECALLED = "recalled"
"""What a payable that waits for codes or for a sheet is while its lot is under recall."""

STATE_SQL = (
    "CASE WHEN paid_yuan = amount_yuan THEN 'paid'::text WHEN held_reason IS NOT NULL THEN 'held'::text"
    " WHEN sheeted_yuan > paid_yuan THEN 'sheeted'::text WHEN released_yuan > sheeted_yuan THEN 'released'::text"
    " ELSE 'awaiting_codes'::text END"
)
"""The state is computed by the database from the amounts, so that the two cannot disagree."""


@frozen
class Payable:
    """One accepted line as it is owed; `entries` counts its rows in the ledger, `version` its events."""

    id: UUID
    shipment_line_id: UUID
    shipment_id: UUID
    order_id: UUID
    order_line_id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    product_code: str
    product_kind: str
    product_name: str
    unit: str
    lot_number: str
    quantity: int
    unit_price_yuan: Decimal
    amount_yuan: Decimal
    accepted_at: datetime
    accepted_month: date
    due_on: date
    codes_required: bool
    quantity_released: int
    quantity_uncovered: int
    released_yuan: Decimal
    sheeted_yuan: Decimal
    held_yuan: Decimal
    paid_yuan: Decimal
    sheet_id: UUID | None
    held_reason: str | None
    resolve_by: date | None
    entries: int
    version: int
    state: str

    @property
    def covered_yuan(self) -> Decimal:
        """What of it may go onto sheets: released, and covered by codes still."""
        return money.amount(self.quantity_released - self.quantity_uncovered, self.unit_price_yuan)

    @property
    def quantity_awaiting_codes(self) -> int:
        """What is not paid for before codes cover it, for the first time or again."""
        return self.quantity - self.quantity_released + self.quantity_uncovered if self.codes_required else 0


@frozen
class Seen:
    """A payable together with the sheet on which it waits, or stood last, and the open recall of its lot, as people are shown it.

    `codes_by`: when its codes are late; `closes_at`: when the next month closes whose sheet may hold it.
    """

    payable: Payable
    sheet: Sheet | None
    recall: RecalledLot | None = None
    codes_by: datetime | None = None
    closes_at: datetime | None = None

    @property
    def state(self) -> str:
        """Its own, unless a recall keeps it off every sheet."""
        state = self.payable.state
        return RECALLED if self.recall is not None and state in (AWAITING_CODES, RELEASED) else state


def released(payable: Payable, quantity_covered: int) -> Payable:
    """The payable released for as much as codes cover, never more than accepted, never back; the same when unchanged.

    What was released and has lost its codes since is counted as uncovered.
    """
    quantity = max(payable.quantity_released, min(payable.quantity, quantity_covered))
    uncovered = max(0, quantity - quantity_covered) if payable.codes_required else 0
    if (quantity, uncovered) == (payable.quantity_released, payable.quantity_uncovered):
        return payable
    return replace(
        payable,
        quantity_released=quantity,
        quantity_uncovered=uncovered,
        released_yuan=money.amount(quantity, payable.unit_price_yuan),
        version=payable.version + 1,
    )


def off_sheet(payable: Payable, yuan: Decimal) -> Payable:
    """The payable with a part of it taken off its sheet, free for a later one."""
    return replace(
        payable,
        sheeted_yuan=payable.sheeted_yuan - yuan,
        sheet_id=None,
        entries=payable.entries + 1,
        version=payable.version + 1,
    )


def held(payable: Payable, yuan: Decimal, reason: str, resolve_by: date, today: date) -> Payable:
    """The payable with a disputed part of it taken off its sheet, to be settled within its term: not later than the money is
    due, unless that day is over. It stays due on the same day."""
    within = resolve_by if payable.due_on < today else min(resolve_by, payable.due_on)
    off = off_sheet(payable, yuan)
    return replace(off, held_yuan=payable.held_yuan + yuan, held_reason=reason, resolve_by=within)


def resolved(payable: Payable) -> Payable:
    """The payable free for a later sheet; raises PayableNotHeld."""
    if payable.held_reason is None:
        raise PayableNotHeld(
            "No dispute over payable {id} is open; only one that is held can be resolved.", id=payable.id
        )
    return replace(
        payable,
        held_yuan=Decimal("0.00"),
        held_reason=None,
        resolve_by=None,
        entries=payable.entries + 1,
        version=payable.version + 1,
    )


def next_steps(seen: Seen) -> list[NextStep]:
    """Whom a payable waits for, on what and by when: what moves the money that is released, then who ends the recall of its
    lot, or else the codes still missing."""
    steps = [*_money_steps(seen), _codes_step(seen) if seen.recall is None else _recall_step(seen)]
    return [step for step in steps if step is not None]


def _codes_step(seen: Seen) -> NextStep | None:
    """What the hospital still captures, also while a part that codes cover is on its way to be paid."""
    payable = seen.payable
    missing = payable.quantity_awaiting_codes
    if not missing:
        return None
    who = hospital(payable.institution_code, payable.institution_name)
    what = Said(
        "capture trace codes of {missing} {unit} of {quantity}",
        missing=missing,
        unit=payable.unit,
        quantity=payable.quantity,
    )
    return NextStep(who=who, what=what, by=seen.codes_by)


def _recall_step(seen: Seen) -> NextStep | None:
    """Who ends the recall that keeps the rest from being paid; None when nothing is left, or it is in a run already."""
    unpaid = seen.payable.amount_yuan - seen.payable.paid_yuan
    in_run = seen.state == SHEETED and seen.sheet is not None and seen.sheet.state == IN_RUN
    if seen.recall is None or not unpaid or in_run:
        return None
    return recall_step(seen.recall, unpaid)


def _money_steps(seen: Seen) -> list[NextStep]:
    """Who moves the part that is released; nobody while nothing is, and when it is paid."""
    payable = seen.payable
    who = hospital(payable.institution_code, payable.institution_name)
    on_sheet = sheets.next_steps(seen.sheet) if seen.sheet is not None else []
    match seen.state:
        case "recalled":
            return []
        case "awaiting_codes" | "sheeted" | "paid":
            return on_sheet
        case "held":
            what = Said(
                "settle the dispute over {held_yuan} yuan of {product}, lot {lot_number}, order {order}: {reason}",
                held_yuan=payable.held_yuan,
                product=payable.product_name,
                lot_number=payable.lot_number,
                order=payable.order_number,
                reason=payable.held_reason,
            )
            return [NextStep(who=who, what=what, by=day_over(payable.resolve_by or payable.due_on)), *on_sheet]
    if payable.quantity_uncovered and payable.covered_yuan <= payable.sheeted_yuan:
        return on_sheet
    return [
        *on_sheet,
        NextStep(who=PLATFORM, what=Said("issue the sheet when the month has closed"), by=seen.closes_at),
    ]
