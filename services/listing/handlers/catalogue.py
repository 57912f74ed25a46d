"""Takes whole rows of a catalogue: registers the product that is not known, and lists it or drafts its listing.

The authority lists straight away, on public notice first where the policy asks for one; the maker's side drafts. The same
item twice changes nothing, and an item that is refused leaves no product behind.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from uuid_utils.compat import uuid7

from services.listing.errors import ListingExists, ListingNotOpen, ListingRefused, NotYourListing
from services.listing.handlers.desk import Desk
from services.listing.handlers.listings import check_provisional, draft_of, notice_in, put_draft
from services.listing.handlers.products import open_desk, product_of, put_product
from services.listing.queries.enterprises import Directory
from services.listing.rules.faults import Faults, foreign_region
from services.listing.rules.listings import OPEN, Listing, State, check_terms, put_up
from services.listing.rules.products import Product
from services.listing.schemas.listings import ListingView, ListProduct, ProposeListing
from shared import clock
from shared.db import Tx
from shared.errors import ServiceError
from shared.identity import Caller

CODE = "/code"
"""Where a row of a catalogue names its product."""


async def list_products(tx: Tx, caller: Caller, commands: Sequence[ListProduct]) -> list[ListingView | ServiceError]:
    """Lists many at once; the answer to each stands at its place."""
    return await _each(tx, caller, commands, _list)


async def propose_products(tx: Tx, caller: Caller, commands: Sequence[ListProduct]) -> list[ListingView | ServiceError]:
    """Drafts the listings of many products at once, by their makers' side; one that stands at these terms stays as it is."""
    return await _each(tx, caller, commands, _propose)


async def _each(
    tx: Tx,
    caller: Caller,
    commands: Sequence[ListProduct],
    put: Callable[[Desk, Directory, ListProduct], ListingView],
) -> list[ListingView | ServiceError]:
    desk, known = await open_desk(tx, caller, commands)
    outcomes: list[ListingView | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(put(desk, known, command))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await desk.store()
    return outcomes


def _list(desk: Desk, known: Directory, command: ListProduct) -> ListingView:
    product = product_of(desk, known, command)
    _check(desk, product, command)
    put_product(desk, product)
    before = desk.live_listing(command.region, product.code)
    after = _at_terms(desk, before, product, command)
    if after is not before:
        detail: dict[str, object] = {"price_yuan": str(after.price_yuan), "category": after.category}
        reason = command.price_origin or "set by the authority"
        after = desk.put_listing(after, "listed" if before is None else "relisted", detail, reason=reason)
    return ListingView.of(after, product)


def _propose(desk: Desk, known: Directory, command: ListProduct) -> ListingView:
    """Raises what registering the product and drafting its listing raise; nothing was put on the desk then."""
    product = product_of(desk, known, command)
    terms = command.model_dump(include=set(ProposeListing.model_fields))
    try:
        draft = draft_of(desk, product, ProposeListing(product_code=product.code, **terms), CODE)
    except ListingExists:
        standing = desk.live_listing(command.region, product.code)
        if standing is None or _under(standing, command) != standing:
            raise
        put_product(desk, product)
        return ListingView.of(desk.listings[standing.id], product)
    put_product(desk, product)
    return ListingView.of(put_draft(desk, draft), product)


def _check(desk: Desk, product: Product, command: ListProduct) -> None:
    """Raises ListingRefused with every fault, NotYourListing, ListingNotOpen; nothing was put on the desk so far."""
    before = desk.live_listing(command.region, product.code)
    faults = Faults()
    valid_from = command.valid_from or (before.valid_from if before else clock.today())
    check_terms(faults, command.region, valid_from, command.valid_to)
    if before is None or before.state in OPEN:
        check_provisional(faults, desk.tx, product, command.region, CODE)
    faults.refuse(ListingRefused)
    if not desk.tx.scope.covers(region=command.region):
        raise NotYourListing(
            "Region {region} is not under yours; its authority lists there.",
            faults=[foreign_region(command.region)],
            region=command.region,
        )
    if before is not None and before.state == State.SUSPENDED:
        raise ListingNotOpen(
            "Listing {id} is suspended ({reason}); resume or delist it first.", id=before.id, reason=before.reason
        )


def _at_terms(desk: Desk, before: Listing | None, product: Product, command: ListProduct) -> Listing:
    """The listing as the command has it; the known value itself when it says nothing new."""
    if before is None:
        return put_up(_new(desk, product, command), notice_in(desk.tx, command.region))
    after = replace(_under(before, command), wanted_price_yuan=None, wanted_price_reason=None)
    on_its_way = before.state in (State.LISTED, State.PUBLIC_NOTICE)
    if on_its_way and after == before:
        return before
    after = replace(after, revision=before.revision + 1)
    return after if on_its_way else put_up(after, notice_in(desk.tx, command.region))


def _under(before: Listing, command: ListProduct) -> Listing:
    """The listing at the terms of the command."""
    return replace(
        before,
        price_yuan=command.price_yuan,
        category=command.category,
        batch_code=command.batch_code,
        price_origin=command.price_origin,
        valid_from=command.valid_from or before.valid_from,
        valid_to=command.valid_to,
    )


def _new(desk: Desk, product: Product, command: ListProduct) -> Listing:
    return Listing(
        id=uuid7(),
        region=command.region,
        product_code=product.code,
        price_yuan=command.price_yuan,
        category=command.category,
        batch_code=command.batch_code,
        price_origin=command.price_origin,
        valid_from=command.valid_from or clock.today(),
        valid_to=command.valid_to,
        state=State.LISTED,
        reason=None,
        notice_until=None,
        wanted_price_yuan=None,
        wanted_price_reason=None,
        proposed_by=desk.caller.organisation,
        revision=1,
        version=0,
    )
