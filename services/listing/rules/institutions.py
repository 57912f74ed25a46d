"""Which institutions take part: one code, several names, each name a place where goods are received.

Names are compared in their normal form, so that widths of brackets and spaces make no second delivery point.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from uuid_utils.compat import uuid7

from services.listing.errors import InstitutionRefused
from services.listing.rules.faults import Faults
from shared import errors
from shared.codes import normal_name, parse_institution
from shared.values import frozen

DELIVERY_POINTS_MAX = 500
"""Of one institution; the largest known has 41."""


@frozen
class DeliveryPoint:
    """A place of an institution by its name; `name_key` is the name's normal form."""

    id: UUID
    institution_id: UUID
    name: str
    name_key: str


@frozen
class Institution:
    """An institution as it stands; `version` is raised by every change."""

    id: UUID
    code: str
    name: str
    aliases: tuple[str, ...]
    kind: str
    grade: str | None
    region: str
    active: bool
    version: int
    delivery_points: tuple[DeliveryPoint, ...] = ()


@frozen
class Said:
    """What a registration says; None: nothing is said of it. `kind` and `home`, the region, are read from the code."""

    code: str
    name: str
    region: str | None
    grade: str | None
    active: bool | None
    points: tuple[str, ...]
    kind: str = ""
    home: str = ""


def checked(said: Said) -> Said:
    """A registration in normal form; raises InstitutionRefused with every fault."""
    faults = Faults()
    parsed = faults.parsed("/code", said.code, parse_institution)
    if said.region is not None:
        faults.region(said.region)
    faults.refuse(InstitutionRefused)
    assert parsed is not None  # noqa: S101  a fault otherwise
    return replace(said, code=parsed.code, kind=parsed.kind, home=parsed.region6)


def registered(said: Said) -> Institution:
    """A new institution; its first name is its first delivery point."""
    new = Institution(
        id=uuid7(),
        code=said.code,
        name=said.name,
        aliases=(),
        kind=said.kind,
        grade=said.grade,
        region=said.region or said.home,
        active=said.active is not False,
        version=1,
    )
    return _received_at(new, (said.name, *said.points))


def said_again(before: Institution, said: Said) -> Institution:
    """The institution with what is new; the same value when nothing is. Raises InstitutionRefused for too many points."""
    known = {normal_name(name) for name in (before.name, *before.aliases)}
    after = replace(
        before,
        aliases=before.aliases if normal_name(said.name) in known else (*before.aliases, said.name),
        grade=said.grade or before.grade,
        region=said.region or before.region,
        active=before.active if said.active is None else said.active,
    )
    after = _received_at(after, (said.name, *said.points))
    return before if after == before else replace(after, version=before.version + 1)


def receiving_at(before: Institution, points: Sequence[str]) -> Institution:
    """The institution with further delivery points; the same value when it has them all."""
    after = _received_at(before, points)
    return before if after == before else replace(after, version=before.version + 1)


def _received_at(institution: Institution, names: Sequence[str]) -> Institution:
    points = {point.name_key: point for point in institution.delivery_points}
    for name in names:
        key = normal_name(name)
        if key not in points:
            points[key] = DeliveryPoint(uuid7(), institution.id, name, key)
    if len(points) > DELIVERY_POINTS_MAX:
        faults = Faults()
        faults.add(
            "/delivery_points",
            len(points),
            "too many delivery points",
            errors.Said("at most {DELIVERY_POINTS_MAX}", DELIVERY_POINTS_MAX=DELIVERY_POINTS_MAX),
        )
        faults.refuse(InstitutionRefused)
    if len(points) == len(institution.delivery_points):
        return institution
    return replace(institution, delivery_points=tuple(points.values()))
