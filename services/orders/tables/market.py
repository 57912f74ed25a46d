"""Projections of listing: who takes part, what is listed at which price, who may deliver it.

Each row holds the newest fact that arrived, `version` is that fact's sequence. Facts that travel apart have a table each
(a listing and its state, a relation and its end), so that they come to the same rows in whichever order they arrive.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.orders.tables.base import metadata

institutions = sa.Table(
    "institutions",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("receives_at", JSONB, nullable=False),  # name: id of the delivery point, or null for its own names
    sa.Column("version", sa.Integer, nullable=False),
)

enterprises = sa.Table(
    "enterprises",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("uscc", sa.Text),
    sa.Index("ix_enterprises_uscc", "uscc"),
)

listings = sa.Table(
    "listings",
    metadata,
    sa.Column("listing_id", sa.Uuid, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("product_kind", sa.Text, nullable=False),
    sa.Column("product_name", sa.Text, nullable=False),
    sa.Column("specification", sa.Text),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("manufacturer_code", sa.Text, nullable=False),
    sa.Column("manufacturer_name", sa.Text, nullable=False),
    sa.Column("price_yuan", sa.Numeric(18, 4), nullable=False),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_to", sa.Date),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("price_yuan > 0", name="price"),
    sa.Index("ix_listings_product_code", "product_code", "region"),
)

listing_states = sa.Table(
    "listing_states",
    metadata,
    sa.Column("listing_id", sa.Uuid, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("notice_until", sa.Date),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("state IN ('public_notice', 'retracted', 'listed', 'suspended', 'delisted')", name="state"),
    sa.CheckConstraint("(state = 'public_notice') = (notice_until IS NOT NULL)", name="notice"),
)

distributions = sa.Table(
    "distributions",
    metadata,
    sa.Column("distribution_id", sa.Uuid, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("distributor_code", sa.Text, nullable=False),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_to", sa.Date),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ix_distributions_product_code", "product_code", "distributor_code", "region"),
)

distribution_ends = sa.Table(
    "distribution_ends",
    metadata,
    sa.Column("distribution_id", sa.Uuid, primary_key=True),
    sa.Column("ended_on", sa.Date, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
