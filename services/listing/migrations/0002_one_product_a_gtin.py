"""A GTIN belongs to one product. Of products that share one already, the first that was registered has it; the others keep it
beside it until it is changed, and no more are taken.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEEP_DOUBLED = """
UPDATE products p SET gtin_doubled = p.gtin
WHERE EXISTS (SELECT FROM products first WHERE first.gtin = p.gtin AND first.id < p.id)
"""
ONE_EACH = """
CREATE UNIQUE INDEX uq_products_gtin ON products (gtin) WHERE gtin IS DISTINCT FROM gtin_doubled
"""


def upgrade() -> None:
    op.add_column("products", sa.Column("gtin_doubled", sa.Text(), nullable=True))
    op.execute(KEEP_DOUBLED)
    op.execute(ONE_EACH)


def downgrade() -> None:
    op.drop_index("uq_products_gtin", table_name="products")
    op.drop_column("products", "gtin_doubled")
