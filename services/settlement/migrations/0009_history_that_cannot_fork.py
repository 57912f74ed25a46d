"""No two rows of history follow the same one.

Revision 0009, after 0008.
"""

from shared.migrations import platform_0002

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0002.upgrade()


def downgrade() -> None:
    platform_0002.downgrade()
