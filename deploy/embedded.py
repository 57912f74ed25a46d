"""What the embedded servers stand on: a data folder has one holder at a time; a dead one never blocks."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.02
PORT_PATIENCE_SECONDS = 3.0
LOG_TAIL_LINES = 20
LOG_TAIL_BYTES = 8_192
LOG_KEEP_BYTES = 16 * 1024 * 1024


class CannotStart(Exception):
    """A server for this machine cannot be started; the message is one sentence for a person.

    CannotStart
    ├── DataFolderBusy          another live process holds the folder
    ├── DataFolderUnwritable    the folder cannot be made or written
    ├── JarsUnavailable         Kafka's jars are not on this machine and cannot be fetched
    └── ServerNotReady          the server ended or stayed silent; carries the tail of its log
    """


class DataFolderBusy(CannotStart):
    """Another live process holds the folder."""


class DataFolderUnwritable(CannotStart):
    """The folder cannot be made or written by this user."""


class JarsUnavailable(CannotStart):
    """Kafka's jars are not in the cache of this machine and could not be fetched."""


class ServerNotReady(CannotStart):
    """The server ended early or did not answer in time."""


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turns the refusals of the file system under `folder` into DataFolderUnwritable."""
    try:
        yield
    except OSError as refusal:
        if refusal.errno == errno.ENOSPC:
            raise DataFolderUnwritable(f"No space is left for the data folder {folder}.") from refusal
        raise DataFolderUnwritable(
            f"The data folder {folder} cannot be written ({refusal.strerror}); "
            "choose another folder (make: FOLDER=…, jicai: --data …) or change its owner."
        ) from refusal


class FolderLock:
    """An flock on `<folder>/<server>.lock`: the kernel lets go of it when its holder dies."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder = folder
        self._path = folder / f"{server}.lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises DataFolderBusy, naming the live holder, or DataFolderUnwritable."""
        with writable(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            holder = os.read(descriptor, 32).decode().strip() or "unknown"
            os.close(descriptor)
            raise DataFolderBusy(
                f"The data folder {self._folder} is in use by process {holder}; "
                "stop that process or choose another folder (make: FOLDER=…, jicai: --data …)."
            ) from held
        with writable(self._folder):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Revivable(Protocol):
    """A server of this machine that can be started again."""

    def died(self) -> bool: ...
    def revive(self) -> None: ...


def look_after(name: str, server: Revivable) -> bool:
    """Starts a server that has ended by itself again, and says so on the console; False: it does not come back."""
    if not server.died():
        return True
    print(f"{name} has ended by itself; it is started again.", flush=True)
    try:
        server.revive()
    except CannotStart as refusal:
        print(f"{name} does not come back: {refusal}", flush=True)
        return False
    print(f"{name} answers again; what was committed is there.", flush=True)
    return True


def is_port_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def choose_port(asked: int | None, remembered: int | None) -> int:
    """The port asked for, else the one of the last start if it is free, else any free one."""
    if asked is not None:
        if not is_port_free(asked):
            raise CannotStart(f"Port {asked} on {LOOPBACK} is taken; choose another one.")
        return asked
    # A killed server may hold its port a moment longer than its process id.
    if remembered is not None and wait_until(lambda: is_port_free(remembered), PORT_PATIENCE_SECONDS):
        return remembered
    return free_port()


def trim_log(log: Path) -> None:
    """Starts a log afresh once it has grown past LOG_KEEP_BYTES, keeping the previous one beside it."""
    if log.exists() and log.stat().st_size > LOG_KEEP_BYTES:
        log.replace(log.with_suffix(".log.1"))


def log_tail(log: Path, since: int = 0) -> str:
    """The last lines that were written to `log` after byte `since`."""
    if not log.exists():
        return ""
    with log.open("rb") as lines:
        end = lines.seek(0, os.SEEK_END)
        lines.seek(max(since, end - LOG_TAIL_BYTES))
        return "\n".join(lines.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Whether `condition` came true within the time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def is_gone(process: psutil.Process) -> bool:
    """A zombie is gone: it holds nothing any more, whoever has yet to reap it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end_process(process: psutil.Process, steps: tuple[tuple[signal.Signals, float], ...]) -> None:
    """Sends each signal in turn, with the seconds it is given, until the process is gone."""
    for signum, patience_seconds in steps:
        try:
            process.send_signal(signum)
        except psutil.NoSuchProcess:
            return
        if wait_until(lambda: is_gone(process), patience_seconds):
            return


def kill_tree(process: psutil.Process) -> None:
    """SIGKILL for a process and all its children, as a power cut would."""
    try:
        doomed = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in doomed:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    wait_until(lambda: all(is_gone(one) for one in doomed), 10)


def reap(child: "subprocess.Popen[bytes]") -> None:
    """Takes the exit status of a child that has ended, so that no zombie stays."""
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        kill_tree(psutil.Process(child.pid))
        child.wait()
