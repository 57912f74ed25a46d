"""Learns when accepted goods are to be paid, whether the hospital disputes them, and which sheets wait for whom.

Natural keys: a payable per shipment line, of which the newest version counts, and a sheet, which is issued once; it is confirmed
unless it was sent back since.
"""

from collections.abc import Sequence

from services.orders.handlers.receipts import known_shipment_lines
from services.orders.queries import payables as queries
from services.orders.queries.shipments import ask_codes
from shared.codes import region_prefix
from shared.db import Record, Tx
from shared.events.settlement import (
    PayableHeld,
    PayableOpened,
    PayableReleased,
    PaymentDoubted,
    PaymentSent,
    ReceivingAccountChanged,
    SheetConfirmed,
    SheetIssued,
    SheetReturned,
)
from shared.inbox import Received

Moved = Received[PayableReleased] | Received[PayableHeld]


async def on_payables_opened(tx: Tx, events: Sequence[Received[PayableOpened]]) -> None:
    """By when goods that were accepted are to be paid, and whether only as far as codes cover them; said once."""
    required = {event.data.shipment_line_id: event.data.codes_required for event in events}
    lines = await known_shipment_lines(tx, required)
    await ask_codes(tx, required)
    await queries.open_payables(
        tx, [{**_row(event, lines[event.data.shipment_line_id]), "due_on": event.data.due_on} for event in events]
    )


async def on_payables_moved(tx: Tx, events: Sequence[Moved]) -> None:
    """Money was released, set free or taken off its sheet: since when it stands so, and whether a part is disputed."""
    newest: dict[object, Moved] = {}
    for event in events:
        known = newest.get(event.data.shipment_line_id)
        if known is None or known.sequence < event.sequence:
            newest[event.data.shipment_line_id] = event
    lines = await known_shipment_lines(tx, {event.data.shipment_line_id for event in newest.values()})
    rows = [
        {
            **_row(event, lines[event.data.shipment_line_id]),
            "disputed": event.data.disputed,
            "resolve_by": event.data.resolve_by,
            "on_sheets": {str(part.sheet_id): str(part.amount_yuan) for part in event.data.on_sheets},
            "moved_at": event.time,
            "version": event.sequence,
        }
        for event in newest.values()
    ]
    await queries.move_payables(tx, rows)


async def on_sheets_issued(tx: Tx, events: Sequence[Received[SheetIssued]]) -> None:
    """The hospital has a sheet to confirm; everything of its month and before that was free stands on it."""
    told = [
        (one.data, {"confirm_by": one.data.confirm_by, "due_on": one.data.due_on, "issued_at": one.time})
        for one in events
    ]
    await queries.fill_sheets(tx, told)


async def on_sheets_confirmed(tx: Tx, events: Sequence[Received[SheetConfirmed]]) -> None:
    """The hospital stands by a sheet: the agency pays."""
    await queries.fill_sheets(tx, [(one.data, {"confirmed_at": one.time}) for one in events])


async def on_sheets_returned(tx: Tx, events: Sequence[Received[SheetReturned]]) -> None:
    """The agency sent a sheet back: the hospital confirms it anew, by another day."""
    told = [(one.data, {"confirm_by": one.data.confirm_by, "returned_at": one.time}) for one in events]
    await queries.fill_sheets(tx, told)


async def on_payments_sent(tx: Tx, events: Sequence[Received[PaymentSent]]) -> None:
    """The bank was asked to pay sheets."""
    told = [(one.data, {"sent_at": one.time}) for one in sorted(events, key=lambda event: event.time)]
    await queries.fill_sheets(tx, [(fact, when) for fact, when in told if fact.month is not None])


async def on_payments_doubted(tx: Tx, events: Sequence[Received[PaymentDoubted]]) -> None:
    """The bank has said both of payments of sheets, or the agency has found out which is true."""
    for in_doubt, column in ((True, "doubted_at"), (False, "undoubted_at")):
        own = sorted((one for one in events if one.data.in_doubt is in_doubt), key=lambda event: event.time)
        await queries.fill_sheets(tx, [(one.data, {column: one.time}) for one in own])


async def on_accounts_changed(tx: Tx, events: Sequence[Received[ReceivingAccountChanged]]) -> None:
    """A supplier has named an account, or the agency has confirmed or refused it: the newest version counts."""
    newest = {one.data.account_id: one for one in sorted(events, key=lambda event: event.sequence)}
    rows = [
        (one.data.account_id, one.data.supplier_code, region_prefix(one.data.region), one.data.state, one.sequence)
        for one in newest.values()
    ]
    await queries.keep_accounts(tx, rows)


def _row(event: Received[PayableOpened] | Moved, line: Record) -> dict[str, object]:
    same = ("institution_code", "distributor_code", "manufacturer_code", "region")
    return {
        "shipment_line_id": event.data.shipment_line_id,
        "payable_id": event.data.payable_id,
        **{name: line[name] for name in same},
    }
