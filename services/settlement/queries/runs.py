"""Reads payment runs, and closes those whose payments have all been answered."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from services.settlement.errors import RunNotFound
from services.settlement.queries.payments import BARRED, CHANGED
from services.settlement.queries.scope import seen_by
from services.settlement.rules.payments import FAILED, PLANNED, SENDING
from services.settlement.rules.runs import MADE, Run
from services.settlement.rules.sheets import REVIEWED
from services.settlement.tables import payment_runs, payments, sheets
from shared.db import Tx

_UNPAID = sa.and_(
    payments.c.run_id == payment_runs.c.id,
    sa.or_(
        payments.c.state == PLANNED,
        payments.c.state == SENDING,
        sa.and_(payments.c.state == FAILED, sheets.c.state == REVIEWED),
    ),
)
_OF_SHEETS = payments.join(sheets, sheets.c.id == payments.c.sheet_id)
_DUE_ON = sa.select(sa.func.min(sheets.c.due_on)).select_from(_OF_SHEETS).where(_UNPAID).scalar_subquery()
_FAILED = (
    sa.select(sa.func.count()).select_from(_OF_SHEETS).where(_UNPAID, payments.c.state == FAILED).scalar_subquery()
)
_IN_DOUBT = (
    sa.select(sa.func.count())
    .where(payments.c.run_id == payment_runs.c.id, payments.c.contradicted_at.is_not(None))
    .scalar_subquery()
)
_AS_SHOWN = (
    sa.select(
        sa.and_(
            sa.func.count() == payment_runs.c.payment_count,
            sa.func.coalesce(sa.func.sum(payments.c.amount_yuan), 0) == payment_runs.c.amount_yuan,
        )
    )
    .where(payments.c.run_id == payment_runs.c.id)
    .scalar_subquery()
)
"""Whether its payments are as many, and as much together, as it says."""
_ALL = sa.select(
    *(payment_runs.c[field.name] for field in fields(Run) if field.name in payment_runs.c),
    _DUE_ON.label("due_on"),
    _FAILED.label("failed"),
    _IN_DOUBT.label("in_doubt"),
    sa.and_(payment_runs.c.state == MADE, payment_runs.c.id.in_(BARRED)).label("barred"),
    sa.and_(payment_runs.c.state == MADE, sa.or_(payment_runs.c.id.in_(CHANGED), sa.not_(_AS_SHOWN))).label("changed"),
)
_FINISH = (
    "UPDATE payment_runs AS r SET state = 'done', version = r.version + 1"
    " WHERE r.id = ANY($1::uuid[]) AND r.state = 'approved' AND NOT EXISTS"
    " (SELECT FROM payments AS p WHERE p.run_id = r.id AND p.state IN ('planned', 'sending'))"
    " RETURNING r.id, r.region"
)
_ASK_AGAIN = (
    "UPDATE payment_runs SET asked_times = asked_times + 1 WHERE id = ANY($1::uuid[]) AND state = 'approved'"
    " RETURNING id, asked_times"
)
_HOLD_BACK = (
    "UPDATE payment_runs AS r SET held_back_at = CASE WHEN u.held THEN $3::timestamptz END"
    " FROM unnest($1::uuid[], $2::boolean[]) AS u(id, held)"
    " WHERE r.id = u.id AND r.state = 'approved' AND (r.held_back_at IS NULL) = u.held RETURNING r.id, r.region"
)
_APPROVED = "SELECT about, detail ->> 'digest' FROM history WHERE about = ANY($1::text[]) AND action = 'approved'"
_LOCK = "SELECT id FROM payment_runs WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"


def _within(tx: Tx) -> sa.ColumnElement[bool]:
    condition: sa.ColumnElement[bool] = seen_by(tx.scope, (), payment_runs.c.region)
    return condition


async def get_run(tx: Tx, run_id: UUID, *, lock: bool = False) -> Run:
    """Raises RunNotFound."""
    wanted = _ALL.where(payment_runs.c.id == run_id, _within(tx))
    found = await tx.one(Run, wanted.with_for_update(of=payment_runs) if lock else wanted)
    if found is None:
        raise RunNotFound("There is no payment run {run_id} that you may see.", run_id=run_id)
    return found


async def digests_approved(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, list[str | None]]:
    """What each deed of approval, of which a run must have one, keeps of it; None of what was approved before any did."""
    kept: dict[UUID, list[str | None]] = {run_id: [] for run_id in ids}
    for about, digest in await tx.sql(_APPROVED, [str(run_id) for run_id in ids]):
        kept[UUID(about)].append(digest)
    return kept


async def runs_page(tx: Tx, *, state: str | None, after: UUID | None, rows: int) -> list[Run]:
    """Up to `rows` runs after a key, in the order of making."""
    wanted = _ALL.where(_within(tx)).order_by(payment_runs.c.id).limit(rows)
    if state is not None:
        wanted = wanted.where(payment_runs.c.state == state)
    if after is not None:
        wanted = wanted.where(payment_runs.c.id > after)
    return await tx.all(Run, wanted)


async def finish_runs(tx: Tx, ids: Sequence[UUID]) -> list[tuple[UUID, str]]:
    """Closes those of the runs that wait for no answer any more; returns id and region of each.

    The rows are locked first, so that of two who answer the last payments at once one sees them all answered.
    """
    await tx.sql(_LOCK, sorted(set(ids)))
    return [tuple(row) for row in await tx.sql(_FINISH, sorted(set(ids)))]


async def hold_back(tx: Tx, held: Mapping[UUID, bool], since: datetime) -> list[tuple[UUID, str]]:
    """Holds approved runs back, or lets them go; returns id and region of each of which that is new."""
    return [tuple(row) for row in await tx.sql(_HOLD_BACK, list(held), list(held.values()), since)]


async def count_asking(tx: Tx, ids: Sequence[UUID]) -> list[tuple[UUID, int]]:
    """Counts one more time of asking for each run that waits; returns the count."""
    return [tuple(row) for row in await tx.sql(_ASK_AGAIN, list(ids))]
