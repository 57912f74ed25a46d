"""The third step of the tables that every service has: a job keeps the request that asked for it, and its trace.

Jobs that were asked for before belong to no request, as they always did.
"""

import sqlalchemy as sa
from alembic import op

COLUMNS = "request_id", "traceparent"


def upgrade() -> None:
    """Adds both."""
    for column in COLUMNS:
        op.add_column("jobs", sa.Column(column, sa.Text(), nullable=True))


def downgrade() -> None:
    """Takes both away."""
    for column in COLUMNS:
        op.drop_column("jobs", column)
