"""The audit over HTTP: what was done by whom, and the heads that prove later that nothing was changed."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from shared import audit
from shared.http.edge import Edge, TxHere
from shared.http.invalid import check_period
from shared.http.paging import PagingHere
from shared.http.schemas import Page, View
from shared.reach import scope_of

router = APIRouter(route_class=Edge, tags=["audit"])


class AuditView(View):
    """One deed, by whom, on what, in which request; `hash` chains it to the one before it about the same thing."""

    id: int
    about: str
    action: str
    at: datetime
    organisation: str
    person: str
    request_id: str | None
    operation: str | None
    detail: dict[str, Any]
    hash: str


class HeadView(View):
    """The head of a day: keep it elsewhere, and no row of that day can be changed or cut unseen."""

    day: date
    rows: int
    last_id: int
    digest: str


@router.get("/audit")
async def list_audit(
    tx: TxHere,
    paging: PagingHere,
    organisation: Annotated[str | None, Query(max_length=64, description="who did it")] = None,
    about: Annotated[str | None, Query(max_length=100, description="the id of a thing")] = None,
    person: Annotated[str | None, Query(max_length=100, description="who did it, of the organisation")] = None,
    action: Annotated[str | None, Query(max_length=100, description="what was done, such as `placed`")] = None,
    operation: Annotated[
        str | None, Query(max_length=100, description="a route, a type of event, a kind of deadline or of job")
    ] = None,
    request_id: Annotated[str | None, Query(max_length=200, description="all that one request brought about")] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> Page[AuditView]:
    """Everything that was done, the oldest first."""
    check_period(("since", since), ("until", until))
    after = int(paging.after[0]) if paging.after else 0
    equal = {"organisation": organisation, "about": about, "person": person, "action": action}
    equal |= {"operation": operation, "request_id": request_id}
    found = await tx.rows(audit.page_of(equal, since, until), after=after, rows=paging.rows, **scope_of(tx))
    return paging.page(
        found, lambda row: AuditView(**{**row, "hash": bytes(row["hash"]).hex()}), key=lambda row: [row["id"]]
    )


@router.get("/audit/heads")
async def list_audit_heads(tx: TxHere) -> list[HeadView]:
    """The heads of the last hundred days."""
    found = await tx.rows(audit.HEADS, rows=100)
    return [HeadView(**{**row, "digest": bytes(row["digest"]).hex()}) for row in found]
