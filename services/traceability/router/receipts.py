"""HTTP for expected receipts and their coverage."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.traceability.queries import receipts as queries
from services.traceability.queries.anomalies import anomalies_of_receipt
from services.traceability.queries.organisations import with_names
from services.traceability.queries.recalls import recalls_of_lots
from services.traceability.rules.next_steps import receipt_steps
from services.traceability.rules.recalls import Recall
from services.traceability.rules.receipts import Receipt, ReceiptState
from services.traceability.schemas.receipts import ReceiptView
from shared import history
from shared.history import Deed, TimelineView
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
    return paging.page_of(ReceiptView, found, key=lambda row: [row.id])


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
    found = await anomalies_of_receipt(tx, receipt_id)
    recalls = await recalls_of_lots(tx, {(receipt.product_code, receipt.lot_number)})
    steps = await with_names(tx, receipt_steps(receipt, found, recalls, queries.codes_by(tx, receipt)))
    return await history.timeline(tx, receipt.id, receipt.state, steps, also=_told(recalls))


def _shown(receipt: Receipt, response: Response) -> ReceiptView:
    response.headers["etag"] = etag(receipt.version)
    return ReceiptView.model_validate(receipt)


def _told(recalls: Sequence[Recall]) -> list[Deed]:
    """The recalls of a lot as deeds; who opened and closed each, its own timeline tells."""
    told = [(recall.opened_at, "recall_opened", recall) for recall in recalls]
    told += [(recall.closed_at, "recall_closed", recall) for recall in recalls if recall.closed_at is not None]
    return [
        history.heard(at, action, recall_id=str(recall.id), reason=recall.reason, opened_by=recall.opened_by)
        for at, action, recall in told
    ]
