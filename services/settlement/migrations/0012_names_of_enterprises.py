"""Enterprises are known by all their names.

Revision 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("organisations", "uscc", nullable=True)
    op.add_column("organisations", sa.Column("names", sa.ARRAY(sa.Text()), nullable=True))
    op.add_column("organisations", sa.Column("version", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.execute("DELETE FROM organisations WHERE uscc IS NULL OR uscc = code")
    op.drop_column("organisations", "version")
    op.drop_column("organisations", "names")
    op.alter_column("organisations", "uscc", nullable=False)
