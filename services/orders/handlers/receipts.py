"""Learns what became of accepted goods: how far codes cover them, and what was paid.

Natural keys: a shipment line has one receipt, and a payable one total paid; of both the newest total counts.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from services.orders.errors import ShipmentNotFound
from services.orders.queries.lines import pay
from services.orders.queries.payables import fill_sheets
from services.orders.queries.shipments import cover, lock_shipment_lines
from shared import history
from shared.db import Record, Tx
from shared.events.settlement import PaidLine, PaymentFailed, PaymentPaid
from shared.events.traceability import CoverageShort, CoverageVerified
from shared.history import BY_ITSELF, Parties
from shared.inbox import Received


class _Told(NamedTuple):
    """What an event says of one payable."""

    payment: PaymentPaid | PaymentFailed
    line: PaidLine


async def on_coverage(tx: Tx, events: Sequence[Received[CoverageVerified] | Received[CoverageShort]]) -> None:
    """How many units valid codes cover: a total, of which the newest counts."""
    newest: dict[UUID, Received[CoverageVerified] | Received[CoverageShort]] = {}
    for event in events:
        known = newest.get(event.data.shipment_line_id)
        if known is None or known.sequence < event.sequence:
            newest[event.data.shipment_line_id] = event
    lines = await known_shipment_lines(tx, newest)
    applied = await cover(
        tx, [(line_id, newest[line_id].data.quantity_covered, newest[line_id].sequence) for line_id in lines]
    )
    for line_id, line in lines.items():
        if line_id in applied:
            fact = newest[line_id].data
            detail = {
                "line_number": line["line_number"],
                "accepted": fact.quantity_accepted,
                "changes": {"quantity_traced": [line["quantity_traced"], fact.quantity_covered]},
            }
            history.note(tx, BY_ITSELF, line["order_id"], "traced", _parties(line), detail)


async def on_payment(tx: Tx, events: Sequence[Received[PaymentPaid] | Received[PaymentFailed]]) -> None:
    """What is paid for lines from now on, after the bank paid or the money came back: a total of each payable."""
    newest: dict[UUID, _Told] = {}
    for event in events:
        for line in event.data.lines:
            known = newest.get(line.payable_id)
            if known is None or (known.line.step, known.line.amount_yuan) < (line.step, line.amount_yuan):
                newest[line.payable_id] = _Told(event.data, line)
    lines = await known_shipment_lines(tx, {told.line.shipment_line_id for told in newest.values()})
    told = [newest[payable_id] for payable_id in sorted(newest)]
    news = await pay(tx, [_row(one, lines[one.line.shipment_line_id]) for one in told])
    _note_payments(tx, [one for one in told if one.line.payable_id in news], news, lines)
    of_month = [event for event in sorted(events, key=lambda event: event.time) if event.data.month is not None]
    await fill_sheets(tx, [(event.data, _of_sheet(event.data, event.time)) for event in of_month])


def _of_sheet(payment: PaymentPaid | PaymentFailed, at: datetime) -> dict[str, Any]:
    """What a payment tells of its sheet."""
    if isinstance(payment, PaymentPaid):
        return {"paid_at": at}
    return {"unpaid_at": at, "failed_reason": payment.reason, "failed_account_id": payment.account_id}


def _row(told: _Told, line: Record) -> dict[str, Any]:
    same = ("order_id", "order_line_id", "institution_code", "distributor_code", "manufacturer_code", "region")
    return {
        "payable_id": told.line.payable_id,
        "payment_id": told.payment.payment_id,
        **{name: line[name] for name in same},
        "amount_yuan": told.line.amount_yuan,
        "step": told.line.step,
    }


def _note_payments(tx: Tx, told: Sequence[_Told], before: Mapping[UUID, Decimal], lines: dict[UUID, Record]) -> None:
    """One deed for each payment of an order and each maker: what was paid of what it was for, what is now, why it failed."""
    parts: dict[tuple[UUID, UUID, str, str], list[_Told]] = defaultdict(list)
    for one in told:
        line = lines[one.line.shipment_line_id]
        parts[line["order_id"], one.payment.payment_id, _deed(one.payment), line["manufacturer_code"]].append(one)
    for (order_id, payment_id, deed, _), group in parts.items():
        own = [lines[one.line.shipment_line_id] for one in group]
        was = sum((before[one.line.payable_id] for one in group), Decimal("0.00"))
        paid = sum(one.line.amount_yuan for one in group)
        detail: dict[str, Any] = {
            "payment_id": str(payment_id),
            "lines": sorted({line["line_number"] for line in own}),
        }
        if was != paid:
            detail["changes"] = {"paid_yuan": [was, paid]}
        if isinstance(group[0].payment, PaymentFailed):
            detail["reason"] = group[0].payment.reason
        history.note(tx, BY_ITSELF, order_id, deed, _parties(own[0]), detail)


def _deed(payment: PaymentPaid | PaymentFailed) -> str:
    if isinstance(payment, PaymentPaid):
        return "paid"
    return "payment_returned" if payment.returned else "payment_failed"


async def known_shipment_lines(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Record]:
    """The shipment lines that others speak of, locked.

    Raises ShipmentNotFound: the goods are this service's own, so who speaks of unknown ones is mistaken.
    """
    found = await lock_shipment_lines(tx, list(ids))
    if unknown := [str(line_id) for line_id in ids if line_id not in found]:
        raise ShipmentNotFound("There are no shipment lines {ids}.", ids=", ".join(unknown[:10]))
    return found


def _parties(line: Record) -> Parties:
    return Parties(line["institution_code"], line["distributor_code"], line["region"], line["manufacturer_code"])
