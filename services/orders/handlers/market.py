"""Keeps what listing says: the newest of each thing, in whichever order the facts arrive and however often."""

from collections.abc import Sequence
from typing import Any

from services.orders.queries.market import keep_newest
from services.orders.rules.market import ListingState
from services.orders.tables import (
    distribution_ends,
    distributions,
    enterprises,
    institutions,
    listing_states,
    listings,
)
from shared.db import Tx
from shared.events.listing import (
    DistributionConfirmed,
    DistributionEnded,
    EnterpriseRegistered,
    InstitutionRegistered,
    ListedProduct,
    ProductAnnounced,
    ProductDelisted,
    ProductListed,
    ProductPriceChanged,
    ProductResumed,
    ProductRetracted,
    ProductSuspended,
)
from shared.inbox import Received


async def on_enterprise_registered(tx: Tx, events: Sequence[Received[EnterpriseRegistered]]) -> None:
    """Who may deliver."""
    rows = [
        {
            "code": event.data.enterprise_code,
            "name": event.data.name,
            "provisional": event.data.provisional,
            "active": event.data.active,
            "uscc": event.data.uscc,
            "version": event.sequence,
        }
        for event in events
    ]
    await keep_newest(tx, enterprises, rows)


async def on_institution_registered(tx: Tx, events: Sequence[Received[InstitutionRegistered]]) -> None:
    """Who may order, and under which names it receives goods."""
    rows = []
    for event in events:
        fact = event.data
        names = dict.fromkeys((fact.name, *fact.aliases))
        points = {point.name: str(point.delivery_point_id) for point in fact.delivery_points}
        row = {
            "code": fact.institution_code,
            "name": fact.name,
            "region": fact.region,
            "active": fact.active,
            "receives_at": {**names, **points},
            "version": event.sequence,
        }
        rows.append(row)
    await keep_newest(tx, institutions, rows)


def _row(listing: ListedProduct, version: int) -> dict[str, Any]:
    return {
        "listing_id": listing.listing_id,
        "region": listing.region,
        "product_code": listing.product_code,
        "product_kind": listing.product_kind,
        "product_name": listing.generic_name,
        "specification": listing.specification,
        "unit": listing.unit,
        "manufacturer_code": listing.manufacturer_code,
        "manufacturer_name": listing.manufacturer_name,
        "price_yuan": listing.price_yuan,
        "valid_from": listing.valid_from,
        "valid_to": listing.valid_to,
        "version": version,
    }


async def on_product_price_changed(tx: Tx, events: Sequence[Received[ProductPriceChanged]]) -> None:
    """The price of a listing, whatever its state."""
    await keep_newest(tx, listings, [_row(event.data.listing, event.sequence) for event in events])


async def _keep_state(tx: Tx, events: Sequence[Received[Any]], state: ListingState) -> None:
    await keep_newest(tx, listings, [_row(event.data.listing, event.sequence) for event in events])
    rows = [
        {
            "listing_id": event.data.listing_id,
            "state": state.value,
            "since": event.time,
            "notice_until": event.data.notice_until if isinstance(event.data, ProductAnnounced) else None,
            "version": event.sequence,
        }
        for event in events
    ]
    await keep_newest(tx, listing_states, rows)


async def on_product_announced(tx: Tx, events: Sequence[Received[ProductAnnounced]]) -> None:
    """May be ordered when the public notice is over, unless the authority objects."""
    await _keep_state(tx, events, ListingState.PUBLIC_NOTICE)


async def on_product_retracted(tx: Tx, events: Sequence[Received[ProductRetracted]]) -> None:
    """Was on public notice, and is not listed after all."""
    await _keep_state(tx, events, ListingState.RETRACTED)


async def on_product_listed(tx: Tx, events: Sequence[Received[ProductListed]]) -> None:
    """May be ordered."""
    await _keep_state(tx, events, ListingState.LISTED)


async def on_product_resumed(tx: Tx, events: Sequence[Received[ProductResumed]]) -> None:
    """May be ordered again."""
    await _keep_state(tx, events, ListingState.LISTED)


async def on_product_suspended(tx: Tx, events: Sequence[Received[ProductSuspended]]) -> None:
    """May not be ordered for now."""
    await _keep_state(tx, events, ListingState.SUSPENDED)


async def on_product_delisted(tx: Tx, events: Sequence[Received[ProductDelisted]]) -> None:
    """May not be ordered any more."""
    await _keep_state(tx, events, ListingState.DELISTED)


async def on_distribution_confirmed(tx: Tx, events: Sequence[Received[DistributionConfirmed]]) -> None:
    """Who may deliver what where."""
    rows = [
        {
            "distribution_id": event.data.distribution_id,
            "region": event.data.region,
            "product_code": event.data.product_code,
            "distributor_code": event.data.distributor_code,
            "valid_from": event.data.valid_from,
            "valid_to": event.data.valid_to,
            "version": event.sequence,
        }
        for event in events
    ]
    await keep_newest(tx, distributions, rows)


async def on_distribution_ended(tx: Tx, events: Sequence[Received[DistributionEnded]]) -> None:
    """Since when a relation takes no more orders; it may arrive before the relation itself."""
    rows = [
        {
            "distribution_id": event.data.distribution_id,
            "ended_on": event.data.ended_on,
            "version": event.sequence,
        }
        for event in events
    ]
    await keep_newest(tx, distribution_ends, rows)
