"""Payments that the bank made before they were sent, as after a restore: known by its reference, with no time of sending.

Revision 0014, after 0013.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SENT = "state NOT IN ('sending', 'paid', 'failed') OR sent_at IS NOT NULL"
OR_KNOWN = f"{SENT} OR (state <> 'sending' AND bank_reference IS NOT NULL)"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_payments_sent"), "payments", type_="check")
    op.create_check_constraint(op.f("ck_payments_sent"), "payments", OR_KNOWN)


def downgrade() -> None:
    op.execute("UPDATE payments SET sent_at = answered_at WHERE sent_at IS NULL AND state IN ('paid', 'failed')")
    op.drop_constraint(op.f("ck_payments_sent"), "payments", type_="check")
    op.create_check_constraint(op.f("ck_payments_sent"), "payments", SENT)
