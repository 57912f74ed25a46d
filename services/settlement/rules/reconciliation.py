"""What the payables say against what the ledger says: two counts of the same yuan, which must agree."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from services.settlement.errors import PeriodRefused
from services.settlement.rules.ledger import Account
from shared.errors import Fault, Said
from shared.values import frozen


@frozen
class Totals:
    """What was accepted in a time, counted from the payables: how many of them, and how much, have come how far."""

    lines: int
    lines_yuan: Decimal
    payables: int
    payables_yuan: Decimal
    released: int
    released_yuan: Decimal
    sheeted: int
    sheeted_yuan: Decimal
    held: int
    held_yuan: Decimal
    paid: int
    paid_yuan: Decimal


def check_period(first: date, last: date) -> None:
    """Raises PeriodRefused for a period that ends before it begins."""
    if last < first:
        fault = Fault(
            "query/to",
            last,
            Said("lies before the first day, {first}", first=first),
            Said("{first} or later", first=first),
        )
        raise PeriodRefused(
            "The period from {first} to {last} ends before it begins.", faults=[fault], first=first, last=last
        )


def differences(totals: Totals, booked: Mapping[str, Decimal]) -> list[str]:
    """Every disagreement in words, with both numbers; empty when all agrees. Claims stand on the credit side."""

    def claims(*accounts: Account) -> Decimal:
        return -sum((booked.get(account, Decimal(0)) for account in accounts), Decimal(0))

    paid = claims(Account.FUND_DEDUCTION)
    sheeted = paid + claims(Account.CLAIM_SHEETED, Account.CLAIM_SENT)
    held = claims(Account.CLAIM_HELD)
    pairs = {
        "accepted lines and payables": (totals.lines_yuan, totals.payables_yuan),
        "payables and goods accepted": (totals.payables_yuan, booked.get(Account.GOODS_ACCEPTED, Decimal(0))),
        "released": (totals.released_yuan, sheeted + held + claims(Account.CLAIM_RELEASED)),
        "on sheets": (totals.sheeted_yuan, sheeted),
        "held": (totals.held_yuan, held),
        "paid": (totals.paid_yuan, paid),
        "the sum of all entries": (sum(booked.values(), Decimal(0)), Decimal(0)),
    }
    return [f"{what}: {left} yuan against {right} yuan" for what, (left, right) in pairs.items() if left != right]
