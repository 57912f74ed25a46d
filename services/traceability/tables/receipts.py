"""One expected receipt per shipment line; its row is the lock under which coverage changes.

`version` counts the events said of it. `packs_captured` counts sale units with valid codes, also beyond what was accepted.
"""

import sqlalchemy as sa

from services.traceability.tables.base import metadata
from shared.db import private

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("shipment_line_id", sa.Uuid, nullable=False, unique=True),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_line_id", sa.Uuid),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("distributor_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text),
    sa.Column("product_kind", sa.Text),
    sa.Column("product_name", sa.Text),
    sa.Column("unit", sa.Text),
    sa.Column("lot_number", sa.Text),
    sa.Column("expires_on", sa.Date),
    sa.Column("quantity_shipped", sa.Integer),
    sa.Column("quantity_accepted", sa.Integer),
    sa.Column("quantity_rejected", sa.Integer),
    sa.Column("packs_captured", sa.Integer, nullable=False),
    sa.Column("exempt", sa.Boolean, nullable=False),
    sa.Column("withdrawn", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("dispatched_at", sa.DateTime(timezone=True)),
    sa.Column("accepted_at", sa.DateTime(timezone=True)),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint(
        "state IN ('expected', 'short', 'covered', 'exempt', 'rejected', 'withdrawn')",
        name="state",
    ),
    sa.CheckConstraint("packs_captured >= 0 AND version >= 0", name="counts"),
    sa.CheckConstraint("quantity_shipped > 0", name="quantity_shipped"),
    sa.CheckConstraint("quantity_accepted >= 0", name="quantity_accepted"),
    sa.CheckConstraint("quantity_rejected >= 0", name="quantity_rejected"),
    sa.CheckConstraint("(state = 'withdrawn') = withdrawn", name="withdrawn"),
    sa.CheckConstraint(
        "state NOT IN ('short', 'covered') OR (quantity_accepted IS NOT NULL AND product_code IS NOT NULL)",
        name="accepted",
    ),
    sa.CheckConstraint(
        "state NOT IN ('short', 'covered') OR (state = 'covered') = (packs_captured >= quantity_accepted)",
        name="coverage",
    ),
    info=private(("institution_code", "distributor_code"), "region"),
)
sa.Index("ix_receipts_institution_code", receipts.c.institution_code, receipts.c.id)
sa.Index("ix_receipts_distributor_code", receipts.c.distributor_code, receipts.c.id)
sa.Index("ix_receipts_product_lot", receipts.c.product_code, receipts.c.lot_number)
