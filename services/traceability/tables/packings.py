"""Which code lies in which: a code has one parent, and what it lies in has a higher level. Public."""

import sqlalchemy as sa

from services.traceability.tables.base import metadata

packings = sa.Table(
    "packings",
    metadata,
    sa.Column("child", sa.Text, primary_key=True),
    sa.Column("parent", sa.Text, nullable=False),
    sa.Column("uploaded_by", sa.Text, nullable=False),
    sa.CheckConstraint("child <> parent", name="not_in_itself"),
)
sa.Index("ix_packings_parent", packings.c.parent)
