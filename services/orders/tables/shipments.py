"""Shipments and their lines, each received once.

Natural keys: one shipment per number of a distributor, one line per place in it, and with it one acceptance.
"""

import sqlalchemy as sa

from services.orders.tables.base import metadata
from services.orders.tables.lines import order_lines
from services.orders.tables.orders import orders
from shared.db import private

shipments = sa.Table(
    "shipments",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("shipment_number", sa.Text, nullable=False),
    sa.Column("order_id", sa.Uuid, sa.ForeignKey(orders.c.id), nullable=False),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("institution_name", sa.Text, nullable=False),
    sa.Column("distributor_code", sa.Text, nullable=False),
    sa.Column("distributor_name", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.UniqueConstraint("shipment_number", "distributor_code"),
    sa.CheckConstraint("state IN ('dispatched', 'receiving', 'received', 'cancelled')", name="state"),
    sa.CheckConstraint("version > 0", name="version"),
    sa.Index("ix_shipments_order_id", "order_id"),
    sa.Index("ix_shipments_institution_code", "institution_code", "state", "id"),
    sa.Index("ix_shipments_of_distributor", "distributor_code", "state", "id"),
    info=private(("institution_code", "distributor_code"), "region"),
)

shipment_lines = sa.Table(
    "shipment_lines",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("shipment_id", sa.Uuid, sa.ForeignKey(shipments.c.id), nullable=False),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_line_id", sa.Uuid, sa.ForeignKey(order_lines.c.id), nullable=False),
    sa.Column("line_number", sa.Integer, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("distributor_code", sa.Text, nullable=False),
    sa.Column("manufacturer_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("product_name", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("lot_number", sa.Text, nullable=False),
    sa.Column("produced_on", sa.Date, nullable=False),
    sa.Column("expires_on", sa.Date, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("quantity_accepted", sa.Integer),
    sa.Column("quantity_rejected", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("received_at", sa.DateTime(timezone=True)),
    sa.Column("quantity_traced", sa.Integer, nullable=False, server_default="0"),
    sa.Column("traced_version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("codes_required", sa.Boolean),
    sa.UniqueConstraint("shipment_id", "place"),
    sa.CheckConstraint("quantity > 0 AND produced_on < expires_on", name="goods"),
    sa.CheckConstraint(
        "CASE WHEN received_at IS NULL THEN quantity_accepted IS NULL AND quantity_rejected IS NULL"
        " ELSE quantity_accepted >= 0 AND quantity_rejected >= 0 AND quantity_accepted + quantity_rejected = quantity"
        " AND quantity_accepted IS NOT NULL AND quantity_rejected IS NOT NULL END",
        name="received_whole",
    ),
    sa.CheckConstraint("quantity_rejected IS NULL OR quantity_rejected = 0 OR reason IS NOT NULL", name="reason"),
    sa.Index("ix_shipment_lines_order_line_id", "order_line_id"),
    info=private(("institution_code", "distributor_code", "manufacturer_code"), "region"),
)
