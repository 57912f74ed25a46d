"""What settlement says: what is owed, what of it may be paid, and what was paid.

Amounts are yuan with 2 places. A payable's `sequence` grows with each release; released figures are totals, not steps.
"""

from datetime import date
from typing import Annotated
from uuid import UUID

from shared.events.base import Amount, Event, Instant, Value, event, one_of


@event("cn.jicai.settlement.payable.opened.v1", subject="payable_id")
class PayableOpened(Event, frozen=True, kw_only=True):
    """An accepted line is owed for; due on `due_on`. `codes_required`: payable only as far as valid codes cover it."""

    payable_id: UUID
    shipment_line_id: UUID
    shipment_id: UUID
    order_id: UUID
    order_line_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    product_code: str
    quantity: int
    amount_yuan: Amount
    accepted_at: Instant
    due_on: date
    codes_required: bool


class SheetPart(Value, frozen=True, kw_only=True):
    """A sheet on which a part of a payable stands, paid or not, and by how much: by nothing where it stood and has left."""

    sheet_id: UUID
    amount_yuan: Amount


@event("cn.jicai.settlement.payable.released.v1", subject="payable_id")
class PayableReleased(Event, frozen=True, kw_only=True):
    """So much of the payable may be paid now; `complete` when it is all of it.

    `quantity_uncovered` of it were released for codes that do not count any more; `disputed` is why the hospital disputes a
    part of it, None when it does not, to be settled by `resolve_by`; `on_sheets`: where parts of it stand already, or stood.
    """

    payable_id: UUID
    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    quantity_released: int
    amount_released_yuan: Amount
    complete: bool
    quantity_uncovered: int = 0
    disputed: str | None = None
    resolve_by: date | None = None
    on_sheets: tuple[SheetPart, ...] = ()


@event("cn.jicai.settlement.payable.held.v1", subject="payable_id")
class PayableHeld(Event, frozen=True, kw_only=True):
    """A part of the payable left its sheet and is not paid for now, and why; `disputed` as in its release: None after a recall
    alone; `on_sheets`: where other parts of it stand, and which sheets it has left."""

    payable_id: UUID
    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    reason: str
    disputed: str | None = None
    resolve_by: date | None = None
    on_sheets: tuple[SheetPart, ...] = ()


@event("cn.jicai.settlement.sheet.issued.v1", subject="sheet_id")
class SheetIssued(Event, frozen=True, kw_only=True):
    """The month of a hospital and a supplier is summed up; the hospital confirms or disputes by `confirm_by`; `due_on`: when
    the first of its money is due."""

    sheet_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    month: date
    amount_yuan: Amount
    line_count: int
    confirm_by: date
    due_on: date | None = None


@event("cn.jicai.settlement.sheet.confirmed.v1", subject="sheet_id")
class SheetConfirmed(Event, frozen=True, kw_only=True):
    """The hospital stands by the sheet; disputed lines have left it."""

    sheet_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    month: date
    amount_yuan: Amount


@event("cn.jicai.settlement.sheet.disputed.v1", subject="sheet_id")
class SheetDisputed(Event, frozen=True, kw_only=True):
    """The hospital disputes lines of the sheet."""

    sheet_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    month: date
    payable_ids: tuple[UUID, ...]
    reason: str


@event("cn.jicai.settlement.sheet.returned.v1", subject="sheet_id")
class SheetReturned(Event, frozen=True, kw_only=True):
    """The agency sent a confirmed sheet back, and why; the hospital confirms it again or disputes it by `confirm_by`."""

    sheet_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    month: date
    amount_yuan: Amount
    reason: str
    confirm_by: date


@event("cn.jicai.settlement.receiving_account.changed.v1", subject="account_id")
class ReceivingAccountChanged(Event, frozen=True, kw_only=True):
    """A supplier's receiving account for a region and those within it: `named`, `confirmed` (it is paid to), `refused`, or
    `replaced` by another. Its number is told to nobody."""

    account_id: UUID
    supplier_code: str
    region: str
    state: Annotated[str, one_of("named", "confirmed", "refused", "replaced")]


@event("cn.jicai.settlement.payment.sent.v1", subject="payment_id")
class PaymentSent(Event, frozen=True, kw_only=True):
    """The bank was asked to pay a supplier for one sheet."""

    payment_id: UUID
    run_id: UUID
    sheet_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    amount_yuan: Amount
    sent_at: Instant
    month: date | None = None


class PaidLine(Value, frozen=True, kw_only=True):
    """How much of a payable is paid in total. `step` rises with every movement of its money: of two totals of one payable,
    which payments of any order may tell, the one of the higher step is the newer."""

    payable_id: UUID
    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID
    amount_yuan: Amount
    step: int = 0


@event("cn.jicai.settlement.payment.paid.v1", subject="payment_id")
class PaymentPaid(Event, frozen=True, kw_only=True):
    """The bank paid the sheet of a month. Said in parts of at most 1,000 lines; `amount_yuan` is this part's."""

    payment_id: UUID
    run_id: UUID
    sheet_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    amount_yuan: Amount
    paid_at: Instant
    lines: tuple[PaidLine, ...]
    month: date | None = None


@event("cn.jicai.settlement.payment.failed.v1", subject="payment_id")
class PaymentFailed(Event, frozen=True, kw_only=True):
    """The bank refused, or sent back what it had paid (`returned`); the sheet is payable again.

    Said in parts of at most 1,000 lines, each with what is paid of its payable now; `amount_yuan` is the whole payment's,
    `account_id` the receiving account that it went to.
    """

    payment_id: UUID
    run_id: UUID
    sheet_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    amount_yuan: Amount
    reason: str
    account_id: UUID | None = None
    returned: bool = False
    lines: tuple[PaidLine, ...] = ()
    month: date | None = None


@event("cn.jicai.settlement.payment.doubted.v1", subject="payment_id")
class PaymentDoubted(Event, frozen=True, kw_only=True):
    """The bank has said both that a payment was made and that it was not, or the agency has found out which is true.

    `in_doubt`: whether a payment of the sheet is in doubt from now on.
    """

    payment_id: UUID
    run_id: UUID
    sheet_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    amount_yuan: Amount
    month: date
    in_doubt: bool
