"""Sheets, one per institution, distributor and month, and the payables that stand on each."""

import sqlalchemy as sa

from services.settlement.rules.sheets import STATES
from services.settlement.tables.base import PARTIES, YUAN, metadata, one_of, party_columns

sheets = sa.Table(
    "sheets",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    *party_columns(),
    sa.Column("institution_name", sa.Text, nullable=False),
    sa.Column("distributor_name", sa.Text, nullable=False),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("amount_yuan", YUAN, nullable=False),
    sa.Column("line_count", sa.Integer, nullable=False),
    sa.Column("disputed_yuan", YUAN, nullable=False, server_default="0"),
    sa.Column("disputed_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("confirm_by", sa.Date, nullable=False),
    sa.Column("review_by", sa.Date),
    sa.Column("due_on", sa.Date, nullable=False),
    sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("return_reason", sa.Text),
    # A month is summed up once, however often its deadline is met.
    sa.UniqueConstraint("institution_code", "distributor_code", "region", "month"),
    sa.CheckConstraint(one_of("state", STATES), name="state"),
    sa.CheckConstraint("extract(day FROM month) = 1", name="month"),
    sa.CheckConstraint("amount_yuan >= 0 AND line_count >= 0", name="not_negative"),
    sa.CheckConstraint("disputed_yuan >= 0 AND disputed_count >= 0", name="disputed_not_negative"),
    sa.CheckConstraint("(state = 'empty') = (line_count = 0)", name="empty"),
    sa.CheckConstraint("version >= 1", name="version"),
    info=PARTIES,
)
sa.Index("ix_sheets_distributor", sheets.c.distributor_code, sheets.c.id)
sa.Index("ix_sheets_region", sheets.c.region, sheets.c.state, sheets.c.id)

sheet_lines = sa.Table(
    "sheet_lines",
    metadata,
    sa.Column("sheet_id", sa.Uuid, sa.ForeignKey("sheets.id"), primary_key=True),
    sa.Column("payable_id", sa.Uuid, sa.ForeignKey("payables.id"), primary_key=True),
    *party_columns(),
    sa.Column("amount_yuan", YUAN, nullable=False),
    sa.Column("disputed_at", sa.DateTime(timezone=True)),
    sa.Column("dispute_reason", sa.Text),
    # What the amount pays for; NULL of what earlier versions issued.
    sa.Column("quantity", sa.Integer),
    sa.CheckConstraint("amount_yuan > 0", name="positive"),
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("(disputed_at IS NULL) = (dispute_reason IS NULL)", name="dispute"),
    info=PARTIES,
)
sa.Index("ix_sheet_lines_payable", sheet_lines.c.payable_id)
