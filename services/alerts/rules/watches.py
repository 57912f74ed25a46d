"""What is watched for a deadline: order lines and receipts, and when each is as promised.

Facts come from several topics in any order, so each column is filled by its own event and a decision reads what is there.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.alerts.rules.alerts import About, Alert, Cause, Kind
from shared import clock, money
from shared.errors import Said
from shared.values import frozen

SHOWN_LINES = 50
"""Lines that the evidence of one alert lists; the count tells of the rest."""


@frozen
class WatchedLine:
    """An order line as far as it is known here; `None` is what has not arrived yet."""

    line_id: UUID
    order_id: UUID
    order_number: str | None
    institution_code: str
    supplier_code: str | None
    manufacturer_code: str | None
    region: str
    product_code: str | None
    product_name: str | None
    quantity_ordered: int | None
    quantity_confirmed: int | None
    quantity_refused: int | None
    placed_at: datetime | None
    confirm_by: datetime | None
    deliver_by: datetime | None
    confirmed_at: datetime | None
    refused_at: datetime | None
    cancelled_at: datetime | None
    closed_at: datetime | None
    placed_event: UUID | None
    confirmed_event: UUID | None
    quantity_accepted: int = 0
    quantity_on_the_way: int = 0

    def arriving(self, accepted: int, on_the_way: int) -> "WatchedLine":
        """The line with what was accepted of it, and what was shipped and neither received nor taken back."""
        return replace(self, quantity_accepted=accepted, quantity_on_the_way=on_the_way)

    @property
    def quantity_missing(self) -> int:
        """What was confirmed, and is neither accepted nor on the way."""
        return max(0, (self.quantity_confirmed or 0) - self.quantity_accepted - self.quantity_on_the_way)

    @property
    def answered(self) -> bool:
        """Whether nobody waits for the distributor's word any more."""
        return any((self.confirmed_at, self.refused_at, self.cancelled_at, self.closed_at))

    @property
    def delivered(self) -> bool:
        """Whether nothing more is awaited: accepted as confirmed, or closed."""
        if self.closed_at or self.cancelled_at:
            return True
        return self.quantity_confirmed is not None and self.quantity_accepted >= self.quantity_confirmed


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


def unconfirmed_key(order_id: UUID, supplier_code: str | None) -> str:
    """What an unconfirmed alert is about: one order at one distributor."""
    return f"{order_id}:{supplier_code}"


def unconfirmed(lines: Sequence[WatchedLine], now: datetime) -> list[Cause]:
    """One cause per order and distributor that still owes a word on a line after the time to confirm."""
    open_lines: dict[str, list[WatchedLine]] = {}
    for line in lines:
        if line.confirm_by is not None and line.confirm_by <= now and not line.answered:
            open_lines.setdefault(unconfirmed_key(line.order_id, line.supplier_code), []).append(line)
    return [_unconfirmed(key, group, now) for key, group in open_lines.items()]


def _unconfirmed(key: str, lines: Sequence[WatchedLine], now: datetime) -> Cause:
    first = lines[0]
    return Cause(
        kind=Kind.ORDER_UNCONFIRMED,
        about=About.ORDER,
        about_id=key,
        cause="confirm_by",
        remedy_key=key,
        institution_code=first.institution_code,
        supplier_code=first.supplier_code,
        region=first.region,
        product_code=first.product_code if len(lines) == 1 else None,
        happened_at=first.confirm_by or now,
        detail=Said(
            "Neither confirmed nor refused by {by}: {count:#line} of order {order_number}.",
            by=_minute(first.confirm_by),
            count=len(lines),
            order_number=first.order_number,
        ),
        evidence={
            "order_id": str(first.order_id),
            "order_number": first.order_number,
            "confirm_by": first.confirm_by,
            "line_count": len(lines),
            "lines": [_shown(line) for line in lines[:SHOWN_LINES]],
            "events": [str(first.placed_event)],
        },
    )


def overdue_deliveries(lines: Sequence[WatchedLine], now: datetime) -> list[Cause]:
    """One cause per confirmed line of which less than confirmed was accepted after the time to deliver."""
    return [
        Cause(
            kind=Kind.DELIVERY_OVERDUE,
            about=About.ORDER_LINE,
            about_id=str(line.line_id),
            cause="deliver_by",
            remedy_key=str(line.line_id),
            institution_code=line.institution_code,
            supplier_code=line.supplier_code,
            region=line.region,
            product_code=line.product_code,
            happened_at=line.deliver_by,
            detail=_late_words(line),
            evidence={
                "order_id": str(line.order_id),
                "order_number": line.order_number,
                "deliver_by": line.deliver_by,
                **_shown(line),
                **arriving(line),
                "events": [str(line.confirmed_event)],
            },
            manufacturer_code=line.manufacturer_code,
        )
        for line in lines
        if line.deliver_by is not None and line.deliver_by <= now and not line.delivered
    ]


def _late_words(line: WatchedLine) -> Said:
    return Said(
        "Of {confirmed} confirmed and due by {by} {accepted} are accepted, {on_the_way} on the way and {missing} missing; order"
        " {order_number}.",
        confirmed=line.quantity_confirmed,
        by=_minute(line.deliver_by),
        accepted=line.quantity_accepted,
        on_the_way=line.quantity_on_the_way,
        missing=line.quantity_missing,
        order_number=line.order_number,
    )


def arriving(line: WatchedLine) -> dict[str, Any]:
    """The figures of a line that change while it is delivered."""
    names = ("quantity_accepted", "quantity_on_the_way", "quantity_missing")
    return {name: getattr(line, name) for name in names}


def late_as_known(alert: Alert, line: WatchedLine) -> Alert:
    """An alert of a late delivery with the figures as they are now."""
    return replace(alert, detail=_late_words(line), evidence={**alert.evidence, **arriving(line)})


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
            now,
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
    return replace(alert, detail=detail, evidence={**alert.evidence, **moving(receipt)})


def moving(receipt: WatchedReceipt) -> dict[str, Any]:
    """The figures of a payable that change while it waits."""
    return {
        "quantity_covered": receipt.quantity_covered,
        "quantity_released": receipt.quantity_released,
        "quantity_uncovered": receipt.quantity_uncovered,
        "quantity_awaiting_codes": receipt.quantity_awaiting_codes,
        "released_yuan": yuan_text(receipt.released_yuan),
        "paid_yuan": yuan_text(receipt.paid_yuan or Decimal("0.00")),
    }


def _short_words(receipt: WatchedReceipt) -> Said:
    return Said(
        "Valid codes cover {covered} of {accepted} accepted on {at}; the money is held.",
        covered=receipt.quantity_covered or 0,
        accepted=receipt.quantity_accepted,
        at=_minute(receipt.accepted_at),
    )


def _lost_words(receipt: WatchedReceipt) -> Said:
    return Said(
        "{released} of {accepted} were released for payment, and codes of {lost} of them do not count any more.",
        released=receipt.quantity_released,
        accepted=receipt.quantity_accepted,
        lost=receipt.quantity_uncovered,
    )


def _overdue_words(receipt: WatchedReceipt) -> Said:
    return Said(
        "{yuan} yuan were due on {due_on}, {paid} are paid.",
        yuan=yuan_text(receipt.amount_yuan),
        due_on=receipt.due_on,
        paid=yuan_text(receipt.paid_yuan or Decimal("0.00")),
    )


def _shown(line: WatchedLine) -> dict[str, Any]:
    return {
        "line_id": str(line.line_id),
        "product_code": line.product_code,
        "product_name": line.product_name,
        "quantity_ordered": line.quantity_ordered,
        "quantity_confirmed": line.quantity_confirmed,
        "quantity_accepted": line.quantity_accepted,
    }


def _minute(instant: datetime | None) -> str:
    return "?" if instant is None else f"{instant.astimezone(clock.SHANGHAI):%Y-%m-%d %H:%M (Shanghai)}"


def yuan_text(amount: Decimal | None) -> str | None:
    """An amount as it is told, where it is known."""
    return None if amount is None else money.amount_text(amount)
