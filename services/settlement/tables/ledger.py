"""The ledger: append-only, one row a transaction with both its sides, so that each sums to zero by construction.

A row is known by its payable and its step, so that no repeated event or restored backup can book it twice.
"""

import sqlalchemy as sa

from services.settlement.rules.ledger import SIDES
from services.settlement.tables.base import PARTIES, YUAN, metadata, party_columns

_ALLOWED = ", ".join(f"('{kind}', '{debit}', '{credit}')" for kind, (debit, credit) in SIDES.items())

transfers = sa.Table(
    "transfers",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("payable_id", sa.Uuid, sa.ForeignKey("payables.id"), nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("debit_account", sa.Text, nullable=False),
    sa.Column("credit_account", sa.Text, nullable=False),
    sa.Column("amount_yuan", YUAN, nullable=False),
    sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("sheet_id", sa.Uuid, sa.ForeignKey("sheets.id")),
    sa.Column("payment_id", sa.Uuid, sa.ForeignKey("payments.id")),
    *party_columns(),
    sa.UniqueConstraint("payable_id", "step"),
    sa.CheckConstraint("amount_yuan > 0", name="positive"),
    sa.CheckConstraint("debit_account <> credit_account", name="two_sides"),
    sa.CheckConstraint(f"(kind, debit_account, credit_account) IN ({_ALLOWED})", name="chart"),
    info=PARTIES | {"append_only": True},
)
