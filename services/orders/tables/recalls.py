"""Lots under recall, as traceability tells them; public, like the recall itself."""

import sqlalchemy as sa

from services.orders.tables.base import metadata

recalled_lots = sa.Table(
    "recalled_lots",
    metadata,
    sa.Column("recall_id", sa.Uuid, primary_key=True),
    sa.Column("lot_number", sa.Text, primary_key=True),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("opened_by", sa.Text),
    sa.Column("opened_by_name", sa.Text),
    sa.Column("manufacturer_code", sa.Text),
    sa.Column("opened_at", sa.DateTime(timezone=True)),
    sa.Column("closed_at", sa.DateTime(timezone=True)),
    sa.Index("ix_recalled_lots_product", "product_code", "lot_number"),
)
