"""Rules of listing as tables: every step of every state, both sides of each boundary."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from services.listing.errors import (
    DistributionNotOpen,
    InstitutionRefused,
    ListingNotOpen,
    ListingRefused,
    NoPriceAsked,
    SelectedStays,
)
from services.listing.rules import distributions, listings, prices
from services.listing.rules.enterprises import checked_code, provisional_code
from services.listing.rules.faults import Faults
from services.listing.rules.institutions import DELIVERY_POINTS_MAX, Said, checked, receiving_at, registered
from services.listing.rules.listings import Category, Listing, Notice, State
from services.listing.rules.products import folded, grams, searched_grams

LISTING = Listing(
    id=UUID(int=1),
    region="330000",
    product_code="XA10BAE037A001010100001",
    price_yuan=Decimal("10.0000"),
    category=Category.DIRECT,
    batch_code=None,
    price_origin=None,
    valid_from=date(2026, 1, 1),
    valid_to=None,
    state=State.DRAFT,
    reason=None,
    notice_until=None,
    wanted_price_yuan=None,
    wanted_price_reason=None,
    proposed_by="M",
    revision=1,
    version=0,
)
VERBS = sorted({verb for _, verb in listings.NEXT})
ALLOWED = {
    State.DRAFT: {"submit", "revise", "withdraw"},
    State.RETURNED: {"submit", "revise", "withdraw"},
    State.SUBMITTED: {"withdraw", "return", "reject", "accept"},
    State.PUBLIC_NOTICE: {"return", "reject", "list"},
    State.LISTED: {"suspend", "delist"},
    State.SUSPENDED: {"resume", "delist"},
    State.REJECTED: set(),
    State.WITHDRAWN: set(),
    State.DELISTED: set(),
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("verb", VERBS)
def test_a_listing_takes_these_steps_and_no_other(state: State, verb: str) -> None:
    listing = replace(LISTING, state=state)
    if verb in ALLOWED[state]:
        assert listings.moved(listing, verb).revision == 2
        return
    with pytest.raises(ListingNotOpen, match="possible now"):
        listings.moved(listing, verb)


@pytest.mark.parametrize(
    ("required", "working_days", "today", "until"),
    [
        (True, 5, date(2026, 3, 2), date(2026, 3, 9)),
        (True, 1, date(2026, 3, 6), date(2026, 3, 9)),
        (True, 1, date(2025, 9, 30), date(2025, 10, 9)),  # over the National Day holiday
        (True, 0, date(2026, 3, 2), None),
        (False, 5, date(2026, 3, 2), None),
    ],
)
def test_a_public_notice_is_counted_in_working_days(
    required: bool, working_days: int, today: date, until: date | None
) -> None:
    notice = Notice(required, working_days, today)
    assert notice.until == until
    after = listings.accepted(replace(LISTING, state=State.SUBMITTED), notice)
    assert (after.state, after.notice_until) == (State.PUBLIC_NOTICE if until else State.LISTED, until)


@pytest.mark.parametrize("category", list(Category))
@pytest.mark.parametrize("by_authority", [True, False])
@pytest.mark.parametrize(
    "reason", ["certificate_cancelled", "contract_ended", "authority_order", "voluntary", "credit"]
)
def test_who_may_delist_what_and_why(category: Category, by_authority: bool, reason: str) -> None:
    listing = replace(LISTING, category=category)
    selected = category in listings.SELECTED
    if selected and not (by_authority and reason in listings.SELECTED_LEAVES_FOR):
        with pytest.raises(SelectedStays, match=category):
            listings.check_delisting(listing, reason, by_authority=by_authority)
    elif not by_authority and reason != "voluntary":
        with pytest.raises(ListingRefused):
            listings.check_delisting(listing, reason, by_authority=by_authority)
    else:
        listings.check_delisting(listing, reason, by_authority=by_authority)


@pytest.mark.parametrize(
    ("price", "by_authority", "now", "wanted"),
    [
        ("9.9999", False, "9.9999", None),
        ("10.0000", False, "10.0000", None),
        ("10.0001", False, "10.0000", "10.0001"),
        ("10.0001", True, "10.0001", None),
    ],
)
def test_a_maker_lowers_and_asks_and_the_authority_sets(
    price: str, by_authority: bool, now: str, wanted: str | None
) -> None:
    listed = replace(LISTING, state=State.LISTED)
    after = prices.asked(listed, Decimal(price), "x", by_authority=by_authority)
    assert (after.price_yuan, after.wanted_price_yuan) == (Decimal(now), wanted and Decimal(wanted))
    assert (after is listed) == (price == "10.0000")


@pytest.mark.parametrize("state", [state for state in State if state not in listings.TRADED])
def test_a_price_changes_only_while_it_is_traded(state: State) -> None:
    with pytest.raises(ListingNotOpen):
        prices.asked(replace(LISTING, state=state), Decimal(1), "x", by_authority=True)


def test_nothing_is_granted_that_nobody_asked_for() -> None:
    with pytest.raises(NoPriceAsked):
        prices.granted(LISTING)
    with pytest.raises(NoPriceAsked):
        prices.denied(LISTING)


RELATION = distributions.Distribution(
    id=UUID(int=2),
    region="330000",
    product_code="X",
    manufacturer_code="M",
    manufacturer_provisional=False,
    agent_code="A",
    distributor_code="D",
    distributor_name="远山",
    distributor_provisional=False,
    valid_from=date(2026, 1, 1),
    valid_to=None,
    state=distributions.State.PROPOSED,
    reason=None,
    ended_on=None,
    proposed_by="M",
    revision=1,
    version=0,
)


@pytest.mark.parametrize(
    ("state", "verb", "to", "version"),
    [
        ("proposed", "accept", "active", 1),
        ("proposed", "record", "active", 1),
        ("proposed", "reject", "rejected", 0),
        ("proposed", "end", "ended", 0),
        ("active", "accept", None, 0),
        ("active", "reject", None, 0),
        ("active", "end", "ended", 1),
        ("ended", "end", None, 0),
        ("ended", "accept", None, 0),
        ("rejected", "accept", None, 0),
    ],
)
def test_a_relation_takes_these_steps_and_is_heard_of_when_it_binds(
    state: str, verb: str, to: str | None, version: int
) -> None:
    relation = replace(RELATION, state=state)
    if to is None:
        with pytest.raises(DistributionNotOpen):
            distributions.moved(relation, verb)
        return
    after = distributions.moved(relation, verb, ended_on=date(2026, 5, 1))
    assert (after.state, after.version) == (to, version)
    assert after.ended_on == (date(2026, 5, 1) if (state, to) == ("active", "ended") else None)


@pytest.mark.parametrize(
    ("organisation", "is_authority", "sides"),
    [
        ("M", False, ("manufacturer",)),
        ("A", False, ("agent",)),
        ("D", False, ("distributor",)),
        ("H", False, ()),
        ("H", True, ("authority",)),
    ],
)
def test_as_what_one_stands_to_a_relation(organisation: str, is_authority: bool, sides: tuple[str, ...]) -> None:
    assert distributions.side_of(RELATION, organisation, is_authority=is_authority) == sides


def test_a_provisional_code_is_that_of_the_exact_name_in_any_spelling() -> None:
    assert provisional_code("青禾（集团） 制药") == provisional_code("青禾(集团)制药")
    assert provisional_code("青禾制药") != provisional_code("青禾药业")
    assert len(provisional_code("青禾制药")) == 17


@pytest.mark.parametrize(
    ("uscc", "override", "code"),
    [
        ("91350200MA31E12PXF", None, "91350200MA31E12PXF"),
        ("91350211M00013FA1N", "早期发码", "91350211M00013FA1N"),
        ("91350211M00013FA1N", None, None),
        ("91350211M00013FA1N", "", None),
        ("91350200MA31E12PX", None, None),
        ("91350200MA31E12PXO", "x", None),
        ("9.13301007043059e+17", "x", None),
    ],
)
def test_a_uscc_is_taken_overridden_or_refused(uscc: str, override: str | None, code: str | None) -> None:
    faults = Faults()
    taken = checked_code(faults, uscc, "甲", override, "330000")
    assert [fault.pointer for fault in faults.found] == ([] if code else ["/uscc"])
    assert code in {None, taken}


def test_an_institution_has_at_most_so_many_delivery_points() -> None:
    said = checked(
        Said("H33010200059", "甲院", None, None, None, tuple(str(n) for n in range(DELIVERY_POINTS_MAX - 1)))
    )
    full = registered(said)
    assert len(full.delivery_points) == DELIVERY_POINTS_MAX
    assert receiving_at(full, ["1"]) is full
    with pytest.raises(InstitutionRefused, match=str(DELIVERY_POINTS_MAX)):
        receiving_at(full, ["一处更多"])


@pytest.mark.parametrize("part", ["盐", "盐酸", "二甲双胍", "Ａ b", "AB", "双胍片"])
def test_every_part_of_a_name_is_found_by_its_grams(part: str) -> None:
    assert set(searched_grams(part)) <= set(grams(folded("盐酸二甲双胍片 aB")))


def test_terms_end_on_the_day_they_begin_or_later() -> None:
    for valid_to, count in ((date(2026, 1, 1), 0), (date(2025, 12, 31), 1), (None, 0)):
        faults = Faults()
        listings.check_terms(faults, "330000", date(2026, 1, 1), valid_to)
        assert len(faults.found) == count
