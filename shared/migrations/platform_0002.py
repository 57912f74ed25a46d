"""The second step of the tables that every service has: a row of history names the one that it follows, and no two name the same.

Rows that were written before name none, and are told apart by their hashes alone, as they always were.
"""

import sqlalchemy as sa
from alembic import op

FOLLOWS, ABOUT = "uq_history_follows", "ix_history_about"


def upgrade() -> None:
    """Adds the column; its index takes the place of the one by what a row is about."""
    op.execute("ALTER TABLE history ADD COLUMN IF NOT EXISTS follows bigint")
    _make(FOLLOWS, ["about", "follows"], unique=True)
    _drop(ABOUT)


def downgrade() -> None:
    """Takes both away; the trigger of the version before, which names no row, comes with its own `jicai migrate`."""
    op.execute("DROP TRIGGER IF EXISTS history_chain ON history")
    _make(ABOUT, ["about", "id"], unique=False)
    _drop(FOLLOWS)
    op.drop_column("history", "follows")


def _make(name: str, columns: list[str], *, unique: bool) -> None:
    """While everybody goes on, for history is long, and written all the time. One that stands is left, half of one, left by a
    try that failed, is made anew."""
    valid = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)").bindparams(name=name)
    stands = op.get_bind().execute(valid).scalar()
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for whoever writes, and nobody waits behind it
        if stands is False:
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        if not stands:
            op.create_index(name, "history", columns, unique=unique, postgresql_concurrently=True)
        op.execute("RESET lock_timeout")


def _drop(name: str) -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute("RESET lock_timeout")
