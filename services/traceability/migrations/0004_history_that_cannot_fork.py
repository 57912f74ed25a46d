"""No two rows of history follow the same one.

Revision 0004, after 0003.
"""

from shared.migrations import platform_0002

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0002.upgrade()


def downgrade() -> None:
    platform_0002.downgrade()
