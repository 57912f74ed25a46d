"""HTTP for listed prices."""

from uuid import UUID

from fastapi import APIRouter, Response

from services.listing.handlers.prices import AskedPrice, change_prices, decide_price
from services.listing.router.reviews import MatchHeeded
from services.listing.schemas.listings import ChangePrice, ChangePriceOf, ListingView, Why
from shared.errors import ServiceError
from shared.http import BulkAnswer, CallerHere, Edge, Items, TxHere, answers, etag, only

router = APIRouter(route_class=Edge, prefix="/listings", tags=["prices"])


@router.post("/{listing_id}/price", dependencies=[MatchHeeded])
async def change_price(
    listing_id: UUID, command: ChangePrice, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Sets the price (authority), lowers it (manufacturer), or asks for a higher one, which the authority decides."""
    asked = AskedPrice(listing_id, command.price_yuan, command.reason)
    listing = only(await change_prices(tx, caller, [asked]))
    response.headers["etag"] = etag(listing.revision)
    return listing


@router.post("/prices")
async def change_prices_in_bulk(
    commands: Items[ChangePriceOf], caller: CallerHere, tx: TxHere
) -> BulkAnswer[ListingView]:
    """Up to 1,000 prices, each answered by itself."""

    async def change(good: list[ChangePriceOf]) -> list[ListingView | ServiceError]:
        return await change_prices(tx, caller, [AskedPrice(one.listing_id, one.price_yuan, one.reason) for one in good])

    return answers(await commands.each(change), lambda shown: shown)


@router.post("/{listing_id}/price/grant", dependencies=[MatchHeeded])
async def grant_price(
    listing_id: UUID, command: Why, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Grants the price that the manufacturer asked for; orders are at it from now on."""
    listing = await decide_price(tx, caller, listing_id, grant=True, reason=command.reason)
    response.headers["etag"] = etag(listing.revision)
    return listing


@router.post("/{listing_id}/price/deny", dependencies=[MatchHeeded])
async def deny_price(listing_id: UUID, command: Why, caller: CallerHere, tx: TxHere, response: Response) -> ListingView:
    """Denies the price that the manufacturer asked for."""
    listing = await decide_price(tx, caller, listing_id, grant=False, reason=command.reason)
    response.headers["etag"] = etag(listing.revision)
    return listing
