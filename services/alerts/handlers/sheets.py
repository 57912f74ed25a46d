"""Watches the months' sheets: a hospital that neither confirms nor disputes one in its time.

The deadline is set when the sheet is issued, and again when the agency sends it back; a sheet's events are one subject, and
still come to the same in either order.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.alerts.handlers.alerts import raise_alerts, resolve_alerts
from services.alerts.queries import watches as queries
from services.alerts.rules.alerts import Kind, Remedy
from services.alerts.rules.sheets import WatchedSheet, silent_sheets
from shared import clock, deadlines
from shared.codes import region_prefix
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Said
from shared.events.settlement import (
    PaymentDoubted,
    PaymentFailed,
    PaymentPaid,
    PaymentSent,
    ReceivingAccountChanged,
    SheetConfirmed,
    SheetDisputed,
    SheetIssued,
    SheetReturned,
)
from shared.inbox import Received
from shared.next_steps import day_over

_Asked = Received[SheetIssued] | Received[SheetReturned]
_Told = (
    _Asked
    | Received[SheetConfirmed]
    | Received[SheetDisputed]
    | Received[PaymentPaid]
    | Received[PaymentFailed]
    | Received[PaymentSent]
    | Received[PaymentDoubted]
)


async def on_sheets_issued(tx: Tx, events: Sequence[Received[SheetIssued]]) -> None:
    """Remembers by when the hospital must answer."""
    found = await queries.fill_sheets(
        tx,
        [
            {
                **_sheet(event),
                "amount_yuan": event.data.amount_yuan,
                "line_count": event.data.line_count,
                "confirm_by": event.data.confirm_by,
                "due_on": event.data.due_on,
                "issued_at": event.time,
                "issued_event": event.id,
            }
            for event in events
        ],
    )
    await _promise(tx, found)


async def on_sheets_returned(tx: Tx, events: Sequence[Received[SheetReturned]]) -> None:
    """The agency sent sheets back: the hospital must answer again, by another day."""
    newest = sorted(events, key=lambda event: event.time)
    rows = [{**_sheet(event), "confirm_by": event.data.confirm_by, "returned_at": event.time} for event in newest]
    await _promise(tx, await queries.fill_sheets(tx, rows))


async def _promise(tx: Tx, found: Sequence[WatchedSheet]) -> None:
    waiting = [(sheet, day_over(sheet.confirm_by)) for sheet in found if not sheet.answered]
    await deadlines.put(
        tx, [Deadline(Kind.SHEET_UNCONFIRMED, str(sheet.sheet_id), late) for sheet, late in waiting if late]
    )


async def on_sheets_confirmed(tx: Tx, events: Sequence[Received[SheetConfirmed]]) -> None:
    """The sheet is confirmed, by the hospital or by its silence."""
    await queries.fill_sheets(
        tx, [{**_sheet(event), "answered_at": event.time, "confirmed_at": event.time} for event in events]
    )
    await _resolve(tx, [(event, Said("The sheet was confirmed.")) for event in events])


async def on_sheets_disputed(tx: Tx, events: Sequence[Received[SheetDisputed]]) -> None:
    """The hospital spoke; what is left of the sheet it still has to confirm."""
    told = [
        (
            event,
            Said(
                "Disputed of the sheet: {count:#line}; {reason}",
                count=len(event.data.payable_ids),
                reason=event.data.reason,
            ),
        )
        for event in events
    ]
    await queries.fill_sheets(tx, [{**_sheet(event), "answered_at": event.time} for event in events])
    await _resolve(tx, told)


async def on_payments_paid(tx: Tx, events: Sequence[Received[PaymentPaid]]) -> None:
    """The bank paid sheets."""
    of_month = [event for event in sorted(events, key=lambda event: event.time) if event.data.month is not None]
    await queries.fill_sheets(tx, [{**_sheet(event), "paid_at": event.time} for event in of_month])


async def on_payments_failed(tx: Tx, events: Sequence[Received[PaymentFailed]]) -> None:
    """The bank did not pay sheets, or took back what it had paid."""
    of_month = [event for event in sorted(events, key=lambda event: event.time) if event.data.month is not None]
    rows = [
        {
            **_sheet(event),
            "unpaid_at": event.time,
            "failed_account_id": event.data.account_id,
            "failed_reason": event.data.reason,
        }
        for event in of_month
    ]
    await queries.fill_sheets(tx, rows)


async def on_payments_sent(tx: Tx, events: Sequence[Received[PaymentSent]]) -> None:
    """The bank was asked to pay sheets."""
    of_month = [event for event in sorted(events, key=lambda event: event.time) if event.data.month is not None]
    await queries.fill_sheets(tx, [{**_sheet(event), "sent_at": event.time} for event in of_month])


async def on_payments_doubted(tx: Tx, events: Sequence[Received[PaymentDoubted]]) -> None:
    """The bank has said both of payments of sheets, or the agency has found out which is true."""
    for in_doubt, column in ((True, "doubted_at"), (False, "undoubted_at")):
        own = sorted((one for one in events if one.data.in_doubt is in_doubt), key=lambda event: event.time)
        await queries.fill_sheets(tx, [{**_sheet(event), column: event.time} for event in own])


async def on_accounts_changed(tx: Tx, events: Sequence[Received[ReceivingAccountChanged]]) -> None:
    """A supplier has named an account, or the agency has confirmed or refused it."""
    rows = [
        {
            "account_id": event.data.account_id,
            "supplier_code": event.data.supplier_code,
            "region_prefix": region_prefix(event.data.region),
            "state": event.data.state,
            "version": event.sequence,
        }
        for event in events
    ]
    await queries.fill_accounts(tx, rows)


async def when_sheets_unconfirmed(tx: Tx, due: Sequence[Deadline]) -> None:
    """The time to confirm is over: raises the sheets that nobody has answered."""
    found = await queries.watched_sheets(tx, [UUID(deadline.about) for deadline in due])
    await raise_alerts(tx, silent_sheets(found, clock.now()))


async def _resolve(tx: Tx, told: Sequence[tuple[Received[SheetConfirmed] | Received[SheetDisputed], Said]]) -> None:
    await resolve_alerts(
        tx, [Remedy(Kind.SHEET_UNCONFIRMED, str(event.data.sheet_id), reason) for event, reason in told]
    )


def _sheet(event: _Told) -> dict[str, Any]:
    return {
        "sheet_id": event.data.sheet_id,
        "institution_code": event.data.institution_code,
        "supplier_code": event.data.distributor_code,
        "region": event.data.region,
        "month": event.data.month,
    }
