"""Makers see what is late, refused or recalled of their products.

Revision 0006, after 0005. Alerts that stand get the maker of their line or recall.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OF_LINES = """
UPDATE alerts SET manufacturer_code = l.manufacturer_code FROM order_lines l
WHERE alerts.kind IN ('line_refused', 'delivery_overdue') AND alerts.about_id = l.line_id::text
"""
OF_RECALLS = """
UPDATE alerts SET manufacturer_code = r.manufacturer_code FROM recalled_lots r
WHERE alerts.kind = 'recall' AND alerts.cause = r.recall_id::text
"""
OF_ACKNOWLEDGEMENTS = """
UPDATE acknowledgements SET manufacturer_code = a.manufacturer_code FROM alerts a WHERE a.id = alert_id
"""


def upgrade() -> None:
    op.add_column("alerts", sa.Column("manufacturer_code", sa.Text(), nullable=True))
    op.add_column("acknowledgements", sa.Column("manufacturer_code", sa.Text(), nullable=True))
    for statement in (OF_LINES, OF_RECALLS, OF_ACKNOWLEDGEMENTS):
        op.execute(statement)
    op.create_index("ix_alerts_manufacturer", "alerts", ["manufacturer_code", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_alerts_manufacturer", table_name="alerts")
    op.drop_column("acknowledgements", "manufacturer_code")
    op.drop_column("alerts", "manufacturer_code")
