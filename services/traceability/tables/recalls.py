"""Lots that may not be received, used or sold; public, because a recall that few can read protects few."""

import sqlalchemy as sa

from services.traceability.tables.base import metadata

recalls = sa.Table(
    "recalls",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("manufacturer_code", sa.Text, nullable=False),
    sa.Column("lot_numbers", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("opened_by", sa.Text, nullable=False),
    sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("closed_at", sa.DateTime(timezone=True)),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("closed_by", sa.Text),
    sa.Column("closing_reason", sa.Text),
    sa.CheckConstraint("state IN ('open', 'closed')", name="state"),
    sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed_at"),
    sa.CheckConstraint("cardinality(lot_numbers) > 0", name="lot_numbers"),
)
sa.Index("ix_recalls_open", recalls.c.product_code, postgresql_where=recalls.c.state == "open")
