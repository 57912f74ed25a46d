"""sheets whose payment is under way, or in doubt.

Revision 0007, after 0006. What is older is told by `jicai republish settlement payments`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sheets", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sheets", sa.Column("doubted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sheets", sa.Column("undoubted_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("sheets", "undoubted_at")
    op.drop_column("sheets", "doubted_at")
    op.drop_column("sheets", "sent_at")
