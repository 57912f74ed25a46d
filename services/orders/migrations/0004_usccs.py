"""USCCs that became known after registration.

Revision 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("enterprises", sa.Column("uscc", sa.Text(), nullable=True))
    op.create_index("ix_enterprises_uscc", "enterprises", ["uscc"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_enterprises_uscc", table_name="enterprises")
    op.drop_column("enterprises", "uscc")
