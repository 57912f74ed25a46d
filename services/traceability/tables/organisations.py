"""The names of those who take part, as listing last told them, and the USCC of an enterprise; public, for names are shown beside
codes."""

import sqlalchemy as sa

from services.traceability.tables.base import metadata

organisations = sa.Table(
    "organisations",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("uscc", sa.Text),
    sa.Index("ix_organisations_uscc", "uscc"),
)
