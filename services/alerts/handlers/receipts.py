"""Watches receipts from shipping to payment: goods on the way, codes that are missing, money that does not come.

Deadlines are set once, as for order lines. Shipments, deliveries, payables, coverage and payments meet on one row per
shipment line.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.alerts.handlers.alerts import raise_alerts, resolve_alerts
from services.alerts.handlers.order_lines import resolve_delivered
from services.alerts.handlers.troubles import meet_recalls
from services.alerts.queries import watches as queries
from services.alerts.rules.alerts import Kind, Remedy
from services.alerts.rules.recalls import HeldLot
from services.alerts.rules.receipts import WatchedReceipt, lost_coverages, moving, overdue_payments, short_coverages
from shared import clock, deadlines, money
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Said
from shared.events.orders import (
    AcceptedLine,
    DeliveryAccepted,
    DeliveryRejected,
    RejectedLine,
    ShipmentCancelled,
    ShipmentDispatched,
    ShippedLine,
)
from shared.events.settlement import PayableHeld, PayableOpened, PayableReleased, PaymentFailed, PaymentPaid
from shared.events.traceability import CoverageShort, CoverageVerified
from shared.inbox import Received

COVERED = Said("Valid codes cover everything that was accepted.")
_Told = (
    Received[PayableOpened]
    | Received[PayableReleased]
    | Received[PayableHeld]
    | Received[CoverageVerified]
    | Received[CoverageShort]
)


async def on_deliveries_accepted(tx: Tx, events: Sequence[Received[DeliveryAccepted]]) -> None:
    """Counts what was accepted of each order line; goods of a recalled lot are an alert at once."""
    lines = await queries.fill_lines(
        tx,
        [
            {
                "line_id": line.order_line_id,
                "order_id": event.data.order_id,
                "order_number": event.data.order_number,
                "institution_code": event.data.institution_code,
                "supplier_code": event.data.distributor_code,
                "region": event.data.region,
                "product_code": line.product_code,
                "product_name": line.product_name,
            }
            for event in events
            for line in event.data.lines
        ],
    )
    await queries.recall_lock(tx, alone=False)
    receipts = await queries.fill_receipts(
        tx,
        [
            {
                **_shipped(event),
                **_goods(line),
                "quantity_accepted": line.quantity_accepted,
                "accepted_at": event.data.accepted_at,
            }
            for event in events
            for line in event.data.lines
        ],
    )
    await resolve_delivered(tx, lines)
    await meet_recalls(tx, [_held(receipt) for receipt in receipts if receipt.quantity_accepted])


async def on_shipments_dispatched(tx: Tx, events: Sequence[Received[ShipmentDispatched]]) -> None:
    """Counts what is on the way of each order line."""
    rows = [
        {**_shipped(event), **_goods(line), "quantity_shipped": line.quantity}
        for event in events
        for line in event.data.lines
    ]
    await queries.fill_receipts(tx, rows)


async def on_shipments_cancelled(tx: Tx, events: Sequence[Received[ShipmentCancelled]]) -> None:
    """The distributor took shipments back: nothing of them is on the way."""
    rows = [
        {**_shipped(event), "shipment_line_id": line_id, "cancelled_at": event.time}
        for event in events
        for line_id in event.data.shipment_line_ids
    ]
    await queries.fill_receipts(tx, rows)


async def on_deliveries_rejected(tx: Tx, events: Sequence[Received[DeliveryRejected]]) -> None:
    """The hospital did not take goods: they are not on the way any more."""
    rows = [
        {**_shipped(event), **_goods(line), "rejected_at": event.data.rejected_at}
        for event in events
        for line in event.data.lines
    ]
    await queries.fill_receipts(tx, rows)


async def on_payables_opened(tx: Tx, events: Sequence[Received[PayableOpened]]) -> None:
    """Remembers what is owed until when, and sets the time for codes and for payment unless both are there."""
    receipts = await queries.fill_receipts(
        tx,
        [
            {
                **_receipt(event),
                "product_code": event.data.product_code,
                "quantity_accepted": event.data.quantity,
                "accepted_at": event.data.accepted_at,
                "payable_id": event.data.payable_id,
                "amount_yuan": event.data.amount_yuan,
                "due_on": event.data.due_on,
                "codes_required": event.data.codes_required,
                "opened_event": event.id,
            }
            for event in events
        ],
    )
    wanted: list[Deadline] = []
    for receipt in receipts:
        about = str(receipt.shipment_line_id)
        if not receipt.codes_complete and receipt.accepted_at is not None:
            late_from = tx.policy.codes_by(receipt.region, receipt.accepted_at)
            wanted.append(Deadline(Kind.COVERAGE_SHORT, about, late_from))
        if not receipt.paid and receipt.due_on is not None:
            wanted.append(_payment_due(receipt, receipt.due_on))
    await deadlines.put(tx, wanted)


async def on_payables_released(tx: Tx, events: Sequence[Received[PayableReleased]]) -> None:
    """A payable that is released in full waits for no codes; one of which codes were lost since does so again, at once."""
    receipts = await queries.fill_receipts(
        tx,
        [
            {
                **_receipt(event),
                "payable_id": event.data.payable_id,
                "quantity_released": event.data.quantity_released,
                "quantity_uncovered": event.data.quantity_uncovered,
                "released_yuan": event.data.amount_released_yuan,
                "released": event.data.complete,
                "released_version": event.sequence,
                **_moved(event),
            }
            for event in events
        ],
    )
    await _resolve_covered(tx, receipts)
    if lost := [receipt.shipment_line_id for receipt in receipts if receipt.quantity_uncovered]:
        await raise_alerts(tx, lost_coverages(await queries.watched_receipts(tx, lost), clock.now()))


async def on_payables_held(tx: Tx, events: Sequence[Received[PayableHeld]]) -> None:
    """A payable left its sheet: whether the hospital disputes it, so that who is overdue is told truly."""
    await queries.fill_receipts(
        tx,
        [
            {
                **_receipt(event),
                "payable_id": event.data.payable_id,
                **_moved(event),
            }
            for event in sorted(events, key=lambda event: event.sequence)
        ],
    )


async def on_coverages_verified(tx: Tx, events: Sequence[Received[CoverageVerified]]) -> None:
    """Valid codes cover the whole line."""
    await _coverage(tx, events, covered=True)


async def on_coverages_short(tx: Tx, events: Sequence[Received[CoverageShort]]) -> None:
    """Valid codes cover a part of the line: the figure goes into the evidence."""
    await _coverage(tx, events, covered=False)


async def on_payments_paid(tx: Tx, events: Sequence[Received[PaymentPaid]]) -> None:
    """Money came: payables that are paid in full are no longer overdue."""
    receipts = await _fill_paid(tx, events)
    await resolve_alerts(
        tx,
        [
            Remedy(
                Kind.PAYMENT_OVERDUE,
                str(receipt.payable_id),
                Said("{yuan} yuan were paid.", yuan=money.amount_text(receipt.paid_yuan or Decimal("0.00"))),
                evidence=moving(receipt),
            )
            for receipt in receipts
            if receipt.paid
        ],
    )


async def on_payments_failed(tx: Tx, events: Sequence[Received[PaymentFailed]]) -> None:
    """Money did not come, or came back: what is owed again is asked for when its due date is over, at once if it was."""
    receipts = await _fill_paid(tx, events)
    await deadlines.put(
        tx, [_payment_due(receipt, receipt.due_on) for receipt in receipts if receipt.due_on and not receipt.paid]
    )


async def _fill_paid(
    tx: Tx, events: Sequence[Received[PaymentPaid]] | Sequence[Received[PaymentFailed]]
) -> list[WatchedReceipt]:
    rows = [
        {
            "shipment_line_id": line.shipment_line_id,
            "order_id": line.order_id,
            "order_line_id": line.order_line_id,
            "institution_code": event.data.institution_code,
            "supplier_code": event.data.distributor_code,
            "region": event.data.region,
            "paid_yuan": line.amount_yuan,
            "paid_step": line.step,
        }
        for event in events
        for line in event.data.lines
    ]
    return await queries.fill_receipts(tx, sorted(rows, key=lambda row: (row["paid_step"], row["paid_yuan"])))


def _payment_due(receipt: WatchedReceipt, due_on: date) -> Deadline:
    late_from = clock.start_of_day(due_on + timedelta(days=1))
    return Deadline(Kind.PAYMENT_OVERDUE, str(receipt.shipment_line_id), late_from)


async def when_coverages_short(tx: Tx, due: Sequence[Deadline]) -> None:
    """The time to capture codes is over: raises the payables that still wait for some."""
    receipts = await queries.watched_receipts(tx, [UUID(deadline.about) for deadline in due])
    await raise_alerts(tx, short_coverages(receipts))


async def when_payments_overdue(tx: Tx, due: Sequence[Deadline]) -> None:
    """The due date is over: raises the payables that are not paid in full."""
    receipts = await queries.watched_receipts(tx, [UUID(deadline.about) for deadline in due])
    await raise_alerts(tx, overdue_payments(receipts, clock.now()))


async def _coverage(
    tx: Tx, events: Sequence[Received[CoverageVerified]] | Sequence[Received[CoverageShort]], *, covered: bool
) -> None:
    receipts = await queries.fill_receipts(
        tx,
        [
            {
                **_receipt(event),
                "product_code": event.data.product_code,
                "quantity_covered": event.data.quantity_covered,
                "covered": covered,
                "covered_version": event.sequence,
            }
            for event in events
        ],
    )
    await _resolve_covered(tx, receipts)


async def _resolve_covered(tx: Tx, receipts: Sequence[WatchedReceipt]) -> None:
    await resolve_alerts(
        tx,
        [
            Remedy(Kind.COVERAGE_SHORT, str(receipt.payable_id), COVERED, evidence=moving(receipt))
            for receipt in receipts
            if receipt.payable_id is not None and receipt.codes_complete
        ],
    )


def _receipt(event: _Told) -> Mapping[str, Any]:
    return {
        "shipment_line_id": event.data.shipment_line_id,
        "order_id": event.data.order_id,
        "order_line_id": event.data.order_line_id,
        "institution_code": event.data.institution_code,
        "supplier_code": event.data.distributor_code,
        "region": event.data.region,
    }


def _goods(line: ShippedLine | AcceptedLine | RejectedLine) -> Mapping[str, Any]:
    return {name: getattr(line, name) for name in ("shipment_line_id", "order_line_id", "product_code", "lot_number")}


def _shipped(
    event: Received[ShipmentDispatched]
    | Received[ShipmentCancelled]
    | Received[DeliveryAccepted]
    | Received[DeliveryRejected],
) -> Mapping[str, Any]:
    return {
        "order_id": event.data.order_id,
        "institution_code": event.data.institution_code,
        "supplier_code": event.data.distributor_code,
        "region": event.data.region,
    }


def _moved(event: Received[PayableReleased] | Received[PayableHeld]) -> Mapping[str, Any]:
    """Where the money of a payable stands since it was released, set free or taken off a sheet."""
    return {
        "disputed": event.data.disputed,
        "resolve_by": event.data.resolve_by,
        "on_sheets": {str(part.sheet_id): str(part.amount_yuan) for part in event.data.on_sheets},
        "moved_at": event.time,
        "disputed_version": event.sequence,
    }


def _held(receipt: WatchedReceipt) -> HeldLot:
    return HeldLot(
        receipt.institution_code,
        receipt.supplier_code,
        receipt.region,
        receipt.product_code or "",
        receipt.lot_number or "",
    )
