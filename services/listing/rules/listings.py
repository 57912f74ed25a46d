"""The life of a listing 挂网: draft, review, public notice 公示, listed, suspended, delisted, and who may move it.

A product has at most one live listing in a region. A selected product (中选) leaves only when its certificate is cancelled,
its contract has ended, or the authority orders it (domain rules 3.1, 3.3).
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from uuid import UUID

from services.listing.errors import ListingNotOpen, ListingRefused, SelectedStays
from services.listing.rules.faults import Faults
from shared import clock
from shared.errors import Fault, Said
from shared.next_steps import PLATFORM, NextStep, Role, authority, day_over, manufacturer
from shared.values import frozen


class State(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    PUBLIC_NOTICE = "public_notice"
    LISTED = "listed"
    SUSPENDED = "suspended"
    DELISTED = "delisted"


class Category(StrEnum):
    NATIONAL_VBP = "national_vbp"
    ALLIANCE_VBP = "alliance_vbp"
    PROVINCIAL_VBP = "provincial_vbp"
    NEGOTIATED = "negotiated"
    LINKED_LOWEST = "linked_lowest"
    DIRECT = "direct"
    FILING = "filing"
    SHORTAGE = "shortage"
    REFERENCE = "reference"
    TCM_SLICE = "tcm_slice"


SELECTED = frozenset({Category.NATIONAL_VBP, Category.ALLIANCE_VBP, Category.PROVINCIAL_VBP})
VOLUNTARY = "voluntary"
SELECTED_LEAVES_FOR = ("certificate_cancelled", "contract_ended", "authority_order")

PUBLIC = (State.PUBLIC_NOTICE, State.LISTED, State.SUSPENDED, State.DELISTED)
"""States in which everybody sees a listing; in the others its parties and the authority of its region do."""
OPEN = (State.DRAFT, State.SUBMITTED, State.RETURNED, State.PUBLIC_NOTICE)
TRADED = (State.LISTED, State.SUSPENDED)
LIVE = (*OPEN, *TRADED)
HOLDING = (State.PUBLIC_NOTICE, *TRADED)
"""States in which a listing holds its product as it was reviewed: what makes the goods is changed by the authority alone."""

NEXT = MappingProxyType(
    {
        (State.DRAFT, "submit"): State.SUBMITTED,
        (State.RETURNED, "submit"): State.SUBMITTED,
        (State.DRAFT, "revise"): State.DRAFT,
        (State.RETURNED, "revise"): State.RETURNED,
        (State.DRAFT, "withdraw"): State.WITHDRAWN,
        (State.RETURNED, "withdraw"): State.WITHDRAWN,
        (State.SUBMITTED, "withdraw"): State.WITHDRAWN,
        (State.SUBMITTED, "return"): State.RETURNED,
        (State.SUBMITTED, "reject"): State.REJECTED,
        (State.SUBMITTED, "accept"): State.PUBLIC_NOTICE,
        (State.PUBLIC_NOTICE, "return"): State.RETURNED,
        (State.PUBLIC_NOTICE, "reject"): State.REJECTED,
        (State.PUBLIC_NOTICE, "list"): State.LISTED,
        (State.LISTED, "suspend"): State.SUSPENDED,
        (State.SUSPENDED, "resume"): State.LISTED,
        (State.LISTED, "delist"): State.DELISTED,
        (State.SUSPENDED, "delist"): State.DELISTED,
    }
)

DEEDS = MappingProxyType(
    {
        "submit": "submitted",
        "revise": "revised",
        "withdraw": "withdrawn",
        "return": "returned",
        "reject": "rejected",
        "accept": "accepted",
        "suspend": "suspended",
        "resume": "resumed",
        "delist": "delisted",
    }
)
"""What a step is called in a listing's history once it was taken; `list` happens by itself."""

WAITS_FOR = MappingProxyType(
    {
        State.DRAFT: (Role.MANUFACTURER, Said("submit it for review, or withdraw it")),
        State.RETURNED: (Role.MANUFACTURER, Said("mend what the authority named and submit it again, or withdraw it")),
        State.SUBMITTED: (Role.AUTHORITY, Said("accept, return or reject it")),
        State.PUBLIC_NOTICE: (
            Role.PLATFORM,
            Said("list it when the public notice is over, unless the authority objects"),
        ),
        State.SUSPENDED: (Role.AUTHORITY, Said("resume or delist it")),
    }
)
"""Who acts next, and on what."""


@frozen
class Listing:
    """A listing as it stands. `revision` is raised by every change and is its ETag; `version` counts what was said of it
    to the other services, and is the sequence of its events."""

    id: UUID
    region: str
    product_code: str
    price_yuan: Decimal
    category: str
    batch_code: str | None
    price_origin: str | None
    valid_from: date
    valid_to: date | None
    state: str
    reason: str | None
    notice_until: date | None
    wanted_price_yuan: Decimal | None
    wanted_price_reason: str | None
    proposed_by: str
    revision: int
    version: int


@frozen
class Notice:
    """What the policy of a region says on public notices on a day."""

    required: bool
    working_days: int
    today: date

    @property
    def until(self) -> date | None:
        """The last day of a notice that begins today; None where a product is listed at once."""
        if not self.required or not self.working_days:
            return None
        return _working_days_after(self.today, self.working_days)


@lru_cache(maxsize=256)
def _working_days_after(day: date, count: int) -> date:
    """Remembered, for a sheet asks the same of a hundred thousand rows."""
    return clock.add_working_days(day, count)


def check_terms(faults: Faults, region: str, valid_from: date | None, valid_to: date | None) -> None:
    """Faults of where and when a listing holds."""
    faults.region(region)
    check_period(faults, valid_from, valid_to)


def check_period(faults: Faults, valid_from: date | None, valid_to: date | None) -> None:
    """A fault where it would end before it begins."""
    if valid_to is not None and valid_from is not None and valid_to < valid_from:
        faults.add(
            "/valid_to",
            valid_to.isoformat(),
            "ends before it begins",
            Said("{valid_from} or later", valid_from=valid_from),
        )


def step(listing: Listing, verb: str) -> State:
    """The state that a verb leads to; raises ListingNotOpen, naming what is possible now."""
    try:
        return NEXT[State(listing.state), verb]
    except KeyError:
        possible = ", ".join(known for state, known in NEXT if state == listing.state) or Said("nothing")
        raise ListingNotOpen(
            "Listing {id} is {state}, so it is too late or too early to {verb} it; possible now: {possible}.",
            id=listing.id,
            state=listing.state,
            verb=verb,
            possible=possible,
        ) from None


def moved(listing: Listing, verb: str, reason: str | None = None) -> Listing:
    """The listing one step on; raises ListingNotOpen."""
    return replace(listing, state=step(listing, verb), reason=reason, revision=listing.revision + 1)


def accepted(listing: Listing, notice: Notice) -> Listing:
    """The listing after review: on public notice, or listed at once where the policy asks for none."""
    after = moved(listing, "accept")
    return put_up(after, notice)


def put_up(listing: Listing, notice: Notice) -> Listing:
    """The listing on public notice until the last day of it, or listed where no notice is asked for."""
    until = notice.until
    state = State.LISTED if until is None else State.PUBLIC_NOTICE
    return replace(listing, state=state, notice_until=until, reason=None)


def check_delisting(listing: Listing, reason_kind: str, *, by_authority: bool) -> None:
    """Raises SelectedStays when a selected product would leave for a reason it may not, ListingRefused when its maker
    gives a reason that is the authority's to give."""
    allowed = ", ".join(SELECTED_LEAVES_FOR)
    if listing.category in SELECTED and not (by_authority and reason_kind in SELECTED_LEAVES_FOR):
        rule = Said("a selected product stays to the end of its contract")
        raise SelectedStays(
            "Listing {id} is {category}: {rule}; the authority may delist it for {allowed}, given {given}.",
            id=listing.id,
            category=listing.category,
            rule=rule,
            allowed=allowed,
            given=reason_kind,
            faults=[Fault("/reason_kind", reason_kind, rule, allowed)],
        )
    if not by_authority and reason_kind != VOLUNTARY:
        faults = Faults()
        faults.add("/reason_kind", reason_kind, "a maker delists of its own will", VOLUNTARY)
        faults.refuse(ListingRefused)


@frozen
class Waiting:
    """What says whom a listing waits for."""

    state: str
    region: str
    manufacturer_code: str
    manufacturer_name: str
    reason: str | None
    notice_until: date | None
    wanted_price_yuan: Decimal | None
    valid_to: date | None = None


def in_force(state: str, valid_from: date, valid_to: date | None, on: date) -> bool:
    """Whether a listing in this state is to be ordered on a day: its term has begun and is not over."""
    return state == State.LISTED and valid_from <= on and (valid_to is None or on <= valid_to)


def next_steps(listing: Waiting) -> list[NextStep]:
    """Who must act now on a listing: its maker, the authority of its region, or the day that ends its public notice."""
    parties = {
        Role.MANUFACTURER: manufacturer(listing.manufacturer_code, listing.manufacturer_name),
        Role.AUTHORITY: authority(listing.region),
        Role.PLATFORM: PLATFORM,
    }
    steps: list[NextStep] = []
    if waits := WAITS_FOR.get(State(listing.state)):
        role, what = waits
        if listing.reason:
            what = Said("{what} ({reason})", what=what, reason=listing.reason)
        by = day_over(listing.notice_until) if listing.state == State.PUBLIC_NOTICE else None
        steps.append(NextStep(who=parties[role], what=what, by=by))
    if listing.state == State.LISTED and listing.valid_to is not None and listing.valid_to < clock.today():
        what = Said("its last day was {valid_to}: set a later one, or delist it", valid_to=listing.valid_to)
        steps.append(NextStep(who=parties[Role.AUTHORITY], what=what))
    if listing.wanted_price_yuan is not None:
        what = Said(
            "grant or deny the price of {wanted_price_yuan} yuan that the manufacturer asked for",
            wanted_price_yuan=listing.wanted_price_yuan,
        )
        steps.append(NextStep(who=parties[Role.AUTHORITY], what=what))
    return steps
