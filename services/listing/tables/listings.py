"""Listings and the counter of their changes. What is public is seen by all, the rest by the maker's side and the region."""

import sqlalchemy as sa

from services.listing.rules.listings import LIVE, PUBLIC, TRADED, Category, State
from services.listing.tables.base import among, metadata
from services.listing.tables.products import products
from shared.db import private

_OF_THE_MAKER = (
    "EXISTS (SELECT FROM products WHERE products.code = product_code"
    " AND {organisation} IN (products.manufacturer_code, products.agent_code))"
)

listings = sa.Table(
    "listings",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text, sa.ForeignKey(products.c.code), nullable=False),
    sa.Column("price_yuan", sa.Numeric(18, 4), nullable=False),
    sa.Column("category", sa.Text, nullable=False),
    sa.Column("batch_code", sa.Text),
    sa.Column("price_origin", sa.Text),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_to", sa.Date),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("notice_until", sa.Date),
    sa.Column("wanted_price_yuan", sa.Numeric(18, 4)),
    sa.Column("wanted_price_reason", sa.Text),
    sa.Column("proposed_by", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("change_number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("price_yuan > 0 AND (wanted_price_yuan IS NULL OR wanted_price_yuan > 0)", name="price"),
    sa.CheckConstraint("valid_to >= valid_from", name="validity"),
    sa.CheckConstraint(among("state", State), name="state"),
    sa.CheckConstraint(among("category", Category), name="category"),
    sa.CheckConstraint("wanted_price_yuan IS NULL OR state IN ('listed', 'suspended')", name="wanted_price"),
    sa.CheckConstraint("state <> 'public_notice' OR notice_until IS NOT NULL", name="notice"),
    sa.CheckConstraint(f"version > 0 OR NOT ({among('state', TRADED)})", name="said_when_traded"),
    info=private(("proposed_by",), "region", also=(among("state", PUBLIC), _OF_THE_MAKER)),
)
sa.Index(
    "uq_listings_live",
    listings.c.region,
    listings.c.product_code,
    unique=True,
    postgresql_where=sa.text(among("state", LIVE)),
)
sa.Index("ix_listings_product_code", listings.c.product_code)
sa.Index("ix_listings_region", listings.c.region, listings.c.id)

change_counter = sa.Table(
    "change_counter",
    metadata,
    sa.Column("single", sa.Boolean, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.CheckConstraint("single", name="single"),
)
"""One row, locked by whoever gives out change numbers until its commit, so that numbers are committed in their order."""
