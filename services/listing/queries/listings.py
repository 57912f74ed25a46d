"""Reads listings: locked for handlers, joined with their products for people, and what changed since a number."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.listing.errors import ListingNotFound
from services.listing.queries.products import MADE, OF_THE_MAKER, made_by, named
from services.listing.queries.visible import visible
from services.listing.rules.listings import LIVE, PUBLIC, Listing, State
from services.listing.schemas.listings import ChangedListing, ListingView
from services.listing.tables import listings, products
from services.listing.tables.base import among
from shared import clock
from shared.db import Tx
from shared.values import names_of

_LOCKED = sa.select(*(listings.c[name] for name in names_of(Listing))).order_by(listings.c.id).with_for_update()
_BY_IDS = _LOCKED.where(listings.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
_IS_LIVE = sa.literal_column(among("listings.state", LIVE), sa.Boolean)
_LIVE_OF = _LOCKED.where(listings.c.product_code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text))), _IS_LIVE)
_IS_PUBLIC = sa.literal_column(among("listings.state", PUBLIC), sa.Boolean)


def _shown(view: type[ListingView]) -> sa.Select[Any]:
    def column(name: str) -> sa.ColumnElement[object]:
        if name in OF_THE_MAKER:
            return OF_THE_MAKER[name]
        if name == "product_kind":
            return products.c.kind.label(name)
        return listings.c[name] if name in listings.c else products.c[name]

    chosen: list[Any] = [column(name) for name in view.model_fields]
    joined = listings.join(MADE, products.c.code == listings.c.product_code)
    return sa.select(*chosen).select_from(joined)


_VIEW = _shown(ListingView)
_CHANGED = _shown(ChangedListing)

# One row, locked from here to the commit: whoever wants numbers waits for those who took theirs before. So numbers are
# committed in their order, and a reader who has seen number n can never miss a lower one. (A plain sequence would give
# numbers out before the commit: 8 could be seen while 7 is still open, and a reader who went on from 8 would lose 7.)
# It is taken last of all locks, right before the rows are written, so it is short and closes no circle.
_TAKE_NUMBERS = (
    "INSERT INTO change_counter (single, last) VALUES (true, $1::bigint)"
    " ON CONFLICT (single) DO UPDATE SET last = change_counter.last + EXCLUDED.last RETURNING last"
)


async def listings_by_id(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Listing]:
    """The known ones among the ids, locked until the end of the transaction."""
    return {one.id: one for one in await tx.all(Listing, _BY_IDS, ids=sorted(set(ids)))}


async def live_listings_of(tx: Tx, product_codes: Collection[str]) -> list[Listing]:
    """The live listings of these products in every region, locked until the end of the transaction."""
    return await tx.all(Listing, _LIVE_OF, codes=sorted(set(product_codes)))


async def take_change_numbers(tx: Tx, count: int) -> list[int]:
    """The next numbers of the change feed, which nobody else gets before our commit."""
    (row,) = await tx.sql(_TAKE_NUMBERS, count)
    last = int(row["last"])
    return list(range(last - count + 1, last + 1))


def _seen(tx: Tx) -> sa.ColumnElement[bool]:
    own = (products.c.manufacturer_code, products.c.agent_code, listings.c.proposed_by)
    return visible(tx.scope, public=_IS_PUBLIC, own=own, region=listings.c.region)


async def get_listing(tx: Tx, listing_id: UUID) -> ListingView:
    """The listing as the caller may see it; raises ListingNotFound."""
    found = await tx.one(ListingView, _VIEW.where(listings.c.id == listing_id, _seen(tx)))
    if found is None:
        raise ListingNotFound("There is no listing {listing_id} that you may see.", listing_id=listing_id)
    return found


async def listings_page(
    tx: Tx,
    *,
    code: str | None,
    name: str | None,
    manufacturer: str | None,
    state: str | None,
    in_force: bool | None,
    region: str | None,
    after: UUID | None,
    rows: int,
) -> list[ListingView]:
    """Up to `rows` listings after a key that the caller may see, in the order they were made."""
    wanted = _VIEW.where(_seen(tx)).order_by(listings.c.id).limit(rows)
    if code is not None:
        wanted = wanted.where(listings.c.product_code == code)
    matched = [condition(text) for condition, text in ((named, name), (made_by, manufacturer)) if text is not None]
    if matched:
        # Matched first and apart: the planner takes a frequent name for a rare one and would walk all listings.
        found = sa.select(products.c.code).where(*matched).cte("matched").prefix_with("MATERIALIZED")
        wanted = wanted.where(listings.c.product_code.in_(sa.select(found.c.code)))
    if state is not None:
        wanted = wanted.where(listings.c.state == state)
    if in_force is not None:
        wanted = wanted.where(_in_force(clock.today()).is_(in_force))
    if region is not None:
        wanted = wanted.where(listings.c.region == region)
    if after is not None:
        wanted = wanted.where(listings.c.id > after)
    return await tx.all(ListingView, wanted)


def _in_force(today: date) -> sa.ColumnElement[bool]:
    """The same as `rules.listings.in_force`, of a row."""
    begun = listings.c.valid_from <= today
    return sa.and_(listings.c.state == State.LISTED, begun, sa.func.coalesce(listings.c.valid_to >= today, sa.true()))


async def changes(tx: Tx, *, after: int, region: str | None, rows: int) -> Sequence[ChangedListing]:
    """Up to `rows` listings whose latest change has a higher number, in the order of the numbers."""
    wanted = _CHANGED.where(listings.c.change_number > after, _seen(tx)).order_by(listings.c.change_number).limit(rows)
    if region is not None:
        wanted = wanted.where(listings.c.region == region)
    return await tx.all(ChangedListing, wanted)
