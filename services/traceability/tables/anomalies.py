"""Codes found where they should not be, one row a cause: by institution, kind and code while it is not closed, by recall and
institution, or by receipt."""

import sqlalchemy as sa

from services.traceability.tables.base import metadata
from shared.db import private

anomalies = sa.Table(
    "anomalies",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("code", sa.Text),
    sa.Column("codes", sa.Integer, nullable=False),
    sa.Column("ident", sa.Text),
    sa.Column("product_code", sa.Text),
    sa.Column("document_id", sa.Uuid),
    sa.Column("recall_id", sa.Uuid),
    sa.Column("receipt_id", sa.Uuid, sa.ForeignKey("receipts.id")),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("manufacturer_code", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("explanation", sa.Text),
    sa.Column("finding", sa.Text),
    sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("finds", sa.Integer, nullable=False, server_default="1"),
    sa.Column("last_document_id", sa.Uuid),
    sa.Column("bill_number", sa.Text),
    sa.Column("captured_by", sa.Text),
    sa.UniqueConstraint("recall_id", "institution_code"),
    sa.CheckConstraint("severity IN ('high', 'medium')", name="severity"),
    sa.CheckConstraint("state IN ('open', 'explained', 'closed')", name="state"),
    sa.CheckConstraint("state <> 'explained' OR explanation IS NOT NULL", name="explained"),
    sa.CheckConstraint("state <> 'closed' OR finding IS NOT NULL", name="closed"),
    sa.CheckConstraint(
        "num_nonnulls(document_id, recall_id) = (CASE kind WHEN 'surplus' THEN 0 ELSE 1 END)", name="cause"
    ),
    sa.CheckConstraint("kind <> 'surplus' OR receipt_id IS NOT NULL", name="surplus"),
    info=private(("institution_code", "manufacturer_code"), "region"),
)
sa.Index("ix_anomalies_code", anomalies.c.code)
sa.Index(
    "uq_anomalies_surplus",
    anomalies.c.receipt_id,
    unique=True,
    postgresql_where=(anomalies.c.kind == "surplus") & (anomalies.c.state != "closed"),
)
sa.Index(
    "uq_anomalies_code",
    anomalies.c.institution_code,
    anomalies.c.kind,
    anomalies.c.code,
    unique=True,
    postgresql_where=(anomalies.c.state != "closed") & anomalies.c.document_id.is_not(None),
)
sa.Index("ix_anomalies_document_id", anomalies.c.document_id)
sa.Index("ix_anomalies_last_document_id", anomalies.c.last_document_id)
sa.Index("ix_anomalies_ident", anomalies.c.ident, postgresql_where=anomalies.c.state != "closed")
sa.Index("ix_anomalies_institution_code", anomalies.c.institution_code, anomalies.c.id)
