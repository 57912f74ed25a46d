"""The rows orders owns, one module per aggregate; the market's rows and recalled lots are projections and public."""

from services.orders.tables.base import metadata
from services.orders.tables.lines import line_payments, order_lines
from services.orders.tables.market import (
    distribution_ends,
    distributions,
    enterprises,
    institutions,
    listing_states,
    listings,
)
from services.orders.tables.orders import orders
from services.orders.tables.payables import accounts, payables, sheets
from services.orders.tables.recalls import recalled_lots
from services.orders.tables.shipments import shipment_lines, shipments

__all__ = [
    "accounts",
    "distribution_ends",
    "distributions",
    "enterprises",
    "institutions",
    "line_payments",
    "listing_states",
    "listings",
    "metadata",
    "order_lines",
    "orders",
    "payables",
    "recalled_lots",
    "sheets",
    "shipment_lines",
    "shipments",
]
