"""Learns what became of accepted goods: how far codes cover them, and what was paid.

Natural keys: a shipment line has one receipt, whose newest total counts; a payment pays a payable once.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from decimal import Decimal
from uuid import UUID

from services.orders.errors import ShipmentNotFound
from services.orders.queries.lines import pay
from services.orders.queries.shipments import cover, lock_shipment_lines
from shared import history
from shared.db import Record, Tx
from shared.events.settlement import PaidLine, PaymentPaid
from shared.events.traceability import CoverageShort, CoverageVerified
from shared.history import BY_ITSELF, Parties
from shared.inbox import Received


async def on_coverage(tx: Tx, events: Sequence[Received[CoverageVerified] | Received[CoverageShort]]) -> None:
    """How many units valid codes cover: a total, of which the newest counts."""
    newest: dict[UUID, Received[CoverageVerified] | Received[CoverageShort]] = {}
    for event in events:
        known = newest.get(event.data.shipment_line_id)
        if known is None or known.sequence < event.sequence:
            newest[event.data.shipment_line_id] = event
    lines = await _shipment_lines(tx, newest)
    applied = await cover(
        tx, [(line_id, newest[line_id].data.quantity_covered, newest[line_id].sequence) for line_id in lines]
    )
    for line_id, line in lines.items():
        if line_id in applied:
            fact = newest[line_id].data
            detail = {
                "line_number": line["line_number"],
                "covered": fact.quantity_covered,
                "accepted": fact.quantity_accepted,
            }
            history.note(tx, BY_ITSELF, line["order_id"], "traced", _parties(line), detail)


async def on_payment_paid(tx: Tx, events: Sequence[Received[PaymentPaid]]) -> None:
    """What the bank paid for lines; the same part of a payment again pays nothing more."""
    paid = [(event.data, line) for event in events for line in event.data.lines]
    lines = await _shipment_lines(tx, {line.shipment_line_id for _, line in paid})
    rows = [
        {
            "payment_id": payment.payment_id,
            "payable_id": line.payable_id,
            **{name: lines[line.shipment_line_id][name] for name in ("order_id", "order_line_id")},
            **{
                name: lines[line.shipment_line_id][name]
                for name in ("institution_code", "distributor_code", "manufacturer_code", "region")
            },
            "amount_yuan": line.amount_yuan,
            "paid_at": payment.paid_at,
        }
        for payment, line in paid
    ]
    _note_paid(tx, paid, lines, await pay(tx, rows))


def _note_paid(
    tx: Tx,
    paid: Sequence[tuple[PaymentPaid, PaidLine]],
    lines: dict[UUID, Record],
    new: Collection[tuple[UUID, UUID]],
) -> None:
    by_order: dict[tuple[UUID, UUID], list[tuple[Record, Decimal]]] = defaultdict(list)
    told: set[tuple[UUID, UUID]] = set()
    for payment, line in paid:
        key = (payment.payment_id, line.payable_id)
        if key in new and key not in told:
            told.add(key)
            record = lines[line.shipment_line_id]
            by_order[record["order_id"], payment.payment_id].append((record, line.amount_yuan))
    for (order_id, payment_id), parts in by_order.items():
        detail = {
            "payment_id": str(payment_id),
            "yuan": str(sum(amount for _, amount in parts)),
            "lines": sorted({record["line_number"] for record, _ in parts}),
        }
        history.note(tx, BY_ITSELF, order_id, "paid", _parties(parts[0][0]), detail)


async def _shipment_lines(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Record]:
    """Raises ShipmentNotFound: the goods are this service's own, so who speaks of unknown ones is mistaken."""
    found = await lock_shipment_lines(tx, list(ids))
    if unknown := [str(line_id) for line_id in ids if line_id not in found]:
        raise ShipmentNotFound(f"There are no shipment lines {', '.join(unknown[:10])}.")
    return found


def _parties(line: Record) -> Parties:
    return Parties(line["institution_code"], line["distributor_code"], line["region"])
