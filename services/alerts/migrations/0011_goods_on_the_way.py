"""goods on the way: what was shipped, and whether it was rejected or taken back.

Revision 0011, after 0010. What is older is told by `jicai republish orders shipments`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("receipts", sa.Column("quantity_shipped", sa.Integer(), nullable=True))
    op.add_column("receipts", sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("receipts", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("receipts", "order_line_id", existing_type=sa.Uuid(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM receipts WHERE order_line_id IS NULL")
    op.alter_column("receipts", "order_line_id", existing_type=sa.Uuid(), nullable=False)
    op.drop_column("receipts", "cancelled_at")
    op.drop_column("receipts", "rejected_at")
    op.drop_column("receipts", "quantity_shipped")
