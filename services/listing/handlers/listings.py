"""Takes listings through their life: proposed, submitted, reviewed, listed, suspended, delisted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from services.listing.errors import ListingExists, ListingNotFound, ListingRefused, NotYourListing
from services.listing.handlers.desk import Desk
from services.listing.queries.listings import listings_by_id, live_listings_of
from services.listing.queries.products import products_by_code
from services.listing.rules.faults import Faults
from services.listing.rules.listings import (
    DEEDS,
    PUBLIC,
    Listing,
    Notice,
    State,
    accepted,
    check_delisting,
    check_terms,
    moved,
)
from services.listing.rules.products import Product
from services.listing.schemas.listings import ListingView, ProposeListing, ReviseListing
from shared import clock
from shared.db import Scope, Tx
from shared.deadlines import Deadline
from shared.errors import Said, ServiceError
from shared.history import BY_ITSELF
from shared.identity import Caller
from shared.values import frozen

T = TypeVar("T")

PRODUCT_CODE = "/product_code"


@frozen
class Act:
    """A step that somebody takes with a listing; `reason_kind` is one of a closed list, `reason` a sentence."""

    listing_id: UUID
    verb: str
    take: "Take"
    reason: str | None = None
    reason_kind: str | None = None

    @property
    def words(self) -> str | None:
        """Why, in one text."""
        return f"{self.reason_kind}: {self.reason}" if self.reason_kind else self.reason


Take = Callable[[Tx, Listing, Act], Listing]
"""What a step makes of a listing."""


async def propose_listings(
    tx: Tx, caller: Caller, commands: Sequence[ProposeListing]
) -> list[ListingView | ServiceError]:
    """Drafts many at once; a draft may have been proposed only where no live listing stands."""
    codes = [command.product_code.strip().upper() for command in commands]
    products = await products_by_code(tx, codes, locked=False)
    desk = Desk(tx, caller, products.values(), await live_listings_of(tx, codes))
    outcomes: list[ListingView | ServiceError] = []
    for command, code in zip(commands, codes, strict=True):
        try:
            draft = draft_of(desk, desk.products.get(code), command)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(ListingView.of(put_draft(desk, draft), desk.products[code]))
    await desk.store()
    return outcomes


def put_draft(desk: Desk, draft: Listing) -> Listing:
    """Puts a draft on the desk, its product before it."""
    return desk.put_listing(draft, "proposed", {"price_yuan": str(draft.price_yuan), "category": draft.category})


def draft_of(desk: Desk, product: Product | None, command: ProposeListing, named: str = PRODUCT_CODE) -> Listing:
    """The draft of a product, which the request names at `named`.

    Raises NotYourListing, which comes before all else that may be wrong, ListingRefused with every fault, ListingExists.
    """
    scope = desk.tx.scope
    if product is not None and not scope.covers(product.manufacturer_code, product.agent_code, region=command.region):
        raise NotYourListing(
            "{code} is made by {manufacturer_code} ({manufacturer_name}).",
            code=product.code,
            manufacturer_code=product.manufacturer_code,
            manufacturer_name=product.manufacturer_name,
        )
    faults = Faults()
    valid_from = command.valid_from or clock.today()
    check_terms(faults, command.region, valid_from, command.valid_to)
    if product is None:
        faults.add(named, command.product_code, "no such product is registered", "a registered product")
    else:
        check_provisional(faults, desk.tx, product, command.region, named)
    faults.refuse(ListingRefused)
    assert product is not None  # noqa: S101  a fault otherwise
    standing = desk.live_listing(command.region, product.code)
    if standing is not None:
        raise ListingExists(
            "{code} has listing {id} in region {region}, which is {state}.",
            code=product.code,
            id=standing.id,
            region=command.region,
            state=standing.state,
        )
    return Listing(
        id=uuid7(),
        region=command.region,
        product_code=product.code,
        price_yuan=command.price_yuan,
        category=command.category,
        batch_code=command.batch_code,
        price_origin=command.price_origin,
        valid_from=valid_from,
        valid_to=command.valid_to,
        state=State.DRAFT,
        reason=None,
        notice_until=None,
        wanted_price_yuan=None,
        wanted_price_reason=None,
        proposed_by=desk.caller.organisation,
        revision=1,
        version=0,
    )


def check_provisional(faults: Faults, tx: Tx, product: Product, region: str, named: str) -> None:
    """A maker known by its name alone lists only where the policy of the region lets it."""
    if product.manufacturer_provisional and not tx.policy.flag(
        "listing.provisional_enterprises_list", region, clock.today()
    ):
        faults.add(
            named,
            product.code,
            Said(
                "its maker {manufacturer_name} ({manufacturer_code}) is provisional, which region "
                "{region} does not let list",
                manufacturer_name=product.manufacturer_name,
                manufacturer_code=product.manufacturer_code,
                region=region,
            ),
            "a maker whose USCC is known; confirm it first",
        )


def notice_in(tx: Tx, region: str) -> Notice:
    """What the policy of a region says today on public notices."""
    today = clock.today()
    return Notice(
        required=tx.policy.flag("listing.notice_required", region, today),
        working_days=tx.policy.integer("listing.public_notice_working_days", region, today),
        today=today,
    )


async def act_on_listings(tx: Tx, caller: Caller, acts: Sequence[Act]) -> list[ListingView | ServiceError]:
    """Takes steps with many listings at once, each answered by itself."""
    desk = await desk_of(tx, caller, [act.listing_id for act in acts])
    outcomes: list[ListingView | ServiceError] = []
    for act in acts:
        try:
            before = mine(desk, act.listing_id)
            after = act.take(tx, before, act)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        kept = desk.put_listing(after, DEEDS[act.verb], {"reason": act.words} if act.words else {}, reason=act.words)
        outcomes.append(ListingView.of(kept, desk.products[kept.product_code]))
    await desk.store()
    return outcomes


async def desk_of(tx: Tx, caller: Caller, listing_ids: Sequence[UUID]) -> Desk:
    """These listings, locked, and then their products: read after the lock, so that a product that changed while we
    waited is seen as it is now."""
    held = await listings_by_id(tx, listing_ids)
    products = await products_by_code(tx, [one.product_code for one in held.values()], locked=False)
    return Desk(tx, caller, products.values(), held.values())


def mine(desk: Desk, listing_id: UUID) -> Listing:
    """The listing, when the caller may act on it; raises ListingNotFound also for what the caller may not see, and
    NotYourListing for what is public and another's."""
    listing = desk.listings.get(listing_id)
    if listing is not None:
        product = desk.products[listing.product_code]
        if _covers(desk.tx.scope, listing, product):
            return listing
        if listing.state in PUBLIC:
            raise NotYourListing(
                "Listing {listing_id} is of {manufacturer_code} in region {region}.",
                listing_id=listing_id,
                manufacturer_code=product.manufacturer_code,
                region=listing.region,
            )
    raise ListingNotFound("There is no listing {listing_id} that you may see.", listing_id=listing_id)


def _covers(scope: Scope, listing: Listing, product: Product) -> bool:
    return scope.covers(product.manufacturer_code, product.agent_code, region=listing.region)


def move(_: Tx, before: Listing, act: Act) -> Listing:
    """The listing one step on; raises ListingNotOpen."""
    return moved(before, act.verb, act.words)


def accept(tx: Tx, before: Listing, _: Act) -> Listing:
    """On public notice, or listed at once; raises ListingNotOpen."""
    return accepted(before, notice_in(tx, before.region))


def delist(tx: Tx, before: Listing, act: Act) -> Listing:
    """Delisted for a reason that may end it; raises ListingNotOpen, SelectedStays, ListingRefused."""
    after = moved(before, act.verb, act.words)
    check_delisting(before, act.reason_kind or "", by_authority=tx.scope.reach != "own")
    return replace(after, wanted_price_yuan=None, wanted_price_reason=None)


def revise(terms: ReviseListing) -> Take:
    """Under other terms; raises ListingNotOpen, ListingRefused."""
    return lambda _, before, act: _revised(moved(before, act.verb, before.reason), terms)


def _revised(listing: Listing, terms: ReviseListing) -> Listing:
    faults = Faults()
    check_terms(faults, listing.region, terms.valid_from, terms.valid_to)
    faults.refuse(ListingRefused)
    return replace(
        listing,
        price_yuan=terms.price_yuan,
        category=terms.category,
        batch_code=terms.batch_code,
        price_origin=terms.price_origin,
        valid_from=terms.valid_from,
        valid_to=terms.valid_to,
    )


async def when_notice_over(tx: Tx, due: Sequence[Deadline]) -> None:
    """The public notice is over and nobody stopped it: the products are listed by themselves."""
    desk = await desk_of(tx, BY_ITSELF, [UUID(one.about) for one in due])
    today: date = clock.today()
    for listing in list(desk.listings.values()):
        over = listing.notice_until is not None and listing.notice_until < today
        if listing.state == State.PUBLIC_NOTICE and over:
            desk.put_listing(moved(listing, "list"), "listed", {})
    await desk.store()
