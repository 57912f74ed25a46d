"""What happens in alerts by itself: what the four others say is watched, and clocks that run out act.

An event that concerns two things is handed to both, in one transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from services.alerts.handlers import order_lines, organisations, problems, receipts, sheets, troubles
from services.alerts.handlers.problems import STEP
from services.alerts.queries.watches import take_turn
from services.alerts.rules.alerts import Kind
from services.alerts.tables import accounts as known_accounts
from services.alerts.tables import order_lines as watched_lines
from services.alerts.tables import organisations as known_organisations
from services.alerts.tables import recalled_lots, remedies
from services.alerts.tables import receipts as watched_receipts
from services.alerts.tables import sheets as watched_sheets
from shared.db import Tx
from shared.deadlines import Deadlines
from shared.events.listing import EnterpriseRegistered, InstitutionRegistered
from shared.events.orders import (
    DeliveryAccepted,
    DeliveryRejected,
    LineClosed,
    LineConfirmed,
    LineRefused,
    OrderCancelled,
    OrderPlaced,
    ShipmentCancelled,
    ShipmentDispatched,
)
from shared.events.settlement import (
    PayableHeld,
    PayableOpened,
    PayableReleased,
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
from shared.events.traceability import (
    CodeCleared,
    CodeFlagged,
    CoverageShort,
    CoverageVerified,
    RecallClosed,
    RecallOpened,
)
from shared.inbox import Handlers, Received
from shared.republish import Projection


async def on_lines_confirmed(tx: Tx, events: Sequence[Received[LineConfirmed]]) -> None:
    """A confirmation answers its own order, and remedies earlier refusals."""
    await order_lines.on_lines_confirmed(tx, events)
    await troubles.remedy_refused(tx, events)


async def on_lines_refused(tx: Tx, events: Sequence[Received[LineRefused]]) -> None:
    """A refusal answers its own order, and is trouble."""
    lines = await order_lines.on_lines_refused(tx, events)
    await troubles.raise_refused(tx, events, {line.line_id: line.manufacturer_code for line in lines})


async def on_payments_paid(tx: Tx, events: Sequence[Received[PaymentPaid]]) -> None:
    """A payment pays payables and their sheet, and remedies earlier failures of it."""
    await receipts.on_payments_paid(tx, events)
    await sheets.on_payments_paid(tx, events)
    await troubles.remedy_failed(tx, events)


async def on_payments_failed(tx: Tx, events: Sequence[Received[PaymentFailed]]) -> None:
    """A failure takes back what the payment had paid, and is trouble."""
    await receipts.on_payments_failed(tx, events)
    await sheets.on_payments_failed(tx, events)
    await troubles.on_payments_failed(tx, events)


def in_turn(handler: Callable[[Tx, Sequence[Any]], Awaitable[None]]) -> Callable[[Tx, Sequence[Any]], Awaitable[None]]:
    """A handler that changes what is watched, one transaction after the other."""

    async def handle(tx: Tx, things: Sequence[Any]) -> None:
        await take_turn(tx)
        await handler(tx, things)

    return handle


HANDLERS: Handlers = {
    EnterpriseRegistered: organisations.on_enterprises_registered,
    InstitutionRegistered: organisations.on_institutions_registered,
    OrderPlaced: in_turn(order_lines.on_orders_placed),
    OrderCancelled: in_turn(order_lines.on_orders_cancelled),
    LineConfirmed: in_turn(on_lines_confirmed),
    LineRefused: in_turn(on_lines_refused),
    LineClosed: in_turn(order_lines.on_lines_closed),
    ShipmentDispatched: in_turn(receipts.on_shipments_dispatched),
    ShipmentCancelled: in_turn(receipts.on_shipments_cancelled),
    DeliveryRejected: in_turn(receipts.on_deliveries_rejected),
    DeliveryAccepted: in_turn(receipts.on_deliveries_accepted),
    PayableOpened: in_turn(receipts.on_payables_opened),
    PayableReleased: in_turn(receipts.on_payables_released),
    PayableHeld: in_turn(receipts.on_payables_held),
    PaymentSent: in_turn(sheets.on_payments_sent),
    PaymentDoubted: in_turn(sheets.on_payments_doubted),
    PaymentPaid: in_turn(on_payments_paid),
    PaymentFailed: in_turn(on_payments_failed),
    SheetIssued: in_turn(sheets.on_sheets_issued),
    SheetConfirmed: in_turn(sheets.on_sheets_confirmed),
    SheetDisputed: in_turn(sheets.on_sheets_disputed),
    SheetReturned: in_turn(sheets.on_sheets_returned),
    ReceivingAccountChanged: in_turn(sheets.on_accounts_changed),
    CoverageVerified: in_turn(receipts.on_coverages_verified),
    CoverageShort: in_turn(receipts.on_coverages_short),
    CodeFlagged: in_turn(troubles.on_codes_flagged),
    CodeCleared: in_turn(troubles.on_codes_cleared),
    RecallOpened: in_turn(troubles.on_recalls_opened),
    RecallClosed: in_turn(troubles.on_recalls_closed),
}
DEADLINES: Deadlines = {
    Kind.ORDER_UNCONFIRMED: order_lines.when_orders_unconfirmed,
    Kind.DELIVERY_OVERDUE: order_lines.when_deliveries_overdue,
    Kind.COVERAGE_SHORT: receipts.when_coverages_short,
    Kind.PAYMENT_OVERDUE: receipts.when_payments_overdue,
    Kind.SHEET_UNCONFIRMED: sheets.when_sheets_unconfirmed,
    STEP: problems.when_step_ran_out,
}
PROJECTIONS = {
    "organisations": Projection((known_organisations,), {"listing": ("enterprises", "institutions")}),
    "watches": Projection(
        (watched_lines, watched_receipts, watched_sheets, known_accounts, recalled_lots, remedies),
        {
            "orders": ("orders", "shipments"),
            "settlement": ("accounts", "payables", "sheets", "payments"),
            "traceability": ("receipts", "recalls", "anomalies"),
        },
    ),
}
"""Alerts that stand are no projection: they stay, and are neither raised again nor taken back by what is said again."""
