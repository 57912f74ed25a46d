"""Reads distribution relations: locked for handlers, scoped for people."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from services.listing.errors import DistributionNotFound
from services.listing.queries.visible import visible
from services.listing.rules.distributions import OPEN, Distribution
from services.listing.tables import distributions
from services.listing.tables.base import among
from shared.db import Tx
from shared.values import names_of

_ALL = sa.select(*(distributions.c[name] for name in names_of(Distribution)))
_LOCKED = _ALL.order_by(distributions.c.id).with_for_update()
_BY_IDS = _LOCKED.where(distributions.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
_OPEN_OF = _LOCKED.where(
    distributions.c.product_code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text))),
    sa.literal_column(among("distributions.state", OPEN), sa.Boolean),
)
_IS_PUBLIC = distributions.c.version > 0


def _seen(tx: Tx) -> sa.ColumnElement[bool]:
    own = (distributions.c.manufacturer_code, distributions.c.agent_code, distributions.c.distributor_code)
    return visible(tx.scope, public=_IS_PUBLIC, own=own, region=distributions.c.region)


async def distributions_by_id(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Distribution]:
    """The known ones among the ids, locked until the end of the transaction."""
    return {one.id: one for one in await tx.all(Distribution, _BY_IDS, ids=sorted(set(ids)))}


async def open_distributions_of(tx: Tx, product_codes: Collection[str]) -> list[Distribution]:
    """The open relations of these products, locked until the end of the transaction."""
    return await tx.all(Distribution, _OPEN_OF, codes=sorted(set(product_codes)))


async def get_distribution(tx: Tx, distribution_id: UUID) -> Distribution:
    """The relation as the caller may see it; raises DistributionNotFound."""
    found = await tx.one(Distribution, _ALL.where(distributions.c.id == distribution_id, _seen(tx)))
    if found is None:
        raise DistributionNotFound(
            "There is no distribution relation {distribution_id} that you may see.", distribution_id=distribution_id
        )
    return found


async def distributions_page(
    tx: Tx,
    *,
    product_code: str | None,
    region: str | None,
    distributor_code: str | None,
    manufacturer_code: str | None,
    state: str | None,
    after: UUID | None,
    rows: int,
) -> list[Distribution]:
    """Up to `rows` relations after a key that the caller may see, in the order they were made."""
    wanted = _ALL.where(_seen(tx)).order_by(distributions.c.id).limit(rows)
    filters = {
        distributions.c.product_code: product_code,
        distributions.c.region: region,
        distributions.c.distributor_code: distributor_code,
        distributions.c.manufacturer_code: manufacturer_code,
        distributions.c.state: state,
    }
    for column, value in filters.items():
        if value is not None:
            wanted = wanted.where(column == value)
    if after is not None:
        wanted = wanted.where(distributions.c.id > after)
    return await tx.all(Distribution, wanted)
