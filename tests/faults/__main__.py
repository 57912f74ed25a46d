"""`python -m tests.faults N`: faults under load until about N events exist, then the count.

Exit status 1 unless it is zero and every fault and every named step has come."""

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from deploy.logs import log_to_file
from deploy.server import stoppable
from tests.faults.run import run, write

FILE = Path(".data") / "faults.json"
DEFAULT_EVENTS = 20_000


def main() -> int:
    """Runs, writes the figures, says what was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=DEFAULT_EVENTS)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="the order of the faults")
    parser.add_argument("--keep", type=Path, help="a folder in which data and logs are left")
    parser.add_argument("--out", type=Path, default=FILE, help="where the figures are written")
    given = parser.parse_args()
    done: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="jicai-faults-", ignore_cleanup_errors=True) as made, stoppable():
        folder = (given.keep or Path(made)) / "data"
        log_to_file(folder, "faults")
        done.append(run(folder, given.events, given.seed))
    if not done:  # told to stop
        return 1
    write(given.out, done[0])
    sys.stdout.write(given.out.read_text())
    for reason in (*done[0]["never_came"], *done[0]["never_taken"]):
        sys.stderr.write(f"never came, or was never taken: {reason}\n")
    return 1 if done[0]["wrong"] or done[0]["never_came"] else 0


if __name__ == "__main__":
    sys.exit(main())
