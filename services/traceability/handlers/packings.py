"""Takes packing maps; a case that was received before its map came is opened by the worker, so that it counts by its packs.

A case with a map is never itself in stock: what lies in it is. So a pack scanned after its case is seen to be there already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.traceability.errors import AlreadyPacked
from services.traceability.handlers import receipts as receipt_handlers
from services.traceability.handlers.products import permitted
from services.traceability.handlers.units import OPEN_CASES
from services.traceability.queries.identification_codes import meanings
from services.traceability.queries.packings import leaves_of, parents_of
from services.traceability.queries.products import Product, products_by_code
from services.traceability.queries.receipts import receipts_of_codes
from services.traceability.queries.units import Arrival, Opened, open_cases, receive
from services.traceability.rules.identification_codes import Meaning
from services.traceability.rules.packings import check_levels, read_packing
from services.traceability.rules.receipts import Receipt, count
from services.traceability.schemas.packings import PackingView, UploadPacking
from services.traceability.tables import packings
from shared import clock, deadlines, history
from shared.codes import TraceCode, classify
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Fault, ServiceError
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller


@dataclass(frozen=True, slots=True)
class _Read:
    parent: TraceCode
    children: list[TraceCode]

    @property
    def idents(self) -> set[str]:
        return {trace.ident or trace.code for trace in (self.parent, *self.children)}


async def upload_packings(
    tx: Tx, caller: Caller, commands: Sequence[UploadPacking]
) -> list[PackingView | ServiceError]:
    """The same packing again changes nothing; a code that lies elsewhere already is refused, naming both."""
    read: list[_Read | ServiceError] = []
    for command in commands:
        try:
            read.append(_Read(*read_packing(command.parent, command.children)))
        except ServiceError as refusal:
            read.append(refusal)
    good = [one for one in read if isinstance(one, _Read)]
    known = await meanings(tx, {ident for one in good for ident in one.idents})
    products = await products_by_code(tx, {meaning.product_code for meaning in known.values()})
    parents = await parents_of(tx, [child.code for one in good for child in one.children])
    outcomes: list[PackingView | ServiceError] = []
    fresh: list[str] = []
    for one in read:
        if isinstance(one, ServiceError):
            outcomes.append(one)
            continue
        try:
            if _keep(tx, caller, one, known, products, parents):
                fresh.append(one.parent.code)
            outcomes.append(PackingView(parent=one.parent.code, children=len(one.children)))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await deadlines.put(tx, [Deadline(OPEN_CASES, code, clock.now()) for code in fresh])
    return outcomes


def _keep(
    tx: Tx,
    caller: Caller,
    one: _Read,
    known: Mapping[str, Meaning],
    products: Mapping[str, Product],
    parents: dict[str, str],
) -> bool:
    """Stores what is new of a packing; says whether anything was."""
    outer, inner = check_levels(one.parent, one.children, known)
    for product_code in {meaning.product_code for meaning in (outer, *inner)}:
        product = permitted(tx, products.get(product_code), product_code)
    _check_free(one, parents)
    fresh = [child.code for child in one.children if child.code not in parents]
    for child in fresh:
        parents[child] = one.parent.code
        tx.add(packings, {"child": child, "parent": one.parent.code, "uploaded_by": caller.organisation})
    if fresh:
        parties = Parties(supplier_code=product.manufacturer_code, third_code=caller.organisation)
        history.note(tx, caller, one.parent.code, "packed", parties, {"children": len(fresh)})
    return bool(fresh)


def _check_free(one: _Read, parents: Mapping[str, str]) -> None:
    faults = [
        Fault(f"/children/{place}", child.code, f"the code lies in {parents[child.code]}", "a code that lies nowhere")
        for place, child in enumerate(one.children)
        if parents.get(child.code, one.parent.code) != one.parent.code
    ]
    if faults:
        raise AlreadyPacked(
            f"{len(faults)} codes cannot lie in {one.parent.code}: {faults[0].given} lies in"
            f" {parents[str(faults[0].given)]}.",
            faults=faults,
        )


async def when_open_cases(tx: Tx, due: Sequence[Deadline]) -> None:
    """Cases that were received whole are known by their packs now; what a line counts is what lies in them."""
    inside = await leaves_of(tx, [deadline.about for deadline in due])
    if not inside:
        return
    before = await receipts_of_codes(tx, sorted(inside))
    opened = await open_cases(tx, sorted(inside))
    leaves = [code for codes in inside.values() for code in codes]
    known = await meanings(tx, {_ident(code) for code in leaves})
    origin = {code: case for case in opened for code in inside.get(case.code, ()) if _fits(code, case, known, before)}
    arrivals = [
        Arrival(code, case.document_id, case.institution_code, case.region, known[_ident(code)].packs_per_unit, None)
        for code, case in origin.items()
    ]
    left = await receive(tx, arrivals)
    after = dict(before)
    for case in opened:
        if case.receipt_id is not None:
            inner = sum(
                known[_ident(code)].packs_per_unit for code in origin if origin[code] is case and code not in left
            )
            after[case.receipt_id] = count(after[case.receipt_id], inner - case.packs)
    await receipt_handlers.settle(tx, BY_ITSELF, "cases_opened", before, after)


def _fits(code: str, case: Opened, known: Mapping[str, Meaning], receipts: Mapping[UUID, Receipt]) -> bool:
    """Whether what lies in a case is what its line is about; a mixed case counts for its own product alone."""
    line = receipts[case.receipt_id].product_code if case.receipt_id else None
    return line in (None, known[_ident(code)].product_code)


def _ident(code: str) -> str:
    trace = classify(code)
    return trace.ident or trace.code
