"""`python -m tests.faults N`: faults under load until about N events exist, then the count; exit status 1 unless it is zero."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from deploy.logs import log_to_file
from tests.faults.run import run, write

FILE = Path(".data") / "faults.json"
DEFAULT_EVENTS = 20_000


def main() -> int:
    """Runs, writes the figures, says what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=DEFAULT_EVENTS)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="the order of the faults")
    parser.add_argument("--keep", type=Path, help="a folder for data and logs that is left as it is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jicai-faults-", ignore_cleanup_errors=True) as made:
        folder = (given.keep or Path(made)) / "data"
        log_to_file(folder, "faults")
        figures = run(folder, given.events, given.seed)
    write(FILE, figures)
    sys.stdout.write(FILE.read_text())
    return 1 if figures["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
