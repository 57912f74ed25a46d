"""No two rows of history follow the same one.

Revision 0012, after 0011.
"""

from shared.migrations import platform_0002

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0002.upgrade()


def downgrade() -> None:
    platform_0002.downgrade()
