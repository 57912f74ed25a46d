"""HTTP for distribution relations."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from services.listing.handlers import distributions as handlers
from services.listing.handlers.distributions import Step
from services.listing.queries import distributions as queries
from services.listing.queries.timelines import get_timeline
from services.listing.rules.distributions import State, next_steps
from services.listing.schemas.distributions import DistributionView, EndDistribution, ProposeDistribution
from shared.db import Tx
from shared.history import TimelineView
from shared.http import BulkAnswer, CallerHere, Edge, Items, Page, PagingHere, TxHere, answers, check_tag, etag, only
from shared.identity import Caller

router = APIRouter(route_class=Edge, prefix="/distributions", tags=["distributions"])

Commands = Items[ProposeDistribution]


async def _match_heeded(
    distribution_id: UUID,
    request: Request,
    tx: TxHere,
    if_match: Annotated[str | None, Header(description="the ETag of what you read; 412 when it is stale")] = None,
) -> None:
    """For a step that the state guards already: who says what was read does not act on what changed since."""
    if if_match is not None:
        await queries.distributions_by_id(tx, [distribution_id])  # locked: nobody comes between comparison and step
        check_tag(if_match, (await queries.get_distribution(tx, distribution_id)).revision)


MatchHeeded = Depends(_match_heeded)


async def _one(tx: Tx, caller: Caller, response: Response, step: Step) -> DistributionView:
    relation = only(await handlers.step_distributions(tx, caller, [step]))
    response.headers["etag"] = etag(relation.revision)
    return DistributionView.model_validate(relation)


@router.post("", status_code=201)
async def propose_distribution(
    command: ProposeDistribution, caller: CallerHere, tx: TxHere, response: Response
) -> DistributionView:
    """The manufacturer or its agent proposes a distributor for a product in a region."""
    relation = only(await handlers.propose_distributions(tx, caller, [command]))
    response.headers["etag"] = etag(relation.revision)
    return DistributionView.model_validate(relation)


@router.post("/bulk")
async def propose_distributions_in_bulk(
    commands: Commands, caller: CallerHere, tx: TxHere
) -> BulkAnswer[DistributionView]:
    """Up to 1,000 proposals, each answered by itself."""
    outcomes = await commands.each(partial(handlers.propose_distributions, tx, caller))
    return answers(outcomes, DistributionView.model_validate, success=201)


@router.put("/agreed")
async def record_distributions(commands: Commands, caller: CallerHere, tx: TxHere) -> BulkAnswer[DistributionView]:
    """Up to 1,000 relations that both sides agreed on elsewhere, recorded by the authority; in force from their first day on."""
    outcomes = await commands.each(partial(handlers.record_distributions, tx, caller))
    return answers(outcomes, DistributionView.model_validate)


@router.get("")
async def list_distributions(
    tx: TxHere,
    paging: PagingHere,
    product_code: Annotated[str | None, Query(max_length=64)] = None,
    region: Annotated[str | None, Query(pattern=r"^[0-9]{6}$")] = None,
    distributor_code: Annotated[str | None, Query(max_length=64)] = None,
    manufacturer_code: Annotated[str | None, Query(max_length=64)] = None,
    state: Annotated[State | None, Query()] = None,
) -> Page[DistributionView]:
    """Relations in the order they were made; proposals only for their parties and the authority."""
    found = await queries.distributions_page(
        tx,
        product_code=product_code,
        region=region,
        distributor_code=distributor_code,
        manufacturer_code=manufacturer_code,
        state=state,
        after=UUID(paging.after[0]) if paging.after else None,
        rows=paging.rows,
    )
    return paging.page_of(DistributionView, found, key=lambda row: [row.id])


@router.get("/{distribution_id}")
async def get_distribution(distribution_id: UUID, tx: TxHere, response: Response) -> DistributionView:
    """One relation."""
    relation = await queries.get_distribution(tx, distribution_id)
    response.headers["etag"] = etag(relation.revision)
    return DistributionView.model_validate(relation)


@router.post("/{distribution_id}/accept", dependencies=[MatchHeeded])
async def accept_distribution(
    distribution_id: UUID, caller: CallerHere, tx: TxHere, response: Response
) -> DistributionView:
    """The distributor accepts; from `valid_from` on it may take orders."""
    return await _one(tx, caller, response, Step(distribution_id, "accept"))


@router.post("/{distribution_id}/reject", dependencies=[MatchHeeded])
async def reject_distribution(
    distribution_id: UUID, command: EndDistribution, caller: CallerHere, tx: TxHere, response: Response
) -> DistributionView:
    """The distributor rejects."""
    return await _one(tx, caller, response, Step(distribution_id, "reject", command.reason))


@router.post("/{distribution_id}/end", dependencies=[MatchHeeded])
async def end_distribution(
    distribution_id: UUID, command: EndDistribution, caller: CallerHere, tx: TxHere, response: Response
) -> DistributionView:
    """Either side ends the relation, or takes the proposal back."""
    return await _one(tx, caller, response, Step(distribution_id, "end", command.reason))


@router.get("/{distribution_id}/timeline")
async def get_distribution_timeline(distribution_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a relation so far, and who acts next."""
    relation = await queries.get_distribution(tx, distribution_id)
    return await get_timeline(tx, relation.id, relation.state, next_steps(relation))
