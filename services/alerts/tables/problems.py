"""Direct reports and the replies to them; a reply belongs to the same parties as its report."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.alerts.rules.problems import Kind, State
from services.alerts.tables.base import metadata
from shared.db import private

OWN = ("reporter_code", "respondent_code", "assignee_code")
INSTANT = sa.DateTime(timezone=True)


def _one_of(values: type[Kind] | type[State]) -> str:
    return ", ".join(f"'{value}'" for value in values)


problems = sa.Table(
    "problems",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("handling_region", sa.Text, nullable=False),
    sa.Column("reporter_code", sa.Text, nullable=False),
    sa.Column("reporter_role", sa.Text, nullable=False),
    sa.Column("respondent_code", sa.Text),
    sa.Column("assignee_code", sa.Text),
    sa.Column("product_code", sa.Text),
    sa.Column("order_number", sa.Text),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("evidence", JSONB, nullable=False),
    sa.Column("occurred_at", INSTANT, nullable=False),
    sa.Column("reported_at", INSTANT, nullable=False),
    sa.Column("act_by", INSTANT),
    sa.Column("finding", sa.Text),
    sa.Column("resolved_at", INSTANT),
    sa.Column("closed_at", INSTANT),
    sa.Column("overdue_steps", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint(f"kind IN ({_one_of(Kind)})", name="kind"),
    sa.CheckConstraint(f"state IN ({_one_of(State)})", name="state"),
    sa.CheckConstraint("region ~ '^[0-9]{6}$' AND handling_region ~ '^[0-9]{6}$'", name="region"),
    sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
    sa.CheckConstraint("(state = 'closed') = (act_by IS NULL)", name="act_by"),
    sa.CheckConstraint("state <> 'assigned' OR assignee_code IS NOT NULL", name="assigned"),
    sa.CheckConstraint("state <> 'resolved' OR (finding IS NOT NULL AND resolved_at IS NOT NULL)", name="resolved"),
    sa.CheckConstraint("respondent_code <> reporter_code", name="respondent"),
    sa.CheckConstraint("version > 0", name="version"),
    info=private(OWN, "region"),
)
sa.Index("ix_problems_region", problems.c.region, problems.c.reported_at)
sa.Index("ix_problems_reporter", problems.c.reporter_code, problems.c.id)
sa.Index("ix_problems_respondent", problems.c.respondent_code, problems.c.reported_at)
sa.Index("ix_problems_assignee", problems.c.assignee_code, problems.c.id)

replies = sa.Table(
    "replies",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("problem_id", sa.Uuid, sa.ForeignKey(problems.c.id), nullable=False),
    sa.Column("by_code", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("evidence", JSONB, nullable=False),
    sa.Column("replied_at", INSTANT, nullable=False),
    sa.Column("reporter_code", sa.Text, nullable=False),
    sa.Column("respondent_code", sa.Text),
    sa.Column("assignee_code", sa.Text),
    sa.Column("region", sa.Text, nullable=False),
    info=private(OWN, "region"),
)
sa.Index("ix_replies_problem", replies.c.problem_id, replies.c.id)
