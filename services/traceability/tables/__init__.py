"""The rows that traceability owns, one module per aggregate."""

from services.traceability.tables.anomalies import anomalies
from services.traceability.tables.base import metadata
from services.traceability.tables.documents import documents
from services.traceability.tables.identification_codes import identification_codes
from services.traceability.tables.organisations import organisations
from services.traceability.tables.packings import packings
from services.traceability.tables.products import products
from services.traceability.tables.recalls import recalls
from services.traceability.tables.receipts import receipts
from services.traceability.tables.units import movements, refusals, units

__all__ = [
    "anomalies",
    "documents",
    "identification_codes",
    "metadata",
    "movements",
    "organisations",
    "packings",
    "products",
    "recalls",
    "receipts",
    "refusals",
    "units",
]
