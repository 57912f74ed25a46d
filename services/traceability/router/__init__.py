"""HTTP into traceability, one module per aggregate."""

from services.traceability.router import (
    anomalies,
    codes,
    documents,
    identification_codes,
    packings,
    recalls,
    receipts,
)

routers = (
    documents.router,
    receipts.router,
    codes.router,
    identification_codes.router,
    packings.router,
    recalls.router,
    anomalies.router,
)
