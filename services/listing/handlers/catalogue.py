"""Lists products straight away, by the authority: registers what is not known, lists it, and changes what is new.

The same item twice changes nothing. Where the policy asks for a public notice, a product stands on it first.
"""

from collections.abc import Sequence
from dataclasses import replace

from uuid_utils.compat import uuid7

from services.listing.errors import ListingNotOpen, ListingRefused, NotYourListing
from services.listing.handlers.desk import Desk
from services.listing.handlers.listings import check_provisional, notice_in
from services.listing.handlers.products import open_desk, product_of, put_product
from services.listing.queries.enterprises import Directory
from services.listing.rules.faults import Faults
from services.listing.rules.listings import OPEN, Listing, State, check_terms, put_up
from services.listing.rules.products import Product
from services.listing.schemas.listings import ListingView, ListProduct
from shared import clock
from shared.db import Tx
from shared.errors import ServiceError
from shared.identity import Caller


async def list_products(tx: Tx, caller: Caller, commands: Sequence[ListProduct]) -> list[ListingView | ServiceError]:
    """Lists many at once; the answer to each stands at its place, and an item that is refused leaves no product behind."""
    desk, known = await open_desk(tx, caller, commands)
    outcomes: list[ListingView | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(_list(desk, known, command))
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


def _check(desk: Desk, product: Product, command: ListProduct) -> None:
    """Raises ListingRefused with every fault, NotYourListing, ListingNotOpen; nothing was put on the desk so far."""
    before = desk.live_listing(command.region, product.code)
    faults = Faults()
    valid_from = command.valid_from or (before.valid_from if before else clock.today())
    check_terms(faults, command.region, valid_from, command.valid_to)
    if before is None or before.state in OPEN:
        check_provisional(faults, desk.tx, product, command.region)
    faults.refuse(ListingRefused)
    if not desk.tx.scope.covers(region=command.region):
        raise NotYourListing("Region {region} is not under yours; its authority lists there.", region=command.region)
    if before is not None and before.state == State.SUSPENDED:
        raise ListingNotOpen(
            "Listing {id} is suspended ({reason}); resume or delist it first.", id=before.id, reason=before.reason
        )


def _at_terms(desk: Desk, before: Listing | None, product: Product, command: ListProduct) -> Listing:
    """The listing as the command has it; the known value itself when it says nothing new."""
    if before is None:
        return put_up(_new(desk, product, command), notice_in(desk.tx, command.region))
    after = replace(
        before,
        price_yuan=command.price_yuan,
        category=command.category,
        batch_code=command.batch_code,
        price_origin=command.price_origin,
        valid_from=command.valid_from or before.valid_from,
        valid_to=command.valid_to,
        wanted_price_yuan=None,
        wanted_price_reason=None,
    )
    on_its_way = before.state in (State.LISTED, State.PUBLIC_NOTICE)
    if on_its_way and after == before:
        return before
    after = replace(after, revision=before.revision + 1)
    return after if on_its_way else put_up(after, notice_in(desk.tx, command.region))


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
