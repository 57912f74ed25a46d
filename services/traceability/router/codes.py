"""HTTP for single codes."""

from fastapi import APIRouter

from services.traceability.errors import CodeNotFound, CodeUnreadable
from services.traceability.queries.anomalies import anomalies_of_code
from services.traceability.queries.codes import find_receiving, movements_of
from services.traceability.queries.identification_codes import meanings
from services.traceability.queries.packings import count_children, packages_around
from services.traceability.schemas.codes import CodeAnomalyView, CodeView, MovementView, ReceivingView
from shared.codes import CodeRefused, classify
from shared.errors import Fault
from shared.http import Edge, TxHere

router = APIRouter(route_class=Edge, prefix="/codes", tags=["codes"])


@router.get("/{code:path}")
async def get_code(code: str, tx: TxHere) -> CodeView:
    """The whole life of a code: family, meaning, packing, where received, moved, sold, what was found. 404 if not yours."""
    try:
        trace = classify(code)
    except CodeRefused as error:
        fault = Fault("path/code", error.given, error.rule, error.allowed)
        raise CodeUnreadable(f"{error.given!r} is no trace code: {error.rule}.", faults=[fault]) from error
    receiving = await find_receiving(tx, trace.code)
    moves = await movements_of(tx, trace.code)
    if receiving is None and not moves:
        raise CodeNotFound(f"{trace.code} was not received, shipped or sold by you.")
    ident = trace.ident or trace.code
    meaning = (await meanings(tx, [ident])).get(ident)
    return CodeView(
        code=trace.code,
        family=trace.family,
        ident=trace.ident,
        product_code=meaning.product_code if meaning else None,
        level=meaning.level if meaning else None,
        packs_per_unit=meaning.packs_per_unit if meaning else None,
        lies_in=await packages_around(tx, trace.code),
        holds=await count_children(tx, trace.code),
        received=ReceivingView.model_validate(receiving) if receiving else None,
        movements=[MovementView.model_validate(move) for move in moves],
        anomalies=[CodeAnomalyView.model_validate(one) for one in await anomalies_of_code(tx, trace.code)],
    )
