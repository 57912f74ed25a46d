"""How a listed price changes: the authority sets it, a manufacturer lowers it at once, and asks when it would raise it."""

from dataclasses import replace
from decimal import Decimal

from services.listing.errors import ListingNotOpen, NoPriceAsked
from services.listing.rules.listings import TRADED, Listing


def asked(listing: Listing, price_yuan: Decimal, reason: str, *, by_authority: bool) -> Listing:
    """The listing at the new price, or with the new price wanted; the same value when it is the price already.

    Raises ListingNotOpen where nothing is traded yet or any more.
    """
    if listing.state not in TRADED:
        allowed = ", ".join(TRADED)
        raise ListingNotOpen(
            "Listing {id} is {state}; a price changes while it is {allowed}, before that it is revised.",
            id=listing.id,
            state=listing.state,
            allowed=allowed,
        )
    if price_yuan == listing.price_yuan and listing.wanted_price_yuan is None:
        return listing
    if by_authority or price_yuan <= listing.price_yuan:
        return at_price(listing, price_yuan)
    return replace(listing, wanted_price_yuan=price_yuan, wanted_price_reason=reason, revision=listing.revision + 1)


def at_price(listing: Listing, price_yuan: Decimal) -> Listing:
    """The listing at this price, nothing else being wanted any more."""
    return replace(
        listing,
        price_yuan=price_yuan,
        wanted_price_yuan=None,
        wanted_price_reason=None,
        revision=listing.revision + 1,
    )


def granted(listing: Listing) -> Listing:
    """The listing at the price that was wanted; raises NoPriceAsked."""
    return at_price(listing, _wanted(listing))


def denied(listing: Listing) -> Listing:
    """The listing at its old price; raises NoPriceAsked."""
    _wanted(listing)
    return at_price(listing, listing.price_yuan)


def _wanted(listing: Listing) -> Decimal:
    if listing.wanted_price_yuan is None:
        raise NoPriceAsked(
            "No other price than {price_yuan} yuan is asked for listing {id}.",
            price_yuan=listing.price_yuan,
            id=listing.id,
        )
    return listing.wanted_price_yuan
