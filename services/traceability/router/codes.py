"""HTTP for single codes."""

from collections.abc import Iterable
from dataclasses import replace

from fastapi import APIRouter

from services.traceability.errors import CodeNotFound, CodeUnreadable
from services.traceability.queries.anomalies import anomalies_of_codes
from services.traceability.queries.codes import (
    CodeArrival,
    Movement,
    Receiving,
    Refusal,
    arrivals_of,
    contents_of,
    find_receiving,
    lines_of_codes,
    movements_of,
    own_codes,
    refusals_of,
)
from services.traceability.queries.identification_codes import meanings
from services.traceability.queries.packings import count_children, leaves_of, packages_around
from services.traceability.queries.products import find_product
from services.traceability.queries.recalls import recalls_of_lots
from services.traceability.rules.receipts import Receipt
from services.traceability.schemas.codes import (
    CodeAnomalyView,
    CodeArrivalView,
    CodeRecallView,
    CodeView,
    ContentView,
    LineCoverageView,
    MovementView,
    ReceivingView,
    RefusalView,
)
from shared.codes import CodeRefused, Family, TraceCode, classify
from shared.errors import Fault, Said
from shared.http import Edge, TxHere

router = APIRouter(route_class=Edge, prefix="/codes", tags=["codes"])


@router.get("/{code:path}")
async def get_code(code: str, tx: TxHere) -> CodeView:
    """The whole life of a code: meaning, packing, where received and by which case, scans refused, moved, sold, what was
    found, and the recalls of its lot with what to do. A manufacturer sees of its products where codes are (`arrivals`) and
    how they went on (`movements`), a distributor where those of its lines are, how far the lines are covered and why scans
    for them were refused; neither sees what was sold. 404 if not yours."""
    trace = _read(code)
    ident = trace.ident or trace.code
    meaning = (await meanings(tx, [ident])).get(ident)
    product = await find_product(tx, meaning.product_code) if meaning else None
    around = await packages_around(tx, trace.code)
    inside = (await leaves_of(tx, [trace.code])).get(trace.code, [])
    receiving = await find_receiving(tx, [trace.code, *around])
    if receiving is not None and receiving.code != trace.code:
        receiving = replace(receiving, came_in=receiving.code)
    contents = await contents_of(tx, inside)
    own = await own_codes(tx, [trace.code, *around, *inside])
    arrivals = await arrivals_of(tx, [trace.code, *around, *inside], own)
    moves = await movements_of(tx, [trace.code, *around], own)
    refused = await refusals_of(tx, trace.code)
    found = await anomalies_of_codes(tx, [trace.code, *around])
    lines = await lines_of_codes(tx, [trace.code, *around, *inside])
    if not (trace.code in own.codes or receiving or contents or arrivals or moves or refused or found or lines):
        raise CodeNotFound(
            "{code} was not received, shipped, sold or refused by you or for a line of yours, nor is it of your products.",
            code=trace.code,
        )
    lots = _lots([receiving, *arrivals, *moves, *lines, *refused])
    recalls = await recalls_of_lots(tx, lots)
    state = receiving.state if receiving else None
    return CodeView(
        code=trace.code,
        family=trace.family,
        ident=trace.ident,
        product_code=meaning.product_code if meaning else None,
        product_name=product.name if product else None,
        manufacturer_code=product.manufacturer_code if product else None,
        level=meaning.level if meaning else None,
        packs_per_unit=meaning.packs_per_unit if meaning else None,
        lies_in=around,
        holds=await count_children(tx, trace.code),
        received=ReceivingView.model_validate(receiving) if receiving else None,
        arrivals=[CodeArrivalView.model_validate(one) for one in arrivals],
        contents=[ContentView.model_validate(one) for one in contents],
        coverage=[LineCoverageView.of(receipt) for receipt in lines],
        movements=[MovementView.model_validate(move) for move in moves],
        recalls=[CodeRecallView.of(one, {lot for _, lot in lots}, state) for one in recalls],
        refused=[RefusalView.model_validate(one) for one in refused],
        anomalies=[CodeAnomalyView.model_validate(one) for one in found],
    )


def _lots(
    told: Iterable[Receiving | CodeArrival | Movement | Receipt | Refusal | None],
) -> set[tuple[str | None, str | None]]:
    """The lots, with their product, as which a code came; one that was refused as another product is of none."""
    return {
        (one.product_code, one.lot_number)
        for one in told
        if one is not None and not (isinstance(one, Refusal) and one.reason == "mismatch")
    }


def _read(code: str) -> TraceCode:
    try:
        trace = classify(code)
    except CodeRefused as error:
        fault = Fault("path/code", error.given, error.rule, error.allowed)
        raise CodeUnreadable(
            "{given!j} is no trace code: {rule}.", faults=[fault], given=error.given, rule=fault.rule
        ) from error
    if trace.family is Family.SPLIT_PLACEHOLDER:
        rule = "the placeholder of split packs stands for no package, so it has no life to tell"
        allowed = "the code of a package; what came of a scanned placeholder stands in the answer of its bill (`list_documents`)"
        faults = [Fault("path/code", trace.code, rule, allowed, "placeholder")]
        raise CodeUnreadable(
            "{code}: {rule}; allowed: {allowed}.",
            faults=faults,
            code=trace.code,
            rule=Said(rule),
            allowed=Said(allowed),
        )
    return trace
