"""Orders: one row per order number of an institution, counting its lines by what they wait for."""

import sqlalchemy as sa

from services.orders.tables.base import metadata
from shared.db import private

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("institution_name", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("delivery_point", sa.Text),
    sa.Column("distributor_codes", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("manufacturer_codes", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("confirm_by", sa.DateTime(timezone=True), nullable=False),
    sa.Column("line_count", sa.Integer, nullable=False),
    sa.Column("lines_pending", sa.Integer, nullable=False),
    sa.Column("lines_active", sa.Integer, nullable=False),
    sa.Column("lines_cancelled", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.UniqueConstraint("order_number", "institution_code"),
    sa.CheckConstraint(
        "least(lines_pending, lines_active, lines_cancelled) >= 0"
        " AND lines_pending + lines_active + lines_cancelled <= line_count AND line_count > 0",
        name="lines",
    ),
    sa.CheckConstraint("confirm_by >= placed_at AND version > 0", name="order"),
    sa.Index("ix_orders_institution_code", "institution_code", "id"),
    info=private(("institution_code", "distributor_codes", "manufacturer_codes"), "region"),
)
