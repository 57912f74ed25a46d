"""Takes distribution relations through their life: proposed, accepted, ended; or recorded as agreed elsewhere."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from uuid_utils.compat import uuid7

from services.listing.errors import (
    DistributionExists,
    DistributionNotFound,
    DistributionRefused,
    NotYourDistribution,
)
from services.listing.handlers.parties import normal_code, party_named
from services.listing.queries.distributions import COLUMNS, distributions_by_id, open_distributions_of
from services.listing.queries.enterprises import Directory, directory
from services.listing.queries.products import products_by_code
from services.listing.rules.distributions import MAY, Distribution, State, as_of, is_over, moved, side_of
from services.listing.rules.faults import Faults, foreign_region
from services.listing.rules.listings import check_terms
from services.listing.rules.products import Product
from services.listing.schemas.distributions import ProposeDistribution
from services.listing.tables import distributions
from shared import clock, history, outbox
from shared.db import Tx
from shared.errors import Fault, Said, ServiceError
from shared.events.listing import DistributionConfirmed, DistributionEnded
from shared.history import Parties
from shared.identity import Caller
from shared.values import frozen


@frozen
class Step:
    """A step that somebody takes with a relation."""

    distribution_id: UUID
    verb: str
    reason: str | None = None


async def propose_distributions(
    tx: Tx, caller: Caller, commands: Sequence[ProposeDistribution]
) -> list[Distribution | ServiceError]:
    """Proposes many at once, by the maker's side; each waits for its distributor. One whose last day is over makes way."""
    return await _begin(tx, caller, commands, recorded=False)


async def record_distributions(
    tx: Tx, caller: Caller, commands: Sequence[ProposeDistribution]
) -> list[Distribution | ServiceError]:
    """Records many relations that both sides agreed on elsewhere, by the authority of the region; said again, nothing
    changes, and an open proposal becomes active."""
    return await _begin(tx, caller, commands, recorded=True)


async def _begin(
    tx: Tx, caller: Caller, commands: Sequence[ProposeDistribution], *, recorded: bool
) -> list[Distribution | ServiceError]:
    codes = [normal_code(command.product_code) or "" for command in commands]
    products = await products_by_code(tx, codes, locked=False)
    known = await directory(
        tx,
        [normal_code(command.distributor_code) for command in commands],
        [command.distributor_name for command in commands],
    )
    held = {one.id: one for one in await open_distributions_of(tx, codes)}
    now = dict(held)
    standing = {(one.product_code, one.region, one.distributor_code): one.id for one in held.values()}
    today = clock.today()
    outcomes: list[Distribution | ServiceError] = []
    for command, code in zip(commands, codes, strict=True):
        try:
            asked = _relation(tx, caller, products.get(code), known, command, recorded=recorded)
            place = (asked.product_code, asked.region, asked.distributor_code)
            before = now[standing[place]] if place in standing else None
            after = _beside(before, asked, today, recorded=recorded)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(as_of(after, today))
        if after is before:
            continue
        if before is not None and after.id != before.id:
            follows = str(Said("relation {id} follows", id=after.id))
            now[before.id] = moved(before, "end", reason=follows, ended_on=before.valid_to)
            _say(tx, caller, before, now[before.id], "ended", words="detail")
            before = None
        now[after.id] = after
        standing[place] = after.id
        _say(tx, caller, before, after, "recorded" if recorded else "proposed")
    await _store(tx, held, now)
    return outcomes


def _relation(
    tx: Tx, caller: Caller, product: Product | None, known: Directory, command: ProposeDistribution, *, recorded: bool
) -> Distribution:
    """The relation that is asked for; raises NotYourDistribution, which comes before all else that may be wrong, and
    DistributionRefused with every fault."""
    parties = () if recorded or product is None else (product.manufacturer_code, product.agent_code)
    if product is not None and not tx.scope.covers(*parties, region=command.region):
        raise NotYourDistribution(
            "{code} is made by {manufacturer_code}, and region {region} is not under yours.",
            faults=[_foreign(tx, product, command)],
            code=product.code,
            manufacturer_code=product.manufacturer_code,
            region=command.region,
        )
    faults = Faults()
    valid_from = command.valid_from or clock.today()
    check_terms(faults, command.region, valid_from, command.valid_to)
    if product is None:
        faults.add("/product_code", command.product_code, "no such product is registered", "a registered product")
    distributor = party_named(
        faults, known, "distributor", command.distributor_code, command.distributor_name, "distributor"
    )
    faults.refuse(DistributionRefused)
    assert product is not None  # noqa: S101  a fault otherwise
    assert distributor is not None  # noqa: S101  a fault otherwise
    return Distribution(
        id=uuid7(),
        region=command.region,
        product_code=product.code,
        manufacturer_code=product.manufacturer_code,
        manufacturer_provisional=product.manufacturer_provisional,
        agent_code=product.agent_code,
        distributor_code=distributor.code,
        distributor_name=distributor.name,
        distributor_provisional=distributor.provisional,
        valid_from=valid_from,
        valid_to=command.valid_to,
        state=State.ACTIVE if recorded else State.PROPOSED,
        reason=None,
        ended_on=None,
        proposed_by=caller.organisation,
        revision=1,
        version=1 if recorded else 0,
    )


def _beside(before: Distribution | None, asked: Distribution, today: date, *, recorded: bool) -> Distribution:
    """What becomes of the relation that is asked for beside the one that stands; raises DistributionExists."""
    if before is None:
        return asked
    same_period = (before.valid_from, before.valid_to) == (asked.valid_from, asked.valid_to)
    if same_period and before.state == (State.ACTIVE if recorded else State.PROPOSED):
        return before
    if same_period and recorded:
        return moved(before, "record")
    if is_over(before, today):
        return asked
    raise DistributionExists(
        "{distributor_name} has relation {id} for {product_code} in region {region}, {state} "
        "from {valid_from} to {until}; asked from {asked_from} to {asked_until}. End it first.",
        distributor_name=before.distributor_name,
        id=before.id,
        product_code=before.product_code,
        region=before.region,
        state=before.state,
        valid_from=before.valid_from,
        until=before.valid_to or Said("no end"),
        asked_from=asked.valid_from,
        asked_until=asked.valid_to or Said("no end"),
    )


async def step_distributions(tx: Tx, caller: Caller, steps: Sequence[Step]) -> list[Distribution | ServiceError]:
    """Takes steps with many relations at once, each answered by itself."""
    held = await distributions_by_id(tx, [step.distribution_id for step in steps])
    now = dict(held)
    today = clock.today()
    outcomes: list[Distribution | ServiceError] = []
    for step in steps:
        try:
            before = _mine(tx, now.get(step.distribution_id), step)
            after = moved(as_of(before, today), step.verb, reason=step.reason, ended_on=today)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        now[after.id] = after
        outcomes.append(after)
        _say(tx, caller, before, after, {"accept": "accepted", "reject": "rejected", "end": "ended"}[step.verb])
    await _store(tx, held, now)
    return outcomes


def _foreign(tx: Tx, product: Product, command: ProposeDistribution) -> Fault:
    """What of a relation is not its sender's: the product, or where the sender is an authority the region."""
    if tx.scope.reach == "region":
        return foreign_region(command.region)
    rule = Said(
        "{code} is made by {manufacturer_code}, not by you",
        code=product.code,
        manufacturer_code=product.manufacturer_code,
    )
    return Fault("/product_code", command.product_code, rule, "a product that you make or are the agent of")


def _mine(tx: Tx, relation: Distribution | None, step: Step) -> Distribution:
    scope = tx.scope
    if relation is not None:
        is_authority = scope.reach != "own" and scope.covers(region=relation.region)
        sides = side_of(relation, scope.organisation, is_authority=is_authority)
        if scope.reach == "all" or set(sides) & set(MAY[step.verb]):
            return relation
        if sides or relation.version:
            allowed = ", ".join(MAY[step.verb])
            raise NotYourDistribution(
                "To {verb} relation {id} is up to its {allowed}.", verb=step.verb, id=relation.id, allowed=allowed
            )
    raise DistributionNotFound(
        "There is no distribution relation {distribution_id} that you may see.", distribution_id=step.distribution_id
    )


async def _store(tx: Tx, held: dict[UUID, Distribution], now: dict[UUID, Distribution]) -> None:
    moved_ones = [one for key, one in now.items() if key in held and one is not held[key]]
    await tx.change(distributions, [_row(one) for one in moved_ones])
    tx.add(distributions, *(_row(one) for key, one in now.items() if key not in held))


def _row(relation: Distribution) -> dict[str, object]:
    return {name: getattr(relation, name) for name in COLUMNS}


def _say(
    tx: Tx, caller: Caller, before: Distribution | None, after: Distribution, action: str, words: str = "reason"
) -> None:
    """`words`: where its reason stands, which is in a person's words or, under `detail`, in ours."""
    parties = Parties(
        institution_code=after.distributor_code,  # whom the goods go to first: all three companies see every deed
        supplier_code=after.manufacturer_code,
        third_code=after.agent_code,
        region=after.region,
    )
    detail: dict[str, object] = {"state": after.state, "valid_from": after.valid_from, "valid_to": after.valid_to}
    detail["changes"] = history.changes(before, after, "state", "valid_from", "valid_to")
    if after.reason:
        detail[words] = after.reason
    if action == "recorded":
        detail["agreed"] = "on both sides before, recorded by the authority"
    history.note(tx, caller, after.id, action, parties, detail)
    if after.version == (before.version if before else 0):
        return
    outbox.record(tx, fact_of(after), after.version)


def fact_of(relation: Distribution) -> DistributionConfirmed | DistributionEnded:
    """What the others hear of a relation that was confirmed once, as it stands."""
    if relation.state == State.ACTIVE:
        return DistributionConfirmed(
            distribution_id=relation.id,
            region=relation.region,
            product_code=relation.product_code,
            manufacturer_code=relation.manufacturer_code,
            distributor_code=relation.distributor_code,
            distributor_name=relation.distributor_name,
            valid_from=relation.valid_from,
            valid_to=relation.valid_to,
        )
    return DistributionEnded(
        distribution_id=relation.id,
        region=relation.region,
        product_code=relation.product_code,
        manufacturer_code=relation.manufacturer_code,
        distributor_code=relation.distributor_code,
        ended_on=relation.ended_on or clock.today(),
        reason=relation.reason or "",
    )
