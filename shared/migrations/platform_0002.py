"""The second step of the tables that every service has: a row of history names the one that it follows, and no two name the same.

Rows that were written before name none, and are told apart by their hashes alone, as they always were.
"""

from alembic import op

FOLLOWS, ABOUT = "uq_history_follows", "ix_history_about"


def upgrade() -> None:
    """Adds the column; its index takes the place of the one by what a row is about."""
    op.execute("ALTER TABLE history ADD COLUMN IF NOT EXISTS follows bigint")
    _replace(ABOUT, FOLLOWS, ["about", "follows"], unique=True)


def downgrade() -> None:
    """Takes both away."""
    _replace(FOLLOWS, ABOUT, ["about", "id"], unique=False)
    op.drop_column("history", "follows")


def _replace(old: str, new: str, columns: list[str], *, unique: bool) -> None:
    """While everybody goes on: history is long, and written all the time."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # it waits for whoever writes, and nobody waits behind it
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {new}")  # half of one, left by a try that failed
        op.create_index(new, "history", columns, unique=unique, postgresql_concurrently=True)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {old}")
        op.execute("RESET lock_timeout")
