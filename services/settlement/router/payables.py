"""HTTP for payables."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from pydantic import BeforeValidator

from services.settlement.handlers.payables import resolve_disputes
from services.settlement.queries import payables as queries
from services.settlement.queries.recalls import recalls_of_lot
from services.settlement.rules.payables import Seen, next_steps
from services.settlement.rules.recalls import RecalledLot
from services.settlement.schemas.payables import PayableView, ResolveDispute, ResolveDisputeOf
from shared import history
from shared.history import Deed, TimelineView
from shared.http import (
    BulkAnswer,
    CallerHere,
    Code,
    Edge,
    Items,
    Page,
    PagingHere,
    TxHere,
    answers,
    check_tag,
    etag,
    only,
)
from shared.next_steps import NextStep

router = APIRouter(route_class=Edge, prefix="/payables", tags=["payables"])

CodeHere = Annotated[Code | None, Query(description="code of an organisation")]


def _first_day(given: object) -> object:
    """2026-03 as the first day of that month."""
    return f"{given}-01" if isinstance(given, str) and len(given) == len("2026-03") else given


MonthHere = Annotated[date | None, BeforeValidator(_first_day), Query(description="a month, such as 2026-03")]


def steps(waits_for: NextStep | None) -> list[NextStep]:
    """What a thing waits for, as a timeline shows it."""
    return [] if waits_for is None else [waits_for]


@router.get("")
async def list_payables(
    tx: TxHere,
    paging: PagingHere,
    institution: CodeHere = None,
    distributor: CodeHere = None,
    state: Annotated[
        Literal["awaiting_codes", "released", "sheeted", "held", "paid", "recalled"] | None, Query()
    ] = None,
    awaiting_codes: Annotated[
        bool | None,
        Query(
            description="true: codes are missing of all or a part, whatever the state of the rest, as"
            " quantity_awaiting_codes tells; false: of nothing"
        ),
    ] = None,
    month: MonthHere = None,
    due_before: Annotated[date | None, Query(description="due before this day")] = None,
    sheet_id: Annotated[UUID | None, Query()] = None,
    order_id: Annotated[UUID | None, Query()] = None,
) -> Page[PayableView]:
    """Payables in the order in which they were opened, each with its due date and whom it waits for."""
    found = await queries.payables_page(
        tx,
        institution=institution,
        distributor=distributor,
        state=state,
        awaiting_codes=awaiting_codes,
        month=month.replace(day=1) if month else None,
        due_before=due_before,
        sheet_id=sheet_id,
        order_id=order_id,
        after=UUID(paging.after[0]) if paging.after else None,
        rows=paging.rows,
    )
    return paging.page(found, PayableView.of, key=lambda seen: [seen.payable.id])


@router.get("/{payable_id}")
async def get_payable(payable_id: UUID, tx: TxHere, response: Response) -> PayableView:
    """One payable; its ETag changes with what is released and disputed of it."""
    return _shown(await queries.get_payable(tx, payable_id), response)


@router.get("/{payable_id}/timeline")
async def get_payable_timeline(payable_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a payable and to recalls of its lot so far, and whom it waits for."""
    seen = await queries.get_payable(tx, payable_id)
    recalls = await recalls_of_lot(tx, seen.payable)
    return await history.timeline(tx, payable_id, seen.state, next_steps(seen), also=_told(recalls))


def _told(recalls: Sequence[RecalledLot]) -> list[Deed]:
    """The recalls of a lot as deeds; which person opened and closed each, traceability tells."""
    told = [(one.opened_at, "recall_opened", one) for one in recalls]
    told += [(one.closed_at, "recall_closed", one) for one in recalls]
    return [
        history.heard(at, action, recall_id=str(one.recall_id), reason=one.reason, opened_by=one.opened_by)
        for at, action, one in told
        if at is not None
    ]


@router.post("/{payable_id}/resolution")
async def resolve_dispute(
    payable_id: UUID,
    command: ResolveDispute,
    caller: CallerHere,
    tx: TxHere,
    response: Response,
    if_match: Annotated[str | None, Header(description="the ETag of what you read; 412 when it is stale")] = None,
) -> PayableView:
    """Lets a held payable go into the next sheet; it stays due when it was."""
    version = None
    if if_match is not None:
        version = (await queries.get_payable(tx, payable_id)).payable.version
        check_tag(if_match, version)
    item = ResolveDisputeOf(payable_id=payable_id, reason=command.reason, version=version)
    return _shown(only(await resolve_disputes(tx, caller, [item])), response)


@router.post("/resolutions/bulk")
async def resolve_disputes_in_bulk(
    commands: Items[ResolveDisputeOf], caller: CallerHere, tx: TxHere
) -> BulkAnswer[PayableView]:
    """Up to 1,000 resolutions, each answered by itself."""
    return answers(await commands.each(partial(resolve_disputes, tx, caller)), PayableView.of)


def _shown(seen: Seen, response: Response) -> PayableView:
    response.headers["etag"] = etag(seen.payable.version)
    return PayableView.of(seen)
