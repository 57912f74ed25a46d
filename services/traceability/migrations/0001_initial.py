"""initial.

Revision 0001, after None.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.migrations import platform_0001

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    platform_0001.upgrade()
    op.create_table(
        "identification_codes",
        sa.Column("ident", sa.Text(), nullable=False),
        sa.Column("product_code", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("packs_per_unit", sa.Integer(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("level BETWEEN 1 AND 3", name=op.f("ck_identification_codes_level")),
        sa.CheckConstraint(
            "packs_per_unit > 0 AND (level > 1 OR packs_per_unit = 1)",
            name=op.f("ck_identification_codes_packs_per_unit"),
        ),
        sa.PrimaryKeyConstraint("ident", name=op.f("pk_identification_codes")),
    )
    op.create_index(
        "ix_identification_codes_product_code", "identification_codes", ["product_code", "ident"], unique=False
    )
    op.create_table(
        "organisations",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_organisations")),
    )
    op.create_table(
        "packings",
        sa.Column("child", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.CheckConstraint("child <> parent", name=op.f("ck_packings_not_in_itself")),
        sa.PrimaryKeyConstraint("child", name=op.f("pk_packings")),
    )
    op.create_index("ix_packings_parent", "packings", ["parent"], unique=False)
    op.create_table(
        "products",
        sa.Column("product_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("units_per_pack", sa.Integer(), nullable=False),
        sa.Column("manufacturer_code", sa.Text(), nullable=False),
        sa.Column("agent_code", sa.Text(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("units_per_pack > 0", name=op.f("ck_products_units_per_pack")),
        sa.PrimaryKeyConstraint("product_code", name=op.f("pk_products")),
    )
    op.create_table(
        "recalls",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_code", sa.Text(), nullable=False),
        sa.Column("manufacturer_code", sa.Text(), nullable=False),
        sa.Column("lot_numbers", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("closing_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_recalls_closed_at")),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_recalls_state")),
        sa.CheckConstraint("cardinality(lot_numbers) > 0", name=op.f("ck_recalls_lot_numbers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recalls")),
    )
    op.create_index(
        "ix_recalls_open", "recalls", ["product_code"], unique=False, postgresql_where=sa.text("state = 'open'")
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("shipment_line_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("order_line_id", sa.Uuid(), nullable=True),
        sa.Column("institution_code", sa.Text(), nullable=False),
        sa.Column("distributor_code", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("product_code", sa.Text(), nullable=True),
        sa.Column("product_kind", sa.Text(), nullable=True),
        sa.Column("product_name", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("lot_number", sa.Text(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("quantity_shipped", sa.Integer(), nullable=True),
        sa.Column("quantity_accepted", sa.Integer(), nullable=True),
        sa.Column("quantity_rejected", sa.Integer(), nullable=True),
        sa.Column("packs_captured", sa.Integer(), nullable=False),
        sa.Column("exempt", sa.Boolean(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state = 'withdrawn') = withdrawn", name=op.f("ck_receipts_withdrawn")),
        sa.CheckConstraint(
            "state IN ('expected', 'short', 'covered', 'exempt', 'rejected', 'withdrawn')",
            name=op.f("ck_receipts_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('short', 'covered') OR (quantity_accepted IS NOT NULL AND product_code IS NOT NULL)",
            name=op.f("ck_receipts_accepted"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('short', 'covered') OR (state = 'covered') = (packs_captured >= quantity_accepted)",
            name=op.f("ck_receipts_coverage"),
        ),
        sa.CheckConstraint("packs_captured >= 0 AND version >= 0", name=op.f("ck_receipts_counts")),
        sa.CheckConstraint("quantity_accepted >= 0", name=op.f("ck_receipts_quantity_accepted")),
        sa.CheckConstraint("quantity_rejected >= 0", name=op.f("ck_receipts_quantity_rejected")),
        sa.CheckConstraint("quantity_shipped > 0", name=op.f("ck_receipts_quantity_shipped")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("shipment_line_id", name=op.f("uq_receipts_shipment_line_id")),
        info={"private": {"own": ("institution_code", "distributor_code"), "region": "region"}},
    )
    op.create_index("ix_receipts_distributor_code", "receipts", ["distributor_code", "id"], unique=False)
    op.create_index("ix_receipts_institution_code", "receipts", ["institution_code", "id"], unique=False)
    op.create_index("ix_receipts_product_lot", "receipts", ["product_code", "lot_number"], unique=False)
    op.create_table(
        "anomalies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("ident", sa.Text(), nullable=True),
        sa.Column("product_code", sa.Text(), nullable=True),
        sa.Column("document_id", sa.Uuid(), nullable=True),
        sa.Column("recall_id", sa.Uuid(), nullable=True),
        sa.Column("receipt_id", sa.Uuid(), nullable=True),
        sa.Column("institution_code", sa.Text(), nullable=False),
        sa.Column("manufacturer_code", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("finding", sa.Text(), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("severity IN ('high', 'medium')", name=op.f("ck_anomalies_severity")),
        sa.CheckConstraint("state <> 'closed' OR finding IS NOT NULL", name=op.f("ck_anomalies_closed")),
        sa.CheckConstraint("state <> 'explained' OR explanation IS NOT NULL", name=op.f("ck_anomalies_explained")),
        sa.CheckConstraint("state IN ('open', 'explained', 'closed')", name=op.f("ck_anomalies_state")),
        sa.CheckConstraint(
            "num_nonnulls(document_id, recall_id) = (CASE kind WHEN 'surplus' THEN 0 ELSE 1 END)",
            name=op.f("ck_anomalies_cause"),
        ),
        sa.CheckConstraint("kind <> 'surplus' OR receipt_id IS NOT NULL", name=op.f("ck_anomalies_surplus")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipts.id"], name=op.f("fk_anomalies_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anomalies")),
        sa.UniqueConstraint("document_id", "kind", "code", name=op.f("uq_anomalies_document_id_kind_code")),
        sa.UniqueConstraint("recall_id", "institution_code", name=op.f("uq_anomalies_recall_id_institution_code")),
        info={"private": {"own": ("institution_code", "manufacturer_code"), "region": "region"}},
    )
    op.create_index("ix_anomalies_code", "anomalies", ["code"], unique=False)
    op.create_index(
        "ix_anomalies_ident", "anomalies", ["ident"], unique=False, postgresql_where=sa.text("state != 'closed'")
    )
    op.create_index("ix_anomalies_institution_code", "anomalies", ["institution_code", "id"], unique=False)
    op.create_index(
        "uq_anomalies_surplus",
        "anomalies",
        ["receipt_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'surplus' AND state != 'closed'"),
    )
    op.create_table(
        "units",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("institution_code", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("packs", sa.Integer(), nullable=False),
        sa.Column("awaiting_ident", sa.Text(), nullable=True),
        sa.Column("came_in", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="I", nullable=False),
        sa.Column("sold_quantity", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("sold_quantity >= 0 AND (sold_quantity = 0 OR state <> 'O')", name=op.f("ck_units_sold")),
        sa.CheckConstraint("state IN ('I', 'O', 'C')", name=op.f("ck_units_state")),
        sa.CheckConstraint("(packs = 0) = (awaiting_ident IS NOT NULL) AND packs >= 0", name=op.f("ck_units_packs")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_units")),
        info={"private": {"own": ("institution_code",), "region": "region"}},
    )
    op.create_index(
        "ix_units_awaiting_ident",
        "units",
        ["awaiting_ident"],
        unique=False,
        postgresql_where=sa.text("awaiting_ident IS NOT NULL"),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_code", sa.Text(), nullable=False),
        sa.Column("supplier_code", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("bill_number", sa.Text(), nullable=False),
        sa.Column("bill_type", sa.Text(), nullable=False),
        sa.Column("receipt_id", sa.Uuid(), nullable=True),
        sa.Column("shipment_line_id", sa.Uuid(), nullable=True),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("packs", sa.Integer(), nullable=False),
        sa.Column("placeholders", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("accepted >= 0 AND packs >= 0 AND placeholders >= 0", name=op.f("ck_documents_counts")),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipts.id"], name=op.f("fk_documents_receipt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint(
            "organisation_code", "bill_number", name=op.f("uq_documents_organisation_code_bill_number")
        ),
        info={"private": {"own": ("organisation_code", "supplier_code"), "region": "region"}},
    )
    op.create_index("ix_documents_page", "documents", ["organisation_code", "id"], unique=False)
    op.create_index("ix_documents_receipt_id", "documents", ["receipt_id"], unique=False)
    op.create_index("ix_documents_supplier", "documents", ["supplier_code", "id"], unique=False)
    op.create_table(
        "movements",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("move", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("received_document_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_code", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "move IN ('ship', 'sell', 'take_back', 'send_back', 'pass_on', 'write_off')", name=op.f("ck_movements_move")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_movements_quantity")),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_movements_document_id")),
        sa.PrimaryKeyConstraint("code", "document_id", name=op.f("pk_movements")),
        info={"private": {"own": ("organisation_code",), "region": "region"}, "append_only": True},
    )
    op.create_table(
        "refusals",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("organisation_code", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name=op.f("fk_refusals_document_id")),
        sa.PrimaryKeyConstraint("code", "document_id", "reason", name=op.f("pk_refusals")),
        info={"private": {"own": ("organisation_code",), "region": "region"}, "append_only": True},
    )


def downgrade() -> None:
    op.drop_table("refusals")
    op.drop_table("movements")
    op.drop_index("ix_documents_supplier", table_name="documents")
    op.drop_index("ix_documents_receipt_id", table_name="documents")
    op.drop_index("ix_documents_page", table_name="documents")
    op.drop_table("documents")
    op.drop_index("ix_units_awaiting_ident", table_name="units", postgresql_where=sa.text("awaiting_ident IS NOT NULL"))
    op.drop_table("units")
    op.drop_index(
        "uq_anomalies_surplus",
        table_name="anomalies",
        postgresql_where=sa.text("kind = 'surplus' AND state != 'closed'"),
    )
    op.drop_index("ix_anomalies_institution_code", table_name="anomalies")
    op.drop_index("ix_anomalies_ident", table_name="anomalies", postgresql_where=sa.text("state != 'closed'"))
    op.drop_index("ix_anomalies_code", table_name="anomalies")
    op.drop_table("anomalies")
    op.drop_index("ix_receipts_product_lot", table_name="receipts")
    op.drop_index("ix_receipts_institution_code", table_name="receipts")
    op.drop_index("ix_receipts_distributor_code", table_name="receipts")
    op.drop_table("receipts")
    op.drop_index("ix_recalls_open", table_name="recalls", postgresql_where=sa.text("state = 'open'"))
    op.drop_table("recalls")
    op.drop_table("products")
    op.drop_index("ix_packings_parent", table_name="packings")
    op.drop_table("packings")
    op.drop_table("organisations")
    op.drop_index("ix_identification_codes_product_code", table_name="identification_codes")
    op.drop_table("identification_codes")
    platform_0001.downgrade()
