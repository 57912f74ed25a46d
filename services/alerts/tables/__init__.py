"""The rows alerts owns, one module per aggregate."""

from services.alerts.tables.alerts import acknowledgements, alerts, remedies
from services.alerts.tables.base import metadata
from services.alerts.tables.problems import problems, replies
from services.alerts.tables.watches import accounts, order_lines, organisations, recalled_lots, receipts, sheets

__all__ = [
    "accounts",
    "acknowledgements",
    "alerts",
    "metadata",
    "order_lines",
    "organisations",
    "problems",
    "recalled_lots",
    "receipts",
    "remedies",
    "replies",
    "sheets",
]
