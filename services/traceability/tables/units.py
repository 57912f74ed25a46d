"""Every package that an institution holds or has sold, under its code, how codes moved, and which scans were refused.

A code is in `units` at most once on the whole platform: that is what makes a second receipt impossible, also at another
institution. The table is kept narrow because it is the longest of all: no id of its own, no foreign key (the document is
written by the same transaction), one partial index. `came_in` is the case that was scanned for it, if one was. See
docs/decisions/code-storage.md.
"""

import sqlalchemy as sa

from services.traceability.tables.base import metadata, the_supplier_of
from shared.db import private

units = sa.Table(
    "units",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("document_id", sa.Uuid, nullable=False),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("packs", sa.Integer, nullable=False),
    sa.Column("awaiting_ident", sa.Text),
    sa.Column("came_in", sa.Text),
    sa.Column("state", sa.Text, nullable=False, server_default="I"),
    sa.Column("sold_quantity", sa.Integer, nullable=False, server_default="0"),
    sa.CheckConstraint("state IN ('I', 'O', 'C')", name="state"),
    sa.CheckConstraint("(packs = 0) = (awaiting_ident IS NOT NULL) AND packs >= 0", name="packs"),
    sa.CheckConstraint("sold_quantity >= 0 AND (sold_quantity = 0 OR state <> 'O')", name="sold"),
    info=private(("institution_code",), "region", readers=[the_supplier_of("units")]),
)
sa.Index("ix_units_awaiting_ident", units.c.awaiting_ident, postgresql_where=units.c.awaiting_ident.is_not(None))

movements = sa.Table(
    "movements",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("document_id", sa.Uuid, sa.ForeignKey("documents.id"), primary_key=True),
    sa.Column("move", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer),
    sa.Column("received_document_id", sa.Uuid),
    sa.Column("organisation_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.CheckConstraint("move IN ('ship', 'sell', 'take_back', 'send_back', 'pass_on', 'write_off')", name="move"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    info={**private(("organisation_code",), "region"), "append_only": True},
)

refusals = sa.Table(
    "refusals",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("document_id", sa.Uuid, sa.ForeignKey("documents.id"), primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("organisation_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    info={
        **private(("organisation_code",), "region", readers=[the_supplier_of("refusals")]),
        "append_only": True,
    },
)
