"""HTTP for institutions."""

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.listing.handlers import institutions as handlers
from services.listing.queries import institutions as queries
from services.listing.queries.timelines import get_timeline
from services.listing.schemas.institutions import AddDeliveryPoints, InstitutionView, RegisterInstitution
from shared.codes import region_prefix
from shared.history import TimelineView
from shared.http import BulkAnswer, CallerHere, Edge, Items, Page, PagingHere, Region, TxHere, answers, etag, only

router = APIRouter(route_class=Edge, prefix="/institutions", tags=["institutions"])


@router.post("", status_code=201)
async def register_institution(
    command: RegisterInstitution, caller: CallerHere, tx: TxHere, response: Response
) -> InstitutionView:
    """Registers an institution, or adds what is new to a known one."""
    institution = only(await handlers.register_institutions(tx, caller, [command]))
    response.headers["etag"] = etag(institution.version)
    return InstitutionView.model_validate(institution)


@router.post("/bulk")
async def register_institutions_in_bulk(
    commands: Items[RegisterInstitution],
    caller: CallerHere,
    tx: TxHere,
) -> BulkAnswer[InstitutionView]:
    """Up to 1,000 registrations, each answered by itself."""
    outcomes = await commands.each(partial(handlers.register_institutions, tx, caller))
    return answers(outcomes, InstitutionView.model_validate, success=201)


@router.get("")
async def list_institutions(
    tx: TxHere,
    paging: PagingHere,
    code: Annotated[str | None, Query(max_length=64)] = None,
    name: Annotated[str | None, Query(min_length=1, max_length=200, description="part of one of its names")] = None,
    region: Annotated[Region | None, Query(description="the region, and those under it")] = None,
    kind: Annotated[Literal["hospital", "pharmacy"] | None, Query()] = None,
) -> Page[InstitutionView]:
    """Institutions in the order of registration."""
    found = await queries.institutions_page(
        tx,
        code=code,
        name=name,
        region_prefix=None if region is None else region_prefix(region),
        kind=kind,
        after=UUID(paging.after[0]) if paging.after else None,
        rows=paging.rows,
    )
    return paging.page_of(InstitutionView, found, key=lambda row: [row.id])


@router.get("/{institution_id}")
async def get_institution(institution_id: UUID, tx: TxHere, response: Response) -> InstitutionView:
    """One institution with its delivery points."""
    institution = await queries.get_institution(tx, institution_id)
    response.headers["etag"] = etag(institution.version)
    return InstitutionView.model_validate(institution)


@router.post("/{institution_id}/delivery-points")
async def add_delivery_points(
    institution_id: UUID, command: AddDeliveryPoints, caller: CallerHere, tx: TxHere, response: Response
) -> InstitutionView:
    """Adds places where the institution receives goods."""
    institution = await handlers.add_delivery_points(tx, caller, institution_id, command)
    response.headers["etag"] = etag(institution.version)
    return InstitutionView.model_validate(institution)


@router.get("/{institution_id}/timeline")
async def get_institution_timeline(institution_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to an institution so far."""
    institution = await queries.get_institution(tx, institution_id)
    return await get_timeline(tx, institution.id, "active" if institution.active else "inactive")
