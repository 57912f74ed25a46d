"""What is said about payments over HTTP."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from services.settlement.rules.accounts import masked
from services.settlement.rules.payments import Payment, next_step
from services.settlement.schemas.sheets import Month
from shared.http import Amount, View
from shared.http.problems import FaultView
from shared.next_steps import NextStep


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
    sent_at: datetime | None
    answered_at: datetime | None
    paid_at: datetime | None
    contradicted_at: datetime | None = Field(
        description="when the bank said paid of it after it had failed: the money may have gone out, ask the bank"
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
