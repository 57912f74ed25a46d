"""since when money stands as it does, how much of it is released, when a sheet was issued.

Revision 0004, after 0003. What is older is told by `jicai republish settlement payables` and `jicai republish settlement sheets`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("receipts", sa.Column("released_yuan", sa.Numeric(precision=18, scale=2), nullable=True))
    op.add_column("receipts", sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sheets", sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("sheets", "issued_at")
    op.drop_column("receipts", "moved_at")
    op.drop_column("receipts", "released_yuan")
