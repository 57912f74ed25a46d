"""Processes of ours, each with its log: started together, watched, and ended by their ids, also after we were killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from deploy.embedded import CannotStart, FolderLock, ServerNotReady, end_process, log_tail, reap, trim_log, writable
from deploy.logs import log_file
from shared.migrations import ROOT

CLI = "deploy.cli"
PATIENCE_SECONDS = 30.0
STOPPING = ((signal.SIGTERM, PATIENCE_SECONDS), (signal.SIGKILL, 10.0))


class ChildEnded(CannotStart):
    """One of the processes ended by itself; carries the tail of its log."""


class _Started(msgspec.Struct, frozen=True):
    """What is remembered of a process, so that its number is never taken for another's."""

    name: str
    pid: int
    created: float


class Children:
    """The processes of one data folder; leaving the `with` ends them, the last started last."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._register = register_of(data_dir)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._running.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self._running.values():
            if child.poll() is None:
                end_process(psutil.Process(child.pid), STOPPING)
            reap(child)
        self._running.clear()
        self._register.unlink(missing_ok=True)

    def start(self, name: str, arguments: Sequence[str], variables: Mapping[str, str], module: str = CLI) -> None:
        """Starts `jicai <arguments>`, in a session of its own so that Ctrl-C reaches us alone.

        `module` is another command line of the same kind, such as the next version's in the fault test.
        """
        file = log_file(self._data_dir, name)
        with writable(self._data_dir):
            file.parent.mkdir(parents=True, exist_ok=True)
            trim_log(file)
            with file.open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=ROOT,
                    env={**os.environ, **variables},
                    start_new_session=True,
                )
            self._remember()

    def check(self) -> None:
        """Raises ChildEnded for the first that has ended."""
        for name, child in self._running.items():
            if (status := child.poll()) is not None:
                tail = log_tail(log_file(self._data_dir, name))
                raise ChildEnded(f"{name} ended with status {status}; its log ends with:\n{tail}")

    def ended(self) -> dict[str, int]:
        """Those that have ended by themselves, with their status."""
        running = list(self._running.items())  # another thread may be ending one of them
        return {name: status for name, child in running if (status := child.poll()) is not None}

    def end(self, name: str, steps: tuple[tuple[signal.Signals, float], ...] = STOPPING) -> None:
        """Ends one of them, if it still runs, and forgets it; `start` brings it back."""
        child = self._running.pop(name)
        if child.poll() is None:
            end_process(psutil.Process(child.pid), steps)
        reap(child)
        self._remember()

    def pid(self, name: str) -> int:
        """The process id of one of them."""
        return self._running[name].pid

    def _remember(self) -> None:
        started = [
            _Started(name, child.pid, psutil.Process(child.pid).create_time())
            for name, child in list(self._running.items())
            if child.poll() is None
        ]
        aside = self._register.with_suffix(".new")
        aside.write_bytes(msgspec.json.encode(started))
        aside.replace(self._register)


def register_of(data_dir: Path) -> Path:
    """Where the running processes are remembered."""
    return data_dir / "processes.json"


@contextmanager
def kept(data_dir: Path) -> Iterator[None]:
    """Holds the data folder for one platform, and ends the processes that a killed keeper has left on it.

    Raises DataFolderBusy or DataFolderUnwritable.
    """
    lock = FolderLock(data_dir, "jicai")
    lock.acquire()
    try:
        _end_orphans(register_of(data_dir))
        yield
    finally:
        lock.release()


def _end_orphans(register: Path) -> None:
    try:
        left = msgspec.json.decode(register.read_bytes(), type=list[_Started])
    except FileNotFoundError:
        return
    except msgspec.DecodeError as broken:
        raise ServerNotReady(f"{register} cannot be read ({broken}); remove it.") from broken
    for one in left:
        try:
            process = psutil.Process(one.pid)
            if abs(process.create_time() - one.created) < 1:
                end_process(process, STOPPING)
        except psutil.NoSuchProcess:
            continue
    register.unlink()
