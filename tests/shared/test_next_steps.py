"""The one form of who acts next: the end of a day, and whom a job waits for."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from shared.jobs import JobRow, next_step
from shared.next_steps import Role, day_over

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_day_is_over_at_its_midnight_in_shanghai() -> None:
    assert day_over(date(2026, 4, 5)) == datetime(2026, 4, 5, 16, tzinfo=UTC)
    assert day_over(None) is None


def job(state: str, **figures: Any) -> JobRow:
    row = {"done": 3, "total": 10, "refused": 0, "result": None, "ended_at": None, **figures}
    return JobRow(id=uuid7(), kind="import", state=state, made_at=NOW, organisation="H1", **row)


@pytest.mark.parametrize(
    ("one", "role", "code", "what"),
    [
        (job("queued", done=0, total=None), Role.PLATFORM, None, "go on with the work; 0 done"),
        (job("running"), Role.PLATFORM, None, "go on with the work; 3 of 10 done"),
        (job("failed"), Role.OPERATOR, None, "find out why the job failed"),
        (job("done", refused=2), Role.SENDER, "H1", "mend the 2 refused rows, which `get_refused` gives as a sheet"),
    ],
)
def test_a_job_says_whom_it_waits_for(one: JobRow, role: Role, code: str | None, what: str) -> None:
    step = next_step(one)
    assert step is not None
    assert (step.who.role, step.who.code) == (role, code)
    assert step.what.startswith(what)


def test_a_job_that_refused_nothing_waits_for_nobody() -> None:
    assert next_step(job("done")) is None
