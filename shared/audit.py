"""Finds any row of history that was changed or cut from outside: the chain of each thing, and the heads of the days.

Also the way to look through history as a whole: filtered and paged, for authority and operator.
"""

from collections.abc import Mapping
from datetime import date, datetime

import sqlalchemy as sa

from shared.db import EVERYTHING, Database
from shared.history import history, history_heads
from shared.reach import seen
from shared.settings import Limits
from shared.values import frozen

# The first row whose hash is not what it and its predecessor give; `about` narrows nothing, so all chains are walked.
# Rows that name no row before them are of a time when two written at the same moment could follow the same one.
_BROKEN = """
SELECT id, about, action, at, count(*) OVER () AS rows FROM (
  SELECT h.id, h.about, h.action, h.at, h.hash, h AS whole,
         jicai_history_hash(lag(h.hash) OVER (PARTITION BY h.about ORDER BY h.id), h) AS expected
  FROM history h
) AS checked WHERE hash IS DISTINCT FROM expected AND NOT ((whole).follows IS NULL AND EXISTS (
  SELECT FROM history b
  WHERE b.about = checked.about AND b.id < checked.id AND checked.hash = jicai_history_hash(b.hash, checked.whole)
)) ORDER BY id LIMIT 1
"""

# The first day whose head is not what the head before it and the day's rows give.
_CUT = """
SELECT heads.day, heads.rows, now.rows AS found, count(*) OVER () AS days FROM (
  SELECT *, lag(digest) OVER (ORDER BY day) AS before FROM history_heads
) AS heads CROSS JOIN LATERAL jicai_day_of_history(heads.day) AS now
WHERE heads.digest IS DISTINCT FROM jicai_head_hash(heads.before, heads.day, heads.rows, heads.last_id, now.hashes)
  OR (heads.rows, heads.last_id) <> (now.rows, now.last_id)
ORDER BY heads.day LIMIT 1
"""

LONGEST_SECONDS = 4 * 3_600
HEADS = sa.select(history_heads).order_by(history_heads.c.day.desc()).limit(sa.bindparam("rows"))
"""The newest heads, to be kept outside."""


@frozen
class Finding:
    """What the check of one database came to; `broken` and `cut` name the first row or day that is not as it was, of so
    many."""

    rows: int
    heads: int
    broken: str | None
    cut: str | None
    broken_rows: int
    cut_days: int

    @property
    def whole(self) -> bool:
        """Nothing was changed or cut."""
        return self.broken is None and self.cut is None


def unhurried() -> Limits:
    """For the database that is checked: a whole history is walked in one statement, however long it is."""
    return Limits(statement_seconds=LONGEST_SECONDS)


async def check(database: Database) -> Finding:
    """Walks every chain and compares every day with its head."""
    async with database.reading(EVERYTHING) as tx:
        (count,) = await tx.sql(
            "SELECT (SELECT count(*) FROM history) AS rows, (SELECT count(*) FROM history_heads) AS heads"
        )
        broken = await tx.sql(_BROKEN)
        cut = await tx.sql(_CUT)
    return Finding(
        rows=count["rows"],
        heads=count["heads"],
        broken=_row(broken[0]["id"], broken[0]["about"], broken[0]["action"], broken[0]["at"]) if broken else None,
        cut=_day(cut[0]["day"], cut[0]["rows"], cut[0]["found"]) if cut else None,
        broken_rows=broken[0]["rows"] if broken else 0,
        cut_days=cut[0]["days"] if cut else 0,
    )


def _row(row_id: int, about: str, action: str, at: datetime) -> str:
    return (
        f"row {row_id} ({action} of {about} at {at.isoformat()}) is not what was written, or the row before it is gone"
    )


def _day(day: date, rows: int, found: int) -> str:
    return (
        f"{day.isoformat()} had {rows} rows when its head was written, now {found}, or they are others,"
        " or the head before it is gone or another"
    )


def page_of(
    equal: Mapping[str, str | None], since: datetime | None, until: datetime | None
) -> sa.Select[tuple[object, ...]]:
    """History after a row within the caller's reach, oldest first; `equal`: what a column must be, None: anything."""
    wanted = (
        sa.select(history)
        .where(history.c.id > sa.bindparam("after"), seen(history))
        .order_by(history.c.id)
        .limit(sa.bindparam("rows"))
    )
    for name, value in equal.items():
        if value is not None:
            wanted = wanted.where(history.c[name] == value)
    if since is not None:
        wanted = wanted.where(history.c.at >= since)
    if until is not None:
        wanted = wanted.where(history.c.at < until)
    return wanted
