"""Where a supplier's money goes in a region (指定账户): the supplier names an account, the agency confirms it.

Nobody confirms his own. What was confirmed never changes: another account is another row, and the confirmed one is paid to
until the agency has confirmed that one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.settlement.errors import AccountNotOpen, OwnAccount
from shared.codes import normal_name
from shared.errors import Said
from shared.next_steps import NextStep, agency, day_over, distributor
from shared.values import frozen

NAMED, CONFIRMED, REFUSED, REPLACED = STATES = ("named", "confirmed", "refused", "replaced")
"""Of one supplier and region at most one is named and one confirmed."""

DETAILS = ("holder_name", "bank_name", "cnaps_code", "account_number")
"""What a bank is told."""

NEXT = {(NAMED, "confirm"): CONFIRMED, (NAMED, "refuse"): REFUSED}

SHOWN_DIGITS = 4


@frozen
class Account:
    """An account as it was named; `region_prefix` is what the code of every region begins with whose sheets it is for."""

    id: UUID
    supplier_code: str
    region: str
    region_prefix: str
    holder_name: str
    bank_name: str
    cnaps_code: str
    account_number: str
    state: str
    named_by: str
    named_at: datetime
    decided_by_organisation: str | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    version: int
    decide_by: date | None = None
    """the last day for the agency's word; None of what earlier versions took"""
    supplier_names: Sequence[str] | None = None
    """what its supplier is registered under; None where that is not known; not kept in the account's own row"""

    @property
    def holder_known(self) -> bool | None:
        """Whether its holder is its supplier, by any of the names of it; None where none is known."""
        if self.supplier_names is None:
            return None
        return normal_name(self.holder_name) in map(normal_name, self.supplier_names)

    @property
    def details(self) -> tuple[str, ...]:
        """What a bank is told, to be compared."""
        return tuple(getattr(self, name) for name in DETAILS)


def masked(account_number: str) -> str:
    """The number without all but its last digits: enough to know it by, too little to pay to."""
    return "*" * (len(account_number) - SHOWN_DIGITS) + account_number[-SHOWN_DIGITS:]


def digest(about: UUID, *told: str) -> str:
    """What history keeps of an account's details, to know them again without telling them: slow, for few digits are masked."""
    return hashlib.scrypt("\n".join(told).encode(), salt=about.bytes, n=2**14, r=8, p=1, dklen=16).hex()


def changes(before: Account | None, after: Account) -> dict[str, list[Any]]:
    """What another account would change, from and to, its number masked."""
    told: dict[str, list[Any]] = {}
    for name in DETAILS:
        old, new = getattr(before, name, None), getattr(after, name)
        if old != new:
            told[name] = [old, new]
    if number := told.get("account_number"):
        old, new = number[0] and masked(number[0]), masked(number[1])
        told["account_number"] = [old, f"{new} (another number)" if old == new else new]
    return told


def decided(
    account: Account, verb: str, organisation: str, person: str, at: datetime, reason: str | None = None
) -> Account:
    """The account confirmed or refused; raises AccountNotOpen, OwnAccount."""
    state = NEXT.get((account.state, verb))
    if state is None:
        raise AccountNotOpen(
            "Account {id} is {state}; to {verb} it, it must be {named}.",
            id=account.id,
            state=account.state,
            verb=verb,
            named=NAMED,
        )
    if organisation == account.supplier_code:
        raise OwnAccount(
            "Account {id} is that of {supplier_code}, which cannot decide on it; the agency does.",
            id=account.id,
            supplier_code=account.supplier_code,
        )
    return replace(
        account,
        state=state,
        decided_by_organisation=organisation,
        decided_by=person,
        decided_at=at,
        reason=reason,
        version=account.version + 1,
    )


def replaced(account: Account) -> Account:
    """The account when another has taken its place: nothing more is paid to it."""
    return replace(account, state=REPLACED, version=account.version + 1)


def holder_words(account: Account) -> Said | None:
    """What its holder is, where it is not the supplier by any name of it."""
    if account.holder_known is None:
        return Said(
            "no name of the supplier is known here to compare its holder {holder} with", holder=account.holder_name
        )
    if account.holder_known:
        return None
    names = ", ".join(account.supplier_names or ())
    sentence = "its holder {holder} is none of the names that the supplier is registered under: {names}"
    return Said(sentence, holder=account.holder_name, names=names)


def next_step(account: Account) -> NextStep | None:
    """Whom an account waits for."""
    match account.state:
        case "named":
            what = Said("confirm or refuse the account of {supplier}", supplier=account.supplier_code)
            if holder := holder_words(account):
                what = Said("{what}; {holder}", what=what, holder=holder)
            return NextStep(who=agency(account.region), what=what, by=day_over(account.decide_by))
        case "refused":
            who = distributor(account.supplier_code)
            what = Said("name another account; this one was refused: {reason}", reason=account.reason)
            return NextStep(who=who, what=what)
    return None
