"""What a bank may answer and what becomes of a payment then: an unknown answer is neither paid nor failed.

A payment's id is the key under which the bank is asked, again and again, and pays at most once.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.settlement.errors import PaymentNotOpen
from services.settlement.rules.ledger import Posting
from services.settlement.rules.sheets import PAYING, REVIEWED, Paying
from shared.errors import Said
from shared.next_steps import NextStep, agency, day_over
from shared.values import frozen

PLANNED, SENDING, PAID, FAILED, WITHDRAWN = STATES = ("planned", "sending", "paid", "failed", "withdrawn")

SENT = (SENDING, PAID, FAILED)
"""Of which the bank has been told."""

ASK_AGAIN_FIRST_SECONDS = 60
ASK_AGAIN_LONGEST_SECONDS = 6 * 3_600


class Verdict(StrEnum):
    """What a bank says of one payment. `pending`: it has the order; `unknown`: it has said nothing that can be used."""

    PAID = "paid"
    REFUSED = "refused"
    BOUNCED = "bounced"
    PENDING = "pending"
    UNKNOWN = "unknown"


NEXT = {
    (SENDING, Verdict.PAID): (PAID, Posting.PAID),
    (SENDING, Verdict.REFUSED): (FAILED, Posting.REFUSED),
    (SENDING, Verdict.BOUNCED): (FAILED, Posting.REFUSED),
    (PAID, Verdict.BOUNCED): (FAILED, Posting.BOUNCED),
}
"""State and answer → state, and what the ledger books."""

SAID_BEFORE = {(PAID, Verdict.PAID), (FAILED, Verdict.REFUSED), (FAILED, Verdict.BOUNCED)}
"""The same answer again, which changes nothing."""


@frozen
class Payment:
    """One payment for one sheet; `version` counts its events, 0 before the bank was asked."""

    id: UUID
    run_id: UUID
    sheet_id: UUID
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    month: date
    amount_yuan: Decimal
    state: str
    reason: str | None
    sent_at: datetime | None
    answered_at: datetime | None
    paid_at: datetime | None
    version: int
    approved_at: datetime | None = None
    account_id: UUID | None = None
    holder_name: str | None = None
    bank_name: str | None = None
    cnaps_code: str | None = None
    account_number: str | None = None
    """the account as it was confirmed when the payment was planned; None of what earlier versions planned"""
    contradicted_at: datetime | None = None
    """when the bank said paid after it had said that it was not: the money may have gone out"""
    sheet_state: str | None = None
    due_on: date | None = None
    """of the sheet; not kept in the payment's own row"""


@frozen
class BankAnswer:
    """What the bank says of one payment."""

    payment_id: UUID
    verdict: Verdict
    reason: str | None = None
    paid_at: datetime | None = None


def answered(payment: Payment, answer: BankAnswer, at: datetime) -> tuple[Payment, Posting | None]:
    """The payment after an answer, and what to book; unchanged and None when the answer says nothing new.

    Raises PaymentNotOpen for an answer that contradicts what is known: a person must look at it.
    """
    step = NEXT.get((payment.state, answer.verdict))
    if step is not None:
        state, posting = step
        after = replace(
            payment,
            state=state,
            reason=answer.reason or (None if state == PAID else answer.verdict.value),
            answered_at=at,
            paid_at=(answer.paid_at or at) if state == PAID else payment.paid_at,
        )
        return after, posting
    says_nothing = answer.verdict in {Verdict.PENDING, Verdict.UNKNOWN} and payment.state == SENDING
    if says_nothing or (payment.state, answer.verdict) in SAID_BEFORE:
        return payment, None
    since = payment.answered_at or payment.sent_at
    raise PaymentNotOpen(
        "Payment {id} of {amount_yuan} yuan is {state}{since}; the bank's answer {answer!j} does not fit.",
        id=payment.id,
        amount_yuan=payment.amount_yuan,
        state=payment.state,
        since=f" since {since.isoformat()}" if since else "",
        answer=answer.verdict.value,
    )


def ask_again_after(asked_times: int) -> timedelta:
    """How long to wait before asking once more: doubled each time, up to a bound."""
    doubled = ASK_AGAIN_FIRST_SECONDS * 2 ** min(asked_times, 20)
    return timedelta(seconds=min(doubled, ASK_AGAIN_LONGEST_SECONDS))


def next_step(payment: Payment) -> NextStep | None:
    """Whom a payment waits for; one that failed waits only until its sheet stands in another run."""
    if payment.state in (PLANNED, SENDING):
        approved = payment.state == PLANNED and payment.approved_at is not None
        who, what = PAYING[Paying.APPROVED if approved else Paying(payment.state)](payment.region)
        return NextStep(who=who, what=what, by=day_over(payment.due_on))
    if payment.state == FAILED and payment.sheet_state == REVIEWED:
        what = Said("mend the cause ({reason}) and take the sheet into another run", reason=payment.reason)
        return NextStep(who=agency(payment.region), what=what, by=day_over(payment.due_on))
    return None
