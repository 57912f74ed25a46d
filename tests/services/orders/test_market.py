"""What orders learns of listing, in every order and however often, and how it decides by region, day and state."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from services.orders.queries.market import gather
from services.orders.rules.market import Distribution, Distributor, Listing, Market, offer_of
from services.orders.schemas.orders import PlaceOrderLine
from shared.db import Tx
from shared.errors import Fault
from tests.house import WorkerInHand
from tests.services.orders.facts import (
    ASPIRIN,
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    TODAY,
    announced,
    delisted,
    enterprise,
    institution,
    listed,
    product_listed,
    received,
    relation,
    relation_ended,
    repriced,
    resumed,
    retracted,
    suspended,
)

DAY = timedelta(days=1)


async def market_of(worker: WorkerInHand) -> Market:
    async with worker.database.transaction() as tx:
        market, _ = await gather(tx, [(HOSPITAL, "CG-1")], [ASPIRIN], [DISTRIBUTOR])
        return market


LISTING = listed()
CHEAPER = listed(price="9.0000")
LIFE = [
    (1, product_listed(LISTING)),
    (2, suspended(LISTING)),
    (3, repriced(CHEAPER)),
]


@pytest.mark.parametrize("order", list(permutations(LIFE)), ids=lambda order: "".join(str(one[0]) for one in order))
async def test_a_listing_comes_to_the_same_state_in_every_order(worker: WorkerInHand, order: Any) -> None:
    await worker.deliver(institution(), sequence=1)
    for sequence, fact in order:
        await worker.deliver(fact, sequence=sequence)
    (listing,) = (await market_of(worker)).listings[ASPIRIN]
    assert (listing.state, listing.price_yuan) == ("suspended", Decimal("9.0000"))
    assert listing.since is not None
    for sequence, fact in order:
        await worker.deliver(fact, sequence=sequence)
    assert await market_of(worker) == await market_of(worker)
    assert (await market_of(worker)).listings[ASPIRIN] == [listing]


@pytest.mark.parametrize("ending", [[resumed], [resumed, delisted], [delisted]])
async def test_the_last_said_state_of_a_listing_counts(worker: WorkerInHand, ending: list[Any]) -> None:
    await worker.deliver(institution(), sequence=1)
    facts = [(1, product_listed(LISTING)), (2, suspended(LISTING))]
    facts += [(place, make(LISTING)) for place, make in enumerate(ending, 3)]
    for sequence, fact in [*facts, *reversed(facts)]:
        await worker.deliver(fact, sequence=sequence)
    (listing,) = (await market_of(worker)).listings[ASPIRIN]
    assert listing.state == ("delisted" if ending[-1] is delisted else "listed")


NOTICED = [(1, announced(LISTING)), (2, retracted(LISTING)), (3, announced(CHEAPER, TODAY + DAY))]


@pytest.mark.parametrize("order", list(permutations(NOTICED)), ids=lambda order: "".join(str(one[0]) for one in order))
async def test_a_public_notice_its_end_and_the_next_come_to_the_same_in_every_order(
    worker: WorkerInHand, order: Any
) -> None:
    await worker.deliver(institution(), sequence=1)
    for sequence, fact in order:
        await worker.deliver(fact, sequence=sequence)
    (listing,) = (await market_of(worker)).listings[ASPIRIN]
    assert (listing.state, listing.notice_until, listing.price_yuan) == (
        "public_notice",
        TODAY + DAY,
        Decimal("9.0000"),
    )
    await worker.deliver(retracted(CHEAPER), sequence=4)
    (listing,) = (await market_of(worker)).listings[ASPIRIN]
    assert (listing.state, listing.notice_until) == ("retracted", None)
    await worker.deliver(announced(CHEAPER), sequence=5)
    await worker.deliver(product_listed(CHEAPER), sequence=6)
    (listing,) = (await market_of(worker)).listings[ASPIRIN]
    assert (listing.state, listing.notice_until) == ("listed", None)


@pytest.mark.parametrize("end_first", [False, True])
async def test_a_relation_and_its_end_meet_in_either_order(worker: WorkerInHand, end_first: bool) -> None:
    await worker.deliver(institution(), sequence=1)
    facts = [(1, relation()), (2, relation_ended(relation(), TODAY))]
    for sequence, fact in reversed(facts) if end_first else facts:
        await worker.deliver(fact, sequence=sequence)
    (known,) = (await market_of(worker)).distributions[ASPIRIN, DISTRIBUTOR]
    assert known.ended_on == TODAY
    await worker.deliver(relation(valid_to=TODAY + DAY), sequence=3)  # confirmed anew
    (known,) = (await market_of(worker)).distributions[ASPIRIN, DISTRIBUTOR]
    assert (known.ended_on, known.valid_to) == (None, TODAY + DAY)


async def test_an_older_fact_never_replaces_a_newer_one(worker: WorkerInHand) -> None:
    await worker.deliver(institution(active=False), enterprise(active=False), sequence=2)
    await worker.deliver(institution(), enterprise(), sequence=1)
    market = await market_of(worker)
    assert not market.institutions[HOSPITAL].active
    assert not market.distributors[DISTRIBUTOR].active


async def test_a_hundred_facts_cost_as_many_statements_as_one(tx: Tx, service: Any) -> None:
    costs = {}
    for count in (1, 100):
        for fact in (product_listed(LISTING), suspended(LISTING), repriced(LISTING), relation(), institution()):
            before = tx.statements
            await service.handlers[type(fact)](tx, [received(fact, sequence) for sequence in range(1, count + 1)])
            costs.setdefault(type(fact), set()).add(tx.statements - before)
    assert {kind.__name__: cost for kind, cost in costs.items()} == {
        "ProductListed": {2},
        "ProductSuspended": {2},
        "ProductPriceChanged": {1},
        "DistributionConfirmed": {1},
        "InstitutionRegistered": {1},
    }


SOLD = Listing(
    uuid4(),
    "330000",
    ASPIRIN,
    "western",
    "阿司匹林",
    None,
    "盒",
    MAKER,
    "青禾",
    Decimal("10.0000"),
    TODAY,
    TODAY,
    "listed",
)
WAITS = ": if another is proposed, it waits for the distributor to accept it; if not, the maker proposes one"
CARRIED = Distribution("330000", ASPIRIN, DISTRIBUTOR, TODAY, TODAY, None)
CARRIER = Distributor(DISTRIBUTOR, "医药公司", False, True)
LINE = PlaceOrderLine(product_code=ASPIRIN, quantity=3, distributor_code=DISTRIBUTOR)


def decided(
    listings: Any = (SOLD,),
    distributions: Any = (CARRIED,),
    distributor: Distributor | None = CARRIER,
    *,
    on: date = TODAY,
    region: str = "330102",
    line: PlaceOrderLine = LINE,
    provisional: bool = False,
) -> Any:
    """The price of the offer, or the codes of the faults."""
    market = Market(
        distributors={DISTRIBUTOR: distributor} if distributor else {},
        listings={ASPIRIN: listings},
        distributions={(ASPIRIN, DISTRIBUTOR): distributions},
    )
    faults: list[Fault] = []
    offer = offer_of(market, region, line, on, provisional_trade=provisional, place="/lines/0", faults=faults)
    assert (offer is None) == bool(faults)
    return offer.listing.price_yuan if offer else [fault.code for fault in faults]


@pytest.mark.parametrize(
    ("on", "outcome"),
    [
        (TODAY - DAY, ["not_in_force", "no_distribution"]),
        (TODAY, Decimal("10.0000")),
        (TODAY + DAY, ["not_in_force", "no_distribution"]),
    ],
)
def test_validity_includes_its_first_and_its_last_day(on: date, outcome: Any) -> None:
    if outcome != Decimal("10.0000"):
        outcome = outcome[:1]  # without a listing nothing is said of the relation
    assert decided(on=on) == outcome


@pytest.mark.parametrize(
    ("region", "covered"),
    [("330102", True), ("330000", True), ("339900", True), ("320102", False), ("310000", False)],
)
def test_a_listing_covers_the_regions_under_it(region: str, covered: bool) -> None:
    assert decided(region=region) == (Decimal("10.0000") if covered else ["unlisted"])


def test_the_nearest_region_wins_then_the_latest_day() -> None:
    city = replace(SOLD, region="330100", price_yuan=Decimal("9.0000"))
    nation = replace(SOLD, region="000000", price_yuan=Decimal("8.0000"))
    older = replace(city, valid_from=TODAY - DAY, price_yuan=Decimal("7.0000"))
    assert decided([nation, SOLD, city, older]) == Decimal("9.0000")
    assert decided([nation, SOLD]) == Decimal("10.0000")
    assert decided([nation]) == Decimal("8.0000")


@pytest.mark.parametrize(
    ("listings", "code"),
    [
        ([], "unlisted"),
        ([replace(SOLD, state="suspended")], "suspended"),
        ([replace(SOLD, state="delisted")], "delisted"),
        ([replace(SOLD, valid_from=TODAY + DAY, valid_to=None)], "not_in_force"),
    ],
)
def test_what_is_not_listed_now_is_refused_by_its_reason(listings: Any, code: str) -> None:
    assert decided(listings) == [code]


SINCE = datetime(2026, 3, 1, 17, tzinfo=UTC)
"""2 March in Shanghai."""
ON_NOTICE = replace(SOLD, state="public_notice", notice_until=TODAY)
FROM = "it may be ordered from {} on, unless the authority objects"


@pytest.mark.parametrize(
    ("listings", "rule"),
    [
        ([], "the product is not listed for region 330102; its maker proposes it, the authority lists it"),
        (
            [replace(SOLD, state="suspended", since=SINCE)],
            "the product was suspended on 2026-03-02; the authority resumes or delists it",
        ),
        (
            [replace(SOLD, state="delisted", since=SINCE)],
            "the product was delisted on 2026-03-02; its maker may propose it again",
        ),
        ([replace(SOLD, state="suspended")], "the product was suspended; the authority resumes or delists it"),
        ([ON_NOTICE], f"the product is on public notice until {TODAY}; {FROM.format(TODAY + DAY)}"),
        (
            [replace(ON_NOTICE, valid_from=TODAY + 9 * DAY, valid_to=None)],
            f"the product is on public notice until {TODAY}; {FROM.format(TODAY + 9 * DAY)}",
        ),
        (
            [replace(SOLD, state="delisted", since=SINCE), ON_NOTICE],
            f"the product is on public notice until {TODAY}; {FROM.format(TODAY + DAY)}",
        ),
        (
            [replace(SOLD, state="retracted", since=SINCE)],
            "the public notice of the product ended without a listing on 2026-03-02; its maker may propose it again",
        ),
        (
            [replace(SOLD, valid_from=TODAY - DAY, valid_to=TODAY - DAY)],
            f"the listing ended on {TODAY - DAY}, the order is of {TODAY}",
        ),
        (
            [replace(SOLD, valid_from=TODAY + DAY, valid_to=None)],
            f"the listing begins on {TODAY + DAY}, the order is of {TODAY}",
        ),
    ],
)
def test_what_is_not_listed_now_is_refused_with_its_day(listings: Any, rule: str) -> None:
    faults: list[Fault] = []
    market = Market(distributors={DISTRIBUTOR: CARRIER}, listings={ASPIRIN: listings})
    offer_of(market, "330102", LINE, TODAY, provisional_trade=False, place="/lines/0", faults=faults)
    assert [(fault.pointer, fault.rule) for fault in faults] == [("/lines/0/product_code", rule)]
    assert faults[0].allowed == f"a product listed for 330102 on {TODAY}"


def test_another_listing_in_force_helps_a_suspended_one() -> None:
    assert decided([replace(SOLD, state="suspended", region="330100"), SOLD]) == Decimal("10.0000")


@pytest.mark.parametrize(
    ("distributions", "fine"),
    [
        ([], False),
        ([replace(CARRIED, region="320000")], False),
        ([replace(CARRIED, ended_on=TODAY)], False),
        ([replace(CARRIED, ended_on=TODAY + DAY)], True),
        ([replace(CARRIED, ended_on=TODAY), replace(CARRIED, region="330100")], True),
    ],
)
def test_a_relation_must_be_in_force(distributions: Any, fine: bool) -> None:
    assert decided(distributions=distributions) == (Decimal("10.0000") if fine else ["no_distribution"])


@pytest.mark.parametrize(
    ("distributions", "rule"),
    [
        (
            [],
            f"the distributor has no distribution relation in force for {ASPIRIN} in 330102: if one is proposed, it waits for"
            " the distributor to accept it; if not, the maker proposes one",
        ),
        (
            [replace(CARRIED, ended_on=TODAY - DAY), replace(CARRIED, region="330100", ended_on=TODAY)],
            f"the distribution relation ended on {TODAY}{WAITS}",
        ),
        (
            [replace(CARRIED, valid_to=TODAY - DAY), replace(CARRIED, region="320000", valid_from=TODAY + DAY)],
            f"the distribution relation ended on {TODAY - DAY}{WAITS}",
        ),
        (
            [replace(CARRIED, ended_on=TODAY), replace(CARRIED, valid_from=TODAY + DAY, valid_to=None)],
            f"the distribution relation begins on {TODAY + DAY}, the order is of {TODAY}",
        ),
    ],
)
def test_a_relation_that_is_not_in_force_is_refused_with_its_day_and_who_acts_next(
    distributions: Any, rule: str
) -> None:
    faults: list[Fault] = []
    relations = {(ASPIRIN, DISTRIBUTOR): distributions}
    market = Market(distributors={DISTRIBUTOR: CARRIER}, listings={ASPIRIN: [SOLD]}, distributions=relations)
    offer_of(market, "330102", LINE, TODAY, provisional_trade=False, place="/lines/0", faults=faults)
    assert [(fault.pointer, fault.rule) for fault in faults] == [("/lines/0/distributor_code", rule)]


@pytest.mark.parametrize(
    ("distributor", "provisional", "outcome"),
    [
        (None, True, ["unknown_distributor"]),
        (replace(CARRIER, active=False), True, ["distributor_inactive"]),
        (replace(CARRIER, provisional=True), False, ["distributor_provisional"]),
        (replace(CARRIER, provisional=True), True, Decimal("10.0000")),
    ],
)
def test_a_provisional_distributor_trades_where_the_policy_allows(
    distributor: Any, provisional: bool, outcome: Any
) -> None:
    assert decided(distributor=distributor, provisional=provisional) == outcome


@pytest.mark.parametrize(
    ("quantity", "fine"),
    [(1, True), (0, False), (-1, False), (100_000_000, True), (100_000_001, False), (2.0, False), (2.5, False)],
)
def test_a_quantity_is_positive_whole_and_not_a_slip(quantity: Any, fine: bool) -> None:
    line = LINE.model_copy(update={"quantity": quantity})
    assert decided(line=line) == (Decimal("10.0000") if fine else ["quantity"])


def test_an_amount_beyond_what_can_be_paid_is_refused() -> None:
    line = LINE.model_copy(update={"quantity": 100_000_000})
    assert decided([replace(SOLD, price_yuan=Decimal("999999999.0000"))], line=line) == ["amount_too_large"]
