"""What is known of a product from its listings; public."""

import sqlalchemy as sa

from services.traceability.tables.base import metadata

products = sa.Table(
    "products",
    metadata,
    sa.Column("product_code", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("units_per_pack", sa.Integer, nullable=False),
    sa.Column("manufacturer_code", sa.Text, nullable=False),
    sa.Column("agent_code", sa.Text),
    sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("units_per_pack > 0", name="units_per_pack"),
)
