"""Books what the agency has found out with the bank: of a payment of which it has said both, or of one that it made before it was
sent, as after a restore.

A payment is booked as made after all only while its sheet is as it was when the bank was asked, and no other payment of it is
made or on its way: the sheet is locked, and of one sheet the database lets no two be. One that was not sent is locked as by who
sends it: one of the two comes first, and the other finds it done.
"""

from uuid import UUID

from services.settlement.errors import PaymentNotFound, PaymentNotOpen
from services.settlement.handlers.payments import end_doubts, settle, store_payments
from services.settlement.handlers.runs import check_content, parties_of_payment
from services.settlement.queries import payments as queries
from services.settlement.queries import runs as run_queries
from services.settlement.queries import sheets as sheet_queries
from services.settlement.queries.ledger import book_sheets
from services.settlement.rules import payments as rules
from services.settlement.rules import runs as run_rules
from services.settlement.rules.ledger import Posting
from services.settlement.rules.payments import Payment
from services.settlement.rules.sheets import REVIEWED, Sheet
from services.settlement.schemas.payments import ConfirmPayment, DismissDoubt
from shared import clock, history
from shared.db import Tx
from shared.identity import Caller


async def confirm_payment(tx: Tx, caller: Caller, payment_id: UUID, command: ConfirmPayment) -> Payment:
    """The bank made the payment after all, or before it was sent: what stands on its sheet is paid.

    Raises PaymentNotFound, PaymentNotOpen, AnswerRefused, RunChanged; of one that was not sent RunNotFound, SamePerson, too.
    """
    before = await _payment(tx, payment_id)
    after = rules.confirmed(before, command.bank_reference, command.reason, command.paid_on, clock.now())
    sheet = (await sheet_queries.sheets_to_change(tx, [before.sheet_id]))[before.sheet_id]
    if before.state == rules.PLANNED:
        run_rules.check_books_another(await run_queries.get_run(tx, before.run_id), caller.organisation, caller.person)
    else:
        await _check_sheet(tx, before, sheet)
    await check_content(tx, before.run_id)
    await book_sheets(tx, caller, Posting.SENT, [(sheet.id, before.id)])
    await settle(tx, caller, {before.id: before}, {Posting.PAID: {after.id: after}})
    return await queries.get_payment(tx, payment_id)


async def dismiss_doubt(tx: Tx, caller: Caller, payment_id: UUID, command: DismissDoubt) -> Payment:
    """What is booked of the payment is true: one that failed may be paid again. Raises PaymentNotFound, PaymentNotOpen."""
    before = await _payment(tx, payment_id)
    after = rules.dismissed(before)
    detail = {"reason": command.reason, "changes": history.changes(before, after, "contradicted_at")}
    history.note(tx, caller, after.id, "doubt_dismissed", parties_of_payment(after), detail)
    about_sheet = {"payment_id": after.id, **detail}
    history.note(tx, caller, after.sheet_id, "doubt_dismissed", parties_of_payment(after), about_sheet)
    await sheet_queries.sheets_to_change(tx, [after.sheet_id])
    await store_payments(tx, await end_doubts(tx, [after]))
    return await queries.get_payment(tx, payment_id)


async def _payment(tx: Tx, payment_id: UUID) -> Payment:
    payment = (await queries.payments_to_answer(tx, [payment_id])).get(payment_id)
    if payment is None:
        raise PaymentNotFound("There is no payment {payment_id} that you may see.", payment_id=payment_id)
    return payment


async def _check_sheet(tx: Tx, payment: Payment, sheet: Sheet) -> None:
    """Raises PaymentNotOpen where the money of the payment is paid otherwise, is on its way, or has left the sheet."""
    other = await queries.find_payment_on(tx, sheet.id)
    if other is not None and other.state == rules.PAID:
        raise PaymentNotOpen(
            "Sheet {sheet_id} was paid by payment {other} of run {run_id}; if the bank has paid it twice, have the money back"
            " and dismiss the doubt.",
            sheet_id=sheet.id,
            other=other.id,
            run_id=other.run_id,
        )
    if other is not None:
        raise PaymentNotOpen(
            "Sheet {sheet_id} stands in run {run_id}, whose payment {other} is {state}; reject the run, or wait for the"
            " bank's answer where it is approved.",
            sheet_id=sheet.id,
            run_id=other.run_id,
            other=other.id,
            state=other.state,
        )
    if sheet.state != REVIEWED or sheet.amount_yuan != payment.amount_yuan:
        raise PaymentNotOpen(
            "Payment {id} was of {amount_yuan} yuan, and its sheet {sheet_id} is {state} with {now_yuan}; its timeline says"
            " which lines have left it, and they are settled elsewhere.",
            id=payment.id,
            amount_yuan=payment.amount_yuan,
            sheet_id=sheet.id,
            state=sheet.state,
            now_yuan=sheet.amount_yuan,
        )
