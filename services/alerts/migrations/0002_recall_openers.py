"""Who opened the recall of a lot, and who makes its product.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = ("opened_by", "opened_by_name", "manufacturer_code")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("recalled_lots", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("recalled_lots", name)
