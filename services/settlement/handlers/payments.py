"""Sends approved payments to the bank and books its answers: reserve, call, record, each step committed by itself.

A payment is `sending` in the database before the bank hears of it, and is asked for under the same id until the bank has
said paid or failed; a crash between two steps is healed by asking again.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from services.settlement.errors import AnswerRefused, BankAway, PaymentNotFound, PaymentNotOpen, RunChanged
from services.settlement.gateways import Bank, ResultRow, read_results
from services.settlement.handlers.runs import (
    ASK_BANK,
    LONGEST,
    SEND_RUN,
    changed_runs,
    check_content,
    hold_back,
    parties_of_payment,
    promise_asking,
)
from services.settlement.handlers.sheets import parties_of_sheet, store
from services.settlement.queries import payments as queries
from services.settlement.queries import runs as run_queries
from services.settlement.queries import sheets as sheet_queries
from services.settlement.queries.ledger import Booked, book_sheets
from services.settlement.rules import payments as rules
from services.settlement.rules import sheets as sheet_rules
from services.settlement.rules.ledger import Posting
from services.settlement.rules.payments import BankAnswer, Payment
from services.settlement.rules.runs import APPROVED, DONE
from services.settlement.tables import payments
from shared import clock, deadlines, history, jobs, outbox
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Fault, ServiceError
from shared.events.settlement import PaidLine, PaymentDoubted, PaymentFailed, PaymentPaid, PaymentSent
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller
from shared.jobs import Job

log = logging.getLogger(__name__)

ORDERS_A_CALL = 500
LINES_AN_EVENT = 1_000
CHANGING = (
    "state",
    "reason",
    "sent_at",
    "answered_at",
    "paid_at",
    "contradicted_at",
    "answers",
    "bank_reference",
    "version",
)


async def send_run(bank_of: Callable[[], Bank], job: Job) -> dict[str, Any]:
    """The job of an approved run: batch by batch reserve, call outside any transaction, record. Raises RunChanged."""
    run_id, bank = UUID(job.params["run_id"]), bank_of()
    after = UUID(job.cursor.get("after", str(queries.FIRST)))
    while True:
        try:
            async with job.step() as tx:
                orders = await reserve(tx, run_id, after)
        except RunChanged as refusal:
            async with job.step() as tx:
                await hold_back(tx, {run_id: refusal.detail})
            raise
        if not orders:
            break
        try:
            answers = await bank.pay(orders)
        except BankAway:  # nothing is known of them, which is what their rows say already
            answers = []
        async with job.step() as tx:
            await record_answers(tx, BY_ITSELF, answers)
            after = orders[-1].id
            job.cursor = {"after": str(after)}
            job.done += len(orders)
    async with job.step() as tx:
        counts = await queries.count_by_state(tx, run_id)
        if counts.get(rules.SENDING):
            await promise_asking(tx, [run_id], rules.ask_again_after(int(job.params.get("asked_times", 0))))
    return counts


async def reserve(tx: Tx, run_id: UUID, after: UUID) -> list[Payment]:
    """The next payments to ask the bank for: those planned are `sending` from now on, those sending are asked again.

    The whole run is held against its approval once these are locked: none of them can be changed after. Raises RunChanged.
    """
    waiting = await queries.payments_to_send(tx, run_id, after, ORDERS_A_CALL)
    if waiting:
        await check_content(tx, run_id)
        await hold_back(tx, {run_id: None})
    now = clock.now()
    fresh = [
        replace(payment, state=rules.SENDING, sent_at=now, version=1)
        for payment in waiting
        if payment.state == rules.PLANNED
    ]
    await store_payments(tx, fresh)
    await book_sheets(tx, BY_ITSELF, Posting.SENT, [(payment.sheet_id, payment.id) for payment in fresh])
    for payment in fresh:
        detail = {"amount_yuan": payment.amount_yuan, "changes": {"state": [rules.PLANNED, payment.state]}}
        history.note(tx, BY_ITSELF, payment.id, "sent", parties_of_payment(payment), detail)
        outbox.record(tx, sent_fact(payment), payment.version)
    sending = {payment.id: payment for payment in fresh}
    return [sending.get(payment.id, payment) for payment in waiting]


def sent_fact(payment: Payment) -> PaymentSent:
    """That the bank is asked to pay."""
    return PaymentSent(**_said(payment), sent_at=payment.sent_at or clock.now(), month=payment.month)


def doubted_fact(payment: Payment, *, in_doubt: bool) -> PaymentDoubted:
    """That the bank has said both of a payment, or that the agency has found out which is true."""
    return PaymentDoubted(**_said(payment), month=payment.month, in_doubt=in_doubt)


async def when_ask_bank(tx: Tx, due: Sequence[Deadline]) -> None:
    """Queues a job that asks for what a run's bank has not answered; it waits longer each time."""
    asking = await run_queries.count_asking(tx, [UUID(deadline.about) for deadline in due])
    await promise_asking(tx, [run_id for run_id, _ in asking], LONGEST)
    for run_id, asked_times in asking:
        params = {"run_id": str(run_id), "asked_times": asked_times}
        jobs.queue(tx, SEND_RUN, params, BY_ITSELF, natural_key=f"{run_id}:{asked_times}")


async def record_answers(tx: Tx, who: Caller, answers: Sequence[BankAnswer]) -> list[Payment | ServiceError | None]:
    """Books what the bank said: the payment where that was new, None where it was known, or why it does not fit.

    An answer that contradicts an earlier one changes nothing and stays in the payment's history for a person; so does every
    answer while the payments of the run are not those that were approved. Of two new answers for one payment in one call only the
    first is taken.
    """
    if not answers:
        return []
    known = await queries.payments_to_answer(tx, [answer.payment_id for answer in answers])
    changed = await _changed(tx, known.values())
    before = dict(known)
    now = clock.now()
    outcomes: list[Payment | ServiceError | None] = []
    booking: dict[Posting, dict[UUID, Payment]] = defaultdict(dict)
    for answer in answers:
        payment = known.get(answer.payment_id)
        if payment is None or payment.run_id in changed:
            outcomes.append(_unheard(tx, who, payment, answer, changed))
            continue
        answered_now = any(payment.id in by_id for by_id in booking.values())
        try:
            after, posting = rules.answered(payment, answer, now)
        except PaymentNotOpen as contradiction:
            if not answered_now:
                known[payment.id] = before[payment.id] = await _doubt(tx, who, payment, answer, contradiction.detail)
            outcomes.append(_two_at_once(payment) if answered_now else contradiction)
            continue
        except AnswerRefused as refusal:
            _note_refused(tx, who, payment, answer, refusal)
            outcomes.append(refusal)
            continue
        if posting and answered_now:
            outcomes.append(_two_at_once(payment))
            continue
        known[payment.id] = after
        outcomes.append(after if posting else None)
        if posting:
            booking[posting][payment.id] = after
    if booking:
        await settle(tx, who, before, booking)
    return outcomes


def _unheard(
    tx: Tx, who: Caller, payment: Payment | None, answer: BankAnswer, changed: Mapping[UUID, RunChanged]
) -> ServiceError:
    """Why an answer is not held against its payment: there is none, or its run is not what was approved."""
    if payment is None:
        return PaymentNotFound("There is no payment {payment_id} that you may see.", payment_id=answer.payment_id)
    refusal = changed[payment.run_id]
    _note_refused(tx, who, payment, answer, refusal)
    return refusal


async def _changed(tx: Tx, locked: Iterable[Payment]) -> dict[UUID, RunChanged]:
    """The runs of these payments, as far as they were sent, that are not what was approved: held back, as others are let go."""
    run_ids = sorted({payment.run_id for payment in locked if payment.state in rules.SENT})
    changed = await changed_runs(tx, run_ids)
    await hold_back(tx, {run_id: changed[run_id].detail if run_id in changed else None for run_id in run_ids})
    return changed


def _note_refused(tx: Tx, who: Caller, payment: Payment, answer: BankAnswer, refusal: ServiceError) -> None:
    """Tells a person of an answer that was not booked, whoever brought it: behind it money may have moved."""
    faults = [
        {"field": one.pointer, "given": one.given, "rule": one.rule, "allowed": one.allowed} for one in refusal.faults
    ]
    detail = {"detail": refusal.detail, "faults": faults, **_told(answer)}
    history.note(tx, who, payment.id, "answer_refused", parties_of_payment(payment), detail)
    log.warning("an answer of the bank is refused", extra={"payment_id": payment.id, "faults": faults})


def _told(answer: BankAnswer) -> dict[str, Any]:
    names = ("paid_at", "amount_yuan", "reason", "bank_reference")
    return {"answer": answer.verdict, **{name: getattr(answer, name) for name in names}}


async def _doubt(tx: Tx, who: Caller, payment: Payment, answer: BankAnswer, detail: str) -> Payment:
    """Tells of an answer that does not fit; one against the bank's own word is heard, and puts the payment in doubt.

    What is said of a payment that was not sent is not heard: the same words may be the answer once it is.
    """
    said = {"detail": detail, **_told(answer)}
    history.note(tx, who, payment.id, "contradicted", parties_of_payment(payment), said)
    if (payment.state, answer.verdict) not in rules.DOUBTFUL:
        return payment
    about_sheet = {"payment_id": payment.id, **said}
    history.note(tx, who, payment.sheet_id, "payment_contradicted", parties_of_payment(payment), about_sheet)
    after = rules.heard(payment, answer)
    after = replace(after, contradicted_at=clock.now(), version=payment.version + 1)
    outbox.record(tx, doubted_fact(after, in_doubt=True), after.version)
    await store_payments(tx, [after])
    return after


async def end_doubts(tx: Tx, ended: Sequence[Payment]) -> list[Payment]:
    """Says of payments, whose sheets are locked, that they are not in doubt any more."""
    doubted = await queries.still_in_doubt(tx, ended)
    after = [replace(each, version=each.version + 1) for each in ended]
    for each in after:
        outbox.record(tx, doubted_fact(each, in_doubt=each.sheet_id in doubted), each.version)
    return after


def _two_at_once(payment: Payment) -> PaymentNotOpen:
    return PaymentNotOpen("Payment {id} has two new answers at once; send the later one by itself.", id=payment.id)


async def settle(
    tx: Tx, who: Caller, before: Mapping[UUID, Payment], booking: Mapping[Posting, dict[UUID, Payment]]
) -> None:
    """Everything that answers of the bank bring about: payments, sheets, payables, ledger, events, runs that are done."""
    settled = [payment for by_id in booking.values() for payment in by_id.values()]
    sheets = await sheet_queries.sheets_to_change(tx, [payment.sheet_id for payment in settled])
    stood = dict(sheets)
    said: list[Payment] = []
    for posting, by_id in sorted(booking.items()):
        booked = await book_sheets(tx, who, posting, [(each.sheet_id, each.id) for each in by_id.values()])
        for payment in by_id.values():
            verb = sheet_rules.AFTER[before[payment.id].state, payment.state]
            sheets[payment.sheet_id] = sheet_rules.moved(sheets[payment.sheet_id], verb)
        said += _say(tx, by_id, booked, partial(answer_fact, posting))
    for payment in said:
        detail = {"amount_yuan": payment.amount_yuan, "reason": payment.reason}
        if payment.bank_reference:
            detail["bank_reference"] = payment.bank_reference
        moved = history.changes(before[payment.id], payment, "state", "paid_at")
        history.note(tx, who, payment.id, payment.state, parties_of_payment(payment), {**detail, "changes": moved})
        moved = history.changes(stood[payment.sheet_id], sheets[payment.sheet_id], "state")
        about_sheet = {"payment_id": payment.id, **detail, "changes": moved}
        action = "paid" if payment.state == rules.PAID else "payment_failed"
        history.note(tx, who, payment.sheet_id, action, parties_of_sheet(sheets[payment.sheet_id]), about_sheet)
    ended = await end_doubts(tx, [payment for payment in said if before[payment.id].in_doubt])
    await store_payments(tx, [payment for payment in said if not before[payment.id].in_doubt] + ended)
    await store(tx, list(sheets.values()))
    done = await run_queries.finish_runs(tx, [payment.run_id for payment in said])
    for run_id, region in done:
        changes = {"state": [APPROVED, DONE]}
        history.note(tx, who, run_id, "done", Parties(region=region), {"changes": changes})
    await deadlines.cancel(tx, ASK_BANK, [str(run_id) for run_id, _ in done])


def _say(
    tx: Tx,
    settled: dict[UUID, Payment],
    booked: Sequence[Booked],
    fact_of: Callable[[Payment, Sequence[Booked]], PaymentPaid | PaymentFailed],
) -> list[Payment]:
    """Says each payment in parts of at most LINES_AN_EVENT lines; its version counts the parts."""
    parts = parts_of(booked)
    said: list[Payment] = []
    for payment in settled.values():
        own = parts[payment.id]
        for version, part in enumerate(own, payment.version + 1):
            outbox.record(tx, fact_of(payment, part), version)
        said.append(replace(payment, version=payment.version + len(own)))
    return said


def parts_of(booked: Sequence[Booked]) -> defaultdict[UUID, list[list[Booked]]]:
    """What was booked for each payment, in parts that one event can tell of."""
    parts: defaultdict[UUID, list[list[Booked]]] = defaultdict(list)
    for each in booked:
        own = parts[each.payment_id]
        if not own or len(own[-1]) == LINES_AN_EVENT:
            own.append([])
        own[-1].append(each)
    return parts


def answer_fact(posting: Posting, payment: Payment, part: Sequence[Booked]) -> PaymentPaid | PaymentFailed:
    """One part of what became of a payment, with what is paid of each payable from now on."""
    lines = tuple(
        PaidLine(
            payable_id=each.payable_id,
            shipment_line_id=each.shipment_line_id,
            order_id=each.order_id,
            order_line_id=each.order_line_id,
            amount_yuan=each.paid_yuan,
            step=each.step,
        )
        for each in part
    )
    if posting is Posting.PAID:
        values = _said(payment) | {"amount_yuan": sum(each.amount_yuan for each in part)}
        return PaymentPaid(**values, paid_at=payment.paid_at or clock.now(), lines=lines, month=payment.month)
    reason, returned = payment.reason or "no reason given", posting is Posting.BOUNCED
    values = _said(payment) | {"reason": reason, "returned": returned, "account_id": payment.account_id}
    return PaymentFailed(**values, lines=lines, month=payment.month)


def _said(payment: Payment) -> dict[str, Any]:
    """What every event about a payment tells."""
    return {
        "payment_id": payment.id,
        "run_id": payment.run_id,
        "sheet_id": payment.sheet_id,
        "institution_code": payment.institution_code,
        "distributor_code": payment.distributor_code,
        "region": payment.region,
        "amount_yuan": payment.amount_yuan,
    }


async def store_payments(tx: Tx, changed: Sequence[Payment]) -> None:
    """Writes payments as they were decided, in one statement."""
    await tx.change(payments, [{"id": each.id, **{name: getattr(each, name) for name in CHANGING}} for each in changed])


async def read_result_file(
    tx: Tx, caller: Caller, run_id: UUID, body: bytes
) -> list[tuple[ResultRow, Payment | ServiceError | None]]:
    """Books a result file of a run, row by row; each row with what became of it. Raises ResultFileRefused."""
    await run_queries.get_run(tx, run_id)
    rows = await asyncio.to_thread(_read, body)
    answers = [row.answer for row in rows if row.answer is not None]
    known = await queries.payments_to_answer(tx, [answer.payment_id for answer in answers])
    of_run = [answer for answer in answers if (found := known.get(answer.payment_id)) and found.run_id == run_id]
    recorded = await record_answers(tx, caller, of_run)
    outcome_of = {id(answer): outcome for answer, outcome in zip(of_run, recorded, strict=True)}
    return [
        (row, outcome_of[id(row.answer)] if id(row.answer) in outcome_of else _not_of_run(run_id, row)) for row in rows
    ]


def _not_of_run(run_id: UUID, row: ResultRow) -> PaymentNotFound:
    """A row that names no payment of the run; one that cannot be read names none."""
    refusal = PaymentNotFound("Run {run_id} has no such payment.", run_id=run_id)
    if row.answer is not None:
        allowed = "the payment_id of the payment file"
        refusal.faults = (
            Fault("/payment_id", row.answer.payment_id, "not a payment of this run", allowed, refusal.code),
        )
    return refusal


def _read(body: bytes) -> list[ResultRow]:
    with TemporaryDirectory(prefix="settlement-results-") as folder:
        path = Path(folder) / "results.csv"
        path.write_bytes(body)
        return read_results(path)
