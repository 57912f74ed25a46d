"""HTTP for listings: proposing and finding them, listing straight away, and what changed."""

from dataclasses import fields
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.listing.handlers.catalogue import list_products
from services.listing.handlers.listings import Act, act_on_listings, propose_listings, revise
from services.listing.queries import listings as queries
from services.listing.queries.timelines import get_timeline
from services.listing.rules.listings import State, Waiting, next_steps
from services.listing.schemas.listings import (
    ChangesView,
    ListingView,
    ListProduct,
    ProposeListing,
    ReviseListing,
)
from shared.history import TimelineView
from shared.http import (
    BulkAnswer,
    CallerHere,
    Edge,
    Items,
    MatchNeeded,
    Page,
    PagingHere,
    TxHere,
    answers,
    check_match,
    etag,
    only,
)

router = APIRouter(route_class=Edge, tags=["listings"])

RegionAsked = Annotated[str | None, Query(pattern=r"^[0-9]{6}$")]


@router.post("/listings", status_code=201)
async def propose_listing(command: ProposeListing, caller: CallerHere, tx: TxHere, response: Response) -> ListingView:
    """Drafts a listing; submit it when it is ready."""
    listing = only(await propose_listings(tx, caller, [command]))
    response.headers["etag"] = etag(listing.revision)
    return listing


@router.post("/listings/bulk")
async def propose_listings_in_bulk(
    commands: Items[ProposeListing], caller: CallerHere, tx: TxHere
) -> BulkAnswer[ListingView]:
    """Up to 1,000 drafts, each answered by itself."""
    return answers(await commands.each(partial(propose_listings, tx, caller)), lambda shown: shown, success=201)


@router.put("/catalogue")
async def put_catalogue(commands: Items[ListProduct], caller: CallerHere, tx: TxHere) -> BulkAnswer[ListingView]:
    """Up to 1,000 products listed straight away by the authority, or put on public notice where the policy asks for it.

    Registers products that are not known, changes prices and terms that are new; what is known already changes nothing.
    """
    return answers(await commands.each(partial(list_products, tx, caller)), lambda shown: shown)


@router.get("/listings")
async def list_listings(
    tx: TxHere,
    paging: PagingHere,
    code: Annotated[str | None, Query(max_length=64, description="product code")] = None,
    name: Annotated[
        str | None, Query(min_length=1, max_length=100, description="part of generic or trade name")
    ] = None,
    manufacturer: Annotated[
        str | None, Query(min_length=1, max_length=200, description="code, or part of name")
    ] = None,
    state: Annotated[
        State | None, Query(description="`listed` also where the last day is over: see `in_force`")
    ] = None,
    in_force: Annotated[
        bool | None, Query(description="those that can be ordered today, being listed and in their term, or the others")
    ] = None,
    region: RegionAsked = None,
) -> Page[ListingView]:
    """Listings in the order they were made; drafts and applications only for their parties and the authority."""
    found = await queries.listings_page(
        tx,
        code=code,
        name=name,
        manufacturer=manufacturer,
        state=state,
        in_force=in_force,
        region=region,
        after=UUID(paging.after[0]) if paging.after else None,
        rows=paging.rows,
    )
    return paging.page(found, lambda row: row, key=lambda row: [row.id])


@router.get("/changes")
async def list_changes(
    tx: TxHere,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the answer before; 0 to begin")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
    region: RegionAsked = None,
) -> ChangesView:
    """Listings that changed since a number, each once, as it is now; the numbers are committed in their order."""
    found = await queries.changes(tx, after=after, region=region, rows=limit + 1)
    here = list(found[:limit])
    return ChangesView(items=here, next=here[-1].change_number if here else after, more=len(found) > limit)


@router.get("/listings/{listing_id}")
async def get_listing(listing_id: UUID, tx: TxHere, response: Response) -> ListingView:
    """One listing."""
    listing = await queries.get_listing(tx, listing_id)
    response.headers["etag"] = etag(listing.revision)
    return listing


@router.put("/listings/{listing_id}", dependencies=[MatchNeeded])
async def revise_listing(
    listing_id: UUID, command: ReviseListing, request: Request, caller: CallerHere, tx: TxHere, response: Response
) -> ListingView:
    """Changes a draft, or a listing that was returned; send the ETag you read as If-Match."""
    await queries.listings_by_id(tx, [listing_id])  # locked, so that nobody comes between the comparison and the change
    check_match(request, (await queries.get_listing(tx, listing_id)).revision)
    listing = only(await act_on_listings(tx, caller, [Act(listing_id, "revise", revise(command))]))
    response.headers["etag"] = etag(listing.revision)
    return listing


@router.get("/listings/{listing_id}/timeline")
async def get_listing_timeline(listing_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a listing so far, who acts next, by when, and why it was returned or suspended."""
    listing = await queries.get_listing(tx, listing_id)
    steps = next_steps(Waiting(**{field.name: getattr(listing, field.name) for field in fields(Waiting)}))
    return await get_timeline(tx, listing.id, listing.state, steps)
