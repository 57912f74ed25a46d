"""Reads distribution relations: locked for handlers, scoped for people."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from services.listing.errors import DistributionNotFound
from services.listing.queries.visible import visible
from services.listing.rules.distributions import OPEN, Distribution, State, as_of
from services.listing.tables import distributions, enterprises
from services.listing.tables.base import among
from shared import clock
from shared.db import Tx
from shared.values import names_of

_MAKER, _DEALER = enterprises.alias("maker"), enterprises.alias("dealer")
_OF_THE_PARTIES = {
    "manufacturer_provisional": _MAKER.c.provisional.label("manufacturer_provisional"),
    "distributor_provisional": _DEALER.c.provisional.label("distributor_provisional"),
}
COLUMNS = tuple(name for name in names_of(Distribution) if name not in _OF_THE_PARTIES)
_BETWEEN = distributions.join(_MAKER, _MAKER.c.code == distributions.c.manufacturer_code).join(
    _DEALER, _DEALER.c.code == distributions.c.distributor_code
)
_ALL = sa.select(
    *(_OF_THE_PARTIES[name] if name in _OF_THE_PARTIES else distributions.c[name] for name in names_of(Distribution))
).select_from(_BETWEEN)
_LOCKED = _ALL.order_by(distributions.c.id).with_for_update(of=distributions)
_IS_OPEN = sa.literal_column(among("distributions.state", OPEN), sa.Boolean)
_BY_IDS = _LOCKED.where(distributions.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
_OPEN_OF = _LOCKED.where(
    distributions.c.product_code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text))),
    _IS_OPEN,
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
    return as_of(found, clock.today())


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
    """Up to `rows` relations after a key that the caller may see, as they stand today, in the order they were made."""
    today = clock.today()
    over = sa.and_(_IS_OPEN, distributions.c.valid_to < today)
    wanted = _ALL.where(_seen(tx)).order_by(distributions.c.id).limit(rows)
    filters = {
        distributions.c.product_code: product_code,
        distributions.c.region: region,
        distributions.c.distributor_code: distributor_code,
        distributions.c.manufacturer_code: manufacturer_code,
        sa.case((over, State.ENDED), else_=distributions.c.state): state,
    }
    for column, value in filters.items():
        if value is not None:
            wanted = wanted.where(column == value)
    if after is not None:
        wanted = wanted.where(distributions.c.id > after)
    return [as_of(one, today) for one in await tx.all(Distribution, wanted)]
