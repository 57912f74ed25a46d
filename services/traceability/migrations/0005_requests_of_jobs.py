"""Jobs keep the request that asked for them.

Revision 0005, after 0004.
"""

from shared.migrations import platform_0003

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0003.upgrade()


def downgrade() -> None:
    platform_0003.downgrade()
