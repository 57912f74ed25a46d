"""One anomaly for each institution, kind and code until it is closed, with how often it was found.

Revision 0002, after 0001. What was found more than once before stays as its earliest anomaly; the others are closed and say so.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CLOSE_REPEATED = """
UPDATE anomalies AS a SET state = 'closed', finding = 'an earlier anomaly is about the same code', version = version + 1
WHERE a.document_id IS NOT NULL AND a.state <> 'closed' AND EXISTS (
  SELECT FROM anomalies AS b
  WHERE b.document_id IS NOT NULL AND b.state <> 'closed' AND b.id < a.id
    AND (b.institution_code, b.kind, b.code) = (a.institution_code, a.kind, a.code))
"""
STANDING = sa.text("state != 'closed' AND document_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("anomalies", sa.Column("finds", sa.Integer(), server_default="1", nullable=False))
    op.add_column("anomalies", sa.Column("last_document_id", sa.Uuid(), nullable=True))
    op.add_column("anomalies", sa.Column("bill_number", sa.Text(), nullable=True))
    op.add_column("anomalies", sa.Column("captured_by", sa.Text(), nullable=True))
    op.execute(CLOSE_REPEATED)
    op.execute("UPDATE anomalies SET last_document_id = document_id WHERE document_id IS NOT NULL")
    op.drop_constraint("uq_anomalies_document_id_kind_code", "anomalies", type_="unique")
    op.create_index("ix_anomalies_document_id", "anomalies", ["document_id"], unique=False)
    op.create_index("ix_anomalies_last_document_id", "anomalies", ["last_document_id"], unique=False)
    op.create_index(
        "uq_anomalies_code", "anomalies", ["institution_code", "kind", "code"], unique=True, postgresql_where=STANDING
    )


def downgrade() -> None:
    op.drop_index("uq_anomalies_code", table_name="anomalies", postgresql_where=STANDING)
    op.drop_index("ix_anomalies_last_document_id", table_name="anomalies")
    op.drop_index("ix_anomalies_document_id", table_name="anomalies")
    op.create_unique_constraint("uq_anomalies_document_id_kind_code", "anomalies", ["document_id", "kind", "code"])
    for name in ("captured_by", "bill_number", "last_document_id", "finds"):
        op.drop_column("anomalies", name)
