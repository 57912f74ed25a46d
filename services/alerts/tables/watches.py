"""Projections: what alerts knows of other services' things. Each fact fills its own columns, in whatever order it comes.

Natural keys: organisations by code, order lines and receipts by the ids orders gave them, so no event counts twice.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.alerts.tables.base import metadata
from shared.db import private

INSTANT = sa.DateTime(timezone=True)
OWN = ("institution_code", "supplier_code")

# Master data is public: names are shown beside codes.
organisations = sa.Table(
    "organisations",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("uscc", sa.Text),
    sa.Index("ix_organisations_uscc", "uscc"),
)

order_lines = sa.Table(
    "order_lines",
    metadata,
    sa.Column("line_id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_number", sa.Text),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("supplier_code", sa.Text),
    sa.Column("manufacturer_code", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text),
    sa.Column("product_name", sa.Text),
    sa.Column("quantity_ordered", sa.Integer),
    sa.Column("quantity_confirmed", sa.Integer),
    sa.Column("quantity_refused", sa.Integer),
    sa.Column("placed_at", INSTANT),
    sa.Column("confirm_by", INSTANT),
    sa.Column("deliver_by", INSTANT),
    sa.Column("confirmed_at", INSTANT),
    sa.Column("refused_at", INSTANT),
    sa.Column("cancelled_at", INSTANT),
    sa.Column("closed_at", INSTANT),
    sa.Column("placed_event", sa.Uuid),
    sa.Column("confirmed_event", sa.Uuid),
    info=private((*OWN, "manufacturer_code"), "region"),
)
sa.Index("ix_order_lines_order", order_lines.c.order_id)
sa.Index("ix_order_lines_number", order_lines.c.order_number)

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("shipment_line_id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_line_id", sa.Uuid),  # not told where a shipment is taken back
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("supplier_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text),
    sa.Column("lot_number", sa.Text),
    sa.Column("quantity_shipped", sa.Integer),
    sa.Column("quantity_accepted", sa.Integer),
    sa.Column("accepted_at", INSTANT),
    sa.Column("rejected_at", INSTANT),
    sa.Column("cancelled_at", INSTANT),
    sa.Column("payable_id", sa.Uuid, unique=True),
    sa.Column("amount_yuan", sa.Numeric(18, 2)),
    sa.Column("due_on", sa.Date),
    sa.Column("codes_required", sa.Boolean),
    sa.Column("released", sa.Boolean),
    sa.Column("quantity_released", sa.Integer),
    sa.Column("quantity_uncovered", sa.Integer),
    sa.Column("released_yuan", sa.Numeric(18, 2)),
    sa.Column("released_version", sa.Integer),
    sa.Column("covered", sa.Boolean),
    sa.Column("quantity_covered", sa.Integer),
    sa.Column("covered_version", sa.Integer),
    sa.Column("paid_yuan", sa.Numeric(18, 2)),
    sa.Column("paid_step", sa.Integer),
    sa.Column("opened_event", sa.Uuid),
    sa.Column("disputed", sa.Text),
    sa.Column("resolve_by", sa.Date),
    sa.Column("on_sheets", JSONB),  # sheet_id: yuan of it, as a text
    sa.Column("moved_at", INSTANT),
    sa.Column("disputed_version", sa.Integer),
    info=private(OWN, "region"),
)
sa.Index("ix_receipts_order_line", receipts.c.order_line_id)
sa.Index("ix_receipts_lot", receipts.c.product_code, receipts.c.lot_number)

sheets = sa.Table(
    "sheets",
    metadata,
    sa.Column("sheet_id", sa.Uuid, primary_key=True),
    sa.Column("institution_code", sa.Text, nullable=False),
    sa.Column("supplier_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("amount_yuan", sa.Numeric(18, 2)),
    sa.Column("line_count", sa.Integer),
    sa.Column("confirm_by", sa.Date),
    sa.Column("issued_at", INSTANT),
    sa.Column("answered_at", INSTANT),
    sa.Column("confirmed_at", INSTANT),
    sa.Column("returned_at", INSTANT),
    sa.Column("due_on", sa.Date),
    sa.Column("paid_at", INSTANT),
    sa.Column("unpaid_at", INSTANT),
    sa.Column("sent_at", INSTANT),
    sa.Column("doubted_at", INSTANT),
    sa.Column("undoubted_at", INSTANT),
    sa.Column("issued_event", sa.Uuid),
    sa.Column("failed_account_id", sa.Uuid),
    sa.Column("failed_reason", sa.Text),
    info=private(OWN, "region"),
)
sa.Index("ix_sheets_parties", sheets.c.institution_code, sheets.c.supplier_code)

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

# Public: whom a recall concerns is said by the alerts it raises.
recalled_lots = sa.Table(
    "recalled_lots",
    metadata,
    sa.Column("recall_id", sa.Uuid, primary_key=True),
    sa.Column("lot_number", sa.Text, primary_key=True),
    sa.Column("product_code", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("opened_by", sa.Text),
    sa.Column("opened_by_name", sa.Text),
    sa.Column("manufacturer_code", sa.Text),
    sa.Column("opened_at", INSTANT),
    sa.Column("closed_at", INSTANT),
    sa.Column("opened_event", sa.Uuid),
)
sa.Index("ix_recalled_lots_product", recalled_lots.c.product_code, recalled_lots.c.lot_number)
