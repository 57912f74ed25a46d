"""Who acts next on a listing: for each state who, what, and by when."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from services.listing.rules.listings import WAITS_FOR, State, Waiting, next_steps
from shared.next_steps import PLATFORM, Actor, NextStep, authority, manufacturer

MAKER, OFFICE = manufacturer("91330100MA27XYXY10", "青禾制药"), authority("330000")


def waiting(state: State, reason: str | None = None, price: str | None = None) -> Waiting:
    wanted = None if price is None else Decimal(price)
    return Waiting(state, "330000", "91330100MA27XYXY10", "青禾制药", reason, date(2026, 3, 6), wanted)


@pytest.mark.parametrize(
    ("state", "who", "what", "by"),
    [
        (State.DRAFT, MAKER, "submit it for review, or withdraw it", None),
        (
            State.RETURNED,
            MAKER,
            "mend what the authority named and submit it again, or withdraw it (缺少证照)",
            None,
        ),
        (State.SUBMITTED, OFFICE, "accept, return or reject it", None),
        (
            State.PUBLIC_NOTICE,
            PLATFORM,
            "list it when the public notice is over, unless the authority objects",
            datetime(2026, 3, 6, 16, tzinfo=UTC),
        ),
        (State.SUSPENDED, OFFICE, "resume or delist it", None),
    ],
)
def test_a_listing_says_who_acts_next(state: State, who: Actor, what: str, by: datetime | None) -> None:
    reason = "缺少证照" if state is State.RETURNED else None
    assert next_steps(waiting(state, reason)) == [NextStep(who=who, what=what, by=by)]


@pytest.mark.parametrize("state", [state for state in State if state not in WAITS_FOR])
def test_a_listing_that_waits_for_nothing_says_so(state: State) -> None:
    assert next_steps(waiting(state)) == []


def test_a_price_that_was_asked_for_waits_for_the_authority() -> None:
    what = "grant or deny the price of 12.3400 yuan that the manufacturer asked for"
    assert next_steps(waiting(State.LISTED, price="12.3400")) == [NextStep(who=OFFICE, what=what)]
