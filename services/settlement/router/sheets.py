"""HTTP for sheets."""

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.settlement.handlers.sheets import confirm_sheets, dispute_sheets, return_sheet, review_sheets
from services.settlement.queries import sheets as queries
from services.settlement.router.payables import CodeHere, MonthHere
from services.settlement.rules.sheets import Sheet, dispute_step, next_steps
from services.settlement.schemas.sheets import (
    ActOnSheet,
    DisputeSheet,
    DisputeSheetOf,
    LineView,
    ReturnSheet,
    SheetView,
)
from shared import history
from shared.history import TimelineView
from shared.http import (
    BulkAnswer,
    CallerHere,
    Edge,
    Items,
    MatchNeeded,
    Page,
    PagingHere,
    TxHere,
    answers,
    check_match,
    etag,
    only,
)

router = APIRouter(route_class=Edge, prefix="/sheets", tags=["sheets"])

MOST_DISPUTES = 100
"""Disputed lines that one timeline names."""

Acts = Items[ActOnSheet]


@router.get("")
async def list_sheets(
    tx: TxHere,
    paging: PagingHere,
    institution: CodeHere = None,
    distributor: CodeHere = None,
    state: Annotated[
        Literal["issued", "disputed", "confirmed", "reviewed", "in_run", "paid", "empty"] | None, Query()
    ] = None,
    month: MonthHere = None,
) -> Page[SheetView]:
    """Sheets in the order of issue, each with whom it waits for."""
    found = await queries.sheets_page(
        tx,
        institution=institution,
        distributor=distributor,
        state=state,
        month=month.replace(day=1) if month else None,
        after=UUID(paging.after[0]) if paging.after else None,
        rows=paging.rows,
    )
    return paging.page(found, SheetView.of, key=lambda sheet: [sheet.id])


@router.get("/{sheet_id}")
async def get_sheet(sheet_id: UUID, tx: TxHere, response: Response) -> SheetView:
    """One sheet; its ETag is what the actions on it ask for."""
    return _shown(await queries.get_sheet(tx, sheet_id), response)


@router.get("/{sheet_id}/lines")
async def list_sheet_lines(sheet_id: UUID, tx: TxHere, paging: PagingHere) -> Page[LineView]:
    """The payables on a sheet, those that were disputed and have left it too."""
    await queries.get_sheet(tx, sheet_id)
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.lines_page(tx, sheet_id, after=after, rows=paging.rows)
    return paging.page_of(LineView, found, key=lambda line: [line.payable_id])


@router.get("/{sheet_id}/timeline")
async def get_sheet_timeline(sheet_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a sheet so far, and whom it waits for."""
    sheet = await queries.get_sheet(tx, sheet_id)
    waiting = next_steps(sheet)
    waiting += [dispute_step(sheet, line) for line in await queries.still_disputed(tx, sheet_id, MOST_DISPUTES)]
    return await history.timeline(tx, sheet_id, sheet.state, waiting)


@router.post("/{sheet_id}/confirmation", dependencies=[MatchNeeded])
async def confirm_sheet(
    sheet_id: UUID, caller: CallerHere, tx: TxHere, request: Request, response: Response
) -> SheetView:
    """The hospital stands by what is left on the sheet; needs If-Match."""
    read = await _read(tx, sheet_id, request)
    return _shown(only(await confirm_sheets(tx, caller, [read])), response)


@router.post("/{sheet_id}/dispute", dependencies=[MatchNeeded])
async def dispute_sheet(
    sheet_id: UUID, command: DisputeSheet, caller: CallerHere, tx: TxHere, request: Request, response: Response
) -> SheetView:
    """The hospital disputes lines: they leave the sheet and are held; needs If-Match."""
    read = await _read(tx, sheet_id, request)
    item = DisputeSheetOf(sheet_id=sheet_id, version=read.version, lines=command.lines)
    return _shown(only(await dispute_sheets(tx, caller, [item])), response)


@router.post("/{sheet_id}/review", dependencies=[MatchNeeded])
async def review_sheet(
    sheet_id: UUID, caller: CallerHere, tx: TxHere, request: Request, response: Response
) -> SheetView:
    """The agency found the sheet right; needs If-Match."""
    read = await _read(tx, sheet_id, request)
    return _shown(only(await review_sheets(tx, caller, [read])), response)


@router.post("/{sheet_id}/return", dependencies=[MatchNeeded])
async def send_sheet_back(
    sheet_id: UUID, command: ReturnSheet, caller: CallerHere, tx: TxHere, request: Request, response: Response
) -> SheetView:
    """The agency sends a confirmed sheet back to the hospital, which confirms it anew or disputes lines; needs If-Match."""
    read = await _read(tx, sheet_id, request)
    return _shown(only(await return_sheet(tx, caller, read, command.reason)), response)


@router.post("/confirmations/bulk")
async def confirm_sheets_in_bulk(commands: Acts, caller: CallerHere, tx: TxHere) -> BulkAnswer[SheetView]:
    """Up to 1,000 confirmations, each answered by itself."""
    return answers(await commands.each(partial(confirm_sheets, tx, caller)), SheetView.of)


@router.post("/disputes/bulk")
async def dispute_sheets_in_bulk(
    commands: Items[DisputeSheetOf], caller: CallerHere, tx: TxHere
) -> BulkAnswer[SheetView]:
    """Up to 1,000 disputed sheets, each answered by itself."""
    return answers(await commands.each(partial(dispute_sheets, tx, caller)), SheetView.of)


@router.post("/reviews/bulk")
async def review_sheets_in_bulk(commands: Acts, caller: CallerHere, tx: TxHere) -> BulkAnswer[SheetView]:
    """Up to 1,000 reviews, each answered by itself."""
    return answers(await commands.each(partial(review_sheets, tx, caller)), SheetView.of)


async def _read(tx: TxHere, sheet_id: UUID, request: Request) -> ActOnSheet:
    """The sheet at the version that the caller read; checked once more when it is locked."""
    sheet = await queries.get_sheet(tx, sheet_id)
    check_match(request, sheet.version)
    return ActOnSheet(sheet_id=sheet_id, version=sheet.version)


def _shown(sheet: Sheet, response: Response) -> SheetView:
    response.headers["etag"] = etag(sheet.version)
    return SheetView.of(sheet)
