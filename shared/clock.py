"""The only place that asks the time: instants in UTC, days in Shanghai, a driven clock never back, not by a restart either."""

import os
import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import Self

import chinese_calendar

from shared.values import frozen

# China has kept one zone without summer time since 1991, so a fixed offset needs no zone database.
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")

FRIDAY = 4
DECEMBER = 12
LONGEST_RULE_COUNT = 3660
LAST_DAY_OF_EVERY_MONTH = 28


class DrivingRefused(Exception):
    """The clock was told to move where only real time may run."""


@dataclass(slots=True)
class _Hands:
    allowed: bool = False
    driven_to: datetime | None = None
    kept_in: Path | None = None


_hands = _Hands()


def now() -> datetime:
    """The instant, in UTC: the driven one if the clock is driven, else real time."""
    return _hands.driven_to or datetime.now(UTC)


def elapsed() -> float:
    """Seconds of a monotonic clock, for measuring; never driven."""
    return time.perf_counter()


def wall_seconds() -> float:
    """Real seconds since 1970, never driven: for the expiry of tokens."""
    return time.time()


def allow_driving(allowed: bool, kept_in: Path | None = None) -> None:  # noqa: FBT001 - the word says it all
    """Tests and the embedded default may drive; forbidding it also returns to real time.

    `kept_in` is the file in which a driven clock keeps what it shows, and from which it goes on. Raises ValueError when
    that says no instant.
    """
    _hands.allowed = allowed
    if not allowed:
        release()
    _hands.kept_in = kept_in if allowed else None
    if not driven() and (instant := _kept()) is not None:
        _hands.driven_to = instant


def keep(file: Path, instant: datetime) -> None:
    """Writes the instant into the file in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f"{file.name}.{os.getpid()}")
    aside.write_text(instant.isoformat(), encoding="ascii")
    aside.replace(file)


def _kept() -> datetime | None:
    """What the file says; None without one. Several processes may keep one clock in it."""
    if _hands.kept_in is None:
        return None
    try:
        return _aware(datetime.fromisoformat(_hands.kept_in.read_text(encoding="ascii").strip())).astimezone(UTC)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{_hands.kept_in} holds no instant ({error}); remove it for real time") from error


def drive(instant: datetime) -> None:
    """Let time stand still at `instant` until the next move.

    Raises DrivingRefused where driving is not allowed, ValueError for a naive instant or a move backwards.
    The first move may start anywhere, also in the past.
    """
    if not _hands.allowed:
        raise DrivingRefused(f"the clock may not be driven here; asked for {instant.isoformat()}")
    target = _aware(instant).astimezone(UTC)
    if _hands.driven_to is not None and target < _hands.driven_to:
        raise ValueError(
            f"the clock never goes back: it stands at {_hands.driven_to.isoformat()}, asked for {target.isoformat()}"
        )
    _hands.driven_to = target
    if _hands.kept_in is not None and ((known := _kept()) is None or known < target):
        keep(_hands.kept_in, target)


def release() -> None:
    """Return to real time."""
    _hands.driven_to = None
    if _hands.kept_in is not None:
        _hands.kept_in.unlink(missing_ok=True)


def driven() -> bool:
    return _hands.driven_to is not None


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"an instant needs a time zone, given {instant.isoformat()} without one")
    return instant


def today() -> date:
    """The day it is in Shanghai."""
    return local_date(now())


def local_date(instant: datetime) -> date:
    """The Shanghai day of an instant. Raises ValueError for a naive one."""
    return _aware(instant).astimezone(SHANGHAI).date()


def minute(instant: datetime) -> str:
    """An instant as people read it: the day and the minute in Shanghai, `2026-03-05 14:30`. Raises ValueError for a naive one."""
    return f"{_aware(instant).astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def start_of_day(day: date) -> datetime:
    """The UTC instant at which the Shanghai day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC)


def month_of(instant: datetime) -> date:
    """The first day of the Shanghai month of an instant."""
    return local_date(instant).replace(day=1)


def next_month(day: date) -> date:
    """The first day of the month after the one `day` lies in."""
    if day.month == DECEMBER:
        return date(day.year + 1, 1, 1)
    return date(day.year, day.month + 1, 1)


def month_end(day: date) -> date:
    """The last day of the month `day` lies in."""
    return next_month(day) - timedelta(days=1)


def next_month_to_close(accepted_month: date, close_day: int, at: datetime) -> date:
    """The first month, not before that of the acceptance, that is summed up after an instant."""
    return max(accepted_month, month_of(at - timedelta(days=close_day)))


def closing_at(month: date, close_day: int) -> datetime:
    """When a month is summed up: so many days after its end, at midnight in Shanghai."""
    return start_of_day(next_month(month) + timedelta(days=close_day))


def is_working_day(day: date) -> bool:
    """Whether the State Council's holiday notices make `day` a working day, make-up Saturdays included.

    The notices are known from 2004 to the year chinesecalendar was last updated for; outside those years
    Monday to Friday count as working days.
    """
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() <= FRIDAY


def add_working_days(day: date, n: int) -> date:
    """The n-th working day after `day`; 0 gives `day` itself. Raises ValueError for a negative n."""
    if n < 0:
        raise ValueError(f"working days are counted forward, given {n}, allowed 0 or more")
    for _ in range(n):
        day += timedelta(days=1)
        while not is_working_day(day):
            day += timedelta(days=1)
    return day


class DueKind(StrEnum):
    DAYS = "days"
    WORKING_DAYS = "working_days"
    HOURS = "hours"
    NEXT_MONTH_DAY = "next_month_day"
    NEXT_MONTH_END = "next_month_end"


@frozen
class DueRule:
    """When something that began at an instant falls due; a policy value, written like `days:30`."""

    kind: DueKind
    count: int = 0

    ALLOWED = (
        f"days:N, working_days:N or hours:N with N from 0 to {LONGEST_RULE_COUNT}, "
        f"next_month_day:N with N from 1 to {LAST_DAY_OF_EVERY_MONTH}, or next_month_end"
    )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `days:30` and the other forms. Raises ValueError naming the allowed ones."""
        if text == DueKind.NEXT_MONTH_END:
            return cls(DueKind.NEXT_MONTH_END)
        match = re.fullmatch(r"(days|working_days|hours|next_month_day):([0-9]{1,4})", text)
        if match is not None:
            kind, count = DueKind(match[1]), int(match[2])
            lowest, highest = 0, LONGEST_RULE_COUNT
            if kind is DueKind.NEXT_MONTH_DAY:
                lowest, highest = 1, LAST_DAY_OF_EVERY_MONTH
            if lowest <= count <= highest:
                return cls(kind, count)
        raise ValueError(f"not a due rule: given {text[:40]!r}, allowed {cls.ALLOWED}")

    def __str__(self) -> str:
        return str(self.kind) if self.kind is DueKind.NEXT_MONTH_END else f"{self.kind}:{self.count}"


def due(rule: DueRule, accepted_at: datetime) -> date:
    """The last Shanghai day on which it is in time; counted from acceptance, not from invoice or delivery.

    Source: domain rules 5.1 (payment within 30 days, by the end or the 10th of the next month).
    """
    accepted_on = local_date(accepted_at)
    match rule.kind:
        case DueKind.DAYS:
            return accepted_on + timedelta(days=rule.count)
        case DueKind.WORKING_DAYS:
            return add_working_days(accepted_on, rule.count)
        case DueKind.HOURS:
            return local_date(accepted_at + timedelta(hours=rule.count))
        case DueKind.NEXT_MONTH_DAY:
            return next_month(accepted_on).replace(day=rule.count)
        case DueKind.NEXT_MONTH_END:
            return month_end(next_month(accepted_on))


def due_at(rule: DueRule, accepted_at: datetime) -> datetime:
    """The first UTC instant at which it is late: hours count to the second, days to their midnight."""
    if rule.kind is DueKind.HOURS:
        return _aware(accepted_at).astimezone(UTC) + timedelta(hours=rule.count)
    return start_of_day(due(rule, accepted_at) + timedelta(days=1))
