"""One captured bill (单据): unique per organisation and number, written once, with the answer it was given.

`supplier_code` is the distributor of its line, who sees why scans for it were refused.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.traceability.tables.base import metadata
from shared.db import private

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("organisation_code", sa.Text, nullable=False),
    sa.Column("supplier_code", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("bill_number", sa.Text, nullable=False),
    sa.Column("bill_type", sa.Text, nullable=False),
    sa.Column("receipt_id", sa.Uuid, sa.ForeignKey("receipts.id")),
    sa.Column("shipment_line_id", sa.Uuid),
    sa.Column("place", sa.Text),
    sa.Column("captured_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("accepted", sa.Integer, nullable=False),
    sa.Column("packs", sa.Integer, nullable=False),
    sa.Column("placeholders", sa.Integer, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("answer", JSONB, nullable=False),
    sa.UniqueConstraint("organisation_code", "bill_number"),
    sa.CheckConstraint("accepted >= 0 AND packs >= 0 AND placeholders >= 0", name="counts"),
    info=private(("organisation_code", "supplier_code"), "region"),
)
sa.Index("ix_documents_receipt_id", documents.c.receipt_id)
sa.Index("ix_documents_supplier", documents.c.supplier_code, documents.c.id)
sa.Index("ix_documents_page", documents.c.organisation_code, documents.c.id)
