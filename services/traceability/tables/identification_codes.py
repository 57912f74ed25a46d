"""What an identification code (药品标识码, or the GTIN of a GS1 code) means; it belongs to one product for good. Public."""

import sqlalchemy as sa

from services.traceability.tables.base import metadata

identification_codes = sa.Table(
    "identification_codes",
    metadata,
    sa.Column("ident", sa.Text, primary_key=True),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("packs_per_unit", sa.Integer, nullable=False),
    sa.Column("uploaded_by", sa.Text, nullable=False),
    sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("level BETWEEN 1 AND 3", name="level"),
    sa.CheckConstraint("packs_per_unit > 0 AND (level > 1 OR packs_per_unit = 1)", name="packs_per_unit"),
)
sa.Index("ix_identification_codes_product_code", identification_codes.c.product_code, identification_codes.c.ident)
