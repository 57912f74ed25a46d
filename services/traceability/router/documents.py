"""HTTP for captured bills."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.traceability.handlers import documents as handlers
from services.traceability.queries import documents as queries
from services.traceability.queries.anomalies import anomalies_of_document
from services.traceability.queries.organisations import with_names
from services.traceability.queries.receipts import codes_by, find_receipt
from services.traceability.queries.units import landed_of
from services.traceability.rules.next_steps import document_steps, state_of
from services.traceability.schemas.documents import BillTypeCode, CaptureDocuments, DocumentSummary, DocumentView
from shared import history
from shared.history import TimelineView
from shared.http import BulkAnswer, CallerHere, Edge, Page, PagingHere, TxHere, answers

router = APIRouter(route_class=Edge, prefix="/documents", tags=["documents"])


@router.post("")
async def capture_documents(command: CaptureDocuments, caller: CallerHere, tx: TxHere) -> BulkAnswer[DocumentView]:
    """Captures bills with their codes, at most 50,000 codes a call; each bill and each bad code is answered by itself."""
    outcomes = await command.documents.each(partial(handlers.capture_documents, tx, caller))
    return answers(outcomes, DocumentView.of, success=201)


@router.get("")
async def list_documents(
    tx: TxHere,
    paging: PagingHere,
    bill_number: Annotated[str | None, Query(max_length=64)] = None,
    bill_type: Annotated[BillTypeCode | None, Query()] = None,
    receipt_id: Annotated[UUID | None, Query()] = None,
) -> Page[DocumentSummary]:
    """Captured bills in the order of capture; by number this answers after a time-out."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.documents_page(
        tx, bill_number=bill_number, bill_type=bill_type, receipt_id=receipt_id, after=after, rows=paging.rows
    )
    return paging.page_of(DocumentSummary, found, key=lambda row: [row.id])


@router.get("/{document_id}")
async def get_document(document_id: UUID, tx: TxHere) -> DocumentView:
    """One bill with the answer it was given."""
    return DocumentView.of(await queries.get_document(tx, document_id))


@router.get("/{document_id}/timeline")
async def get_document_timeline(document_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a bill so far, and who must see to codes of it that did not land."""
    document = await queries.get_document(tx, document_id)
    landed = await landed_of(tx, [one["code"] for one in document.answer["refused"]])
    receipt = None if document.receipt_id is None else await find_receipt(tx, document.receipt_id)
    found = await anomalies_of_document(tx, document_id)
    steps = document_steps(document, found, landed, codes_by(tx, receipt))
    return await history.timeline(tx, document.id, state_of(document), await with_names(tx, steps))
