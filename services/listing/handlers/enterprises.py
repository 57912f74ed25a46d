"""Registers enterprises; a known one gains names and kinds, and the same registration twice changes nothing."""

from collections.abc import Sequence
from uuid import UUID

from uuid_utils.compat import uuid7

from services.listing.errors import EnterpriseKnown, EnterpriseRefused, NameTaken, NotYourEnterprise
from services.listing.queries.enterprises import enterprises_by_code, get_enterprise, names_lock, owners_of
from services.listing.queries.visible import as_row
from services.listing.rules.enterprises import Enterprise, also_known_as, checked_code, identified, name_keys
from services.listing.rules.faults import Faults, foreign_region
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
    every_faults = [Faults() for _ in commands]
    codes = [
        checked_code(faults, command.uscc, command.name, command.override_reason, command.region)
        for faults, command in zip(every_faults, commands, strict=True)
    ]
    await names_lock(tx)
    present = await enterprises_by_code(tx, codes)
    owners = await owners_of(tx, [command.name for command in commands])
    made: dict[UUID, Enterprise] = {}
    changed: dict[UUID, Enterprise] = {}
    outcomes: list[Enterprise | ServiceError] = []
    for command, code, faults in zip(commands, codes, every_faults, strict=True):
        before = present.get(code)
        owner = owners.get(normal_name(command.name))
        try:
            _check(tx, command, code, faults, _taken(tx, command, code, before, owner))
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        after = _new(command, code) if before is None else also_known_as(before, command.name, tuple(command.kinds))
        outcomes.append(after)
        if after is before:
            continue
        present[code] = present[after.code] = after
        for key in name_keys(after):
            owners.setdefault(key, after)
        (made if before is None or after.id in made else changed)[after.id] = after
        action = "registered" if before is None else "changed"
        _say(tx, caller, before, after, action, command.region, command.name_reason)
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


def _check(tx: Tx, command: RegisterEnterprise, code: str, faults: Faults, taken: Fault | None) -> None:
    """Raises EnterpriseRefused with every fault, NotYourEnterprise, NameTaken."""
    if faults.found and taken:
        faults.found.append(taken)
    faults.refuse(EnterpriseRefused)
    if not tx.scope.covers(code, region=command.region):
        raise NotYourEnterprise(
            "{code} in region {region} is neither yours nor under your region.",
            faults=[_foreign(tx, command)],
            code=code,
            region=command.region,
        )
    if taken:
        raise NameTaken("{name!j}: {rule}.", faults=[taken], name=command.name, rule=taken.rule)


def _foreign(tx: Tx, command: RegisterEnterprise) -> Fault:
    """What of a registration is not its sender's: the enterprise, or where the sender is an authority the region."""
    if tx.scope.reach == "region":
        return foreign_region(command.region)
    field = "name" if command.uscc is None else "uscc"
    allowed = Said("your own organisation, {organisation}", organisation=tx.scope.organisation)
    return Fault(f"/{field}", getattr(command, field), "another organisation than yours", allowed)


def _taken(
    tx: Tx, command: RegisterEnterprise, code: str, before: Enterprise | None, owner: Enterprise | None
) -> Fault | None:
    """Nobody calls itself as another is called, be it by one of its further names, its USCC known or not, and who is known by
    its name alone is not who has that name already. That two enterprises of one name have a USCC each, the authority says with
    a reason, for they may be the same, and two are never made one again. In whatever is taken over, the operator knows."""
    if not code or owner is None or owner.code == code or tx.scope.reach == "all":
        return None
    if before is not None and normal_name(command.name) in name_keys(before):
        return None
    if command.name_reason and _reason_will_do(tx, command):
        return None
    if normal_name(command.name) == normal_name(owner.name):
        rule = Said("it is the name of {owner}", owner=owner.code)
    else:
        rule = Said("it is a further name of {name} ({owner})", name=owner.name, owner=owner.code)
    return Fault("/name", command.name, rule, _instead_of(tx, command, owner))


def _reason_will_do(tx: Tx, command: RegisterEnterprise) -> bool:
    return tx.scope.reach == "region" and command.uscc is not None


def _instead_of(tx: Tx, command: RegisterEnterprise, owner: Enterprise) -> Said:
    """What is allowed instead of a name that `owner` has; a supplier is told whom to ask."""
    allowed = Said("a name of its own; for that enterprise, its code {owner}", owner=owner.code)
    if _reason_will_do(tx, command):
        sentence = "{allowed}, with its USCC confirmed if that is it; or, in {reason_field}, why another enterprise has this name"
        return Said(sentence, allowed=allowed, reason_field="name_reason")
    if tx.scope.reach == "region":
        return allowed
    ask = Said("to register you under it too, with a reason")
    if owner.provisional:
        sentence = (
            "a name of your own; or ask the authority of region {region} to confirm your USCC for {owner} if that is you,"
            " or else {ask}"
        )
        return Said(sentence, region=owner.region, owner=owner.code, ask=ask)
    return Said("a name of your own; or ask the authority of region {region} {ask}", region=command.region, ask=ask)


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
    name_reason: str | None = None,
) -> None:
    """`name_reason`: why it has a name that another has, which the timeline alone keeps."""
    moved = history.changes(before, after, "code", "uscc", "name", "aliases", "kinds", "provisional", "override_reason")
    parties = Parties(supplier_code=after.code, third_code=after.uscc, region=region)
    detail: dict[str, object] = {"changes": moved, **({"name_reason": name_reason} if name_reason else {})}
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
