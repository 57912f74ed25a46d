"""The months' sheets as alerts watches them: whether the hospital has answered each in its time, and whether it is paid."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from services.alerts.rules.alerts import About, Cause, Kind
from services.alerts.rules.receipts import yuan_text
from shared.errors import Said
from shared.next_steps import HeardOfPayment, day_over
from shared.values import frozen

NAMED, CONFIRMED = "named", "confirmed"
"""How far a supplier's receiving account is; an account that was refused or replaced is none."""


@frozen
class WatchedSheet(HeardOfPayment):
    """A month's sheet as far as it is known here; `issued_at` is None while only a later deed has arrived; `answered_at`: the
    hospital confirmed it, or disputed lines of it; `confirmed_at`: it confirmed what was left; `returned_at`: the agency sent
    it back; `sent_at`: the bank was asked to pay it; `paid_at`: the bank paid it; `unpaid_at`: its payment failed or came back;
    `doubted_at`: the bank said both of a payment of it; `undoubted_at`: the agency had found out of all. Each: the last time."""

    sheet_id: UUID
    institution_code: str
    supplier_code: str
    region: str
    month: date
    amount_yuan: Decimal | None
    line_count: int | None
    confirm_by: date | None
    issued_at: datetime | None
    answered_at: datetime | None
    confirmed_at: datetime | None
    returned_at: datetime | None
    due_on: date | None
    paid_at: datetime | None
    unpaid_at: datetime | None
    sent_at: datetime | None
    doubted_at: datetime | None
    undoubted_at: datetime | None
    issued_event: UUID | None
    failed_account_id: UUID | None
    failed_reason: str | None
    failed_to: str | None = None
    """not of its own row"""
    receiving: str | None = None
    """how far the account is that its supplier is paid to: `named`, `confirmed`; None before one is named; not of its own row"""

    @property
    def answered(self) -> bool:
        """Whether the hospital has confirmed or disputed it since it was asked last."""
        return self.answered_at is not None and not self._sent_back_since(self.answered_at)

    @property
    def confirmed(self) -> bool:
        """Whether the hospital stands by it."""
        return self.confirmed_at is not None and not self._sent_back_since(self.confirmed_at)

    def _sent_back_since(self, at: datetime) -> bool:
        return self.returned_at is not None and self.returned_at > at


def silent_sheets(sheets: Sequence[WatchedSheet], now: datetime) -> list[Cause]:
    """One cause per sheet that the hospital neither confirmed nor disputed by the end of its day."""
    return [_silent(sheet, late) for sheet in sheets if (late := _late_from(sheet)) and late <= now]


def _late_from(sheet: WatchedSheet) -> datetime | None:
    return None if sheet.answered else day_over(sheet.confirm_by)


def _silent(sheet: WatchedSheet, late_from: datetime) -> Cause:
    return Cause(
        kind=Kind.SHEET_UNCONFIRMED,
        about=About.SHEET,
        about_id=str(sheet.sheet_id),
        cause=f"confirm_by, returned {sheet.returned_at.isoformat()}" if sheet.returned_at else "confirm_by",
        remedy_key=str(sheet.sheet_id),
        institution_code=sheet.institution_code,
        supplier_code=sheet.supplier_code,
        region=sheet.region,
        product_code=None,
        happened_at=late_from,
        detail=Said(
            "{institution} neither confirmed nor disputed the sheet of {month:%Y-%m} over {yuan} yuan by {confirm_by}.",
            institution=sheet.institution_code,
            month=sheet.month,
            yuan=yuan_text(sheet.amount_yuan),
            confirm_by=sheet.confirm_by,
        ),
        evidence={
            "sheet_id": str(sheet.sheet_id),
            "month": f"{sheet.month:%Y-%m}",
            "amount_yuan": yuan_text(sheet.amount_yuan),
            "line_count": sheet.line_count,
            "confirm_by": sheet.confirm_by,
            "returned_at": sheet.returned_at,
            "events": [str(sheet.issued_event)],
        },
    )
