"""Jobs keep the request that asked for them.

Revision 0010, after 0009.
"""

from shared.migrations import platform_0003

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0003.upgrade()


def downgrade() -> None:
    platform_0003.downgrade()
