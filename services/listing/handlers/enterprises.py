"""Registers enterprises; a known one gains names and kinds, and the same registration twice changes nothing."""

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from services.listing.errors import NotYourEnterprise
from services.listing.queries.enterprises import enterprises_by_code
from services.listing.rules.enterprises import Enterprise, also_known_as, code_of
from services.listing.schemas.enterprises import RegisterEnterprise
from services.listing.tables import enterprises
from shared import history, outbox
from shared.db import Tx
from shared.errors import ServiceError
from shared.events.listing import EnterpriseRegistered
from shared.history import Parties
from shared.identity import Caller

_CHANGE = (
    sa.update(enterprises)
    .where(enterprises.c.id == sa.bindparam("key"))
    .values(aliases=sa.bindparam("aliases"), kinds=sa.bindparam("kinds"), version=sa.bindparam("version"))
)


async def register_enterprises(
    tx: Tx, caller: Caller, commands: Sequence[RegisterEnterprise]
) -> list[Enterprise | ServiceError]:
    """Registers many at once; the answer to each stands at its place."""
    codes: list[str | ServiceError] = []
    for command in commands:
        try:
            codes.append(_permitted(tx, command))
        except ServiceError as refusal:
            codes.append(refusal)
    known = await enterprises_by_code(tx, [code for code in codes if isinstance(code, str)])
    outcomes: list[Enterprise | ServiceError] = []
    for command, code in zip(commands, codes, strict=True):
        if isinstance(code, ServiceError):
            outcomes.append(code)
            continue
        known[code] = await _register(tx, caller, command, code, known.get(code))
        outcomes.append(known[code])
    return outcomes


def _permitted(tx: Tx, command: RegisterEnterprise) -> str:
    """The code it will go by; raises EnterpriseRefused, NotYourEnterprise."""
    code = code_of(command.uscc, command.name, command.override_reason)
    if not tx.scope.covers(code, region=command.region):
        raise NotYourEnterprise(f"{code} in region {command.region} is neither yours nor under your region.")
    return code


async def _register(
    tx: Tx, caller: Caller, command: RegisterEnterprise, code: str, before: Enterprise | None
) -> Enterprise:
    if before is not None:
        after = also_known_as(before, command.name, tuple(command.kinds))
        if after is not before:
            await tx.rows(_CHANGE, key=after.id, aliases=after.aliases, kinds=after.kinds, version=after.version)
            _say(tx, caller, after, "changed")
        return after
    enterprise = Enterprise(
        id=uuid7(),
        code=code,
        name=command.name,
        aliases=(),
        kinds=tuple(command.kinds),
        provisional=command.uscc is None,
        override_reason=command.override_reason,
        region=command.region,
        active=True,
        version=1,
    )
    tx.add(enterprises, asdict(enterprise))
    _say(tx, caller, enterprise, "registered")
    return enterprise


def _say(tx: Tx, caller: Caller, enterprise: Enterprise, action: str) -> None:
    detail = {"name": enterprise.name, "aliases": list(enterprise.aliases), "kinds": list(enterprise.kinds)}
    parties = Parties(supplier_code=enterprise.code, region=enterprise.region)
    history.note(tx, caller, enterprise.id, action, parties, detail)
    registered = EnterpriseRegistered(
        enterprise_id=enterprise.id,
        enterprise_code=enterprise.code,
        name=enterprise.name,
        aliases=enterprise.aliases,
        kinds=enterprise.kinds,
        provisional=enterprise.provisional,
        active=enterprise.active,
        region=enterprise.region,
    )
    outbox.record(tx, registered, enterprise.version)
