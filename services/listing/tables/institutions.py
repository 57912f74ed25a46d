"""Institutions, each under one code, and the places where they receive goods."""

import sqlalchemy as sa

from services.listing.tables.base import metadata

institutions = sa.Table(
    "institutions",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("code", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("aliases", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("grade", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("code ~ '^[HP][0-9]{11}$'", name="code"),
    sa.CheckConstraint("kind IN ('hospital', 'pharmacy')", name="kind"),
)
sa.Index("ix_institutions_region", institutions.c.region, institutions.c.id)

delivery_points = sa.Table(
    "delivery_points",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("institution_id", sa.Uuid, sa.ForeignKey(institutions.c.id), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False),
    sa.UniqueConstraint("institution_id", "name_key"),
)
