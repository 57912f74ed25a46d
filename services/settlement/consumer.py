"""What happens in settlement by itself: deliveries open payables, coverage releases them, months close, banks are asked."""

from functools import partial

from services.settlement.gateways import open_bank
from services.settlement.handlers import again, payables, payments, recalls, sheets
from services.settlement.handlers.organisations import on_enterprises_registered
from services.settlement.tables import coverage, organisations, recalled_lots
from shared.deadlines import Deadlines
from shared.events.listing import EnterpriseRegistered
from shared.events.orders import DeliveryAccepted
from shared.events.traceability import CoverageShort, CoverageVerified, RecallClosed, RecallOpened
from shared.inbox import Handlers
from shared.jobs import Jobs
from shared.republish import Projection, Republish

HANDLERS: Handlers = {
    EnterpriseRegistered: on_enterprises_registered,
    DeliveryAccepted: payables.on_deliveries_accepted,
    CoverageVerified: payables.on_coverage_verified,
    CoverageShort: payables.on_coverage_short,
    RecallOpened: recalls.on_recalls_opened,
    RecallClosed: recalls.on_recalls_closed,
}
DEADLINES: Deadlines = {
    "close_month": sheets.when_close_month,
    "sheet_silent": sheets.when_sheets_silent,
    "ask_bank": payments.when_ask_bank,
}
JOBS: Jobs = {"send_run": partial(payments.send_run, open_bank)}
REPUBLISH: Republish = {
    "accounts": again.accounts_again,
    "payables": again.payables_again,
    "sheets": again.sheets_again,
    "payments": again.payments_again,
}
PROJECTIONS = {
    "coverage": Projection((coverage,), {"traceability": ("receipts",)}),
    "organisations": Projection((organisations,), {"listing": ("enterprises",)}),
    "recalls": Projection((recalled_lots,), {"traceability": ("recalls",)}),
}
