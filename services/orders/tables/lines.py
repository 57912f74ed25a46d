"""Lines of orders with what became of every unit, and what was paid for them.

Natural keys: one line per number of an order, one total paid per payable.
"""

import sqlalchemy as sa

from services.orders.tables.base import metadata
from services.orders.tables.orders import orders
from shared.db import private

PARTIES = ("institution_code", "distributor_code", "manufacturer_code")

order_lines = sa.Table(
    "order_lines",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, sa.ForeignKey(orders.c.id), nullable=False),
    sa.Column("line_number", sa.Integer, nullable=False),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("distributor_code", sa.Text, nullable=False),
    sa.Column("distributor_name", sa.Text, nullable=False),
    sa.Column("manufacturer_code", sa.Text, nullable=False),
    sa.Column("manufacturer_name", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("listing_id", sa.Uuid, nullable=False),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("product_kind", sa.Text, nullable=False),
    sa.Column("product_name", sa.Text, nullable=False),
    sa.Column("specification", sa.Text),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("unit_price_yuan", sa.Numeric(18, 4), nullable=False),
    sa.Column("amount_yuan", sa.Numeric(18, 2), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("quantity_ordered", sa.Integer, nullable=False),
    sa.Column("quantity_confirmed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("quantity_refused", sa.Integer, nullable=False, server_default="0"),
    sa.Column("quantity_shipped", sa.Integer, nullable=False, server_default="0"),
    sa.Column("quantity_accepted", sa.Integer, nullable=False, server_default="0"),
    sa.Column("quantity_rejected", sa.Integer, nullable=False, server_default="0"),
    sa.Column("quantity_closed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("deliver_by", sa.DateTime(timezone=True)),
    sa.Column("reason", sa.Text),
    sa.UniqueConstraint("order_id", "line_number"),
    sa.CheckConstraint("quantity_ordered > 0 AND line_number > 0", name="ordered"),
    sa.CheckConstraint(
        "least(quantity_confirmed, quantity_refused, quantity_shipped, quantity_accepted, quantity_rejected,"
        " quantity_closed) >= 0",
        name="not_negative",
    ),
    sa.CheckConstraint("quantity_accepted + quantity_rejected <= quantity_shipped", name="received"),
    sa.CheckConstraint("quantity_shipped - quantity_rejected <= quantity_confirmed", name="shipped"),
    sa.CheckConstraint("amount_yuan = round(quantity_ordered * unit_price_yuan, 2)", name="amount"),
    sa.CheckConstraint(
        "CASE state"
        " WHEN 'pending' THEN quantity_confirmed + quantity_refused + quantity_closed = 0"
        " WHEN 'refused' THEN quantity_refused = quantity_ordered AND quantity_confirmed = 0"
        " WHEN 'cancelled' THEN quantity_closed = quantity_ordered AND quantity_confirmed = 0"
        " WHEN 'confirmed' THEN quantity_confirmed > 0 AND quantity_closed = 0"
        " WHEN 'fulfilled' THEN quantity_confirmed > 0 AND quantity_accepted = quantity_confirmed"
        " WHEN 'closing' THEN quantity_confirmed = quantity_shipped - quantity_rejected + quantity_closed"
        " WHEN 'closed' THEN quantity_confirmed = quantity_accepted + quantity_closed"
        " ELSE false END",
        name="state",
    ),
    sa.CheckConstraint(
        "state IN ('pending', 'cancelled') OR quantity_confirmed + quantity_refused = quantity_ordered", name="decided"
    ),
    sa.Index("ix_order_lines_distributor_code", "distributor_code", "state", "id"),
    sa.Index("ix_order_lines_institution_code", "institution_code", "state", "id"),
    sa.Index("ix_order_lines_manufacturer_code", "manufacturer_code", "id"),
    info=private(PARTIES, "region"),
)

line_payments = sa.Table(
    "line_payments",
    metadata,
    sa.Column("payable_id", sa.Uuid, primary_key=True),
    sa.Column("payment_id", sa.Uuid, nullable=False),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_line_id", sa.Uuid, sa.ForeignKey(order_lines.c.id), nullable=False),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("distributor_code", sa.Text, nullable=False),
    sa.Column("manufacturer_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("amount_yuan", sa.Numeric(18, 2), nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.CheckConstraint("amount_yuan >= 0", name="amount"),
    sa.Index("ix_line_payments_order_line_id", "order_line_id"),
    info=private(PARTIES, "region"),
)
