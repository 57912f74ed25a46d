"""Registers enterprises; a known one gains names and kinds, and the same registration twice changes nothing."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from services.listing.errors import EnterpriseKnown, NameTaken, NotYourEnterprise
from services.listing.queries.enterprises import enterprises_by_code, get_enterprise, owners_of
from services.listing.queries.visible import as_row
from services.listing.rules.enterprises import Enterprise, also_known_as, checked_code, identified, name_keys
from services.listing.rules.faults import foreign_region
from services.listing.schemas.enterprises import ConfirmUscc, RegisterEnterprise
from services.listing.tables import enterprises
from shared import history, outbox
from shared.codes import normal_name
from shared.db import Tx
from shared.errors import Fault, Said, ServiceError
from shared.events.listing import EnterpriseRegistered
from shared.history import Parties
from shared.identity import Caller


async def register_enterprises(
    tx: Tx, caller: Caller, commands: Sequence[RegisterEnterprise]
) -> list[Enterprise | ServiceError]:
    """Registers many at once; the answer to each stands at its place. An enterprise takes part in every region, so any
    authority may name it for its own; its region stays the one it was first registered for."""
    codes: list[str | ServiceError] = []
    for command in commands:
        try:
            codes.append(_permitted(tx, command))
        except ServiceError as refusal:
            codes.append(refusal)
    present = await enterprises_by_code(tx, [code for code in codes if isinstance(code, str)])
    owners, unknown = await owners_of(tx, [command.name for command in commands])
    made: dict[UUID, Enterprise] = {}
    changed: dict[UUID, Enterprise] = {}
    outcomes: list[Enterprise | ServiceError] = []
    for command, code in zip(commands, codes, strict=True):
        if isinstance(code, ServiceError):
            outcomes.append(code)
            continue
        before = present.get(code)
        try:
            _check_name(tx, owners, unknown, before, command, code)
        except NameTaken as refusal:
            outcomes.append(refusal)
            continue
        after = _new(command, code) if before is None else also_known_as(before, command.name, tuple(command.kinds))
        outcomes.append(after)
        if after is before:
            continue
        present[code] = present[after.code] = after
        (unknown if after.provisional else owners).setdefault(normal_name(after.name), after.code)
        (made if before is None or after.id in made else changed)[after.id] = after
        action, reason = ("registered", None) if before is None else ("changed", command.override_reason)
        _say(tx, caller, before, after, action, command.region, reason)
    tx.add(enterprises, *(_row(enterprise) for enterprise in made.values()))
    await tx.change(enterprises, [_row(enterprise) for enterprise in changed.values()])
    return outcomes


async def confirm_uscc(tx: Tx, caller: Caller, enterprise_id: UUID, command: ConfirmUscc) -> Enterprise:
    """Records the USCC of a provisional enterprise, which keeps its code; raises EnterpriseNotFound, EnterpriseKnown,
    EnterpriseRefused, NotYourEnterprise."""
    before = await get_enterprise(tx, enterprise_id, locked=True)
    if not tx.scope.covers(region=before.region):
        raise NotYourEnterprise(
            "{code} was registered for region {region}, which is not under yours.",
            code=before.code,
            region=before.region,
        )
    after = identified(before, command.uscc, command.override_reason)
    if after is before:
        return after
    other = (await enterprises_by_code(tx, [after.uscc or ""])).get(after.uscc or "")
    if other is not None:
        raise EnterpriseKnown(
            "The USCC {uscc} is that of {name} ({code}), not of {name_2}.",
            uscc=after.uscc,
            name=other.name,
            code=other.code,
            name_2=before.name,
        )
    await tx.change(enterprises, [_row(after)])
    _say(tx, caller, before, after, "identified", before.region)
    return after


def _permitted(tx: Tx, command: RegisterEnterprise) -> str:
    """The code it will go by; raises EnterpriseRefused, NotYourEnterprise."""
    code = checked_code(command.uscc, command.name, command.override_reason, command.region)
    if not tx.scope.covers(code, region=command.region):
        raise NotYourEnterprise(
            "{code} in region {region} is neither yours nor under your region.",
            faults=[_foreign(tx, command)],
            code=code,
            region=command.region,
        )
    return code


def _foreign(tx: Tx, command: RegisterEnterprise) -> Fault:
    """What of a registration is not its sender's: the enterprise, or where the sender is an authority the region."""
    if tx.scope.reach == "region":
        return foreign_region(command.region)
    field = "name" if command.uscc is None else "uscc"
    allowed = Said("your own organisation, {organisation}", organisation=tx.scope.organisation)
    return Fault(f"/{field}", getattr(command, field), "another organisation than yours", allowed)


def _check_name(
    tx: Tx,
    owners: Mapping[str, str],
    unknown: Mapping[str, str],
    before: Enterprise | None,
    command: RegisterEnterprise,
    code: str,
) -> None:
    """Nobody calls itself as another is called, and who is known by its name alone is not who has that name already. That
    two enterprises of one name have a USCC each, the authority says with a reason, also of one whose USCC is not known yet: it
    may be the same, and two are never made one again. In whatever is taken over, the operator knows."""
    key = normal_name(command.name)
    second = tx.scope.reach == "region" and command.uscc is not None
    owner = owners.get(key) or (unknown.get(key) if second else None)
    if owner in {None, code} or tx.scope.reach == "all" or (before is not None and key in name_keys(before)):
        return
    if second and command.override_reason:
        return
    allowed = Said("a name of its own; for that enterprise, its code {owner}", owner=owner)
    if second:
        sentence = "{allowed}, with its USCC confirmed if that is it; or, in {reason_field}, why another enterprise has this name"
        allowed = Said(sentence, allowed=allowed, reason_field="override_reason")
    fault = Fault("/name", command.name, Said("it is the name of {owner}", owner=owner), allowed)
    raise NameTaken("{name!j} is the name of {owner}.", faults=[fault], name=command.name, owner=owner)


def _new(command: RegisterEnterprise, code: str) -> Enterprise:
    return Enterprise(
        id=uuid7(),
        code=code,
        uscc=None if command.uscc is None else code,
        name=command.name,
        aliases=(),
        kinds=tuple(dict.fromkeys(command.kinds)),
        provisional=command.uscc is None,
        override_reason=command.override_reason,
        region=command.region,
        active=True,
        version=1,
    )


def _row(enterprise: Enterprise) -> dict[str, object]:
    return {**as_row(enterprise), "name_keys": name_keys(enterprise)}


def _say(
    tx: Tx,
    caller: Caller,
    before: Enterprise | None,
    after: Enterprise,
    action: str,
    region: str,
    reason: str | None = None,
) -> None:
    """`reason`: what was said of a name that another has, where the enterprise does not keep it."""
    moved = history.changes(before, after, "code", "uscc", "name", "aliases", "kinds", "provisional", "override_reason")
    parties = Parties(supplier_code=after.code, third_code=after.uscc, region=region)
    detail: dict[str, object] = {"changes": moved, **({"reason": reason} if reason else {})}
    history.note(tx, caller, after.id, action, parties, detail)
    outbox.record(tx, fact_of(after), after.version)


def fact_of(enterprise: Enterprise) -> EnterpriseRegistered:
    """What the others hear of an enterprise, whole."""
    return EnterpriseRegistered(
        enterprise_id=enterprise.id,
        enterprise_code=enterprise.code,
        name=enterprise.name,
        aliases=enterprise.aliases,
        kinds=enterprise.kinds,
        provisional=enterprise.provisional,
        active=enterprise.active,
        region=enterprise.region,
        uscc=enterprise.uscc,
    )
