"""Payments, at most one open or made per sheet; the id is the key under which the bank is asked."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.settlement.rules.payments import STATES
from services.settlement.tables.base import PARTIES, YUAN, metadata, one_of, party_columns

payments = sa.Table(
    "payments",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("run_id", sa.Uuid, sa.ForeignKey("payment_runs.id"), nullable=False),
    sa.Column("sheet_id", sa.Uuid, sa.ForeignKey("sheets.id"), nullable=False),
    *party_columns(),
    sa.Column("institution_name", sa.Text, nullable=False),
    sa.Column("distributor_name", sa.Text, nullable=False),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("amount_yuan", YUAN, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("approved_at", sa.DateTime(timezone=True)),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
    sa.Column("answered_at", sa.DateTime(timezone=True)),
    sa.Column("paid_at", sa.DateTime(timezone=True)),
    sa.Column("version", sa.Integer, nullable=False),
    # What the bank is told, copied when the payment is planned; NULL of what earlier versions planned.
    sa.Column("account_id", sa.Uuid, sa.ForeignKey("accounts.id")),
    sa.Column("holder_name", sa.Text),
    sa.Column("bank_name", sa.Text),
    sa.Column("cnaps_code", sa.Text),
    sa.Column("account_number", sa.Text),
    # When the bank said that it was paid after it had said that it was not; until the agency has found out.
    sa.Column("contradicted_at", sa.DateTime(timezone=True)),
    # What the bank has answered, word by word: the same again is nothing new.
    sa.Column("answers", JSONB, nullable=False, server_default="[]"),
    # What the bank knows a payment by, where it or the agency that asked it has told.
    sa.Column("bank_reference", sa.Text),
    # The run was made over a sheet that was in doubt already, by somebody who named it.
    sa.Column("doubt_known", sa.Boolean),
    sa.CheckConstraint(one_of("state", STATES), name="state"),
    sa.CheckConstraint("amount_yuan > 0", name="positive"),
    # One that was not sent is the bank's own, under its reference: it was made before, and came back perhaps.
    sa.CheckConstraint(
        "state NOT IN ('sending', 'paid', 'failed') OR sent_at IS NOT NULL"
        " OR (state <> 'sending' AND bank_reference IS NOT NULL)",
        name="sent",
    ),
    sa.CheckConstraint("state <> 'paid' OR paid_at IS NOT NULL", name="paid"),
    sa.CheckConstraint("state <> 'failed' OR reason IS NOT NULL", name="failed"),
    sa.CheckConstraint(
        "num_nonnulls(account_id, holder_name, bank_name, cnaps_code, account_number) IN (0, 5)", name="account"
    ),
    info=PARTIES,
)
sa.Index("ix_payments_run", payments.c.run_id, payments.c.id)
sa.Index(
    "ix_payments_planned",
    payments.c.run_id,
    postgresql_where=sa.and_(payments.c.state == "planned", payments.c.approved_at.is_(None)),
)
sa.Index(
    "uq_payments_sheet",
    payments.c.sheet_id,
    unique=True,
    postgresql_where=payments.c.state.in_(["planned", "sending", "paid"]),
)
