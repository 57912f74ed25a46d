"""Jobs keep the request that asked for them.

Revision 0013, after 0012.
"""

from shared.migrations import platform_0003

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0003.upgrade()


def downgrade() -> None:
    platform_0003.downgrade()
