"""A named step ends the process where it is told to, at the pass it is told, and nowhere else."""

import subprocess
import sys

from shared import crash

PASSES = """
from shared import crash
for step in ("relay: before send", "relay: after send", "relay: before send", "relay: after send"):
    print(step, flush=True)
    crash.at(step)
"""


def passes(**variables: str) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, "-c", PASSES], env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_unless_it_is_told_a_step_does_nothing() -> None:
    status, steps = passes()
    assert (status, len(steps)) == (0, 4)
    assert crash.at is crash._never


def test_the_first_pass_unless_said() -> None:
    assert passes(JICAI_CRASH_AT="relay: after send") == (137, ["relay: before send", "relay: after send"])


def test_the_pass_that_was_said() -> None:
    status, steps = passes(JICAI_CRASH_AT="relay: before send", JICAI_CRASH_ON="2")
    assert (status, len(steps)) == (137, 3)
    assert passes(JICAI_CRASH_AT="relay: before send", JICAI_CRASH_ON="3")[0] == 0
