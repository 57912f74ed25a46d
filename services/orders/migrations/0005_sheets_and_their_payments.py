"""on which sheets money stands, by when it is paid or settled, which sheets are paid.

Revision 0005, after 0004. What is older is told by `jicai republish settlement payables`, `… sheets` and `… payments`.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payables", sa.Column("resolve_by", sa.Date(), nullable=True))
    op.add_column("payables", sa.Column("on_sheets", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("sheets", sa.Column("due_on", sa.Date(), nullable=True))
    op.add_column("sheets", sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sheets", sa.Column("unpaid_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("sheets", "unpaid_at")
    op.drop_column("sheets", "paid_at")
    op.drop_column("sheets", "due_on")
    op.drop_column("payables", "on_sheets")
    op.drop_column("payables", "resolve_by")
