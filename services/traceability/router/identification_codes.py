"""HTTP for identification codes, and for the queue of those that nobody has uploaded."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from services.traceability.handlers import identification_codes as handlers
from services.traceability.queries import identification_codes as queries
from services.traceability.schemas.identification_codes import (
    AwaitedView,
    IdentificationCodeView,
    UploadedView,
    UploadIdentificationCode,
)
from shared.http import BulkAnswer, CallerHere, Edge, Items, Page, PagingHere, TxHere, answers

router = APIRouter(route_class=Edge, tags=["identification codes"])


@router.post("/identification-codes/bulk")
async def upload_identification_codes(
    commands: Items[UploadIdentificationCode],
    caller: CallerHere,
    tx: TxHere,
) -> BulkAnswer[IdentificationCodeView]:
    """Says what identification codes mean; codes scanned before begin to count within seconds."""
    outcomes = await commands.each(partial(handlers.upload_identification_codes, tx, caller))
    return answers(outcomes, IdentificationCodeView.model_validate, success=201)


@router.get("/identification-codes")
async def list_identification_codes(
    tx: TxHere, paging: PagingHere, product_code: Annotated[str | None, Query(max_length=64)] = None
) -> Page[UploadedView]:
    """Identification codes in their order; public, as 三码合一映射库 is."""
    after = str(paging.after[0]) if paging.after else None
    found = await queries.identification_codes_page(tx, product_code=product_code, after=after, rows=paging.rows)
    return paging.page_of(UploadedView, found, key=lambda row: [row.ident])


@router.get("/unknown-codes")
async def list_unknown_codes(caller: CallerHere, tx: TxHere, paging: PagingHere) -> Page[AwaitedView]:
    """The queue of unknown codes: scanned, stored, and not counted until somebody says what they mean. A manufacturer sees
    those that were captured for its own products."""
    after = str(paging.after[0]) if paging.after else None
    page = queries.awaited_of_maker if "manufacturer" in caller.roles else queries.awaited_page
    found = await page(tx, after=after, rows=paging.rows)
    return paging.page_of(AwaitedView, found, key=lambda row: [row.ident])
