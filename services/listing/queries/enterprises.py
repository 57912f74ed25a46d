"""Reads enterprises: by code for handlers, by name for people."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from services.listing.errors import EnterpriseNotFound
from services.listing.rules.enterprises import Enterprise
from services.listing.tables import enterprises
from shared.db import Tx

_ALL = sa.select(enterprises)
_BY_CODES = _ALL.where(enterprises.c.code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text)))).with_for_update()
_BY_ID = _ALL.where(enterprises.c.id == sa.bindparam("id"))


async def enterprises_by_code(tx: Tx, codes: Sequence[str]) -> dict[str, Enterprise]:
    """The known ones among the codes, locked until the end of the transaction."""
    return {found.code: found for found in await tx.all(Enterprise, _BY_CODES, codes=sorted(set(codes)))}


async def get_enterprise(tx: Tx, enterprise_id: UUID) -> Enterprise:
    """Raises EnterpriseNotFound."""
    found = await tx.one(Enterprise, _BY_ID, id=enterprise_id)
    if found is None:
        raise EnterpriseNotFound(f"There is no enterprise {enterprise_id}.")
    return found


async def enterprises_page(
    tx: Tx, *, name: str | None, kind: str | None, after: UUID | None, rows: int
) -> list[Enterprise]:
    """Up to `rows` enterprises after a key, in the order of registration."""
    wanted = _ALL.order_by(enterprises.c.id).limit(rows)
    if name is not None:
        wanted = wanted.where(enterprises.c.name.contains(name, autoescape=True))
    if kind is not None:
        wanted = wanted.where(enterprises.c.kinds.contains([kind]))
    if after is not None:
        wanted = wanted.where(enterprises.c.id > after)
    return await tx.all(Enterprise, wanted)
