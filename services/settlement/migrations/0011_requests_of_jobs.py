"""Jobs keep the request that asked for them.

Revision 0011, after 0010.
"""

from shared.migrations import platform_0003

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0003.upgrade()


def downgrade() -> None:
    platform_0003.downgrade()
