"""USCCs of enterprises, some of which trade under another code.

Revision 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organisations", sa.Column("uscc", sa.Text(), nullable=True))
    op.create_index("ix_organisations_uscc", "organisations", ["uscc"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_organisations_uscc", table_name="organisations")
    op.drop_column("organisations", "uscc")
