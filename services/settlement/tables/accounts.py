"""Receiving accounts of suppliers, one row for each that was named; who sees a sheet sees the account it is paid to."""

import sqlalchemy as sa

from services.settlement.rules.accounts import STATES
from services.settlement.tables.base import metadata, one_of
from shared.db import private

_PAYEE_OF_A_SHEET = (
    "EXISTS (SELECT FROM sheets AS s WHERE s.distributor_code = accounts.supplier_code"
    " AND s.region ^@ accounts.region_prefix)"
)
"""Read under the policy of sheets: of those that the caller may see."""

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("supplier_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("region_prefix", sa.Text, nullable=False),
    sa.Column("holder_name", sa.Text, nullable=False),
    sa.Column("bank_name", sa.Text, nullable=False),
    sa.Column("cnaps_code", sa.Text, nullable=False),
    sa.Column("account_number", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("named_by", sa.Text, nullable=False),
    sa.Column("named_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("decided_by_organisation", sa.Text),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", sa.DateTime(timezone=True)),
    sa.Column("reason", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("decide_by", sa.Date),
    sa.CheckConstraint(one_of("state", STATES), name="state"),
    sa.CheckConstraint("cnaps_code ~ '^[0-9]{12}$' AND account_number ~ '^[0-9]{8,32}$'", name="digits"),
    sa.CheckConstraint("starts_with(region, region_prefix)", name="region"),
    sa.CheckConstraint("state NOT IN ('confirmed', 'refused') OR decided_by IS NOT NULL", name="decided"),
    sa.CheckConstraint("decided_by_organisation <> supplier_code", name="two_parties"),
    sa.CheckConstraint("state <> 'refused' OR reason IS NOT NULL", name="refused"),
    info=private(("supplier_code",), "region", readers=(_PAYEE_OF_A_SHEET,)),
)
for state in ("named", "confirmed"):
    sa.Index(
        f"uq_accounts_{state}",
        accounts.c.supplier_code,
        accounts.c.region,
        unique=True,
        postgresql_where=accounts.c.state == state,
    )
sa.Index("ix_accounts_region", accounts.c.region, accounts.c.id)
