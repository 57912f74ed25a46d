"""recalled lots in runs: an index from a lot to what of it stands on unpaid sheets.

Revision 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    on_sheets = sa.text("sheeted_yuan > paid_yuan")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for whoever writes, and nobody waits behind it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_payables_on_sheets")  # half of one, left by a try that failed
        op.create_index(
            "ix_payables_on_sheets",
            "payables",
            ["product_code", "lot_number"],
            postgresql_where=on_sheets,
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    op.drop_index("ix_payables_on_sheets", table_name="payables")
