"""Promises with a clock: rows in the database, taken by the worker when they are due, never a timer in memory.

A deadline is known by its kind and what it is about; setting it again moves it, cancelling it twice changes nothing. It
is met in one transaction with what it brings about, so a crash leaves both or neither.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared import clock, telemetry
from shared.db import PLATFORM, Database, Tx
from shared.values import frozen

deadlines = sa.Table(
    "deadlines",
    PLATFORM,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("about", sa.Text, primary_key=True),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
)
sa.Index("ix_deadlines_due_at", deadlines.c.due_at)

_SET = (
    "INSERT INTO deadlines (kind, about, due_at) SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])"
    " ON CONFLICT (kind, about) DO UPDATE SET due_at = EXCLUDED.due_at"
)
_CANCEL = "DELETE FROM deadlines WHERE kind = $1 AND about = ANY($2::text[])"
_TAKE = (
    "DELETE FROM deadlines WHERE (kind, about) IN (SELECT kind, about FROM deadlines WHERE kind = $1 AND due_at <= $2"
    " AND about <> ALL($4::text[]) ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING kind, about, due_at"
)
_KINDS = "SELECT DISTINCT kind FROM deadlines WHERE due_at <= $1"


@frozen
class Deadline:
    """What must have happened by when: `about` is the id of the thing."""

    kind: str
    about: str
    due_at: datetime


Due = Callable[[Tx, Sequence[Deadline]], Awaitable[None]]
Deadlines = Mapping[str, Due]


async def put(tx: Tx, wanted: Sequence[Deadline]) -> None:
    """Sets deadlines, or moves them."""
    latest = {(deadline.kind, deadline.about): deadline for deadline in wanted}
    if latest:
        columns: tuple[list[Any], ...] = ([], [], [])
        for _, deadline in sorted(latest.items()):  # one order for all, so that two of us cannot lock each other out
            for column, value in zip(columns, (deadline.kind, deadline.about, deadline.due_at), strict=True):
                column.append(value)
        await tx.sql(_SET, *columns)


async def cancel(tx: Tx, kind: str, about: Sequence[str]) -> None:
    """The thing happened in time, or will never be asked for; harmless for a deadline that was never set."""
    if about:
        await tx.sql(_CANCEL, kind, list(about))


async def meet(
    database: Database,
    kind: str,
    due: Due,
    rows: int,
    passed_over: Collection[str] = (),
    tried: list[str] | None = None,
) -> int:
    """Takes the due ones of a kind and lets `due` act, in one transaction; returns how many.

    `passed_over`: what those that are left alone for now are about. `tried` gets what those are about that were taken, so that it
    can be told which could not be met.
    """
    async with database.transaction() as tx:
        taken = [Deadline(**row) for row in await tx.sql(_TAKE, kind, clock.now(), rows, list(passed_over))]
        if tried is not None:
            tried += [one.about for one in taken]
        if taken:
            with telemetry.doing(kind):
                await due(tx, taken)
    return len(taken)


async def kinds_due(database: Database) -> frozenset[str]:
    """The kinds of which something is due now: one small look, so that nobody opens a transaction for nothing."""
    return frozenset(row["kind"] for row in await database.pool.fetch(_KINDS, clock.now()))


async def count_due(database: Database) -> int:
    """How many are due now and not met."""
    return int(await database.pool.fetchval("SELECT count(*) FROM deadlines WHERE due_at <= $1", clock.now()))
