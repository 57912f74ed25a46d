"""why the payment of a sheet failed that did so last, and which account it went to.

Revision 0009, after 0008. What is older is told by `jicai republish settlement payments`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sheets", sa.Column("failed_reason", sa.Text(), nullable=True))
    op.add_column("sheets", sa.Column("failed_account_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("sheets", "failed_account_id")
    op.drop_column("sheets", "failed_reason")
