"""What happens in orders by itself: it learns from listing what may be ordered, from others what became of goods."""

from services.orders.handlers import again, market, recalls, receipts
from services.orders.handlers import payables as money
from services.orders.tables import (
    accounts,
    distribution_ends,
    distributions,
    enterprises,
    institutions,
    line_payments,
    listing_states,
    listings,
    payables,
    recalled_lots,
    sheets,
)
from shared.deadlines import Deadlines
from shared.events.listing import (
    DistributionConfirmed,
    DistributionEnded,
    EnterpriseRegistered,
    InstitutionRegistered,
    ProductAnnounced,
    ProductDelisted,
    ProductListed,
    ProductPriceChanged,
    ProductResumed,
    ProductRetracted,
    ProductSuspended,
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
    SheetIssued,
    SheetReturned,
)
from shared.events.traceability import CoverageShort, CoverageVerified, RecallClosed, RecallOpened
from shared.inbox import Handlers
from shared.republish import Projection, Republish

HANDLERS: Handlers = {
    EnterpriseRegistered: market.on_enterprise_registered,
    InstitutionRegistered: market.on_institution_registered,
    ProductAnnounced: market.on_product_announced,
    ProductRetracted: market.on_product_retracted,
    ProductListed: market.on_product_listed,
    ProductPriceChanged: market.on_product_price_changed,
    ProductSuspended: market.on_product_suspended,
    ProductResumed: market.on_product_resumed,
    ProductDelisted: market.on_product_delisted,
    DistributionConfirmed: market.on_distribution_confirmed,
    DistributionEnded: market.on_distribution_ended,
    CoverageVerified: receipts.on_coverage,
    CoverageShort: receipts.on_coverage,
    PayableOpened: money.on_payables_opened,
    PayableReleased: money.on_payables_moved,
    PayableHeld: money.on_payables_moved,
    SheetIssued: money.on_sheets_issued,
    SheetConfirmed: money.on_sheets_confirmed,
    SheetReturned: money.on_sheets_returned,
    ReceivingAccountChanged: money.on_accounts_changed,
    PaymentSent: money.on_payments_sent,
    PaymentDoubted: money.on_payments_doubted,
    PaymentPaid: receipts.on_payment,
    PaymentFailed: receipts.on_payment,
    RecallOpened: recalls.on_recalls_opened,
    RecallClosed: recalls.on_recalls_closed,
}
DEADLINES: Deadlines = {}
"""None: `confirm_by` and `deliver_by` travel in the events, and alerts watches them."""
REPUBLISH: Republish = {"orders": again.orders_again, "shipments": again.shipments_again}
PROJECTIONS = {
    "market": Projection(
        (enterprises, institutions, listings, listing_states, distributions, distribution_ends),
        {"listing": ("enterprises", "institutions", "listings", "distributions")},
    ),
    "payments": Projection((line_payments,), {"settlement": ("payments",)}),
    "payables": Projection(
        (payables, sheets, accounts), {"settlement": ("accounts", "payables", "sheets", "payments")}
    ),
    "recalls": Projection((recalled_lots,), {"traceability": ("recalls",)}),
}
