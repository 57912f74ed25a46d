"""Takes a bill in hand: whose it is, for which line, and whether it holds what its type asks for."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from services.traceability.errors import (
    BillNotYours,
    DocumentRefused,
    OrganisationNotYours,
    ReceiptClosed,
    ReceiptNotFound,
    ReceiptNotKnownYet,
)
from services.traceability.rules.bills import Bill
from services.traceability.rules.documents import BILL_TYPES, BillType, Move, digest_of, faults_of, read
from services.traceability.rules.receipts import CLOSED, Receipt, may_be_on_its_way
from services.traceability.rules.units import Goods
from services.traceability.schemas.documents import CaptureDocument
from services.traceability.settings import COME_AGAIN_SECONDS, ON_ITS_WAY
from shared import clock
from shared.codes import CodeRefused, parse_institution
from shared.db import Tx
from shared.errors import Fault, Said
from shared.identity import Caller


def bill_of(tx: Tx, caller: Caller, command: CaptureDocument, lines: Mapping[UUID, Receipt]) -> Bill:
    """A bill with its codes read. Raises BillNotYours, DocumentRefused, ReceiptNotFound, ReceiptNotKnownYet, ReceiptClosed,
    OrganisationNotYours."""
    bill_type = BILL_TYPES[command.bill_type]
    if tx.scope.reach != "all" and bill_type.role not in caller.roles:
        raise BillNotYours(
            "Bills of type {bill_type} ({title}) are written by a {role}.",
            bill_type=command.bill_type,
            title=bill_type.title,
            role=bill_type.role,
        )
    captured_at = command.captured_at or clock.now()
    _check(command, bill_type)
    receipt = _receipt(command, lines)
    if receipt is not None and bill_type.move is Move.RECEIVE:
        _check_came(command, receipt, captured_at)
    organisation = _organisation(tx, caller, command, bill_type, receipt)
    goods = Goods(on=clock.local_date(captured_at), product_code=command.product_code)
    if receipt is not None:
        goods = Goods(goods.on, receipt.product_code, receipt.lot_number, receipt.expires_on)
    reading = read(command.codes, [(split.code, split.quantity) for split in command.splits], bill_type.move)
    return Bill(
        id=uuid7(),
        number=command.bill_number,
        type_code=command.bill_type,
        type=bill_type,
        organisation=organisation,
        region=_region(caller, organisation, receipt),
        place=command.place,
        captured_at=captured_at,
        shipment_line_id=command.shipment_line_id,
        receipt=receipt,
        goods=goods,
        digest=digest_of(command.model_dump_json()),
        details=_details(command),
        items=list(reading.items),
        refused=list(reading.refused),
        placeholders=reading.placeholders,
    )


def _check(command: CaptureDocument, bill_type: BillType) -> None:
    faults = faults_of(
        bill_type,
        line_id=command.shipment_line_id,
        has_reason=command.reason_code is not None and command.reason is not None,
        witnesses=sum(witness is not None for witness in (command.executor, command.supervisor)),
        codes=len(command.codes),
        splits=len(command.splits),
        captured_at=command.captured_at or clock.now(),
        now=clock.now(),
    )
    if faults:
        raise DocumentRefused(
            "Bill {bill_number} has {count:#fault}.", faults=faults, bill_number=command.bill_number, count=len(faults)
        )


def _check_came(command: CaptureDocument, receipt: Receipt, captured_at: datetime) -> None:
    """By the day, for goods may be registered as shipped in the evening of the day on which they went and came."""
    shipped_on = clock.local_date(receipt.dispatched_at or captured_at)
    if clock.local_date(captured_at) >= shipped_on:
        return
    rule = "codes are not captured before their goods were shipped"
    fault = Fault("/captured_at", captured_at.isoformat(), rule, Said("from {day} on", day=shipped_on))
    raise DocumentRefused(
        "Bill {bill_number} has {count:#fault}.", faults=[fault], bill_number=command.bill_number, count=1
    )


def _receipt(command: CaptureDocument, lines: Mapping[UUID, Receipt]) -> Receipt | None:
    if command.shipment_line_id is None:
        return None
    receipt = lines.get(command.shipment_line_id)
    if receipt is not None and receipt.state in CLOSED:
        raise ReceiptClosed(
            "Shipment line {shipment_line_id} is {state}: nothing of it is captured.",
            shipment_line_id=receipt.shipment_line_id,
            state=receipt.state,
        )
    if receipt is None and not may_be_on_its_way(command.shipment_line_id, clock.wall_seconds()):
        raise ReceiptNotFound(
            "There is no shipment line {shipment_line_id} for you: by its id it was not made within "
            "the last {minutes} minutes, so it is not on its way either. Look the line up in the order.",
            shipment_line_id=command.shipment_line_id,
            minutes=int(ON_ITS_WAY.total_seconds()) // 60,
        )
    if receipt is None or receipt.product_code is None:
        raise ReceiptNotKnownYet(
            "The shipment of line {shipment_line_id} has not reached traceability yet; send this bill again in "
            "{seconds:#second}. If the id is mistyped, it never will: {minutes} minutes after the time in the "
            "id the line is refused for good.",
            headers={"Retry-After": str(COME_AGAIN_SECONDS)},
            seconds=COME_AGAIN_SECONDS,
            shipment_line_id=command.shipment_line_id,
            minutes=int(ON_ITS_WAY.total_seconds()) // 60,
        )
    return receipt


def _organisation(
    tx: Tx, caller: Caller, command: CaptureDocument, bill_type: BillType, receipt: Receipt | None
) -> str:
    organisation = command.organisation_code
    if receipt is not None:
        party = receipt.distributor_code if bill_type.move is Move.SHIP else receipt.institution_code
        if organisation not in (None, party):
            fault = Fault("/organisation_code", organisation, "the shipment line is another's", party)
            raise DocumentRefused(
                "The shipment line is of {party}, not of {organisation}.",
                faults=[fault],
                party=party,
                organisation=organisation,
            )
        organisation = party
    if organisation is None and tx.scope.reach == "all":
        fault = Fault(
            "/organisation_code", None, "who captures for others says for whom", "an organisation's code", "missing"
        )
        raise DocumentRefused("Whose bill it is must be said.", faults=[fault])
    organisation = organisation or caller.organisation
    if not tx.scope.covers(organisation):
        raise OrganisationNotYours(
            "{organisation} is not {organisation_2}.", organisation=organisation, organisation_2=caller.organisation
        )
    return organisation


def _region(caller: Caller, organisation: str, receipt: Receipt | None) -> str:
    if receipt is not None:
        return receipt.region
    if organisation != caller.organisation:
        try:
            return parse_institution(organisation).region6
        except CodeRefused:
            return caller.region
    return caller.region


def _details(command: CaptureDocument) -> dict[str, object]:
    """What a bill names besides its codes, kept with its answer."""
    named = command.model_dump(
        mode="json", include={"reason_code", "reason", "executor", "supervisor", "product_code"}, exclude_none=True
    )
    return {"named": named} if named else {}
