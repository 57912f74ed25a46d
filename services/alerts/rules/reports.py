"""The half-yearly report on direct reports: every number with the ids behind it, counted from the rows alone."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import groupby
from statistics import median
from uuid import UUID

from services.alerts.rules.problems import State
from shared import clock
from shared.values import frozen

HALF = re.compile(r"(20[0-9]{2})H([12])")
DAY_SECONDS = 86_400


@frozen
class Reported:
    """What the report needs of a problem."""

    id: UUID
    kind: str
    state: str
    region: str
    reported_at: datetime
    resolved_at: datetime | None
    act_by: datetime | None
    overdue_steps: int


@frozen
class Counted:
    """How many, and which."""

    key: str
    count: int
    ids: tuple[UUID, ...]
    median_days: float | None
    overdue_count: int
    overdue_ids: tuple[UUID, ...]


@frozen
class HalfYear:
    """The counts of a half year, by kind and by state, and of all."""

    half: str
    from_on: date
    to_on: date
    total: Counted
    by_kind: tuple[Counted, ...]
    by_state: tuple[Counted, ...]


def days_of(half: str) -> tuple[date, date]:
    """First and last day of a half like 2026H1; the caller has checked its form."""
    found = HALF.fullmatch(half)
    assert found is not None  # noqa: S101  checked where it entered
    year = int(found[1])
    return (date(year, 1, 1), date(year, 6, 30)) if found[2] == "1" else (date(year, 7, 1), date(year, 12, 31))


def is_overdue(problem: Reported, now: datetime) -> bool:
    """Whether a step of it was, or is, later than its clock; the reporter's silence is not."""
    late_now = problem.act_by is not None and problem.act_by <= now and problem.state != State.RESOLVED
    return problem.overdue_steps > 0 or late_now


def half_year(half: str, problems: Sequence[Reported], now: datetime) -> HalfYear:
    """The report on these problems. Median days: calendar days from the report to its last resolution, to one place."""
    from_on, to_on = days_of(half)
    return HalfYear(
        half=half,
        from_on=from_on,
        to_on=to_on,
        total=_count("all", problems, now),
        by_kind=_counts(problems, lambda problem: problem.kind, now),
        by_state=_counts(problems, lambda problem: problem.state, now),
    )


def _counts(problems: Sequence[Reported], key: Callable[[Reported], str], now: datetime) -> tuple[Counted, ...]:
    return tuple(_count(name, list(group), now) for name, group in groupby(sorted(problems, key=key), key))


def _count(key: str, problems: Sequence[Reported], now: datetime) -> Counted:
    took = [
        (problem.resolved_at - problem.reported_at).total_seconds() / DAY_SECONDS
        for problem in problems
        if problem.resolved_at is not None
    ]
    overdue = tuple(problem.id for problem in problems if is_overdue(problem, now))
    return Counted(
        key=key,
        count=len(problems),
        ids=tuple(problem.id for problem in problems),
        median_days=round(median(took), 1) if took else None,
        overdue_count=len(overdue),
        overdue_ids=overdue,
    )


def start_and_end(half: str) -> tuple[datetime, datetime]:
    """The instants from which and before which a problem of the half was reported."""
    from_on, to_on = days_of(half)
    return clock.start_of_day(from_on), clock.start_of_day(clock.next_month(to_on))
