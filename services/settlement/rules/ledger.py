"""The chart of accounts, and which account each step of a payable moves money from and to.

A transfer is one row with both sides, so it cannot but sum to zero; `docs/ledger.md` tells the whole.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from shared.values import frozen


class Account(StrEnum):
    """Where a yuan stands, kept per institution and distributor. Balances are debits less credits."""

    GOODS_ACCEPTED = "goods_accepted"
    CLAIM_WAITING = "claim_waiting"
    CLAIM_RELEASED = "claim_released"
    CLAIM_SHEETED = "claim_sheeted"
    CLAIM_HELD = "claim_held"
    CLAIM_SENT = "claim_sent"
    FUND_DEDUCTION = "fund_deduction"


class Posting(StrEnum):
    """What a transfer is made for."""

    OPENED = "opened"
    OPENED_RELEASED = "opened_released"
    RELEASED = "released"
    SHEETED = "sheeted"
    DISPUTED = "disputed"
    RECALLED = "recalled"
    RESOLVED = "resolved"
    SENT = "sent"
    PAID = "paid"
    REFUSED = "refused"
    BOUNCED = "bounced"


SIDES = {
    Posting.OPENED: (Account.GOODS_ACCEPTED, Account.CLAIM_WAITING),
    Posting.OPENED_RELEASED: (Account.GOODS_ACCEPTED, Account.CLAIM_RELEASED),
    Posting.RELEASED: (Account.CLAIM_WAITING, Account.CLAIM_RELEASED),
    Posting.SHEETED: (Account.CLAIM_RELEASED, Account.CLAIM_SHEETED),
    Posting.DISPUTED: (Account.CLAIM_SHEETED, Account.CLAIM_HELD),
    Posting.RECALLED: (Account.CLAIM_SHEETED, Account.CLAIM_RELEASED),
    Posting.RESOLVED: (Account.CLAIM_HELD, Account.CLAIM_RELEASED),
    Posting.SENT: (Account.CLAIM_SHEETED, Account.CLAIM_SENT),
    Posting.PAID: (Account.CLAIM_SENT, Account.FUND_DEDUCTION),
    Posting.REFUSED: (Account.CLAIM_SENT, Account.CLAIM_SHEETED),
    Posting.BOUNCED: (Account.FUND_DEDUCTION, Account.CLAIM_SHEETED),
}
"""Debit and credit of each posting; the database allows no other pair."""


@frozen
class Transfer:
    """One transaction of the ledger: so much from the credit side to the debit side. `step` counts within the payable."""

    id: int
    payable_id: UUID
    step: int
    kind: str
    debit_account: str
    credit_account: str
    amount_yuan: Decimal
    booked_at: datetime
    sheet_id: UUID | None
    payment_id: UUID | None
    institution_code: str
    distributor_code: str
    region: str


@frozen
class Balance:
    """What stands on one account: debits less credits over all its entries."""

    account: str
    debits_yuan: Decimal
    credits_yuan: Decimal
    balance_yuan: Decimal
