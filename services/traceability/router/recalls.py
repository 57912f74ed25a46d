"""HTTP for recalls."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.traceability.handlers import recalls as handlers
from services.traceability.queries import recalls as queries
from services.traceability.queries.anomalies import anomalies_of_recall
from services.traceability.queries.organisations import with_names
from services.traceability.rules.next_steps import recall_steps
from services.traceability.rules.recalls import Recall, RecallState
from services.traceability.schemas.recalls import (
    CloseRecall,
    OpenRecall,
    RecallDetailView,
    RecallHolderView,
    RecallView,
)
from shared import history
from shared.history import Deed, TimelineView
from shared.http import CallerHere, Edge, KeyRequired, Page, PagingHere, TxHere, etag

router = APIRouter(route_class=Edge, prefix="/recalls", tags=["recalls"])


@router.post("", status_code=201, dependencies=[KeyRequired])
async def open_recall(command: OpenRecall, caller: CallerHere, tx: TxHere, response: Response) -> RecallView:
    """Recalls lots: they may not be received, used or sold from now on; who holds them is found within seconds."""
    return _shown(await handlers.open_recall(tx, caller, command), response)


@router.post("/{recall_id}/close")
async def close_recall(
    recall_id: UUID, command: CloseRecall, caller: CallerHere, tx: TxHere, response: Response
) -> RecallView:
    """Ends a recall."""
    return _shown(await handlers.close_recall(tx, caller, recall_id, command.reason), response)


@router.get("")
async def list_recalls(
    tx: TxHere,
    paging: PagingHere,
    state: Annotated[RecallState | None, Query()] = None,
    product_code: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[RecallView]:
    """Recalls in the order of their opening; public."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.recalls_page(tx, state=state, product_code=product_code, after=after, rows=paging.rows)
    return paging.page_of(RecallView, found, key=lambda row: [row.id])


@router.get("/{recall_id}")
async def get_recall(recall_id: UUID, tx: TxHere, response: Response) -> RecallDetailView:
    """One recall, with the institutions that accepted goods of its lots, as far as you may see them."""
    recall = await queries.get_recall(tx, recall_id)
    found = await anomalies_of_recall(tx, recall_id)
    held_by = [
        RecallHolderView(
            institution_code=one.institution_code,
            region=one.region,
            packs=one.codes,
            found_at=one.found_at,
            state=one.state,
        )
        for one in found
    ]
    response.headers["etag"] = etag(recall.version)
    return RecallDetailView(**RecallView.model_validate(recall).model_dump(), held_by=held_by)


@router.get("/{recall_id}/timeline")
async def get_recall_timeline(recall_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a recall so far; which person did it is shown to the parties alone."""
    recall = await queries.get_recall(tx, recall_id)
    steps = await with_names(tx, recall_steps(recall, await anomalies_of_recall(tx, recall_id)))
    view = await history.timeline(tx, recall.id, recall.state, steps)
    own = {deed.action for deed in view.deeds}
    public = [deed for deed in _told(recall) if deed.action not in own]
    return view.model_copy(update={"deeds": sorted([*view.deeds, *public], key=lambda deed: deed.at)})


def _told(recall: Recall) -> list[Deed]:
    """What happened to a recall, for everybody who may read it: history's own rows are its parties' alone."""
    opening: dict[str, Any] = {"product_code": recall.product_code, "lot_numbers": list(recall.lot_numbers)}
    opening["reason"] = recall.reason
    told = [(recall.opened_at, "opened", recall.opened_by, opening)]
    if recall.closed_at is not None:
        told.append((recall.closed_at, "closed", recall.closed_by or "", {"reason": recall.closing_reason}))
    return [
        Deed(at=at, action=action, organisation=who, person="not shown", detail=detail, request_id=None)
        for at, action, who, detail in told
    ]


def _shown(recall: Recall, response: Response) -> RecallView:
    response.headers["etag"] = etag(recall.version)
    return RecallView.model_validate(recall)
