"""Enterprises that trade under another code than their USCC, as listing tells them; public, as there."""

import sqlalchemy as sa

from services.settlement.tables.base import metadata

organisations = sa.Table(
    "organisations",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("uscc", sa.Text, nullable=False),
    sa.Index("ix_organisations_uscc", "uscc"),
)
