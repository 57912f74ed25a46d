"""Payables, one per accepted line for good, and how far valid codes cover each line."""

import sqlalchemy as sa

from services.settlement.rules.payables import STATE_SQL
from services.settlement.tables.base import PARTIES, PRICE, YUAN, metadata, party_columns

payables = sa.Table(
    "payables",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("shipment_line_id", sa.Uuid, nullable=False, unique=True),
    sa.Column("shipment_id", sa.Uuid, nullable=False),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_line_id", sa.Uuid, nullable=False),
    sa.Column("order_number", sa.Text, nullable=False),
    *party_columns(),
    sa.Column("institution_name", sa.Text, nullable=False),
    sa.Column("distributor_name", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("product_kind", sa.Text, nullable=False),
    sa.Column("product_name", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("lot_number", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("unit_price_yuan", PRICE, nullable=False),
    sa.Column("amount_yuan", YUAN, nullable=False),
    sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("accepted_month", sa.Date, nullable=False),
    sa.Column("due_on", sa.Date, nullable=False),
    sa.Column("codes_required", sa.Boolean, nullable=False),
    sa.Column("quantity_released", sa.Integer, nullable=False),
    sa.Column("quantity_uncovered", sa.Integer, nullable=False, server_default="0"),
    sa.Column("released_yuan", YUAN, nullable=False),
    sa.Column("sheeted_yuan", YUAN, nullable=False, server_default="0"),
    sa.Column("held_yuan", YUAN, nullable=False, server_default="0"),
    sa.Column("paid_yuan", YUAN, nullable=False, server_default="0"),
    sa.Column("sheet_id", sa.Uuid, sa.ForeignKey("sheets.id")),
    sa.Column("held_reason", sa.Text),
    sa.Column("resolve_by", sa.Date),
    sa.Column("entries", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, sa.Computed(STATE_SQL, persisted=True), nullable=False),
    sa.CheckConstraint("quantity > 0 AND unit_price_yuan > 0", name="positive"),
    sa.CheckConstraint("amount_yuan = round(quantity * unit_price_yuan, 2)", name="amount"),
    sa.CheckConstraint("quantity_released BETWEEN 0 AND quantity", name="released_quantity"),
    sa.CheckConstraint("quantity_uncovered BETWEEN 0 AND quantity_released", name="uncovered"),
    sa.CheckConstraint("released_yuan = round(quantity_released * unit_price_yuan, 2)", name="released"),
    sa.CheckConstraint(
        "0 <= paid_yuan AND paid_yuan <= sheeted_yuan AND 0 <= held_yuan AND sheeted_yuan + held_yuan <= released_yuan",
        name="steps",
    ),
    sa.CheckConstraint("(held_reason IS NULL) = (held_yuan = 0)", name="held"),
    sa.CheckConstraint("extract(day FROM accepted_month) = 1", name="month"),
    sa.CheckConstraint("version >= 1 AND entries >= 0", name="counts"),
    info=PARTIES,
)
sa.Index("ix_payables_institution", payables.c.institution_code, payables.c.id)
sa.Index("ix_payables_distributor", payables.c.distributor_code, payables.c.id)
sa.Index(
    "ix_payables_to_sheet",
    payables.c.region,
    payables.c.accepted_month,
    postgresql_where=payables.c.sheeted_yuan < payables.c.amount_yuan,
)
sa.Index(
    "ix_payables_on_sheets",
    payables.c.product_code,
    payables.c.lot_number,
    postgresql_where=payables.c.sheeted_yuan > payables.c.paid_yuan,
)
sa.Index("ix_payables_accepted_at", payables.c.accepted_at)

coverage = sa.Table(
    "coverage",
    metadata,
    sa.Column("shipment_line_id", sa.Uuid, primary_key=True),
    *party_columns(),
    sa.Column("quantity_covered", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint("quantity_covered >= 0 AND version >= 0", name="not_negative"),
    info=PARTIES,
)
