"""which account the payment of a sheet went to that failed last, and why it failed.

Revision 0010, after 0009. What is older is told by `jicai republish settlement payments`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sheets", sa.Column("failed_account_id", sa.Uuid(), nullable=True))
    op.add_column("sheets", sa.Column("failed_reason", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("sheets", "failed_reason")
    op.drop_column("sheets", "failed_account_id")
