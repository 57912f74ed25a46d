"""What is said about payments over HTTP."""

from datetime import date, datetime
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field

from services.settlement.rules.accounts import masked
from services.settlement.rules.payments import PAID, Payment, next_step
from services.settlement.schemas.sheets import Month
from shared.http import Amount, Command, Name, Reason, View
from shared.http.problems import FaultView
from shared.next_steps import NextStep


class ConfirmPayment(Command):
    """The agency has found out with the bank that a payment was made: one in doubt, or one that was not sent yet."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"bank_reference": "2026040800012345", "reason": "银行回单证实已于4月8日入账"}]}
    )

    bank_reference: Name = Field(description="what the bank knows the payment by (银行流水号), from its receipt")
    reason: Reason
    paid_on: date | None = Field(
        default=None,
        description="the day in Shanghai on which the bank made it; needed of a payment that was not sent, and of no other",
    )


class DismissDoubt(Command):
    """The agency has found out with the bank that what is booked of a payment in doubt is true: it was not made, or it was."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "银行确认未扣款, 回单为误发"}]})

    reason: Reason


class PaymentView(View):
    """One payment for one sheet: an unknown answer leaves it `sending`."""

    id: UUID
    run_id: UUID
    sheet_id: UUID
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    month: Month
    amount_yuan: Amount
    state: str
    reason: str | None
    sent_at: datetime | None = Field(
        description="when the bank was asked; null of one that was booked as paid without being sent, as after a restore"
    )
    answered_at: datetime | None
    paid_at: datetime | None = Field(
        description="when the bank paid it; null of one whose money came back, of which the timeline says when it was paid"
    )
    contradicted_at: datetime | None = Field(
        description="when the bank said the contrary of what it had said of it, until the agency has found out which is true:"
        " then the payment is paid after all, its money came back, or the doubt is dismissed"
    )
    bank_reference: str | None = Field(
        description="what the bank knows the payment by, where its result file or whoever booked it as made told it"
    )
    account_id: UUID | None = Field(description="the account that was confirmed when the payment was planned")
    holder_name: str | None
    bank_name: str | None
    cnaps_code: str | None
    account_number: str | None = Field(description="all but the last 4 digits masked")
    waits_for: NextStep | None

    @classmethod
    def of(cls, payment: Payment) -> Self:
        """The view of a payment."""
        shown = {name: getattr(payment, name) for name in cls.model_fields if name != "waits_for"}
        shown["paid_at"] = (
            payment.paid_at if payment.state == PAID else None
        )  # earlier versions kept it of what came back
        shown["account_number"] = payment.account_number and masked(payment.account_number)
        return cls(**shown, waits_for=next_step(payment))


class RefusedResult(View):
    """A row of a result file that was not taken, with its number in the file."""

    row: int
    code: str
    detail: str
    errors: list[FaultView]


class ResultFileView(View):
    """What became of a result file: rows that said something new, that were known already, that were refused."""

    paid: int
    failed: int
    unchanged: int
    refused: list[RefusedResult]
