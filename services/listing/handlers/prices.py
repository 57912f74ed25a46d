"""Changes listed prices: set by the authority, lowered by the manufacturer, or asked for and decided."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from services.listing.handlers.desk import Desk
from services.listing.handlers.listings import desk_of, mine
from services.listing.rules import prices
from services.listing.rules.listings import Listing
from services.listing.schemas.listings import ListingView
from shared.db import Tx
from shared.errors import ServiceError
from shared.identity import Caller
from shared.values import frozen


@frozen
class AskedPrice:
    """Another price for a listing, and why."""

    listing_id: UUID
    price_yuan: Decimal
    reason: str


async def change_prices(tx: Tx, caller: Caller, asked: Sequence[AskedPrice]) -> list[ListingView | ServiceError]:
    """Changes many prices at once, each answered by itself. The price it is already changes nothing."""
    desk = await desk_of(tx, caller, [one.listing_id for one in asked])
    by_authority = tx.scope.reach != "own"
    outcomes: list[ListingView | ServiceError] = []
    for one in asked:
        try:
            before = mine(desk, one.listing_id)
            after = prices.asked(before, one.price_yuan, one.reason, by_authority=by_authority)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(_put(desk, before, after, one.reason))
    await desk.store()
    return outcomes


async def decide_price(tx: Tx, caller: Caller, listing_id: UUID, *, grant: bool, reason: str) -> ListingView:
    """Grants or denies the price that was asked for; raises ListingNotFound, NotYourListing, NoPriceAsked."""
    desk = await desk_of(tx, caller, [listing_id])
    before = mine(desk, listing_id)
    after = prices.granted(before) if grant else prices.denied(before)
    shown = _put(desk, before, after, reason, "price_granted" if grant else "price_denied")
    await desk.store()
    return shown


def _put(desk: Desk, before: Listing, after: Listing, reason: str, action: str | None = None) -> ListingView:
    if after is not before:
        wanted = after.wanted_price_yuan
        action = action or ("price_asked" if wanted is not None else "price_changed")
        after = desk.put_listing(after, action, {"reason": reason}, reason=reason)
    return ListingView.of(after, desk.products[after.product_code])
