"""doubts about payments that end: what the bank has answered, its reference, runs that knew of a doubt.

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "payments", sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False)
    )
    op.add_column("payments", sa.Column("bank_reference", sa.Text(), nullable=True))
    op.add_column("payments", sa.Column("doubt_known", sa.Boolean(), nullable=True))
    planned = sa.text("state = 'planned' AND approved_at IS NULL")
    op.create_index("ix_payments_planned", "payments", ["run_id"], postgresql_where=planned)


def downgrade() -> None:
    op.drop_index("ix_payments_planned", table_name="payments")
    op.drop_column("payments", "doubt_known")
    op.drop_column("payments", "bank_reference")
    op.drop_column("payments", "answers")
