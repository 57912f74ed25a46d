"""What a bank may answer and what becomes of a payment then: an unknown answer is neither paid nor failed.

A payment's id is the key under which the bank is asked, again and again, and pays at most once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.settlement.errors import AnswerRefused, PaymentNotOpen
from services.settlement.rules.accounts import DETAILS, digest
from services.settlement.rules.ledger import Posting
from services.settlement.rules.sheets import PAYING, REVIEWED, Paying
from shared import clock, money
from shared.errors import Fault, Said
from shared.next_steps import NextStep, again_step, day_over, doubt_step
from shared.values import frozen

PLANNED, SENDING, PAID, FAILED, WITHDRAWN = STATES = ("planned", "sending", "paid", "failed", "withdrawn")

SENT = (SENDING, PAID, FAILED)
"""Which the bank knows: it was told of them, or has made them before they were sent."""

ASK_AGAIN_FIRST_SECONDS = 60
ASK_AGAIN_LONGEST_SECONDS = 6 * 3_600


class Verdict(StrEnum):
    """What a bank says of one payment. `pending`: it has the order; `unknown`: it has said nothing that can be used."""

    PAID = "paid"
    REFUSED = "refused"
    BOUNCED = "bounced"
    PENDING = "pending"
    UNKNOWN = "unknown"


Words = dict[str, str | None]
"""What the bank answered of one payment: verdict, time and reason."""

NEXT = {
    (SENDING, Verdict.PAID): (PAID, Posting.PAID),
    (SENDING, Verdict.REFUSED): (FAILED, Posting.REFUSED),
    (SENDING, Verdict.BOUNCED): (FAILED, Posting.REFUSED),
    (PAID, Verdict.BOUNCED): (FAILED, Posting.BOUNCED),
}
"""State and answer → state, and what the ledger books."""

DOUBTFUL = {(FAILED, Verdict.PAID), (PAID, Verdict.REFUSED)}
"""The contrary of what the bank has said of the whole payment: a person finds out which is true."""

BANK_CLOCK_SKEW = timedelta(minutes=5)
"""So far the bank's clock may be behind ours; its times are told to the minute by some."""

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
    """when the bank said the contrary of what it had said, paid or not, until the agency has found out which is true"""
    answers: Sequence[Words] = ()
    """what the bank has answered, the oldest first"""
    bank_reference: str | None = None
    """what the bank knows it by, from a result file or from the agency that booked it as made"""
    barred: bool = False
    """whether its run is open and cannot be approved; not kept in the payment's own row"""
    changed: bool = False
    """whether its run is open, and its payments are not those that it was made of; not kept in the payment's own row"""
    held_back: bool = False
    """whether it waits in a run held back, whose payments are not those that were approved; not kept in the payment's own row"""
    sheet_state: str | None = None
    due_on: date | None = None
    """of the sheet; not kept in the payment's own row"""

    @property
    def in_doubt(self) -> bool:
        """Whether the bank has said both that it failed and that it was made, and nobody has found out yet."""
        return self.contradicted_at is not None


@frozen
class BankAnswer:
    """What the bank says of one payment."""

    payment_id: UUID
    verdict: Verdict
    reason: str | None = None
    paid_at: datetime | None = None
    amount_yuan: Decimal | None = None
    """what the bank says it paid, or was asked to; None where it does not say"""
    bank_reference: str | None = None

    @property
    def words(self) -> Words:
        """What it says, to be kept and compared."""
        paid_at = None if self.paid_at is None else self.paid_at.astimezone(UTC).isoformat()
        return {"verdict": self.verdict.value, "paid_at": paid_at, "reason": self.reason}


def answered(payment: Payment, answer: BankAnswer, at: datetime) -> tuple[Payment, Posting | None]:
    """The payment after an answer, and what to book; unchanged and None when the answer says nothing new, or was given before in
    the same words: a result file of yesterday tells nothing of today.

    Raises AnswerRefused for an answer that cannot be of this payment, and PaymentNotOpen for one that contradicts what is known,
    whatever else is odd about it: a person must look at it.
    """
    if answer.words in payment.answers:
        return payment, None
    if (payment.state, answer.verdict) not in DOUBTFUL:
        _check_fits(payment, answer)
    step = NEXT.get((payment.state, answer.verdict))
    if step is not None:
        state, posting = step
        after = replace(
            payment,
            state=state,
            reason=answer.reason or (None if state == PAID else answer.verdict.value),
            answered_at=at,
            paid_at=(answer.paid_at or at) if state == PAID else None,
            contradicted_at=None,
            bank_reference=answer.bank_reference or payment.bank_reference,
        )
        return heard(after, answer), posting
    says_nothing = answer.verdict in {Verdict.PENDING, Verdict.UNKNOWN} and payment.state in SENT
    if says_nothing or (payment.state, answer.verdict) in SAID_BEFORE:
        return payment, None
    since = payment.answered_at or payment.sent_at
    raise PaymentNotOpen(
        "Payment {id} of {amount_yuan} yuan is {state}{since}; the bank's answer {answer!j} does not fit.",
        id=payment.id,
        amount_yuan=payment.amount_yuan,
        state=payment.state,
        since=Said(" since {at}", at=since) if since else "",
        answer=answer.verdict.value,
    )


def _check_fits(payment: Payment, answer: BankAnswer) -> None:
    """Raises AnswerRefused, naming each field, when the bank's amount is another or it paid before it was asked."""
    faults: list[Fault] = []
    if answer.amount_yuan is not None and answer.amount_yuan != payment.amount_yuan:
        given, asked = money.amount_text(answer.amount_yuan), money.amount_text(payment.amount_yuan)
        faults.append(Fault("/amount_yuan", given, "not the amount of the payment", asked, "amount"))
    if answer.paid_at and payment.sent_at and answer.paid_at < _earliest(payment.sent_at, answer.paid_at):
        given, allowed = answer.paid_at.isoformat(), Said("from {sent_at} on", sent_at=payment.sent_at)
        faults.append(Fault("/paid_at", given, "lies before the payment was sent to the bank", allowed, "early"))
    if faults:
        raise AnswerRefused("The bank's answer does not fit payment {id}.", faults=faults, id=payment.id)


def _earliest(sent_at: datetime, paid_at: datetime) -> datetime:
    """When a payment can have been made at the earliest by the bank's own clock; a day without a time is any time of it."""
    if paid_at == clock.start_of_day(clock.local_date(paid_at)):
        return clock.start_of_day(clock.local_date(sent_at))
    return sent_at - BANK_CLOCK_SKEW


def digest_of(run_id: UUID, payments: Iterable[Payment]) -> str:
    """What the approval of a run keeps of it: who mandates each payment, its amount and its account. Slow, as an account's is."""
    told = (
        str(getattr(each, name)) for each in payments for name in ("id", "institution_code", "amount_yuan", *DETAILS)
    )
    return digest(run_id, *told)


def heard(payment: Payment, answer: BankAnswer) -> Payment:
    """The payment with what the bank has said of it kept."""
    return replace(payment, answers=[*payment.answers, answer.words])


def confirmed(payment: Payment, bank_reference: str, reason: str, paid_on: date | None, at: datetime) -> Payment:
    """The payment made: after all, when the bank said that it was, or on a day before it was sent.

    Raises PaymentNotOpen, and AnswerRefused for a day that cannot be, or that is told of a payment in doubt.
    """
    paid_at = _unsent_paid_at(payment, paid_on, at) if payment.state == PLANNED else _doubted_paid_at(payment, paid_on)
    return replace(
        payment,
        state=PAID,
        reason=reason,
        answered_at=at,
        paid_at=paid_at,
        contradicted_at=None,
        bank_reference=bank_reference,
    )


def _unsent_paid_at(payment: Payment, paid_on: date | None, at: datetime) -> datetime:
    """When a payment was made that stands in an approved run and was not sent: on a day after the month of its sheet."""
    if payment.approved_at is None:
        raise PaymentNotOpen(
            "Payment {id} is planned in run {run_id}, which nobody has approved; when the bank has made it already, it is"
            " booked as paid after the approval and before it is sent.",
            id=payment.id,
            run_id=payment.run_id,
        )
    first, today = clock.next_month(payment.month), clock.local_date(at)
    if paid_on is None:
        rule, code = "needed of a payment that was not sent: the day on which the bank made it", "missing"
    elif paid_on < first:
        rule, code = "lies before the month of the sheet was over", "early"
    elif paid_on > today:
        rule, code = "lies in the future", "late"
    else:
        return clock.start_of_day(paid_on)
    raise _day_refused(payment, paid_on, rule, Said("from {first} to {today}", first=first, today=today), code)


def _doubted_paid_at(payment: Payment, paid_on: date | None) -> datetime | None:
    """When a payment was made that the bank first refused and then called paid: when it said so."""
    _check_in_doubt(payment, "confirmed")
    if payment.state == PAID:
        raise PaymentNotOpen(
            "Payment {id} is booked as paid; dismiss the doubt if it was made, and load a `bounced` row if its money came back.",
            id=payment.id,
        )
    if paid_on is not None:
        rule = "told of a payment that was not sent alone; when one in doubt was made, the bank has said"
        raise _day_refused(payment, paid_on, rule, "no day", "not_expected")
    said = [answer["paid_at"] for answer in payment.answers if answer["verdict"] == Verdict.PAID]
    return datetime.fromisoformat(said[-1]) if said and said[-1] else payment.contradicted_at


def _day_refused(payment: Payment, paid_on: date | None, rule: str, allowed: str, code: str) -> AnswerRefused:
    faults = [Fault("/paid_on", paid_on and paid_on.isoformat(), rule, allowed, code)]
    return AnswerRefused("The bank's answer does not fit payment {id}.", faults=faults, id=payment.id)


def dismissed(payment: Payment) -> Payment:
    """The payment as it is booked: the agency found that this is true; raises PaymentNotOpen."""
    if payment.state == PLANNED:
        raise PaymentNotOpen(
            "Payment {id} is planned and was not sent, so it counts as not paid as it is; confirm it if the bank has made it"
            " already, and else let it be sent.",
            id=payment.id,
        )
    _check_in_doubt(payment, "dismissed")
    return replace(payment, contradicted_at=None)


def _check_in_doubt(payment: Payment, verb: str) -> None:
    if not payment.in_doubt:
        raise PaymentNotOpen(
            "Payment {id} is {state}, and nothing about it is in doubt; one of which the bank has said both can be {verb}.",
            id=payment.id,
            state=payment.state,
            verb=verb,
        )


def ask_again_after(asked_times: int) -> timedelta:
    """How long to wait before asking once more: doubled each time, up to a bound."""
    doubled = ASK_AGAIN_FIRST_SECONDS * 2 ** min(asked_times, 20)
    return timedelta(seconds=min(doubled, ASK_AGAIN_LONGEST_SECONDS))


def next_step(payment: Payment) -> NextStep | None:
    """Whom a payment waits for; one that failed waits only until its sheet stands in another run, unless it is in doubt."""
    if payment.in_doubt:
        return doubt_step(payment.region, day_over(payment.due_on))
    if payment.state in (PLANNED, SENDING):
        who, what = PAYING[_how_far(payment)](payment.region)
        return NextStep(who=who, what=what, by=day_over(payment.due_on))
    if payment.state == FAILED and payment.sheet_state == REVIEWED:
        return again_step(payment.region, payment.reason or "", day_over(payment.due_on))
    return None


def _how_far(payment: Payment) -> Paying:
    if payment.held_back:
        return Paying.HELD_BACK
    if payment.state == PLANNED and payment.approved_at is not None:
        return Paying.APPROVED
    if payment.changed:
        return Paying.CHANGED
    return Paying.BARRED if payment.barred else Paying(payment.state)
