"""HTTP for enterprises."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from services.listing.handlers.enterprises import register_enterprises
from services.listing.queries import enterprises as queries
from services.listing.schemas.enterprises import EnterpriseView, RegisterEnterprise
from shared import history
from shared.history import TimelineView
from shared.http import BulkAnswer, CallerHere, Edge, Page, PagingHere, TxHere, answers, etag, only

router = APIRouter(route_class=Edge, prefix="/enterprises", tags=["enterprises"])


@router.post("", status_code=201)
async def register_enterprise(
    command: RegisterEnterprise, caller: CallerHere, tx: TxHere, response: Response
) -> EnterpriseView:
    """Registers an enterprise, or adds a name and kinds to a known one."""
    enterprise = only(await register_enterprises(tx, caller, [command]))
    response.headers["etag"] = etag(enterprise.version)
    return EnterpriseView.model_validate(enterprise)


@router.post("/bulk")
async def register_enterprises_in_bulk(
    commands: Annotated[list[RegisterEnterprise], Field(min_length=1, max_length=1_000)], caller: CallerHere, tx: TxHere
) -> BulkAnswer[EnterpriseView]:
    """Up to 1,000 registrations, each answered by itself."""
    outcomes = await register_enterprises(tx, caller, commands)
    return answers(outcomes, EnterpriseView.model_validate, success=201)


@router.get("")
async def list_enterprises(
    tx: TxHere,
    paging: PagingHere,
    name: Annotated[str | None, Query(max_length=200, description="part of the name")] = None,
    kind: Annotated[Literal["manufacturer", "distributor", "agent"] | None, Query()] = None,
) -> Page[EnterpriseView]:
    """Enterprises in the order of registration."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.enterprises_page(tx, name=name, kind=kind, after=after, rows=paging.rows)
    return paging.page(found, EnterpriseView.model_validate, key=lambda row: [row.id])


@router.get("/{enterprise_id}")
async def get_enterprise(enterprise_id: UUID, tx: TxHere, response: Response) -> EnterpriseView:
    """One enterprise."""
    enterprise = await queries.get_enterprise(tx, enterprise_id)
    response.headers["etag"] = etag(enterprise.version)
    return EnterpriseView.model_validate(enterprise)


@router.get("/{enterprise_id}/timeline")
async def get_enterprise_timeline(enterprise_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to an enterprise so far."""
    enterprise = await queries.get_enterprise(tx, enterprise_id)
    return await history.timeline(tx, enterprise.id, "active" if enterprise.active else "inactive", [])
