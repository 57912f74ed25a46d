"""The rows settlement owns, one module per aggregate; private to their parties and their region, but for recalls and
organisations."""

from services.settlement.tables.accounts import accounts
from services.settlement.tables.base import metadata
from services.settlement.tables.ledger import transfers
from services.settlement.tables.organisations import organisations
from services.settlement.tables.payables import coverage, payables
from services.settlement.tables.payments import payments
from services.settlement.tables.recalls import recalled_lots
from services.settlement.tables.runs import payment_runs
from services.settlement.tables.sheets import sheet_lines, sheets

__all__ = [
    "accounts",
    "coverage",
    "metadata",
    "organisations",
    "payables",
    "payment_runs",
    "payments",
    "recalled_lots",
    "sheet_lines",
    "sheets",
    "transfers",
]
