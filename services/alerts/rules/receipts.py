"""What came of a shipment line, watched from acceptance to payment: when it waits for codes or money longer than promised.

Facts come from several topics in any order, so each column is filled by its own event and a decision reads what is there.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.alerts.rules.alerts import About, Alert, Cause, Kind
from shared import money
from shared.errors import Said
from shared.values import frozen


@frozen
class WatchedReceipt:
    """What came of one shipment line: accepted, owed for, covered by codes, paid, as far as it is known here."""

    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID | None
    institution_code: str
    supplier_code: str
    region: str
    product_code: str | None
    lot_number: str | None
    quantity_shipped: int | None
    quantity_accepted: int | None
    accepted_at: datetime | None
    rejected_at: datetime | None
    cancelled_at: datetime | None
    payable_id: UUID | None
    amount_yuan: Decimal | None
    due_on: date | None
    codes_required: bool | None
    released: bool | None
    quantity_released: int | None
    quantity_uncovered: int | None
    released_yuan: Decimal | None
    released_version: int | None
    covered: bool | None
    quantity_covered: int | None
    covered_version: int | None
    paid_yuan: Decimal | None
    paid_step: int | None
    opened_event: UUID | None
    disputed: str | None
    resolve_by: date | None
    on_sheets: dict[str, str] | None
    """the yuan on each sheet, by its id, on which a part of the money stood when it moved last; 0.00 on one that it had left"""
    moved_at: datetime | None
    """since when the money stands as it does: released, or off its sheet"""
    disputed_version: int | None
    order_number: str | None = None
    product_name: str | None = None
    """these two are of its order line, and not of its own row"""

    @property
    def codes_complete(self) -> bool:
        """Whether nobody waits for codes: none are asked for, or all are there and none that money was released for is lost."""
        return self.codes_required is False or (bool(self.released or self.covered) and not self.quantity_uncovered)

    @property
    def unpaid_yuan(self) -> Decimal:
        """What is still owed of the whole amount."""
        return (self.amount_yuan or Decimal(0)) - (self.paid_yuan or Decimal(0))

    @property
    def payable_yuan(self) -> Decimal:
        """What codes hold no more and is not paid: of what was released, or of all where nobody waits for codes. Nothing while
        codes are lost, for what was released goes on no sheet as a whole then."""
        if self.codes_complete:
            return self.unpaid_yuan
        if self.quantity_uncovered:
            return Decimal(0)
        return (self.released_yuan or Decimal(0)) - (self.paid_yuan or Decimal(0))

    @property
    def off_sheets_yuan(self) -> Decimal:
        """What codes hold no more and stood on no sheet when the money moved last."""
        on_sheets = sum(map(Decimal, (self.on_sheets or {}).values()), Decimal(0))
        return self.payable_yuan + (self.paid_yuan or Decimal(0)) - on_sheets

    @property
    def quantity_awaiting_codes(self) -> int:
        """What is not paid for before codes cover it, for the first time or again."""
        if self.codes_complete:
            return 0
        standing = (self.quantity_released or 0) - (self.quantity_uncovered or 0)
        return (self.quantity_accepted or 0) - max(self.quantity_covered or 0, standing)

    @property
    def paid(self) -> bool:
        """Whether the whole amount was paid; nothing is owed for an amount of zero."""
        return self.amount_yuan is not None and (self.paid_yuan or Decimal(0)) >= self.amount_yuan


def short_coverages(receipts: Sequence[WatchedReceipt]) -> list[Cause]:
    """One cause per payable that waits for codes when their time is over."""
    return [
        _of_receipt(receipt, Kind.COVERAGE_SHORT, "coverage_hours", receipt.accepted_at, _short_words(receipt))
        for receipt in receipts
        if receipt.payable_id is not None and receipt.accepted_at is not None and not receipt.codes_complete
    ]


def lost_coverages(receipts: Sequence[WatchedReceipt], now: datetime) -> list[Cause]:
    """One cause per payable of which more was released than codes cover now; each loss is an occasion of its own."""
    return [
        _of_receipt(
            receipt,
            Kind.COVERAGE_SHORT,
            f"codes_lost_{receipt.released_version}",
            receipt.moved_at or now,
            _lost_words(receipt),
        )
        for receipt in receipts
        if receipt.payable_id is not None and receipt.quantity_uncovered
    ]


def overdue_payments(receipts: Sequence[WatchedReceipt], now: datetime) -> list[Cause]:
    """One cause per payable that is not paid in full after its due date, and one more whenever its money came back."""
    return [
        _of_receipt(
            receipt,
            Kind.PAYMENT_OVERDUE,
            "due_on" if receipt.paid_step is None else f"due_on, step {receipt.paid_step}",
            now,
            _overdue_words(receipt),
        )
        for receipt in receipts
        if receipt.payable_id is not None and receipt.amount_yuan is not None and not receipt.paid
    ]


def _of_receipt(receipt: WatchedReceipt, kind: Kind, cause: str, happened_at: datetime, detail: Said) -> Cause:
    return Cause(
        kind=kind,
        about=About.PAYABLE,
        about_id=str(receipt.payable_id),
        cause=cause,
        remedy_key=str(receipt.payable_id),
        institution_code=receipt.institution_code,
        supplier_code=receipt.supplier_code,
        region=receipt.region,
        product_code=receipt.product_code,
        happened_at=happened_at,
        detail=detail,
        evidence={
            "payable_id": str(receipt.payable_id),
            "shipment_line_id": str(receipt.shipment_line_id),
            "order_id": str(receipt.order_id),
            "order_line_id": str(receipt.order_line_id),
            **_named(receipt),
            "accepted_at": receipt.accepted_at,
            "quantity_accepted": receipt.quantity_accepted,
            "amount_yuan": yuan_text(receipt.amount_yuan),
            "due_on": receipt.due_on,
            **moving(receipt),
            "events": [str(receipt.opened_event)],
        },
    )


def as_known(alert: Alert, receipt: WatchedReceipt) -> Alert:
    """An alert about a payable with the figures as they are now, which it was raised with as they were then."""
    if alert.kind == Kind.PAYMENT_OVERDUE:
        detail = _overdue_words(receipt)
    else:
        detail = _lost_words(receipt) if receipt.quantity_uncovered else _short_words(receipt)
    return replace(alert, detail=detail, evidence={**alert.evidence, **_named(receipt), **moving(receipt)})


def moving(receipt: WatchedReceipt) -> dict[str, Any]:
    """The figures of a payable that change while it waits."""
    return {
        "quantity_covered": receipt.quantity_covered or 0,
        "quantity_released": receipt.quantity_released or 0,
        "quantity_uncovered": receipt.quantity_uncovered or 0,
        "quantity_awaiting_codes": receipt.quantity_awaiting_codes,
        "released_yuan": yuan_text(receipt.released_yuan or Decimal("0.00")),
        "paid_yuan": yuan_text(receipt.paid_yuan or Decimal("0.00")),
    }


def _named(receipt: WatchedReceipt) -> dict[str, str | None]:
    """What a person calls the goods of a payable by."""
    return {
        "order_number": receipt.order_number,
        "product_name": receipt.product_name,
        "lot_number": receipt.lot_number,
    }


def _goods(receipt: WatchedReceipt) -> Said:
    return Said(
        "{product}, lot {lot}, order {order_number}",
        product=receipt.product_name or receipt.product_code,
        lot=receipt.lot_number or "?",
        order_number=receipt.order_number or "?",
    )


def _short_words(receipt: WatchedReceipt) -> Said:
    return Said(
        "{goods}: valid codes cover {covered} of {accepted} accepted on {at}; the money is held.",
        goods=_goods(receipt),
        covered=receipt.quantity_covered or 0,
        accepted=receipt.quantity_accepted,
        at=receipt.accepted_at or "?",
    )


def _lost_words(receipt: WatchedReceipt) -> Said:
    return Said(
        "{goods}: {released} of {accepted} were released for payment, and codes of {lost} of them do not count any more.",
        goods=_goods(receipt),
        released=receipt.quantity_released,
        accepted=receipt.quantity_accepted,
        lost=receipt.quantity_uncovered,
    )


def _overdue_words(receipt: WatchedReceipt) -> Said:
    return Said(
        "{goods}: {yuan} yuan were due on {due_on}, {paid} are paid.",
        goods=_goods(receipt),
        yuan=yuan_text(receipt.amount_yuan),
        due_on=receipt.due_on,
        paid=yuan_text(receipt.paid_yuan or Decimal("0.00")),
    )


def yuan_text(amount: Decimal | None) -> str | None:
    """An amount as it is told, where it is known."""
    return None if amount is None else money.amount_text(amount)
