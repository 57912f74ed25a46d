"""Jobs keep the request that asked for them.

Revision 0004, after 0003.
"""

from shared.migrations import platform_0003

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0003.upgrade()


def downgrade() -> None:
    platform_0003.downgrade()
