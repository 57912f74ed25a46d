"""HTTP for expected receipts and their coverage."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.traceability.queries import receipts as queries
from services.traceability.rules.receipts import Receipt, ReceiptState
from services.traceability.schemas.receipts import ReceiptView
from shared import history
from shared.history import NextStep, TimelineView
from shared.http import Edge, Page, PagingHere, TxHere, etag

router = APIRouter(route_class=Edge, prefix="/receipts", tags=["receipts"])


@router.get("")
async def list_receipts(
    tx: TxHere,
    paging: PagingHere,
    state: Annotated[ReceiptState | None, Query()] = None,
    product_code: Annotated[str | None, Query(max_length=64)] = None,
    institution_code: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[ReceiptView]:
    """Receipts in the order in which their shipments became known."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.receipts_page(
        tx,
        state=state,
        product_code=product_code,
        institution_code=institution_code,
        after=after,
        rows=paging.rows,
    )
    return paging.page(found, ReceiptView.model_validate, key=lambda row: [row.id])


@router.get("/by-shipment-line/{shipment_line_id}")
async def get_receipt_of_line(shipment_line_id: UUID, tx: TxHere, response: Response) -> ReceiptView:
    """The receipt of a shipment line."""
    return _shown(await queries.get_receipt_of_line(tx, shipment_line_id), response)


@router.get("/{receipt_id}")
async def get_receipt(receipt_id: UUID, tx: TxHere, response: Response) -> ReceiptView:
    """One receipt."""
    return _shown(await queries.get_receipt(tx, receipt_id), response)


@router.get("/{receipt_id}/timeline")
async def get_receipt_timeline(receipt_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a receipt so far, and whose codes it waits for."""
    receipt = await queries.get_receipt(tx, receipt_id)
    return await history.timeline(tx, receipt.id, receipt.state, next_steps(receipt))


def _shown(receipt: Receipt, response: Response) -> ReceiptView:
    response.headers["etag"] = etag(receipt.version)
    return ReceiptView.model_validate(receipt)


def next_steps(receipt: Receipt) -> list[NextStep]:
    """Who must act now: nobody once everything is covered, or nothing is asked for."""
    if receipt.state == ReceiptState.EXPECTED:
        return [NextStep(who=receipt.institution_code, what="accept or reject the delivery, and capture its codes")]
    if receipt.state == ReceiptState.SHORT:
        missing = (receipt.quantity_accepted or 0) - receipt.quantity_covered
        what = f"capture codes for {missing} of {receipt.quantity_accepted} {receipt.unit or 'sale units'}"
        return [NextStep(who=receipt.institution_code, what=what)]
    return []
