"""What may be ordered, by whom, from whom and at which price on a day: every reason against it is found, not the first.

The price is the listing's. A listing or distribution relation of a region covers the regions under it, and of several
in force the nearest region wins, then the one that came into force last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from shared import clock, money
from shared.codes import normal_name, region_prefix
from shared.errors import Fault, Said
from shared.values import frozen

LARGEST_QUANTITY = 100_000_000
"""Sale units of one line: more is a slip of the hand."""
QUANTITY_ALLOWED = Said("a whole number of sale units, 1 to {most}", most=LARGEST_QUANTITY)


class ListingState(StrEnum):
    PUBLIC_NOTICE = "public_notice"
    RETRACTED = "retracted"
    """its public notice ended without a listing"""
    LISTED = "listed"
    SUSPENDED = "suspended"
    DELISTED = "delisted"


@frozen
class Institution:
    """Who may order: `receives_at` are the names goods can be sent to."""

    code: str
    name: str
    region: str
    active: bool
    receives_at: tuple[str, ...]


@frozen
class Listing:
    """A product at a price in a region; `valid_to` is the last day."""

    listing_id: UUID
    region: str
    product_code: str
    product_kind: str
    product_name: str
    specification: str | None
    unit: str
    manufacturer_code: str
    manufacturer_name: str
    price_yuan: Decimal
    valid_from: date
    valid_to: date | None
    state: str
    since: datetime | None = None
    """when it came into this state"""
    notice_until: date | None = None
    """the last day of its public notice, while it is on one"""


@frozen
class Distribution:
    """Who may deliver a product in a region; from `ended_on` on no more orders."""

    region: str
    product_code: str
    distributor_code: str
    valid_from: date
    valid_to: date | None
    ended_on: date | None


@frozen
class Distributor:
    """Who delivers; `provisional`: known by its exact name alone."""

    code: str
    name: str
    provisional: bool
    active: bool


@frozen
class Market:
    """Everything that bears on some orders, as it stands now."""

    institutions: Mapping[str, Institution] = field(default_factory=dict)
    distributors: Mapping[str, Distributor] = field(default_factory=dict)
    """by code, and by USCC where it became known after registration"""
    listings: Mapping[str, Sequence[Listing]] = field(default_factory=dict)
    """by product code"""
    distributions: Mapping[tuple[str, str], Sequence[Distribution]] = field(default_factory=dict)
    """by product and distributor code"""


class Wanted(Protocol):
    """One line as it is asked for."""

    @property
    def product_code(self) -> str: ...
    @property
    def quantity(self) -> object: ...
    @property
    def distributor_code(self) -> str: ...
    @property
    def unit_price_yuan(self) -> Decimal | None: ...


@frozen
class Offer:
    """A line that may be ordered: how much of which listing, who delivers it, what it comes to."""

    quantity: int
    listing: Listing
    distributor: Distributor
    amount_yuan: Decimal


_TOO_LARGE = Said("quantity times price is more than {most} yuan", most=money.AMOUNT_MAX_YUAN)


def in_force(on: date, valid_from: date, valid_to: date | None) -> bool:
    """Both days inclusive."""
    return valid_from <= on and (valid_to is None or on <= valid_to)


def institution_of(
    market: Market, code: str, delivery_point: str | None, faults: list[Fault]
) -> tuple[Institution | None, str | None]:
    """The institution and the registered name of the delivery point; adds what speaks against them to `faults`."""
    institution = market.institutions.get(code)
    if institution is None:
        faults.append(
            Fault("/institution_code", code, "the institution is not registered", "a registered code", "unknown")
        )
        return None, None
    if not institution.active:
        faults.append(
            Fault("/institution_code", code, "the institution is not active", "an active institution", "inactive")
        )
    if delivery_point is None:
        return institution, None
    known = _same_name(delivery_point, institution.receives_at)
    if known is None:
        names = ", ".join(institution.receives_at[:10])
        rule = "the institution has no delivery point of this name"
        faults.append(Fault("/delivery_point", delivery_point, rule, names, "unknown_delivery_point"))
    return institution, known


def _same_name(given: str, names: Sequence[str]) -> str | None:
    if given in names:
        return given
    plain = normal_name(given)
    return next((name for name in names if normal_name(name) == plain), None)


def offer_of(
    market: Market, region: str, line: Wanted, on: date, *, provisional_trade: bool, place: str, faults: list[Fault]
) -> Offer | None:
    """What the line comes to in a region on a day; None when something was added to `faults`, under the pointer `place`."""
    before = len(faults)
    quantity = _whole(line.quantity, place, faults)
    listing = _listing_of(market, region, line.product_code, on, place, faults)
    distributor = _distributor_of(market, line.distributor_code, place, faults, provisional_trade=provisional_trade)
    if distributor is not None and listing is not None:
        _check_distribution(market, region, line, on, place, faults)
    if listing is None or distributor is None:
        return None
    if line.unit_price_yuan is not None and line.unit_price_yuan != listing.price_yuan:
        given, listed = money.price_text(line.unit_price_yuan), money.price_text(listing.price_yuan)
        rule = Said(
            "the price is the listing's: listed at {listed} yuan, stated {given} yuan", listed=listed, given=given
        )
        faults.append(
            Fault(
                f"{place}/unit_price_yuan", given, rule, Said("{listed}, or no price", listed=listed), "price_differs"
            )
        )
    if quantity is None:
        return None
    try:
        amount = money.amount(quantity, listing.price_yuan)
    except ValueError:
        faults.append(Fault(f"{place}/quantity", quantity, _TOO_LARGE, "a smaller quantity", "amount_too_large"))
        return None
    return Offer(quantity, listing, distributor, amount) if len(faults) == before else None


def _whole(given: object, place: str, faults: list[Fault]) -> int | None:
    if isinstance(given, int) and not isinstance(given, bool) and 0 < given <= LARGEST_QUANTITY:
        return given
    rule = Said("the quantity is positive and whole")
    if isinstance(given, int | float) and given > LARGEST_QUANTITY:
        rule = Said("the quantity is {most} at most", most=LARGEST_QUANTITY)
    faults.append(Fault(f"{place}/quantity", given, rule, QUANTITY_ALLOWED, "quantity"))
    return None


def _listing_of(market: Market, region: str, product: str, on: date, place: str, faults: list[Fault]) -> Listing | None:
    covering = [one for one in market.listings.get(product, ()) if region.startswith(region_prefix(one.region))]
    valid = [one for one in covering if in_force(on, one.valid_from, one.valid_to)]
    listed = [one for one in valid if one.state == ListingState.LISTED]
    if len(listed) == 1:
        return listed[0]
    if listed:
        return max(listed, key=lambda one: (len(region_prefix(one.region)), one.valid_from, one.listing_id))
    code, rule = _why_not_listed(covering, valid, region, on)
    allowed = Said("a product listed for {region} on {on}", region=region, on=on)
    faults.append(Fault(f"{place}/product_code", product, rule, allowed, code))
    return None


def _why_not_listed(covering: Sequence[Listing], valid: Sequence[Listing], region: str, on: date) -> tuple[str, str]:
    """What stands against the listings of a product for a region, with the day since or from when, and who acts next."""
    noticed = [(one.notice_until, one.valid_from) for one in covering if one.notice_until is not None]
    if noticed:
        until, valid_from = min(noticed)
        begins = max(until + timedelta(days=1), valid_from)
        rule = "the product is on public notice until {until}; it may be ordered from {begins} on, unless the authority objects"
        return ListingState.PUBLIC_NOTICE, Said(rule, until=until, begins=begins)
    if valid:
        one = max(valid, key=lambda listing: (len(region_prefix(listing.region)), listing.valid_from))
        sentence, acts = _ENDED[ListingState(one.state)]
        if one.since is None:
            return one.state, Said(f"{sentence}; {acts}")
        return one.state, Said(f"{sentence} on {{since}}; {acts}", since=clock.local_date(one.since))
    if later := [one.valid_from for one in covering if one.valid_from > on]:
        return "not_in_force", Said("the listing begins on {begins}, the order is of {on}", begins=min(later), on=on)
    if ends := [one.valid_to for one in covering if one.valid_to is not None]:
        return "not_in_force", Said("the listing ended on {ended}, the order is of {on}", ended=max(ends), on=on)
    rule = "the product is not listed for region {region}; its maker proposes it, the authority lists it"
    return "unlisted", Said(rule, region=region)


_ENDED = {
    ListingState.SUSPENDED: ("the product was suspended", "the authority resumes or delists it"),
    ListingState.DELISTED: ("the product was delisted", "its maker may propose it again"),
    ListingState.RETRACTED: (
        "the public notice of the product ended without a listing",
        "its maker may propose it again",
    ),
}
"""Why a product in force may not be ordered, and who acts next."""


def _distributor_of(
    market: Market, code: str, place: str, faults: list[Fault], *, provisional_trade: bool
) -> Distributor | None:
    found = market.distributors.get(code)
    if found is None:
        reason, rule, allowed = "unknown_distributor", "the distributor is not registered", "a registered enterprise"
    elif found.code != code:
        rule = Said("this enterprise trades under {code}, by which it went before its USCC was known", code=found.code)
        reason, allowed = "trades_under_other_code", found.code
    elif not found.active:
        reason, rule, allowed = "distributor_inactive", "the distributor is not active", "an active enterprise"
    elif found.provisional and not provisional_trade:
        reason = "distributor_provisional"
        rule = "the distributor is known by its name alone, and the region does not let such enterprises trade"
        allowed = "an enterprise with a unified social credit code"
    else:
        return found
    faults.append(Fault(f"{place}/distributor_code", code, rule, allowed, reason))
    return None


def _check_distribution(market: Market, region: str, line: Wanted, on: date, place: str, faults: list[Fault]) -> None:
    known = market.distributions.get((line.product_code, line.distributor_code), ())
    covering = [one for one in known if region.startswith(region_prefix(one.region))]
    if any(
        in_force(on, one.valid_from, one.valid_to) and (one.ended_on is None or on < one.ended_on) for one in covering
    ):
        return
    rule = _why_not_delivered(covering, line.product_code, region, on)
    allowed = "a distributor with a relation in force"
    faults.append(Fault(f"{place}/distributor_code", line.distributor_code, rule, allowed, "no_distribution"))


def _why_not_delivered(covering: Sequence[Distribution], product: str, region: str, on: date) -> Said:
    """What stands against the distributor's relations for a product in a region, and who acts next.

    A relation is heard of once it is in force: one that is proposed cannot be told from none.
    """
    if later := [one.valid_from for one in covering if one.ended_on is None and one.valid_from > on]:
        return Said("the distribution relation begins on {begins}, the order is of {on}", begins=min(later), on=on)
    if ends := [min(filter(None, (one.ended_on, one.valid_to))) for one in covering if one.ended_on or one.valid_to]:
        rule = (
            "the distribution relation ended on {ended}: if another is proposed, it waits for the distributor to accept it; if"
            " not, the maker proposes one"
        )
        return Said(rule, ended=max(ends))
    rule = (
        "the distributor has no distribution relation in force for {product_code} in {region}: if one is proposed, it waits for"
        " the distributor to accept it; if not, the maker proposes one"
    )
    return Said(rule, product_code=product, region=region)
