"""HTTP into settlement, one module per aggregate."""

from services.settlement.router import accounts, ledger, payables, payments, runs, sheets

routers = (payables.router, sheets.router, accounts.router, runs.router, payments.router, ledger.router)
