"""HTTP for the steps of a listing's life, one route a verb; and delisting many at once."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response

from services.listing.handlers.listings import Act, accept, act_on_listings, delist, move
from services.listing.queries.listings import get_listing, listings_by_id
from services.listing.schemas.listings import Delist, DelistOne, ListingView, Suspend, Why
from shared.db import Tx
from shared.errors import ServiceError
from shared.http import BulkAnswer, CallerHere, Edge, Items, TxHere, answers, check_tag, etag, only
from shared.identity import Caller

router = APIRouter(route_class=Edge, prefix="/listings", tags=["reviews"])


async def _match_heeded(
    listing_id: UUID,
    request: Request,
    tx: TxHere,
    if_match: Annotated[str | None, Header(description="the ETag of what you read; 412 when it is stale")] = None,
) -> None:
    """For a step that the state guards already: who says what was read does not act on what changed since."""
    if if_match is not None:
        await listings_by_id(tx, [listing_id])  # locked: nobody comes between comparison and step
        check_tag(if_match, (await get_listing(tx, listing_id)).revision)


MatchHeeded = Depends(_match_heeded)


async def _one(tx: Tx, caller: Caller, response: Response, act: Act) -> ListingView:
    listing = only(await act_on_listings(tx, caller, [act]))
    response.headers["etag"] = etag(listing.revision)
    return listing


@router.post("/{listing_id}/submit", dependencies=[MatchHeeded])
async def submit_listing(listing_id: UUID, caller: CallerHere, tx: TxHere, response: Response) -> ListingView:
    """Hands a draft to the authority for review."""
    return await _one(tx, caller, response, Act(listing_id, "submit", move))


@router.post("/{listing_id}/withdraw", dependencies=[MatchHeeded])
async def withdraw_listing(
    listing_id: UUID, command: Why, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Takes a draft or an application back."""
    return await _one(tx, caller, response, Act(listing_id, "withdraw", move, command.reason))


@router.post("/{listing_id}/accept", dependencies=[MatchHeeded])
async def accept_listing(listing_id: UUID, caller: CallerHere, tx: TxHere, response: Response) -> ListingView:
    """Accepts an application: on public notice from today, or listed at once where the policy asks for no notice."""
    return await _one(tx, caller, response, Act(listing_id, "accept", accept))


@router.post("/{listing_id}/return", dependencies=[MatchHeeded])
async def return_listing(
    listing_id: UUID, command: Why, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Gives an application back to be mended."""
    return await _one(tx, caller, response, Act(listing_id, "return", move, command.reason))


@router.post("/{listing_id}/reject", dependencies=[MatchHeeded])
async def reject_listing(
    listing_id: UUID, command: Why, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Rejects an application for good, also when an objection to the public notice holds."""
    return await _one(tx, caller, response, Act(listing_id, "reject", move, command.reason))


@router.post("/{listing_id}/suspend", dependencies=[MatchHeeded])
async def suspend_listing(
    listing_id: UUID, command: Suspend, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Suspends a listing: it may not be ordered until it is resumed."""
    return await _one(tx, caller, response, Act(listing_id, "suspend", move, command.reason, command.reason_kind))


@router.post("/{listing_id}/resume", dependencies=[MatchHeeded])
async def resume_listing(
    listing_id: UUID, command: Why, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Resumes a suspended listing."""
    return await _one(tx, caller, response, Act(listing_id, "resume", move, command.reason))


@router.post("/{listing_id}/delist", dependencies=[MatchHeeded])
async def delist_listing(
    listing_id: UUID, command: Delist, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Delists a product for good. A selected one leaves only for certificate_cancelled, contract_ended, authority_order."""
    return await _one(tx, caller, response, Act(listing_id, "delist", delist, command.reason, command.reason_kind))


@router.post("/delist")
async def delist_listings(commands: Items[DelistOne], caller: CallerHere, tx: TxHere) -> BulkAnswer[ListingView]:
    """Delists up to 1,000, each answered by itself."""

    async def each(good: list[DelistOne]) -> list[ListingView | ServiceError]:
        acts = [Act(one.listing_id, "delist", delist, one.reason, one.reason_kind) for one in good]
        return await act_on_listings(tx, caller, acts)

    return answers(await commands.each(each), lambda shown: shown)
