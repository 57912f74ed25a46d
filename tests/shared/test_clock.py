"""The clock: Shanghai's days out of UTC instants, due rules on both sides of midnight, and driving."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from shared import clock
from shared.clock import DrivingRefused, DueRule

LAST_SECOND = datetime(2026, 1, 31, 15, 59, 59, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 31, 16, 0, 0, tzinfo=UTC)


@pytest.fixture
def drivable() -> Iterator[None]:
    clock.allow_driving(True)
    yield
    clock.allow_driving(False)


def test_real_time_is_aware_and_in_utc() -> None:
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().tzinfo is UTC
    assert not clock.driven()


def test_elapsed_never_goes_back() -> None:
    assert clock.elapsed() <= clock.elapsed()


@pytest.mark.parametrize(
    ("instant", "day", "month"),
    [
        (LAST_SECOND, date(2026, 1, 31), date(2026, 1, 1)),
        (MIDNIGHT, date(2026, 2, 1), date(2026, 2, 1)),
        (MIDNIGHT.astimezone(timezone(timedelta(hours=-5))), date(2026, 2, 1), date(2026, 2, 1)),
    ],
)
def test_a_day_begins_at_midnight_in_shanghai(instant: datetime, day: date, month: date) -> None:
    assert clock.local_date(instant) == day
    assert clock.month_of(instant) == month


def test_start_of_day_is_the_first_instant_of_that_day() -> None:
    start = clock.start_of_day(date(2026, 2, 1))
    assert start == MIDNIGHT
    assert start.tzinfo is UTC
    assert clock.local_date(start - timedelta(microseconds=1)) == date(2026, 1, 31)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        clock.local_date(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("day", "following", "end"),
    [
        (date(2026, 1, 31), date(2026, 2, 1), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 3, 1), date(2026, 2, 28)),
        (date(2028, 2, 29), date(2028, 3, 1), date(2028, 2, 29)),
        (date(2026, 12, 5), date(2027, 1, 1), date(2026, 12, 31)),
    ],
)
def test_months_end_and_follow_each_other(day: date, following: date, end: date) -> None:
    assert clock.next_month(day) == following
    assert clock.month_end(day) == end


@pytest.mark.parametrize(
    ("day", "working"),
    [
        (date(2025, 9, 28), True),  # a Sunday worked for the October holiday
        (date(2025, 9, 30), True),
        (date(2025, 10, 1), False),
        (date(2025, 10, 8), False),
        (date(2025, 10, 9), True),
        (date(2025, 10, 18), False),  # a plain Saturday
        (date(2099, 10, 1), True),  # a Thursday in a year without a notice
        (date(2099, 10, 3), False),  # a Saturday in such a year
        (date(1999, 10, 1), True),  # a Friday before the first notice known
    ],
)
def test_working_days_follow_the_holiday_notices(day: date, *, working: bool) -> None:
    assert clock.is_working_day(day) is working


@pytest.mark.parametrize(
    ("n", "expected"),
    [(0, date(2025, 9, 30)), (1, date(2025, 10, 9)), (2, date(2025, 10, 10)), (3, date(2025, 10, 11))],
)
def test_working_days_are_added_over_a_holiday(n: int, expected: date) -> None:
    assert clock.add_working_days(date(2025, 9, 30), n) == expected


def test_working_days_are_not_taken_away() -> None:
    with pytest.raises(ValueError, match="given -1, allowed 0 or more"):
        clock.add_working_days(date(2025, 9, 30), -1)


@pytest.mark.parametrize(
    ("rule", "accepted_at", "day"),
    [
        ("days:30", LAST_SECOND, date(2026, 3, 2)),
        ("days:30", MIDNIGHT, date(2026, 3, 3)),
        ("days:0", MIDNIGHT, date(2026, 2, 1)),
        ("next_month_end", LAST_SECOND, date(2026, 2, 28)),
        ("next_month_end", MIDNIGHT, date(2026, 3, 31)),
        ("next_month_day:10", LAST_SECOND, date(2026, 2, 10)),
        ("next_month_day:10", MIDNIGHT, date(2026, 3, 10)),
        ("next_month_day:10", datetime(2025, 12, 31, tzinfo=UTC), date(2026, 1, 10)),
        ("working_days:2", LAST_SECOND, date(2026, 2, 3)),
        ("hours:8", datetime(2026, 1, 1, 7, 59, 59, tzinfo=UTC), date(2026, 1, 1)),
        ("hours:8", datetime(2026, 1, 1, 8, 0, tzinfo=UTC), date(2026, 1, 2)),
    ],
)
def test_a_due_date_counts_from_the_day_of_acceptance(rule: str, accepted_at: datetime, day: date) -> None:
    assert clock.due(DueRule.parse(rule), accepted_at) == day


def test_days_are_late_after_their_midnight_and_hours_to_the_second() -> None:
    assert clock.due_at(DueRule.parse("days:1"), LAST_SECOND) == MIDNIGHT + timedelta(days=1)
    assert clock.due_at(DueRule.parse("hours:24"), LAST_SECOND) == LAST_SECOND + timedelta(hours=24)


@pytest.mark.parametrize(
    "text", ["days:0", "days:3660", "working_days:2", "hours:24", "next_month_day:1", "next_month_day:28"]
)
def test_a_due_rule_is_written_as_it_is_read(text: str) -> None:
    assert str(DueRule.parse(text)) == text
    assert str(DueRule.parse("next_month_end")) == "next_month_end"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "days",
        "days:",
        "days:-1",
        "days:3661",
        "days:٣٠",
        "weeks:2",
        "next_month_day:0",
        "next_month_day:29",
        "next_month_end:1",
        "days:30 ",
        "DAYS:30",
    ],
)
def test_an_unknown_due_rule_names_the_allowed_forms(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed days:N, working_days:N or hours:N .* next_month_end"):
        DueRule.parse(text)


def test_production_refuses_to_drive() -> None:
    clock.allow_driving(False)  # as it starts; an app of another test in this process may have allowed it
    with pytest.raises(DrivingRefused):
        clock.drive(MIDNIGHT)
    assert not clock.driven()


@pytest.mark.usefixtures("drivable")
def test_a_driven_clock_stands_still_until_it_is_moved() -> None:
    clock.drive(MIDNIGHT)
    assert clock.driven()
    assert clock.now() == clock.now() == MIDNIGHT
    assert clock.today() == date(2026, 2, 1)
    clock.drive(MIDNIGHT)
    clock.drive(MIDNIGHT + timedelta(days=31))
    assert clock.today() == date(2026, 3, 4)


@pytest.mark.usefixtures("drivable")
def test_a_driven_clock_never_goes_back() -> None:
    clock.drive(MIDNIGHT)
    with pytest.raises(ValueError, match=r"2026-01-31T16:00:00\+00:00.*2026-01-31T15:59:59\+00:00"):
        clock.drive(LAST_SECOND)
    assert clock.now() == MIDNIGHT


@pytest.mark.usefixtures("drivable")
def test_a_driven_clock_answers_in_utc_and_refuses_naive_instants() -> None:
    clock.drive(MIDNIGHT.astimezone(clock.SHANGHAI))
    assert clock.now().tzinfo is UTC
    with pytest.raises(ValueError, match="time zone"):
        clock.drive(datetime(2026, 5, 1))  # noqa: DTZ001


@pytest.mark.usefixtures("drivable")
def test_release_and_forbidding_both_return_to_real_time() -> None:
    clock.drive(MIDNIGHT)
    clock.release()
    assert not clock.driven()
    clock.drive(MIDNIGHT - timedelta(days=400))
    clock.allow_driving(False)
    assert not clock.driven()


def _restarted() -> None:
    """As a process that has just begun: the file is all that is left."""
    clock.allow_driving(True)
    clock.release()


def test_a_driven_clock_goes_on_after_a_restart_where_it_came_to(drivable: None, tmp_path: Path) -> None:
    file = tmp_path / "made" / "clock"
    clock.allow_driving(True, file)
    assert not clock.driven()
    clock.drive(LAST_SECOND)
    clock.drive(MIDNIGHT)
    assert [one.name for one in file.parent.iterdir()] == ["clock"]
    _restarted()
    clock.allow_driving(True, file)
    assert clock.now() == MIDNIGHT
    with pytest.raises(ValueError, match="never goes back"):
        clock.drive(LAST_SECOND)


def test_a_released_clock_is_not_driven_after_a_restart(drivable: None, tmp_path: Path) -> None:
    clock.allow_driving(True, tmp_path / "clock")
    clock.drive(MIDNIGHT)
    clock.release()
    clock.allow_driving(True, tmp_path / "clock")
    assert not clock.driven()


def test_a_process_that_is_behind_sets_the_common_clock_not_back(drivable: None, tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock.allow_driving(True, file)
    clock.keep(file, MIDNIGHT)
    clock.drive(LAST_SECOND)
    assert file.read_text(encoding="ascii") == MIDNIGHT.isoformat()


@pytest.mark.parametrize("held", ["", "yesterday", "2026-01-01T00:00:00"])
def test_a_file_that_says_no_instant_is_named(drivable: None, tmp_path: Path, held: str) -> None:
    (tmp_path / "clock").write_text(held, encoding="ascii")
    with pytest.raises(ValueError, match="holds no instant"):
        clock.allow_driving(True, tmp_path / "clock")


def test_where_driving_is_forbidden_the_file_says_nothing_and_stays(tmp_path: Path) -> None:
    clock.keep(tmp_path / "clock", LAST_SECOND)
    clock.allow_driving(False, tmp_path / "clock")
    assert not clock.driven()
    assert (tmp_path / "clock").exists()
