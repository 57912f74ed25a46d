"""A platform as a newcomer starts it, `jicai run` or `jicai up`, on a folder and ports of its own."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy import addresses
from deploy.addresses import Address
from deploy.embedded import free_port
from deploy.platform import token_maker
from deploy.visitor import TokenFor

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120


class Running:
    """A platform that has said `ready:`; `said` holds what it printed until then."""

    def __init__(self, command: str, folder: Path, *options: str) -> None:
        self.folder = folder
        port = str(free_port()) if command == "run" else "0"
        self.child = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", command, "--data", str(folder), "--port", port, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.child.stdout is not None
        lines: list[str] = []
        for line in self.child.stdout:
            lines.append(line)
            if line.startswith("ready:"):
                break
        self.said = "".join(lines)
        self.farewell = ""
        """what it printed after that, known when it has ended"""
        if "ready:" not in self.said:
            raise AssertionError(f"it never got ready: {self.said}{self.child.communicate()[1]}")

    @property
    def addresses(self) -> dict[str, Address]:
        """Where the services are."""
        return addresses.read(self.folder)

    @property
    def token_for(self) -> TokenFor:
        """Tokens of its own issuer."""
        return token_maker(self.folder)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and waits; the exit status."""
        self.child.send_signal(number)
        self.farewell, _ = self.child.communicate(timeout=PATIENCE_SECONDS)
        return self.child.returncode


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that PostgreSQL's own user can reach."""
    with tempfile.TemporaryDirectory(prefix="jicai-journey-", ignore_cleanup_errors=True) as made:
        yield Path(made) / "data"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Running]]:
    """`start("run")` or `start("up")`, any number of times on the same folder; what still runs is stopped."""
    running: list[Running] = []

    def started(command: str, *options: str) -> Running:
        running.append(Running(command, folder, *options))
        return running[-1]

    yield started
    for one in running:
        if one.child.poll() is None:
            one.end()
