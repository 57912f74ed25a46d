"""Payment runs of an agency; the one who made a run cannot be the one who approved it. Whose payment stands in one that is
held back may know that it is."""

import sqlalchemy as sa

from services.settlement.rules.runs import STATES
from services.settlement.tables.base import YUAN, metadata, one_of
from shared.db import private

_PARTY_OF_A_PAYMENT = (
    "payment_runs.held_back_at IS NOT NULL AND EXISTS (SELECT FROM payments AS p WHERE p.run_id = payment_runs.id)"
)
"""Read under the policy of payments: of those that the caller may see."""

payment_runs = sa.Table(
    "payment_runs",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("agency_code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("amount_yuan", YUAN, nullable=False),
    sa.Column("payment_count", sa.Integer, nullable=False),
    sa.Column("made_by_organisation", sa.Text, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("decided_by_organisation", sa.Text),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", sa.DateTime(timezone=True)),
    sa.Column("reason", sa.Text),
    sa.Column("asked_times", sa.Integer, nullable=False, server_default="0"),
    sa.Column("job_id", sa.Uuid),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("held_back_at", sa.DateTime(timezone=True)),
    sa.CheckConstraint(one_of("state", STATES), name="state"),
    sa.CheckConstraint("(state = 'made') = (decided_by IS NULL)", name="decided"),
    sa.CheckConstraint(
        "state NOT IN ('approved', 'done') OR decided_by <> made_by OR decided_by_organisation <> made_by_organisation",
        name="two_persons",
    ),
    sa.CheckConstraint("payment_count > 0 AND amount_yuan > 0", name="positive"),
    info=private((), "region", readers=(_PARTY_OF_A_PAYMENT,)),
)
sa.Index("ix_payment_runs_region", payment_runs.c.region, payment_runs.c.id)
