"""What settlement says of accepted goods beside payments: until when they are to be paid, what became of the money last, and
the sheets on which it stands, and the accounts that suppliers are paid to.

Natural keys: one payable per shipment line, and the sheet's and the account's own id.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.orders.tables.base import metadata
from services.orders.tables.lines import PARTIES
from services.orders.tables.shipments import shipment_lines
from shared.db import private

payables = sa.Table(
    "payables",
    metadata,
    sa.Column("shipment_line_id", sa.Uuid, sa.ForeignKey(shipment_lines.c.id), primary_key=True),
    sa.Column("payable_id", sa.Uuid, nullable=False),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("distributor_code", sa.Text, nullable=False),
    sa.Column("manufacturer_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("due_on", sa.Date),
    sa.Column("disputed", sa.Text),
    sa.Column("resolve_by", sa.Date),
    sa.Column("on_sheets", JSONB),  # sheet_id: yuan of it, as a text
    sa.Column("moved_at", sa.DateTime(timezone=True)),
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    info=private(PARTIES, "region"),
)

# Public: that a supplier has an account, and none of what a bank is told.
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account_id", sa.Uuid, primary_key=True),
    sa.Column("supplier_code", sa.Text, nullable=False),
    sa.Column("region_prefix", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ix_accounts_supplier", "supplier_code"),
)

sheets = sa.Table(
    "sheets",
    metadata,
    sa.Column("sheet_id", sa.Uuid, primary_key=True),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("distributor_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("confirm_by", sa.Date),
    sa.Column("due_on", sa.Date),
    sa.Column("issued_at", sa.DateTime(timezone=True)),
    sa.Column("confirmed_at", sa.DateTime(timezone=True)),
    sa.Column("returned_at", sa.DateTime(timezone=True)),
    sa.Column("paid_at", sa.DateTime(timezone=True)),
    sa.Column("unpaid_at", sa.DateTime(timezone=True)),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
    sa.Column("doubted_at", sa.DateTime(timezone=True)),
    sa.Column("undoubted_at", sa.DateTime(timezone=True)),
    sa.Column("failed_reason", sa.Text),
    sa.Column("failed_account_id", sa.Uuid),
    sa.Index("ix_sheets_parties", "institution_code", "distributor_code", "month"),
    info=private(("institution_code", "distributor_code"), "region"),
)
