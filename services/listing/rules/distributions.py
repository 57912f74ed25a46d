"""The life of a distribution relation 配送关系: the maker's side proposes, the distributor accepts, either may end it.

At most one relation of a distributor for a product in a region is open (domain rules 4.2). With its last day a relation has
ended, and another one may take its place.
"""

from dataclasses import replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from services.listing.errors import DistributionNotOpen
from shared.errors import Said
from shared.next_steps import NextStep, distributor, manufacturer
from shared.values import frozen


class State(StrEnum):
    PROPOSED = "proposed"
    ACTIVE = "active"
    REJECTED = "rejected"
    ENDED = "ended"


OPEN = (State.PROPOSED, State.ACTIVE)

NEXT = MappingProxyType(
    {
        (State.PROPOSED, "accept"): State.ACTIVE,
        (State.PROPOSED, "record"): State.ACTIVE,
        (State.PROPOSED, "reject"): State.REJECTED,
        (State.PROPOSED, "end"): State.ENDED,
        (State.ACTIVE, "end"): State.ENDED,
    }
)

MAY = MappingProxyType(
    {
        "accept": ("distributor",),
        "reject": ("distributor",),
        "end": ("manufacturer", "agent", "distributor", "authority"),
    }
)
"""Who may do it; a maker's side that could accept for the distributor would make the second signature worthless."""


@frozen
class Distribution:
    """A relation as it stands. `revision` is raised by every change; `version` counts its events, as in Listing."""

    id: UUID
    region: str
    product_code: str
    manufacturer_code: str
    manufacturer_provisional: bool
    agent_code: str | None
    distributor_code: str
    distributor_name: str
    distributor_provisional: bool
    valid_from: date
    valid_to: date | None
    state: str
    reason: str | None
    ended_on: date | None
    proposed_by: str
    revision: int
    version: int


def in_force(state: str, valid_from: date, valid_to: date | None, on: date) -> bool:
    """Whether a relation in this state lets its distributor take orders on a day: its term has begun and is not over."""
    return state == State.ACTIVE and valid_from <= on and (valid_to is None or on <= valid_to)


def is_over(relation: Distribution, on: date) -> bool:
    """Whether an open relation has its last day behind it."""
    return relation.state in OPEN and relation.valid_to is not None and relation.valid_to < on


def as_of(relation: Distribution, on: date) -> Distribution:
    """The relation as it stands on a day."""
    if not is_over(relation, on):
        return relation
    return replace(relation, state=State.ENDED, ended_on=relation.valid_to if relation.state == State.ACTIVE else None)


def next_steps(relation: Distribution) -> list[NextStep]:
    """Who must act now on a relation as it stands, and who may when it ended by itself."""
    if relation.state == State.PROPOSED:
        who = distributor(relation.distributor_code, relation.distributor_name)
        return [NextStep(who=who, what=Said("accept or reject it"))]
    if relation.state == State.ENDED and relation.reason is None:
        what = Said("its last day was {valid_to}: propose a new one to go on", valid_to=relation.valid_to)
        return [NextStep(who=manufacturer(relation.manufacturer_code), what=what)]
    return []


def side_of(relation: Distribution, organisation: str, *, is_authority: bool) -> tuple[str, ...]:
    """As what an organisation stands to a relation."""
    sides = (
        ("manufacturer", relation.manufacturer_code),
        ("agent", relation.agent_code),
        ("distributor", relation.distributor_code),
    )
    held = tuple(side for side, code in sides if code == organisation)
    return (*held, "authority") if is_authority else held


def moved(
    relation: Distribution, verb: str, *, reason: str | None = None, ended_on: date | None = None
) -> Distribution:
    """The relation one step on, its `version` raised when the others learn of it; raises DistributionNotOpen."""
    try:
        state = NEXT[State(relation.state), verb]
    except KeyError:
        possible = ", ".join(known for known_state, known in NEXT if known_state == relation.state) or Said("nothing")
        raise DistributionNotOpen(
            "Relation {id} is {state}, so it cannot be given the word {verb}; possible now: {possible}.",
            id=relation.id,
            state=relation.state,
            verb=verb,
            possible=possible,
        ) from None
    heard = state is State.ACTIVE or relation.state == State.ACTIVE
    return replace(
        relation,
        state=state,
        reason=reason,
        ended_on=ended_on if heard and state is State.ENDED else None,
        revision=relation.revision + 1,
        version=relation.version + heard,
    )
