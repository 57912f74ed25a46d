"""Watches order lines: a distributor that stays silent, goods that do not come, lines that are refused.

Deadlines are set once and never taken back: when one is due, the row says whether there is anything to raise. So no
event ever waits for the worker that meets deadlines, nor that worker for an event.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.alerts.handlers.alerts import raise_alerts, resolve_alerts
from services.alerts.queries import watches as queries
from services.alerts.rules.alerts import Kind, Remedy
from services.alerts.rules.watches import WatchedLine, arriving, overdue_deliveries, unconfirmed
from shared import clock, deadlines
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Said
from shared.events.orders import LineClosed, LineConfirmed, LineRefused, OrderCancelled, OrderPlaced
from shared.inbox import Received


async def on_orders_placed(tx: Tx, events: Sequence[Received[OrderPlaced]]) -> None:
    """Remembers the lines, and when they must be confirmed."""
    await queries.fill_lines(
        tx,
        [
            {
                "line_id": line.line_id,
                "order_id": event.data.order_id,
                "order_number": event.data.order_number,
                "institution_code": event.data.institution_code,
                "supplier_code": line.distributor_code,
                "manufacturer_code": line.manufacturer_code,
                "region": event.data.region,
                "product_code": line.product_code,
                "product_name": line.product_name,
                "quantity_ordered": line.quantity,
                "placed_at": event.data.placed_at,
                "confirm_by": event.data.confirm_by,
                "placed_event": event.id,
            }
            for event in events
            for line in event.data.lines
        ],
    )
    await deadlines.put(
        tx, [Deadline(Kind.ORDER_UNCONFIRMED, str(event.data.order_id), event.data.confirm_by) for event in events]
    )


async def on_lines_confirmed(tx: Tx, events: Sequence[Received[LineConfirmed]]) -> None:
    """Remembers what was promised by when; what was awaited of the distributor is there."""
    lines = await queries.fill_lines(
        tx,
        [
            {
                **_line(event),
                "product_name": event.data.product_name,
                "quantity_confirmed": event.data.quantity_confirmed,
                "deliver_by": event.data.deliver_by,
                "confirmed_at": event.time,
                "confirmed_event": event.id,
            }
            for event in events
        ],
    )
    await deadlines.put(
        tx,
        [Deadline(Kind.DELIVERY_OVERDUE, str(event.data.line_id), event.data.deliver_by) for event in events],
    )
    await _resolve_answered(tx, lines)


async def on_lines_refused(tx: Tx, events: Sequence[Received[LineRefused]]) -> list[WatchedLine]:
    """A refusal is an answer too; the trouble that it means is raised in `troubles`. Returns the lines as they are known."""
    lines = await queries.fill_lines(
        tx,
        [
            {
                **_line(event),
                "product_name": event.data.product_name,
                "quantity_refused": event.data.quantity_refused,
                "refused_at": event.time,
            }
            for event in events
        ],
    )
    await _resolve_answered(tx, lines)
    return lines


async def on_orders_cancelled(tx: Tx, events: Sequence[Received[OrderCancelled]]) -> None:
    """Nothing is awaited of lines that were taken back."""
    lines = await queries.fill_lines(
        tx,
        [
            {
                "line_id": line_id,
                "order_id": event.data.order_id,
                "order_number": event.data.order_number,
                "institution_code": event.data.institution_code,
                "region": event.data.region,
                "cancelled_at": event.time,
            }
            for event in events
            for line_id in event.data.line_ids
        ],
    )
    await _resolve_answered(tx, lines)
    await resolve_alerts(tx, [_no_more(line, Said("The hospital took the line back.")) for line in lines])


async def on_lines_closed(tx: Tx, events: Sequence[Received[LineClosed]]) -> None:
    """Nothing more is awaited of a closed line."""
    lines = await queries.fill_lines(tx, [{**_line(event), "closed_at": event.time} for event in events])
    reasons = {event.data.line_id: event.data.reason for event in events}
    await _resolve_answered(tx, lines)
    await resolve_alerts(
        tx, [_no_more(line, Said("The line is closed: {reason}", reason=reasons[line.line_id])) for line in lines]
    )


async def when_orders_unconfirmed(tx: Tx, due: Sequence[Deadline]) -> None:
    """The time to confirm is over: raises what is still open, per order and distributor."""
    lines = await queries.lines_of_orders(tx, [UUID(deadline.about) for deadline in due])
    await raise_alerts(tx, unconfirmed(lines, clock.now()))


async def when_deliveries_overdue(tx: Tx, due: Sequence[Deadline]) -> None:
    """The time to deliver is over: raises the lines of which less than confirmed was accepted."""
    lines = await queries.watched_lines(tx, [UUID(deadline.about) for deadline in due])
    await raise_alerts(tx, overdue_deliveries(lines, clock.now()))


async def resolve_delivered(tx: Tx, lines: Sequence[WatchedLine]) -> None:
    """Resolves what was late of locked lines that are delivered now."""
    whole = [line for line in await queries.with_shipments(tx, lines) if line.delivered]
    remedies: list[Remedy] = []
    for line in whole:
        reason = Said(
            "{accepted} of {confirmed} confirmed were accepted.",
            accepted=line.quantity_accepted,
            confirmed=line.quantity_confirmed,
        )
        remedies.append(Remedy(Kind.DELIVERY_OVERDUE, str(line.line_id), reason, evidence=arriving(line)))
    await resolve_alerts(tx, remedies)


async def _resolve_answered(tx: Tx, lines: Sequence[WatchedLine]) -> None:
    keys = await queries.answered_keys(tx, sorted({line.order_id for line in lines}))
    reason = Said("Every line was confirmed, refused or taken back.")
    await resolve_alerts(tx, [Remedy(Kind.ORDER_UNCONFIRMED, key, reason) for key in keys])


def _no_more(line: WatchedLine, reason: Said) -> Remedy:
    return Remedy(Kind.DELIVERY_OVERDUE, str(line.line_id), reason)


def _line(event: Received[LineConfirmed] | Received[LineRefused] | Received[LineClosed]) -> Mapping[str, Any]:
    return {
        "line_id": event.data.line_id,
        "order_id": event.data.order_id,
        "order_number": event.data.order_number,
        "institution_code": event.data.institution_code,
        "supplier_code": event.data.distributor_code,
        "region": event.data.region,
        "product_code": event.data.product_code,
        "quantity_ordered": event.data.quantity_ordered,
    }
