"""Learns what became of accepted goods: how far codes cover them, and what was paid.

Natural keys: a shipment line has one receipt, whose newest total counts; a payable has one total paid, of which the
largest counts.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
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
    """What the bank paid for lines: a total of each payable, of which the largest counts."""
    largest: dict[UUID, tuple[PaymentPaid, PaidLine]] = {}
    for event in events:
        for line in event.data.lines:
            known = largest.get(line.payable_id)
            if known is None or known[1].amount_yuan < line.amount_yuan:
                largest[line.payable_id] = (event.data, line)
    lines = await _shipment_lines(tx, {line.shipment_line_id for _, line in largest.values()})
    rows = [_row(*largest[payable_id], lines) for payable_id in sorted(largest)]
    grown = await pay(tx, rows)
    _note_paid(tx, [row for row in rows if row["payable_id"] in grown], lines, largest)


def _row(payment: PaymentPaid, paid: PaidLine, lines: dict[UUID, Record]) -> dict[str, Any]:
    line = lines[paid.shipment_line_id]
    same = ("order_id", "order_line_id", "institution_code", "distributor_code", "manufacturer_code", "region")
    return {
        "payable_id": paid.payable_id,
        "payment_id": payment.payment_id,
        **{name: line[name] for name in same},
        "amount_yuan": paid.amount_yuan,
        "paid_at": payment.paid_at,
    }


def _note_paid(
    tx: Tx,
    rows: Sequence[dict[str, Any]],
    lines: dict[UUID, Record],
    largest: dict[UUID, tuple[PaymentPaid, PaidLine]],
) -> None:
    """One deed for each payment of an order, with the totals paid so far of what it paid for."""
    by_payment: dict[tuple[UUID, UUID], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_payment[row["order_id"], row["payment_id"]].append(row)
    for (order_id, payment_id), parts in by_payment.items():
        numbers = {lines[largest[row["payable_id"]][1].shipment_line_id]["line_number"] for row in parts}
        detail = {
            "payment_id": str(payment_id),
            "yuan_in_total": str(sum(row["amount_yuan"] for row in parts)),
            "lines": sorted(numbers),
        }
        parties = Parties(parts[0]["institution_code"], parts[0]["distributor_code"], parts[0]["region"])
        history.note(tx, BY_ITSELF, order_id, "paid", parties, detail)


async def _shipment_lines(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Record]:
    """Raises ShipmentNotFound: the goods are this service's own, so who speaks of unknown ones is mistaken."""
    found = await lock_shipment_lines(tx, list(ids))
    if unknown := [str(line_id) for line_id in ids if line_id not in found]:
        raise ShipmentNotFound(f"There are no shipment lines {', '.join(unknown[:10])}.")
    return found


def _parties(line: Record) -> Parties:
    return Parties(line["institution_code"], line["distributor_code"], line["region"])
