"""Alerts: at most one open per kind and thing, and never two of one cause, however often an event comes."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.alerts.rules.alerts import Kind
from services.alerts.tables.base import metadata
from shared.db import private

OWN = ("institution_code", "supplier_code", "manufacturer_code")

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("about_id", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("remedy_key", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("institution_code", sa.Text),
    sa.Column("supplier_code", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("product_code", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("evidence", JSONB, nullable=False),
    sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("resolved_at", sa.DateTime(timezone=True)),
    sa.Column("resolution", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("manufacturer_code", sa.Text),
    sa.UniqueConstraint("kind", "about_id", "cause"),
    sa.CheckConstraint(f"kind IN ({', '.join(repr(str(kind)) for kind in Kind)})", name="kind"),
    sa.CheckConstraint("region ~ '^[0-9]{6}$'", name="region"),
    sa.CheckConstraint("state IN ('open', 'resolved')", name="state"),
    sa.CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL AND resolution IS NOT NULL)", name="resolved"),
    sa.CheckConstraint("version > 0", name="version"),
    info=private(OWN, "region"),
)
sa.Index("uq_alerts_open", alerts.c.kind, alerts.c.about_id, unique=True, postgresql_where=alerts.c.state == "open")
sa.Index("ix_alerts_remedy", alerts.c.kind, alerts.c.remedy_key, postgresql_where=alerts.c.state == "open")
sa.Index("ix_alerts_institution", alerts.c.institution_code, alerts.c.id)
sa.Index("ix_alerts_supplier", alerts.c.supplier_code, alerts.c.id)
sa.Index("ix_alerts_manufacturer", alerts.c.manufacturer_code, alerts.c.id)
sa.Index("ix_alerts_region", alerts.c.region, alerts.c.id)

acknowledgements = sa.Table(
    "acknowledgements",
    metadata,
    sa.Column("alert_id", sa.Uuid, sa.ForeignKey(alerts.c.id), primary_key=True),
    sa.Column("organisation_code", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("institution_code", sa.Text),
    sa.Column("supplier_code", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("manufacturer_code", sa.Text),
    info=private(OWN, "region"),
)

# What made alerts of a kind go away, and when last: the row on which a trouble and its remedy meet, in either order.
remedies = sa.Table(
    "remedies",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("happened_at", sa.DateTime(timezone=True)),
    sa.Column("reason", sa.Text),
    sa.Column("by_id", sa.Text),
    sa.Column("institution_code", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    info=private(("institution_code",), "region"),
)
