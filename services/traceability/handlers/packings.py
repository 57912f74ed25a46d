"""Takes packing maps; a case that was received before its map came is opened by the worker, so that it counts by its packs.

A case with a map is never itself in stock: what lies in it is. So a pack scanned after its case is seen to be there already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.traceability.errors import AlreadyPacked
from services.traceability.handlers import receipts as receipt_handlers
from services.traceability.handlers.anomalies import Where, flag
from services.traceability.handlers.products import permitted
from services.traceability.handlers.units import OPEN_CASES
from services.traceability.queries.identification_codes import meanings
from services.traceability.queries.packings import children_of, leaves_of, parents_of
from services.traceability.queries.products import Product, products_by_code
from services.traceability.queries.receipts import receipts_by_id, receipts_of_codes
from services.traceability.queries.units import (
    Arrival,
    Opened,
    change_units,
    give_units,
    open_cases,
    receive,
    units_held,
)
from services.traceability.rules.anomalies import Finding, doubled, findings
from services.traceability.rules.documents import Refused
from services.traceability.rules.identification_codes import Meaning, ident_in
from services.traceability.rules.packings import check_levels, contradiction, fitting, read_packing, said_to_hold
from services.traceability.rules.receipts import Receipt, count
from services.traceability.rules.units import Unit, UnitState
from services.traceability.schemas.documents import RefusedCodeView
from services.traceability.schemas.packings import PackingView, UploadPacking
from services.traceability.tables import packings
from shared import clock, deadlines, history
from shared.codes import TraceCode
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Fault, Said, ServiceError
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller
from shared.values import frozen


@frozen
class _Read:
    parent: TraceCode
    children: list[TraceCode]

    @property
    def idents(self) -> set[str]:
        return {trace.ident or trace.code for trace in (self.parent, *self.children)}


@dataclass(slots=True)
class _Packed:
    """What lies in what, and how many sale units in each case, as it stands after each packing of a call."""

    parents: dict[str, str]
    packs: dict[str, int]


async def upload_packings(
    tx: Tx, caller: Caller, commands: Sequence[UploadPacking]
) -> list[PackingView | ServiceError]:
    """The same packing again changes nothing; a code that lies elsewhere already is refused, naming both. Codes beyond what
    the case holds are refused by themselves."""
    read: list[_Read | ServiceError] = []
    for command in commands:
        try:
            read.append(_Read(*read_packing(command.parent, command.children)))
        except ServiceError as refusal:
            read.append(refusal)
    good = [one for one in read if isinstance(one, _Read)]
    # Whoever packs one of these cases too waits at its deadline until we have committed, and counts what we have put in.
    await deadlines.put(tx, [Deadline(OPEN_CASES, one.parent.code, clock.now()) for one in good])
    inside = await children_of(tx, [one.parent.code for one in good])
    there = {ident_in(code) for codes in inside.values() for code in codes}
    known = await meanings(tx, there.union(*(one.idents for one in good)))
    products = await products_by_code(tx, {meaning.product_code for meaning in known.values()})
    parents = await parents_of(tx, [child.code for one in good for child in one.children])
    packed = _Packed(parents, {case: _packs_of(codes, known) for case, codes in inside.items()})
    outcomes: list[PackingView | ServiceError] = []
    for one in read:
        if isinstance(one, ServiceError):
            outcomes.append(one)
            continue
        try:
            outcomes.append(_keep(tx, caller, one, known, products, packed))
        except ServiceError as refusal:
            outcomes.append(refusal)
    return outcomes


def _packs_of(codes: Sequence[str], known: Mapping[str, Meaning]) -> int:
    return sum(known[ident].packs_per_unit for ident in map(ident_in, codes) if ident in known)


def _keep(
    tx: Tx,
    caller: Caller,
    one: _Read,
    known: Mapping[str, Meaning],
    products: Mapping[str, Product],
    packed: _Packed,
) -> PackingView:
    """Stores what is new of a packing, as far as the case holds it."""
    outer, inner = check_levels(one.parent, one.children, known)
    for product_code in {meaning.product_code for meaning in (outer, *inner)}:
        product = permitted(tx, products.get(product_code), product_code)
    case = one.parent.code
    _check_free(one, packed.parents)
    new = [pair for pair in zip(one.children, inner, strict=True) if pair[0].code not in packed.parents]
    fit, refused = fitting(outer, packed.packs.get(case, 0), new)
    for child, meaning in fit:
        packed.parents[child.code] = case
        packed.packs[case] = packed.packs.get(case, 0) + meaning.packs_per_unit
        tx.add(packings, {"child": child.code, "parent": case, "uploaded_by": caller.organisation})
    if fit:
        parties = Parties(supplier_code=product.manufacturer_code, third_code=caller.organisation)
        history.note(tx, caller, case, "packed", parties, {"children": len(fit)})
    return PackingView(
        parent=case,
        children=len(one.children) - len(refused),
        packs_per_unit=said_to_hold(outer),
        packs=packed.packs.get(case, 0),
        refused=[RefusedCodeView.of(code) for code in refused],
    )


def _check_free(one: _Read, parents: Mapping[str, str]) -> None:
    faults = [
        Fault(
            f"/children/{place}",
            child.code,
            Said("the code lies in {parents}", parents=parents[child.code]),
            "a code that lies nowhere",
        )
        for place, child in enumerate(one.children)
        if parents.get(child.code, one.parent.code) != one.parent.code
    ]
    if faults:
        raise AlreadyPacked(
            "{count:#code} cannot lie in {code}: {given} lies in {parents}.",
            faults=faults,
            count=len(faults),
            code=one.parent.code,
            given=faults[0].given,
            parents=parents[str(faults[0].given)],
        )


async def when_open_cases(tx: Tx, due: Sequence[Deadline]) -> None:
    """Cases that were received whole are known by their packs now; what a line counts is what lies in them.

    A pack that was scanned besides its case belongs to the earlier document of the two (docs/decisions/double-capture.md).
    Locks: receipts before codes. A receipt whose code landed while we waited is locked late; two who then wait for each
    other are parted by the database, and the deadline is met again.
    """
    inside = await leaves_of(tx, [deadline.about for deadline in due])
    if not inside:
        return
    before = await receipts_of_codes(tx, sorted({*inside, *(code for codes in inside.values() for code in codes)}))
    opened = await open_cases(tx, sorted(inside))
    if not opened:
        return
    idents = {code: ident_in(code) for case in opened for code in (case.code, *inside[case.code])}
    known = await meanings(tx, idents.values())
    opening = _Opening({code: known[ident] for code, ident in idents.items()}, before, dict(before))
    for case in opened:
        opening.unpack(case, inside[case.code])
    standing = await units_held(tx, sorted(await receive(tx, opening.arrivals())))
    late = {unit.receipt_id for unit in standing.values() if unit.receipt_id is not None} - before.keys()
    found = await receipts_by_id(tx, late)
    opening.before |= found
    opening.after |= found
    opening.meet(standing)
    await give_units(tx, opening.given)
    await change_units(tx, await _as_sold(tx, opening, opened))
    for case in opened:
        opening.count(case)
    await receipt_handlers.settle(tx, BY_ITSELF, "cases_opened", opening.before, opening.after)
    await flag(tx, [(where, one) for where, said in opening.findings() for one in said])


@dataclass(slots=True)
class _Lost:
    """Packs that a document no longer counts, because an earlier one has them."""

    where: Where
    packs: int = 0
    elsewhere: bool = False


class _Opening:
    """Cases while they are opened: to which document each pack belongs, and what comes to light."""

    def __init__(self, known: Mapping[str, Meaning], before: dict[UUID, Receipt], after: dict[UUID, Receipt]) -> None:
        self.known = known
        self.before = before
        self.after = after
        self.claims: dict[str, Opened] = {}
        self.landed: list[str] = []
        self.given: dict[str, Opened] = {}
        self._won: dict[str, int] = {}
        self._lost: dict[tuple[UUID, str], _Lost] = {}
        self._found: list[tuple[Where, list[Finding]]] = []

    def unpack(self, case: Opened, inside: Sequence[str]) -> None:
        """What lies in a case is claimed for its document, unless an earlier one claims it or it is of another product."""
        line = self.before[case.receipt_id].product_code if case.receipt_id else None
        refused: list[Refused] = []
        for code in inside:
            if line not in (None, self.known[code].product_code):
                rule = Said(
                    "{code} in the case means {product_code}, the line is {line} (串换)",
                    code=code,
                    product_code=self.known[code].product_code,
                    line=line,
                )
                refused.append(Refused(case.code, "mismatch", rule))
            elif (first := self.claims.setdefault(code, case)) is not case:
                self._lose(case, case, first.institution_code, self.packs_of(code))
        differs = contradiction(case.code, self.packs_of(case.code), sum(map(self.packs_of, inside)))
        self._found.append((self._where(case), findings([*refused[:1], *([differs] if differs else [])], [], set())))

    def packs_of(self, code: str) -> int:
        return self.known[code].packs_per_unit

    def arrivals(self) -> list[Arrival]:
        return [
            Arrival(
                code, case.document_id, case.institution_code, case.region, self.packs_of(code), None, came_in=case.code
            )
            for code, case in self.claims.items()
        ]

    def meet(self, standing: Mapping[str, Unit]) -> None:
        """What was in stock by itself: the earlier document keeps it, the later one no longer counts it."""
        for code, case in self.claims.items():
            unit = standing.get(code)
            if unit is None:
                self.landed.append(code)
                self._win(case, self.packs_of(code))
            elif unit.document_id <= case.document_id:
                self._lose(case, case, unit.institution_code, self.packs_of(code))
            else:
                self.given[code] = case
                self._lose(unit, case, case.institution_code, self.packs_of(code))
                self._win(case, unit.packs)
                if unit.receipt_id is not None:
                    self.after[unit.receipt_id] = count(self.after[unit.receipt_id], -unit.packs)

    def count(self, case: Opened) -> None:
        """The line counts what lies in the case in place of the case."""
        if case.receipt_id is not None:
            packs = self._won.get(case.code, 0) - case.packs
            self.after[case.receipt_id] = count(self.after[case.receipt_id], packs)

    def findings(self) -> list[tuple[Where, list[Finding]]]:
        lost = [
            (one.where, [doubled(case, one.packs, elsewhere=one.elsewhere)]) for (_, case), one in self._lost.items()
        ]
        return [*self._found, *lost]

    def _win(self, case: Opened, packs: int) -> None:
        self._won[case.code] = self._won.get(case.code, 0) + packs

    def _lose(self, loser: Opened | Unit, case: Opened, keeper: str, packs: int) -> None:
        key = (loser.document_id, case.code)
        known = self._lost.setdefault(key, _Lost(self._where(loser)))
        known.packs += packs
        known.elsewhere = known.elsewhere or keeper != loser.institution_code

    def _where(self, one: Opened | Unit) -> Where:
        line = self.before[one.receipt_id].product_code if one.receipt_id else None
        return Where(one.document_id, one.institution_code, one.region, line, one.receipt_id)


async def _as_sold(tx: Tx, opening: _Opening, opened: Sequence[Opened]) -> list[Unit]:
    """Packs of a case that was sold or written off whole are so too; what was sold out of it was of its first packs."""
    touched = [case for case in opened if case.state != UnitState.HELD or case.sold_quantity]
    if not touched:
        return []
    products = await products_by_code(tx, {meaning.product_code for meaning in opening.known.values()})
    units: list[Unit] = []
    for case in touched:
        sold = case.sold_quantity
        for code in sorted(code for code in opening.landed if opening.claims[code] is case):
            held = products[opening.known[code].product_code].units_per_pack * opening.packs_of(code)
            part = min(sold, held)
            sold -= part
            place = (code, case.document_id, case.institution_code, case.region, opening.packs_of(code))
            units.append(Unit(*place, None, case.state, part))
    return units
