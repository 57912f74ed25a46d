"""HTTP into settlement, one module per aggregate."""

from services.settlement.router import ledger, payables, payments, runs, sheets

routers = (payables.router, sheets.router, runs.router, payments.router, ledger.router)
