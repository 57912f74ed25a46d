"""Reads institutions with their delivery points."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa

from services.listing.errors import InstitutionNotFound
from services.listing.rules.institutions import DeliveryPoint, Institution
from services.listing.tables import delivery_points, institutions
from shared.codes import normal_name
from shared.db import Tx
from shared.values import names_of

COLUMNS = tuple(name for name in names_of(Institution) if name != "delivery_points")

_ALL = sa.select(*(institutions.c[name] for name in COLUMNS))
_BY_CODES = (
    _ALL.where(institutions.c.code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text))))
    .order_by(institutions.c.id)
    .with_for_update()
)
_BY_ID = _ALL.where(institutions.c.id == sa.bindparam("id"))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_POINTS = (
    sa.select(*(delivery_points.c[name] for name in names_of(DeliveryPoint)))
    .where(delivery_points.c.institution_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(delivery_points.c.id)
)


async def _with_points(tx: Tx, found: Sequence[Institution]) -> list[Institution]:
    if not found:
        return []
    points: dict[UUID, list[DeliveryPoint]] = {}
    for point in await tx.all(DeliveryPoint, _POINTS, ids=[one.id for one in found]):
        points.setdefault(point.institution_id, []).append(point)
    return [replace(one, delivery_points=tuple(points.get(one.id, ()))) for one in found]


async def institutions_by_code(tx: Tx, codes: Collection[str]) -> dict[str, Institution]:
    """The known ones among the codes, locked until the end of the transaction."""
    found = await tx.all(Institution, _BY_CODES, codes=sorted(set(codes)))
    return {one.code: one for one in await _with_points(tx, found)}


async def get_institution(tx: Tx, institution_id: UUID, *, locked: bool = False) -> Institution:
    """Raises InstitutionNotFound."""
    found = await tx.all(Institution, _BY_ID_LOCKED if locked else _BY_ID, id=institution_id)
    if not found:
        raise InstitutionNotFound("There is no institution {institution_id}.", institution_id=institution_id)
    return (await _with_points(tx, found))[0]


async def institutions_page(
    tx: Tx,
    *,
    code: str | None,
    name: str | None,
    region_prefix: str | None,
    kind: str | None,
    after: UUID | None,
    rows: int,
) -> list[Institution]:
    """Up to `rows` institutions after a key, in the order of registration; a name is also that of a delivery point."""
    wanted = _ALL.order_by(institutions.c.id).limit(rows)
    if code is not None:
        wanted = wanted.where(institutions.c.code == code)
    if name is not None:
        named = delivery_points.c.name_key.contains(normal_name(name), autoescape=True)
        wanted = wanted.where(institutions.c.id.in_(sa.select(delivery_points.c.institution_id).where(named)))
    if region_prefix is not None:
        wanted = wanted.where(institutions.c.region.startswith(region_prefix, autoescape=True))
    if kind is not None:
        wanted = wanted.where(institutions.c.kind == kind)
    if after is not None:
        wanted = wanted.where(institutions.c.id > after)
    return await _with_points(tx, await tx.all(Institution, wanted))
