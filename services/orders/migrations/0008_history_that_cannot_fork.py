"""No two rows of history follow the same one.

Revision 0008, after 0007.
"""

from shared.migrations import platform_0002

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0002.upgrade()


def downgrade() -> None:
    platform_0002.downgrade()
