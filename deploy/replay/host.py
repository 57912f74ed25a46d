"""The platform that a replay plays on: the one that runs on the data folder, or one that the replay starts and ends.

Invariant: only a process that this replay started is ended by it.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import httpx
import psutil

from deploy import addresses
from deploy.addresses import Addresses
from deploy.embedded import POLL_SECONDS, CannotStart, ServerNotReady, end_process, log_tail, writable
from deploy.environment import clock_file
from deploy.logs import log_file
from shared import clock
from shared.migrations import ROOT

START_TIMEOUT_SECONDS = 180.0
STOPPING = ((signal.SIGTERM, 60.0), (signal.SIGKILL, 10.0))
SAMPLE_SECONDS = 2.0
"""Looking costs processor: it walks through every process of the machine."""
COMMANDS = {"local": "run", "kafka": "up"}


class PolicyMissing(CannotStart):
    """The platform that runs was not started with the policy of the replay."""


@contextmanager
def platform(
    data_dir: Path, bus: str, policy: Path, first_instant: datetime
) -> Iterator[tuple[Addresses, psutil.Process]]:
    """Where the services are, and the process that holds them; started here when none runs. Raises CannotStart."""
    laid = data_dir / "policy" / f"replay-{policy.name}"
    running = running_on(data_dir)
    if running is not None:
        if not laid.exists() or laid.read_bytes() != policy.read_bytes():
            raise PolicyMissing(
                f"The platform that runs on {data_dir} was started without {policy.name}; stop it, or choose another"
                " folder with --data."
            )
        yield running
        return
    with writable(data_dir):
        laid.parent.mkdir(parents=True, exist_ok=True)
        laid.write_bytes(policy.read_bytes())
        if not clock_file(data_dir).exists():
            clock.keep(clock_file(data_dir), first_instant)
    process = _start(data_dir, COMMANDS[bus])
    try:
        yield addresses.read(data_dir), process
    finally:
        end_process(process, STOPPING)


def running_on(data_dir: Path) -> tuple[Addresses, psutil.Process] | None:
    """The platform that answers on this folder; one that was killed has left its addresses behind, and counts as none."""
    try:
        where = addresses.read(data_dir)
        holder = int((data_dir / "jicai.lock").read_text(encoding="ascii"))
        for address in where.values():
            httpx.get(f"{address.ops}/health/live", timeout=5, trust_env=False).raise_for_status()
        return where, psutil.Process(holder)
    except (addresses.NothingRuns, OSError, ValueError, httpx.HTTPError, psutil.NoSuchProcess):
        return None


def _start(data_dir: Path, command: str) -> psutil.Process:
    """Starts `jicai run` or `jicai up` on any free port, in a session of its own."""
    log = log_file(data_dir, "replayed")
    log.parent.mkdir(parents=True, exist_ok=True)
    addresses.addresses_file(data_dir).unlink(missing_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", command, "--port", "0", "--no-story", "--data", str(data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=ROOT,
            env=dict(os.environ),
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while running_on(data_dir) is None:
        if child.poll() is not None:
            raise ServerNotReady(f"The platform ended with status {child.returncode}:\n{log_tail(log)}")
        if time.monotonic() > deadline:
            end_process(psutil.Process(child.pid), STOPPING)
            raise ServerNotReady(f"The platform was not ready after {START_TIMEOUT_SECONDS:g} s:\n{log_tail(log)}")
        time.sleep(POLL_SECONDS)
    return psutil.Process(child.pid)


class Burden:
    """What the platform's own processes held and used, looked at every other second; databases and brokers apart."""

    def __init__(self, holder: psutil.Process) -> None:
        self._holder = holder
        self._seen: dict[int, int] = {}
        self._used: dict[int, float] = {}

    @property
    def peak_mb(self) -> float:
        """The sum of each process's most."""
        return round(sum(self._seen.values()) / 1_000_000, 1)

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor that they used, since each began."""
        return round(sum(self._used.values()), 1)

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        while True:
            with suppress(psutil.Error):
                for process in (self._holder, *self._holder.children(recursive=True)):
                    if process.name().startswith("python"):
                        held = process.memory_info().rss
                        self._seen[process.pid] = max(self._seen.get(process.pid, 0), held)
                        used = process.cpu_times()
                        self._used[process.pid] = used.user + used.system
            await asyncio.sleep(SAMPLE_SECONDS)
