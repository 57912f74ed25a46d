"""Enterprises, each under one code for good."""

import sqlalchemy as sa

from services.listing.tables.base import metadata

enterprises = sa.Table(
    "enterprises",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("code", sa.Text, nullable=False, unique=True),
    sa.Column("uscc", sa.Text, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("aliases", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("name_keys", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("kinds", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("override_reason", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("provisional = (uscc IS NULL)", name="provisional_without_uscc"),
    sa.CheckConstraint("code LIKE 'PROV-%' OR code = uscc", name="code_for_good"),
    sa.CheckConstraint("kinds <@ ARRAY['manufacturer', 'distributor', 'agent']", name="kinds"),
)
sa.Index("ix_enterprises_name_keys", enterprises.c.name_keys, postgresql_using="gin")
