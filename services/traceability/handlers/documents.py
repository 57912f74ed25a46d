"""Captures bills: good codes land, each bad one is refused by itself, and what lines are covered by is counted and said.

Natural keys: organisation and bill number, and the code itself. Receipts are locked before codes. Everything is done for all
bills of a call together, so that fifty thousand codes cost as many statements as one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.traceability.errors import BillNumberUsed, TooManyCodes
from services.traceability.handlers import receipts as receipt_handlers
from services.traceability.handlers.anomalies import Where, flag
from services.traceability.handlers.bills import bill_of
from services.traceability.handlers.movements import move_codes
from services.traceability.handlers.products import await_meanings
from services.traceability.handlers.units import await_contents, learn_codes, receive_codes
from services.traceability.queries.documents import Document, documents_by_number
from services.traceability.queries.organisations import names_of
from services.traceability.queries.products import products_by_code
from services.traceability.queries.receipts import receipts_by_line
from services.traceability.rules.anomalies import Finding, findings
from services.traceability.rules.bills import Bill, Maker
from services.traceability.rules.documents import NO_CODE, Move
from services.traceability.rules.receipts import Receipt
from services.traceability.schemas.documents import CaptureDocument
from services.traceability.settings import CODES_PER_CALL
from services.traceability.tables import documents, movements, refusals
from shared import history
from shared.db import Tx
from shared.errors import ServiceError
from shared.history import Parties
from shared.identity import Caller
from shared.values import frozen

SHOWN_CODES = 10
"""Refused codes that a line's timeline names; the bill's answer has them all."""


@frozen
class _Sorted:
    """The bills of a call: those to work on, and by place what stands for each in the answer."""

    fresh: list[Bill]
    places: list[Bill | Document | ServiceError]


async def capture_documents(
    tx: Tx, caller: Caller, commands: Sequence[CaptureDocument]
) -> list[Document | ServiceError]:
    """The answer to each stands at its place; a bill that comes again gets the answer it was given. What a call receives, its
    other bills may move. Raises TooManyCodes."""
    codes = sum(len(command.codes) + len(command.splits) for command in commands)
    if codes > CODES_PER_CALL:
        raise TooManyCodes(
            "{codes} codes in one call, at most {CODES_PER_CALL}; send it in parts.",
            codes=codes,
            CODES_PER_CALL=CODES_PER_CALL,
        )
    lines = await receipts_by_line(tx, [one.shipment_line_id for one in commands if one.shipment_line_id])
    sorted_bills = await _sort(tx, caller, commands, lines)
    fresh = sorted_bills.fresh
    known = await learn_codes(tx, fresh)
    before = {receipt.id: receipt for receipt in lines.values()}
    after = dict(before)
    receiving = [bill for bill in fresh if bill.type.move is Move.RECEIVE]
    moving = [bill for bill in fresh if bill.type.move is not Move.RECEIVE]
    await receive_codes(tx, receiving, known, after)
    makers = await _makers(tx, receiving)
    captured = {bill.id: _store(tx, caller, bill, after, makers) for bill in receiving}
    await move_codes(tx, moving, known, before, after)
    captured |= {bill.id: _store(tx, caller, bill, after, makers) for bill in moving}
    await flag(tx, [pair for bill in fresh for pair in _found(caller, bill)])
    await receipt_handlers.store(tx, before, after)
    await await_meanings(tx, {ident for bill in fresh for _, ident in bill.awaiting})
    await await_contents(tx, fresh)
    return [captured[place.id] if isinstance(place, Bill) else place for place in sorted_bills.places]


async def _sort(tx: Tx, caller: Caller, commands: Sequence[CaptureDocument], lines: Mapping[UUID, Receipt]) -> _Sorted:
    bills: list[Bill | ServiceError] = []
    for command in commands:
        try:
            bills.append(bill_of(tx, caller, command, lines))
        except ServiceError as refusal:
            bills.append(refusal)
    good = [bill for bill in bills if isinstance(bill, Bill)]
    known: dict[tuple[str, str], Document | Bill] = {}
    known.update(await documents_by_number(tx, [(bill.organisation, bill.number) for bill in good]))
    fresh: list[Bill] = []
    places: list[Bill | Document | ServiceError] = []
    for bill in bills:
        if isinstance(bill, ServiceError):
            places.append(bill)
            continue
        first = known.setdefault((bill.organisation, bill.number), bill)
        if first is bill:
            fresh.append(bill)
        same = first.digest == bill.digest
        places.append(first if same else _used(bill, first))
    return _Sorted(fresh, places)


def _used(bill: Bill, first: Document | Bill) -> ServiceError:
    return BillNumberUsed(
        "Bill {number} of {organisation} was captured at {captured_at} with other content; a new "
        "bill needs a new number.",
        number=bill.number,
        organisation=bill.organisation,
        captured_at=first.captured_at,
    )


async def _makers(tx: Tx, bills: Sequence[Bill]) -> dict[str, Maker]:
    """By product: who makes what bills are about on which codes stand that nobody knows."""
    wanted = {bill.goods.product_code for bill in bills if bill.awaiting and bill.goods.product_code}
    products = await products_by_code(tx, wanted) if wanted else {}
    names = await names_of(tx, [one.manufacturer_code for one in products.values()])
    return {code: Maker(one.manufacturer_code, names.get(one.manufacturer_code)) for code, one in products.items()}


def _store(
    tx: Tx, caller: Caller, bill: Bill, receipts: Mapping[UUID, Receipt], makers: Mapping[str, Maker]
) -> Document:
    receipt_id = bill.receipt.id if bill.receipt else None
    _, covered = bill.counted.get(receipt_id, (None, receipts[receipt_id])) if receipt_id else (None, None)
    answer = bill.answer(covered, makers.get(bill.goods.product_code or ""))
    row: dict[str, Any] = {
        "id": bill.id,
        "organisation_code": bill.organisation,
        "supplier_code": bill.receipt.distributor_code if bill.receipt else None,
        "region": bill.region,
        "bill_number": bill.number,
        "bill_type": bill.type_code,
        "receipt_id": receipt_id,
        "shipment_line_id": bill.shipment_line_id,
        "place": bill.place,
        "captured_at": bill.captured_at,
        "accepted": len(bill.landed),
        "packs": bill.packs,
        "placeholders": bill.placeholders,
        "digest": bill.digest,
        "answer": answer,
    }
    tx.add(documents, row)
    _store_movements(tx, bill)
    _store_refusals(tx, bill)
    _tell_lines(tx, caller, bill)
    detail = {"bill_number": bill.number, "bill_type": bill.type_code, "accepted": len(bill.landed)}
    history.note(tx, caller, bill.id, "captured", _parties(bill), {**detail, "refused": len(bill.refused)})
    return Document(**{name: row[name] for name in Document.__annotations__})


def _found(caller: Caller, bill: Bill) -> list[tuple[Where, Finding]]:
    """What a bill brings to light, of a hospital's stock."""
    if bill.type.move is Move.SHIP:
        return []
    receipt_id = bill.receipt.id if bill.receipt else None
    place = (bill.id, bill.organisation, bill.region, bill.goods.product_code, receipt_id)
    where = Where(*place, bill.number, caller.person)
    return [(where, one) for one in findings([*bill.refused, *bill.warned], bill.awaiting, bill.own_sales)]


def _store_movements(tx: Tx, bill: Bill) -> None:
    if bill.type.move is Move.RECEIVE:
        return
    for one in bill.landed:
        row = {
            "code": one.code,
            "document_id": bill.id,
            "move": bill.type.move.value,
            "quantity": one.quantity,
            "received_document_id": one.received_document_id,
            "organisation_code": bill.organisation,
            "region": bill.region,
        }
        tx.add(movements, row)


def _store_refusals(tx: Tx, bill: Bill) -> None:
    """What a code was refused for belongs to its life."""
    for one in bill.refused:
        if one.reason in NO_CODE:
            continue
        row = {
            "code": one.code,
            "document_id": bill.id,
            "reason": one.reason,
            "rule": one.rule,
            "organisation_code": bill.organisation,
            "region": bill.region,
        }
        tx.add(refusals, row, skip_repeated=True)


def _tell_lines(tx: Tx, caller: Caller, bill: Bill) -> None:
    """A line's timeline tells of each bill what it changed, and what of it was refused."""
    named = {"bill_number": bill.number, "bill_type": bill.type_code}
    for before, after in bill.counted.values():
        action = "codes_captured" if bill.type.move is Move.RECEIVE else "codes_sent_back"
        receipt_handlers.tell(tx, caller, action, before, after, **named)
    if bill.receipt is not None and bill.refused:
        reasons = dict(Counter(one.reason for one in bill.refused))
        shown = [one.code for one in bill.refused[:SHOWN_CODES]]
        detail = {**named, "reasons": reasons, "codes": shown}
        history.note(tx, caller, bill.receipt.id, "codes_refused", receipt_handlers.parties_of(bill.receipt), detail)


def _parties(bill: Bill) -> Parties:
    if bill.type.role == "distributor":
        return Parties(supplier_code=bill.organisation, region=bill.region)
    return Parties(institution_code=bill.organisation, region=bill.region)
