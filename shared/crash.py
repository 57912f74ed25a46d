"""Ends this process between two named steps, without a word, as a power cut would; it exists for the fault test alone.

`JICAI_CRASH_AT="relay: after send"` names the step and `JICAI_CRASH_ON=3` the pass at which it happens, the first unless
said. Unless the variable is set, `at` is an empty function; each named step is one line where it stands.
"""

import os
from collections.abc import Callable
from itertools import count

STATUS = 137
"""As a shell tells of SIGKILL."""

RELAY = ("relay: before send", "relay: after send", "relay: before mark", "relay: after mark")
CONSUMER = (
    "consumer: after poll",
    "consumer: after inbox",
    "consumer: inside handler",
    "consumer: before commit",
    "consumer: after commit",
    "consumer: before offset",
)
REQUEST = ("request: before commit", "request: before answer")


def _never(step: str) -> None:
    """Goes on."""


def _armed(wanted: str, on_pass: int) -> Callable[[str], None]:
    passes = count(1)

    def at(step: str) -> None:
        if step == wanted and next(passes) == on_pass:
            os._exit(STATUS)

    return at


def from_environment() -> Callable[[str], None]:
    """What `at` does in this process."""
    wanted = os.environ.get("JICAI_CRASH_AT")
    return _armed(wanted, int(os.environ.get("JICAI_CRASH_ON", "1"))) if wanted else _never


at = from_environment()
