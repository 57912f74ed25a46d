"""payments forget what the bank said of them before they were sent.

Revision 0010, after 0009. What is kept of the answers of a payment that has none can only have come too early.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE payments SET answers = '[]' WHERE state IN ('planned', 'sending', 'withdrawn') AND answers <> '[]'"
    )


def downgrade() -> None:
    """What was forgotten was no answer."""
