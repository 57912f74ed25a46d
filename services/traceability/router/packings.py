"""HTTP for packing maps."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from services.traceability.handlers import packings as handlers
from services.traceability.schemas.packings import PackingView, UploadPacking
from services.traceability.settings import PACKINGS_PER_CALL
from shared.http import BulkAnswer, CallerHere, Edge, TxHere, answers

router = APIRouter(route_class=Edge, prefix="/packings", tags=["packings"])


@router.post("/bulk")
async def upload_packings(
    commands: Annotated[list[UploadPacking], Field(min_length=1, max_length=PACKINGS_PER_CALL)],
    caller: CallerHere,
    tx: TxHere,
) -> BulkAnswer[PackingView]:
    """Says which codes lie in which packages; each packing is answered by itself."""
    return answers(await handlers.upload_packings(tx, caller, commands), PackingView.model_validate, success=201)
