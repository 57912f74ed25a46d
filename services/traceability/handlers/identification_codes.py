"""Takes what identification codes mean; codes that were scanned before then begin to count, by the worker's hand.

Who uploads may not see the hospitals' stock, so the call leaves a deadline that is due at once. A document that stores codes
nobody can read yet leaves the same deadline: whichever commits last is seen, so no code waits for ever.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict

from services.traceability.handlers import receipts as receipt_handlers
from services.traceability.handlers.anomalies import Where, close_unknown, flag
from services.traceability.handlers.products import await_meanings, permitted
from services.traceability.handlers.units import OPEN_CASES
from services.traceability.queries.identification_codes import meanings
from services.traceability.queries.products import products_by_code
from services.traceability.queries.receipts import receipts_by_id
from services.traceability.queries.units import Recognised, receipts_awaiting, recognise, release_units
from services.traceability.rules import identification_codes as rules
from services.traceability.rules.anomalies import Finding, findings
from services.traceability.rules.documents import Refused
from services.traceability.rules.identification_codes import Meaning
from services.traceability.rules.receipts import count
from services.traceability.schemas.identification_codes import UploadIdentificationCode
from services.traceability.tables import identification_codes
from shared import clock, deadlines, history
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Said, ServiceError
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller
from shared.values import frozen


@frozen
class _Said:
    meaning: Meaning
    manufacturer_code: str


async def upload_identification_codes(
    tx: Tx, caller: Caller, commands: Sequence[UploadIdentificationCode]
) -> list[Meaning | ServiceError]:
    """The same meaning again changes nothing; another one is refused, naming both."""
    products = await products_by_code(tx, [command.product_code for command in commands])
    read: list[_Said | ServiceError] = []
    for command in commands:
        try:
            ident = rules.ident_of(command.ident)
            rules.check_level(command.level, command.packs_per_unit)
            product = permitted(tx, products.get(command.product_code), command.product_code)
            meaning = Meaning(ident, command.product_code, command.level, command.packs_per_unit)
            read.append(_Said(meaning, product.manufacturer_code))
        except ServiceError as refusal:
            read.append(refusal)
    known = await meanings(tx, [said.meaning.ident for said in read if isinstance(said, _Said)])
    fresh: list[str] = []
    outcomes: list[Meaning | ServiceError] = []
    for said in read:
        if isinstance(said, ServiceError):
            outcomes.append(said)
            continue
        try:
            rules.check_same(known.setdefault(said.meaning.ident, said.meaning), said.meaning)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        if known[said.meaning.ident] is said.meaning:
            _keep(tx, caller, said)
            fresh.append(said.meaning.ident)
        outcomes.append(said.meaning)
    await await_meanings(tx, fresh)
    return outcomes


def _keep(tx: Tx, caller: Caller, said: _Said) -> None:
    row = {**asdict(said.meaning), "uploaded_by": caller.organisation, "uploaded_at": clock.now()}
    tx.add(identification_codes, row)
    parties = Parties(supplier_code=said.manufacturer_code, third_code=caller.organisation)
    history.note(tx, caller, said.meaning.ident, "uploaded", parties, asdict(said.meaning))


async def when_recognise_codes(tx: Tx, due: Sequence[Deadline]) -> None:
    """Codes whose meaning is known count from now on; those of another product than their line are put out again.

    A case among them may have a packing map by now: whether it does is looked at next.
    """
    known = await meanings(tx, [deadline.about for deadline in due])
    if not known:
        return
    before = await receipts_by_id(tx, await receipts_awaiting(tx, known))
    recognised = await recognise(tx, known)
    wrong = [one for one in recognised if one.line_product_code not in (None, one.meant)]
    await release_units(tx, [one.code for one in wrong])
    await _flag_wrong(tx, wrong)
    gone = {one.code for one in wrong}
    after = dict(before)
    for one in recognised:
        if one.receipt_id is not None and one.code not in gone:
            after[one.receipt_id] = count(after[one.receipt_id], one.packs)
    await receipt_handlers.settle(tx, BY_ITSELF, "codes_recognised", before, after)
    cases = [one.code for one in recognised if one.packs > 1 and one.code not in gone]
    await deadlines.put(tx, [Deadline(OPEN_CASES, code, clock.now()) for code in cases])
    await close_unknown(tx, list(known))


async def _flag_wrong(tx: Tx, wrong: Collection[Recognised]) -> None:
    found: list[tuple[Where, Finding]] = []
    for one in wrong:
        rule = Said("the code means {meant}, the line is {line} (串换)", meant=one.meant, line=one.line_product_code)
        where = Where(one.document_id, one.institution_code, one.region, one.line_product_code, one.receipt_id)
        found += [(where, finding) for finding in findings([Refused(one.code, "mismatch", rule)], [], set())]
    await flag(tx, found)
