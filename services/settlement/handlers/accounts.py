"""Receiving accounts: the supplier names one, the agency of the region confirms or refuses it.

Natural key: supplier and region, of which at most one account is named and one confirmed (partial UNIQUE). The confirmed one is
paid to until the agency has confirmed another.
"""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.settlement.errors import AccountChanged, AccountNotFound
from services.settlement.queries import accounts as queries
from services.settlement.queries.organisations import names_of_enterprise
from services.settlement.rules import accounts as rules
from services.settlement.rules.accounts import CONFIRMED, DETAILS, NAMED, Account
from services.settlement.schemas.accounts import ConfirmAccount, NameAccount
from services.settlement.tables import accounts
from shared import clock, history, outbox
from shared.clock import DueRule
from shared.codes import region_prefix
from shared.db import Tx
from shared.errors import ServiceError
from shared.events.settlement import ReceivingAccountChanged
from shared.history import Parties
from shared.identity import Caller

DECIDED = ("state", "decided_by_organisation", "decided_by", "decided_at", "reason", "version")


async def name_account(tx: Tx, caller: Caller, command: NameAccount) -> Account:
    """The caller's account in a region, to be confirmed; the same again is the same account.

    Takes the place of one that waits for the agency. Who names the confirmed one again takes such a one back.
    """
    known = await queries.open_accounts(tx, caller.organisation, command.region)
    account = Account(
        id=uuid7(),
        supplier_code=caller.organisation,
        region=command.region,
        region_prefix=region_prefix(command.region),
        **{name: getattr(command, name) for name in DETAILS},
        state=NAMED,
        named_by=caller.person,
        named_at=clock.now(),
        decided_by_organisation=None,
        decided_by=None,
        decided_at=None,
        reason=None,
        version=1,
        decide_by=_decide_by(tx, command.region),
        supplier_names=await names_of_enterprise(tx, caller.organisation),
    )
    waiting, confirmed = known.get(NAMED), known.get(CONFIRMED)
    if waiting is not None and waiting.details == account.details:
        return waiting
    if waiting is not None:
        await _replace(tx, caller, [waiting])
    if confirmed is not None and confirmed.details == account.details:
        return confirmed
    tx.add(accounts, {name: getattr(account, name) for name in queries.COLUMNS})
    kept = await asyncio.to_thread(rules.digest, account.id, *account.details)
    detail = {"changes": rules.changes(confirmed, account), "digest": kept}
    history.note(tx, caller, account.id, "named", _parties(account), detail)
    outbox.record(tx, changed_fact(account), account.version)
    return account


def _decide_by(tx: Tx, region: str) -> date:
    now = clock.now()
    return clock.due(DueRule.parse(tx.policy.text("settlement.account_due", region, clock.local_date(now))), now)


async def confirm_accounts(tx: Tx, caller: Caller, items: Sequence[ConfirmAccount]) -> list[Account | ServiceError]:
    """The agency found these accounts to be the suppliers'; the answer to each stands at its place."""
    known = {one.id: one for one in await queries.accounts_to_decide(tx, [item.account_id for item in items])}
    paid_to = {(one.supplier_code, one.region): one for one in known.values() if one.state == CONFIRMED}
    outcomes: list[Account | ServiceError] = []
    confirmed: list[tuple[Account, Account]] = []
    for item in items:
        try:
            before = _unchanged(known, item.account_id, item.version)
            after = rules.decided(before, "confirm", caller.organisation, caller.person, clock.now())
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        known[after.id] = after
        confirmed.append((before, after))
        outcomes.append(after)
    keys = [(after.supplier_code, after.region) for _, after in confirmed]
    await _replace(tx, caller, [paid_to[key] for key in keys if key in paid_to])
    for before, after in confirmed:
        _note(tx, caller, "confirmed", before, after)
    await _store(tx, [after for _, after in confirmed])
    return outcomes


async def refuse_account(tx: Tx, caller: Caller, account_id: UUID, version: int, reason: str) -> Account:
    """The agency does not pay to this account; raises AccountNotFound, AccountChanged, AccountNotOpen, OwnAccount."""
    known = {one.id: one for one in await queries.accounts_to_decide(tx, [account_id])}
    before = _unchanged(known, account_id, version)
    after = rules.decided(before, "refuse", caller.organisation, caller.person, clock.now(), reason)
    _note(tx, caller, "refused", before, after, reason)
    await _store(tx, [after])
    return after


def _unchanged(known: dict[UUID, Account], account_id: UUID, version: int) -> Account:
    account = known.get(account_id)
    if account is None:
        raise AccountNotFound("There is no account {account_id} that you may see.", account_id=account_id)
    if version != account.version:
        raise AccountChanged(
            "You read version {version} of account {account_id}, now it is {now}; read it again.",
            version=version,
            account_id=account_id,
            now=account.version,
        )
    return account


async def _replace(tx: Tx, caller: Caller, gone: Sequence[Account]) -> None:
    """Before what takes their place, so that of one supplier and region no two are in one state."""
    after = [rules.replaced(before) for before in gone]
    for old, new in zip(gone, after, strict=True):
        _note(tx, caller, "replaced", old, new)
    await _store(tx, after)


def _note(tx: Tx, caller: Caller, action: str, before: Account, after: Account, reason: str | None = None) -> None:
    """Of one that is confirmed, also what its holder is, where that is not the supplier by any name of it."""
    detail: dict[str, Any] = {"changes": history.changes(before, after, "state")}
    if reason:
        detail["reason"] = reason
    if action == CONFIRMED and (words := rules.holder_words(after)):
        detail["detail"] = words
    history.note(tx, caller, after.id, action, _parties(after), detail)


def changed_fact(account: Account) -> ReceivingAccountChanged:
    """What an account is now."""
    return ReceivingAccountChanged(
        account_id=account.id, supplier_code=account.supplier_code, region=account.region, state=account.state
    )


async def _store(tx: Tx, changed: Sequence[Account]) -> None:
    for one in changed:
        outbox.record(tx, changed_fact(one), one.version)
    await tx.change(accounts, [{"id": one.id, **{name: getattr(one, name) for name in DECIDED}} for one in changed])


def _parties(account: Account) -> Parties:
    return Parties(supplier_code=account.supplier_code, region=account.region)
