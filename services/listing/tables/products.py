"""Products and their certificates. The maker's name stands with the enterprise alone."""

import sqlalchemy as sa

from services.listing.tables.base import metadata
from services.listing.tables.enterprises import enterprises

products = sa.Table(
    "products",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("code", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("generic_name", sa.Text, nullable=False),
    sa.Column("trade_name", sa.Text),
    sa.Column("searched", sa.Text, nullable=False),
    sa.Column("grams", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("dosage_form", sa.Text),
    sa.Column("specification", sa.Text),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("units_per_pack", sa.Integer, nullable=False),
    sa.Column("approval_number", sa.Text),
    sa.Column("standard_code", sa.Text),
    sa.Column("override_reason", sa.Text),
    sa.Column("gtin", sa.Text),
    sa.Column("manufacturer_code", sa.Text, sa.ForeignKey(enterprises.c.code), nullable=False),
    sa.Column("holder_name", sa.Text),
    sa.Column("agent_code", sa.Text, sa.ForeignKey(enterprises.c.code)),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    # The GTIN that it had beside an older product when that began to be refused: it keeps it, and takes no other such one.
    sa.Column("gtin_doubled", sa.Text),
    sa.CheckConstraint("kind IN ('western', 'patent_chinese', 'granule', 'slice', 'consumable')", name="kind"),
    sa.CheckConstraint("units_per_pack > 0", name="units_per_pack"),
)
sa.Index(
    "uq_products_gtin",
    products.c.gtin,
    unique=True,
    postgresql_where=products.c.gtin.is_distinct_from(products.c.gtin_doubled),
)
sa.Index("ix_products_grams", products.c.grams, postgresql_using="gin")
sa.Index("ix_products_manufacturer_code", products.c.manufacturer_code)
sa.Index("ix_products_agent_code", products.c.agent_code, postgresql_where=products.c.agent_code.is_not(None))

certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("product_code", sa.Text, sa.ForeignKey(products.c.code), nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("valid_to", sa.Date),
    sa.UniqueConstraint("product_code", "number"),
)
