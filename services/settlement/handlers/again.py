"""Says again what settlement has said of accounts, payables, sheets and payments, as they stand now.

A payment tells what was paid of each payable when the bank answered, with the step of the ledger: an older total that comes
late is known for one. A sheet tells what history has of it, for its figures change with every dispute, under the sequence that
was told last: what raises its version from its review on is told of its payments. What became of a payable is said at the time
of its last deed, so that whoever asks which sheets came later is told the same as at first.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.settlement.handlers.accounts import changed_fact
from services.settlement.handlers.payables import opened_fact, released_fact
from services.settlement.handlers.payments import answer_fact, doubted_fact, parts_of, sent_fact
from services.settlement.handlers.sheets import held_fact, returned_fact
from services.settlement.queries.again import (
    accounts_after,
    booked_for,
    deeds_of,
    payables_after,
    payments_after,
    sheets_after,
)
from services.settlement.queries.ledger import Booked
from services.settlement.queries.payables import parts_on_sheets
from services.settlement.rules import payments as rules
from services.settlement.rules.ledger import Posting
from services.settlement.rules.payables import Payable
from services.settlement.rules.payments import Payment
from services.settlement.rules.sheets import Sheet
from shared.db import Record, Tx
from shared.events.settlement import SheetConfirmed, SheetDisputed, SheetIssued, SheetPart, SheetReturned
from shared.republish import Again, Page

SAID_OF_PAYABLES = ("opened", "released", "coverage_changed", "held", "recalled", "resolved")
SAID_OF_SHEETS = ("issued", "disputed", "confirmed", "returned")
ANSWERS = {rules.PAID: (Posting.PAID,), rules.FAILED: (Posting.BOUNCED, Posting.REFUSED)}
"""What the ledger has of a payment in each state that the bank has answered for; money that came back came last."""


async def accounts_again(tx: Tx, after: str, rows: int) -> Page:
    """Every receiving account: named, confirmed, refused or replaced."""
    found, last = await accounts_after(tx, after, rows)
    return Page([Again(changed_fact(account), account.version) for account in found], last)


async def payables_again(tx: Tx, after: str, rows: int) -> Page:
    """Every payable: what is owed, how much of it may be paid, whether it is held."""
    found, last = await payables_after(tx, after, rows)
    deeds = await deeds_of(tx, [payable.id for payable in found], SAID_OF_PAYABLES)
    moved_at = {deed["about"]: deed["at"] for deed in deeds}
    parts = await parts_on_sheets(tx, found, moved_at)
    facts = [_of_payable(payable, moved_at.get(payable.id), parts.get(payable.id, ())) for payable in found]
    return Page([fact for own in facts for fact in own], last)


async def sheets_again(tx: Tx, after: str, rows: int) -> Page:
    """Every sheet: that it was issued, disputed, confirmed, sent back."""
    found, last = await sheets_after(tx, after, rows)
    sheets = {sheet.id: sheet for sheet in found}
    deeds = await deeds_of(tx, list(sheets), SAID_OF_SHEETS)
    told = Counter(deed["about"] for deed in deeds)
    return Page([_of_sheet(sheets[deed["about"]], deed, told[deed["about"]]) for deed in deeds], last)


async def payments_again(tx: Tx, after: str, rows: int) -> Page:
    """Every payment that the bank was asked for: sent, paid, or failed."""
    found, last = await payments_after(tx, after, rows)
    booked: dict[tuple[UUID, str], list[Booked]] = {}
    for kind, each in await booked_for(tx, [payment.id for payment in found]):
        booked.setdefault((each.payment_id, kind), []).append(each)
    return Page([fact for payment in found for fact in _of_payment(payment, booked)], last)


def _of_payable(payable: Payable, moved_at: datetime | None, on_sheets: Sequence[SheetPart]) -> list[Again]:
    """`moved_at`: when it was last released, held or set free, as history has it."""
    said = [Again(opened_fact(payable), payable.version)]
    if payable.quantity_released:
        said.append(Again(released_fact(payable, on_sheets), payable.version, moved_at))
    if payable.held_reason is not None:
        said.append(Again(held_fact(payable, payable.held_reason, on_sheets), payable.version, moved_at))
    return said


def _of_sheet(sheet: Sheet, deed: Record, told: int) -> Again:
    """`told`: how many of its deeds have an event."""
    detail = deed["detail"]
    same: dict[str, Any] = {
        "sheet_id": sheet.id,
        "institution_code": sheet.institution_code,
        "distributor_code": sheet.distributor_code,
        "region": sheet.region,
        "month": sheet.month,
    }
    fact: SheetIssued | SheetDisputed | SheetConfirmed | SheetReturned
    match deed["action"]:
        case "issued":
            figures: dict[str, Any] = {
                "amount_yuan": Decimal(detail["amount_yuan"]),
                "line_count": detail["line_count"],
            }
            fact = SheetIssued(**same, **figures, confirm_by=sheet.confirm_by, due_on=sheet.due_on)
        case "disputed":
            disputed = tuple(UUID(line["payable_id"]) for line in detail["disputed"])
            fact = SheetDisputed(**same, payable_ids=disputed, reason=detail["reason"])
        case "returned":
            _, confirm_by = detail["changes"].get("confirm_by", (None, sheet.confirm_by.isoformat()))
            yuan = Decimal(detail["amount_yuan"])
            fact = returned_fact(sheet, yuan, detail["reason"], date.fromisoformat(confirm_by))
        case _:
            fact = SheetConfirmed(**same, amount_yuan=Decimal(detail["amount_yuan"]))
    return Again(fact, told, deed["at"])


def _of_payment(payment: Payment, booked: dict[tuple[UUID, str], list[Booked]]) -> list[Again]:
    said = [Again(sent_fact(payment), payment.version, payment.sent_at)] if payment.sent_at else []
    for posting in ANSWERS.get(payment.state, ()):
        if lines := list({each.payable_id: each for each in booked.get((payment.id, posting.value), ())}.values()):
            facts = (answer_fact(posting, payment, part) for part in parts_of(lines)[payment.id])
            said += [Again(fact, payment.version, payment.answered_at) for fact in facts]
            if payment.in_doubt:
                said.append(Again(doubted_fact(payment, in_doubt=True), payment.version, payment.contradicted_at))
            return said
    return said
