"""No two rows of history follow the same one.

Revision 0003, after 0002.
"""

from shared.migrations import platform_0002

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0002.upgrade()


def downgrade() -> None:
    platform_0002.downgrade()
