"""What is said about the ledger over HTTP."""

from datetime import date, datetime
from typing import Self
from uuid import UUID

from services.settlement.rules.ledger import Transfer
from shared.http import Amount, View


class EntryView(View):
    """One side of a transaction: a debit counts up, a credit down."""

    account: str
    amount_yuan: Amount


class TransactionView(View):
    """One transaction of the ledger; its entries sum to zero."""

    id: int
    payable_id: UUID
    step: int
    kind: str
    booked_at: datetime
    sheet_id: UUID | None
    payment_id: UUID | None
    institution_code: str
    distributor_code: str
    region: str
    entries: list[EntryView]

    @classmethod
    def of(cls, transfer: Transfer) -> Self:
        """Both sides of a transfer."""
        shown = {name: getattr(transfer, name) for name in cls.model_fields if name != "entries"}
        entries = [
            EntryView(account=transfer.debit_account, amount_yuan=transfer.amount_yuan),
            EntryView(account=transfer.credit_account, amount_yuan=-transfer.amount_yuan),
        ]
        return cls(**shown, entries=entries)


class BalanceView(View):
    """What stands on one account, derived from the entries alone."""

    account: str
    debits_yuan: Amount
    credits_yuan: Amount
    balance_yuan: Amount


class LedgerView(View):
    """Every balance that the caller may see; `ledger_sum_yuan` is the sum over all signed entries, and zero."""

    balances: list[BalanceView]
    ledger_sum_yuan: Amount


class SumView(View):
    """How many, and how much."""

    count: int
    yuan: Amount


class ReconciliationView(View):
    """What was accepted from the first to the last day, and how far it has come; `differences` is empty when all agrees."""

    first: date
    last: date
    accepted_lines: SumView
    payables: SumView
    released: SumView
    sheeted: SumView
    held: SumView
    paid: SumView
    ledger: dict[str, Amount]
    ledger_sum_yuan: Amount
    differences: list[str]
