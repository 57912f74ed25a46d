"""HTTP for enterprises."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.listing.handlers import enterprises as handlers
from services.listing.queries import enterprises as queries
from services.listing.queries.timelines import get_timeline
from services.listing.schemas.enterprises import ConfirmUscc, EnterpriseKind, EnterpriseView, RegisterEnterprise
from shared.errors import Said
from shared.history import TimelineView
from shared.http import BulkAnswer, CallerHere, Edge, Items, Page, PagingHere, TxHere, answers, etag, only
from shared.next_steps import NextStep, authority

router = APIRouter(route_class=Edge, prefix="/enterprises", tags=["enterprises"])


@router.post("", status_code=201)
async def register_enterprise(
    command: RegisterEnterprise, caller: CallerHere, tx: TxHere, response: Response
) -> EnterpriseView:
    """Registers an enterprise, or adds a name and kinds to a known one."""
    enterprise = only(await handlers.register_enterprises(tx, caller, [command]))
    response.headers["etag"] = etag(enterprise.version)
    return EnterpriseView.model_validate(enterprise)


@router.post("/bulk")
async def register_enterprises_in_bulk(
    commands: Items[RegisterEnterprise], caller: CallerHere, tx: TxHere
) -> BulkAnswer[EnterpriseView]:
    """Up to 1,000 registrations, each answered by itself."""
    outcomes = await commands.each(partial(handlers.register_enterprises, tx, caller))
    return answers(outcomes, EnterpriseView.model_validate, success=201)


@router.get("")
async def list_enterprises(
    tx: TxHere,
    paging: PagingHere,
    code: Annotated[str | None, Query(max_length=64, description="the code it goes by, or its USCC")] = None,
    name: Annotated[str | None, Query(min_length=1, max_length=200, description="part of one of its names")] = None,
    kind: Annotated[EnterpriseKind | None, Query()] = None,
) -> Page[EnterpriseView]:
    """Enterprises in the order of registration."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.enterprises_page(tx, code=code, name=name, kind=kind, after=after, rows=paging.rows)
    return paging.page_of(EnterpriseView, found, key=lambda row: [row.id])


@router.get("/{enterprise_id}")
async def get_enterprise(enterprise_id: UUID, tx: TxHere, response: Response) -> EnterpriseView:
    """One enterprise."""
    enterprise = await queries.get_enterprise(tx, enterprise_id)
    response.headers["etag"] = etag(enterprise.version)
    return EnterpriseView.model_validate(enterprise)


@router.post("/{enterprise_id}/uscc")
async def confirm_uscc(
    enterprise_id: UUID, command: ConfirmUscc, caller: CallerHere, tx: TxHere, response: Response
) -> EnterpriseView:
    """Records the USCC of a provisional enterprise; it keeps its code."""
    enterprise = await handlers.confirm_uscc(tx, caller, enterprise_id, command)
    response.headers["etag"] = etag(enterprise.version)
    return EnterpriseView.model_validate(enterprise)


@router.get("/{enterprise_id}/timeline")
async def get_enterprise_timeline(enterprise_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to an enterprise so far, and what is still to be known of it."""
    enterprise = await queries.get_enterprise(tx, enterprise_id)
    state = "provisional" if enterprise.provisional else "active" if enterprise.active else "inactive"
    who = authority(enterprise.region)
    steps = [NextStep(who=who, what=Said("confirm its USCC"))] if enterprise.provisional else []
    return await get_timeline(tx, enterprise.id, state, steps)
