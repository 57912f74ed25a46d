"""USCCs that became known after registration.

Revision 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organisations", sa.Column("uscc", sa.Text(), nullable=True))
    op.create_index("ix_organisations_uscc", "organisations", ["uscc"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_organisations_uscc", table_name="organisations")
    op.drop_column("organisations", "uscc")
