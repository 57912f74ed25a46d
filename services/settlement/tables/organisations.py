"""Enterprises as listing tells them: their names and, of one that trades under another code, its USCC; public, as there."""

import sqlalchemy as sa

from services.settlement.tables.base import metadata

organisations = sa.Table(
    "organisations",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("uscc", sa.Text),
    sa.Column("names", sa.ARRAY(sa.Text)),  # not told of what earlier versions kept
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_organisations_uscc", "uscc"),
)
