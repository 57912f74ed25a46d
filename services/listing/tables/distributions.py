"""Distribution relations. Who delivers is public; what was only proposed is seen by its parties and the region."""

import sqlalchemy as sa

from services.listing.tables.base import metadata
from services.listing.tables.enterprises import enterprises
from services.listing.tables.products import products
from shared.db import private

distributions = sa.Table(
    "distributions",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text, sa.ForeignKey(products.c.code), nullable=False),
    sa.Column("manufacturer_code", sa.Text, sa.ForeignKey(enterprises.c.code), nullable=False),
    sa.Column("agent_code", sa.Text),
    sa.Column("distributor_code", sa.Text, sa.ForeignKey(enterprises.c.code), nullable=False),
    sa.Column("distributor_name", sa.Text, nullable=False),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_to", sa.Date),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("ended_on", sa.Date),
    sa.Column("proposed_by", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("state IN ('proposed', 'active', 'rejected', 'ended')", name="state"),
    sa.CheckConstraint("valid_to >= valid_from", name="validity"),
    sa.CheckConstraint("state <> 'active' OR version > 0", name="said_when_active"),
    info=private(("manufacturer_code", "agent_code", "distributor_code"), "region", also=("version > 0",)),
)
sa.Index(
    "uq_distributions_open",
    distributions.c.product_code,
    distributions.c.region,
    distributions.c.distributor_code,
    unique=True,
    postgresql_where=sa.text("state IN ('proposed', 'active')"),
)
sa.Index("ix_distributions_manufacturer_code", distributions.c.manufacturer_code, distributions.c.id)
sa.Index("ix_distributions_distributor_code", distributions.c.distributor_code, distributions.c.id)
sa.Index("ix_distributions_region", distributions.c.region, distributions.c.id)
