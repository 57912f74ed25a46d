"""Registers institutions and their delivery points; the same registration twice changes nothing."""

from collections.abc import Sequence
from uuid import UUID

from services.listing.errors import NotYourInstitution
from services.listing.queries.institutions import COLUMNS, get_institution, institutions_by_code
from services.listing.queries.visible import as_row
from services.listing.rules.faults import foreign_region
from services.listing.rules.institutions import Institution, Said, checked, receiving_at, registered, said_again
from services.listing.schemas.institutions import AddDeliveryPoints, RegisterInstitution
from services.listing.tables import delivery_points, institutions
from shared import history, outbox
from shared.db import Tx
from shared.errors import ServiceError
from shared.events.listing import DeliveryPoint, InstitutionRegistered
from shared.history import Parties
from shared.identity import Caller


async def register_institutions(
    tx: Tx, caller: Caller, commands: Sequence[RegisterInstitution]
) -> list[Institution | ServiceError]:
    """Registers many at once; the answer to each stands at its place."""
    read = [_read(command) for command in commands]
    present = await institutions_by_code(tx, [said.code for said in read if isinstance(said, Said)])
    first = dict(present)
    outcomes: list[Institution | ServiceError] = []
    for said in read:
        if isinstance(said, ServiceError):
            outcomes.append(said)
            continue
        before = present.get(said.code)
        try:
            after = registered(said) if before is None else said_again(before, said)
            for one in {before or after, after}:
                _check_reach(tx, one)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(after)
        if after is not before:
            present[said.code] = after
            _say(tx, caller, before, after, "registered" if before is None else "changed")
    await _store(tx, first, present)
    return outcomes


async def add_delivery_points(tx: Tx, caller: Caller, institution_id: UUID, command: AddDeliveryPoints) -> Institution:
    """Adds places where goods are received; raises InstitutionNotFound, InstitutionRefused, NotYourInstitution."""
    before = await get_institution(tx, institution_id, locked=True)
    _check_reach(tx, before)
    after = receiving_at(before, command.names)
    if after is not before:
        _say(tx, caller, before, after, "changed")
        await _store(tx, {before.code: before}, {before.code: after})
    return after


def _read(command: RegisterInstitution) -> Said | ServiceError:
    said = Said(
        code=command.code,
        name=command.name,
        region=command.region,
        grade=command.grade,
        active=command.active,
        points=tuple(command.delivery_points),
    )
    try:
        return checked(said)
    except ServiceError as refusal:
        return refusal


def _check_reach(tx: Tx, institution: Institution) -> None:
    if not tx.scope.covers(institution.code, region=institution.region):
        raise NotYourInstitution(
            "{code} in region {region} is not under your region.",
            faults=[foreign_region(institution.region)],
            code=institution.code,
            region=institution.region,
        )


async def _store(tx: Tx, before: dict[str, Institution], after: dict[str, Institution]) -> None:
    """Writes what differs; points are only ever added."""
    changed = [one for code, one in after.items() if code in before and one is not before[code]]
    tx.add(institutions, *(_row(one) for code, one in after.items() if code not in before))
    for code, one in after.items():
        held = len(before[code].delivery_points) if code in before else 0
        tx.add(delivery_points, *(as_row(point) for point in one.delivery_points[held:]))
    await tx.change(institutions, [_row(one) for one in changed])


def _row(institution: Institution) -> dict[str, object]:
    return {name: getattr(institution, name) for name in COLUMNS}


def _say(tx: Tx, caller: Caller, before: Institution | None, after: Institution, action: str) -> None:
    moved = history.changes(before, after, "name", "aliases", "grade", "region", "active")
    was, points = ([point.name for point in one.delivery_points] if one else None for one in (before, after))
    if was != points:
        moved["delivery_points"] = [was, points]
    parties = Parties(institution_code=after.code, region=after.region)
    history.note(tx, caller, after.id, action, parties, {"changes": moved})
    outbox.record(tx, fact_of(after), after.version)


def fact_of(institution: Institution) -> InstitutionRegistered:
    """What the others hear of an institution, whole."""
    return InstitutionRegistered(
        institution_id=institution.id,
        institution_code=institution.code,
        name=institution.name,
        aliases=institution.aliases,
        kind=institution.kind,
        grade=institution.grade,
        region=institution.region,
        active=institution.active,
        delivery_points=tuple(
            DeliveryPoint(delivery_point_id=point.id, name=point.name) for point in institution.delivery_points
        ),
    )
