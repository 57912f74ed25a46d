"""HTTP for packing maps."""

from functools import partial

from fastapi import APIRouter

from services.traceability.handlers import packings as handlers
from services.traceability.schemas.packings import PackingView, UploadPacking
from shared.http import BulkAnswer, CallerHere, Edge, Items, TxHere, answers

router = APIRouter(route_class=Edge, prefix="/packings", tags=["packings"])


@router.post("/bulk")
async def upload_packings(
    commands: Items[UploadPacking],
    caller: CallerHere,
    tx: TxHere,
) -> BulkAnswer[PackingView]:
    """Says which codes lie in which packages; each packing is answered by itself."""
    return answers(
        await commands.each(partial(handlers.upload_packings, tx, caller)), PackingView.model_validate, success=201
    )
