"""The platform that faults happen to: ten processes and two servers, each of which can be killed and comes back.

Invariant: a process that should run and has ended is started again, whatever ended it; the servers keep their ports.
"""

import asyncio
import os
import random
import signal
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx

from deploy.addresses import Address
from deploy.children import Children, kept
from deploy.databases import bring_to_head
from deploy.embedded import LOOPBACK, free_port
from deploy.environment import Embedded, database_name
from deploy.issuer import jwks_file
from deploy.kafka import EmbeddedKafka
from deploy.platform import token_maker
from deploy.postgres import EmbeddedPostgres
from deploy.processes import ports_of, start, until_ready
from deploy.services import NAMES, load_all
from deploy.wiring import TopicSettings, make_topics, told
from shared import clock, crash
from tests.faults import witness

LOOK_SECONDS = 0.1
SESSION_SECONDS = 6
"""The least that a broker allows; 10 unless said."""
PATIENCE_SECONDS = 120
CRASHED = (crash.STATUS, -signal.SIGKILL)
TODAY = "tests.faults.witness"
ASKED = ("orders-api", "settlement-api", "traceability-api")
"""The APIs that the load calls."""
TRADING = ("orders", "settlement", "traceability", "alerts")
"""The services whose workers have something to relay or to consume while trade goes on."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One fault: what, and the seconds of the clock of this test between which it lasted."""

    kind: str
    began: float
    ended: float


@dataclass(slots=True)
class Points:
    """Which named steps are still to be crashed at, and how often; dealt to processes as they are started."""

    left: deque[str]
    furthest_pass: int
    armed: dict[str, str] = field(default_factory=dict)

    def deal(self, name: str) -> dict[str, str]:
        """The variables of a process that is about to start: the next step that it passes, or none."""
        self.armed.pop(name, None)
        point = next((one for one in self.left if one in _passed_by(name)), None)
        if point is None:
            return {}
        self.left.remove(point)
        self.armed[name] = point
        on_pass = random.randint(1, self.furthest_pass)
        return {"JICAI_CRASH_AT": point, "JICAI_CRASH_ON": str(on_pass)}

    def missed(self, name: str) -> None:
        """The process ended in another way, so its step is dealt again."""
        if point := self.armed.pop(name, None):
            self.left.append(point)


def _passed_by(name: str) -> tuple[str, ...]:
    """The steps that a process passes while trade goes on."""
    service, _, kind = name.partition("-")
    if kind == "api":
        return crash.REQUEST if name in ASKED else ()
    if service not in TRADING:
        return ()
    return crash.CONSUMER if service == "alerts" else (*crash.RELAY, *crash.CONSUMER)


class Quick(Embedded):
    """The embedded default for processes that are killed: who was, is missed soon, and has the right time again."""

    def variables(self, service: str) -> dict[str, str]:
        """As they are told, without the file of the clock."""
        told = super().variables(service)
        kept = {name: value for name, value in told.items() if not name.endswith("_CLOCK_FILE")}
        bank = {"SETTLEMENT_BANK_FOLDER": str(_bank_folder(self.data_dir))}
        return {**kept, **bank, f"{service.upper()}_KAFKA_SESSION_SECONDS": str(SESSION_SECONDS)}


def _bank_folder(data_dir: Path) -> Path:
    return data_dir / "bank"


@dataclass(slots=True)
class Stand:
    """Servers, processes, where they answer, and what happened to them."""

    data_dir: Path
    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka
    children: Children
    embedded: Embedded
    ports: dict[str, tuple[int, int]]
    addresses: dict[str, Address]
    points: Points = field(default_factory=lambda: Points(deque(), 1))
    happened: list[Happened] = field(default_factory=list)
    by_itself: Counter[str] = field(default_factory=Counter)
    keeping: bool = True
    upgraded: dict[str, str] = field(default_factory=dict)
    """The processes that run as another version, each with its command line."""
    rolling: set[str] = field(default_factory=set)
    """Those that were told to end, to be started in another version."""

    def url_of(self, service: str) -> str:
        """The owner's URL of a service's database."""
        return self.postgres.url(database_name(service))

    @property
    def bank_folder(self) -> Path:
        """Where settlement's worker writes its payment files."""
        return _bank_folder(self.data_dir)

    @asynccontextmanager
    async def connected(self, service: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the database's owner, outside the services."""
        connection = await asyncpg.connect(self.url_of(service), timeout=20)
        try:
            yield connection
        finally:
            connection.terminate()

    def names(self, kind: str) -> list[str]:
        """The processes of a kind, `api` or `worker`."""
        return [f"{name}-{kind}" for name in NAMES]

    def start(self, name: str) -> None:
        """Starts one of the ten again, perhaps with a step at which it will crash."""
        service, _, kind = name.partition("-")
        api, ops = self.ports[service]
        arguments = (
            ["serve", service, "--port", str(api)] if kind == "api" else ["work", service, "--ops-port", str(ops)]
        )
        variables = {**self.embedded.variables(service), **self.points.deal(name)}
        self.children.start(name, arguments, variables, self.upgraded.get(name, TODAY))

    async def roll(self, name: str, version: str) -> None:
        """Ends a process in good order, and starts it as another version."""
        self.upgraded[name] = version
        self.rolling.add(name)
        pid = self.children.pid(name)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.children.pid(name) == pid:  # noqa: ASYNC110  whoever keeps the processes starts it again
                await asyncio.sleep(LOOK_SECONDS)
        await self.until_alive(name)

    @asynccontextmanager
    async def second_worker(self, service: str) -> AsyncIterator[str]:
        """Another worker beside the first, once its group has let it in; yields where it answers operations."""
        name, port = f"{service}-second", free_port()
        self.children.start(name, ["work", service, "--ops-port", str(port)], self.embedded.variables(service), TODAY)
        base = f"http://{LOOPBACK}:{port}"
        try:
            await self.until(base, "/health/ready", '"ready"')
            yield base
        finally:
            with suppress(KeyError):  # it has ended meanwhile, and was put away
                await asyncio.to_thread(self.children.end, name)

    @property
    def operator(self) -> dict[str, str]:
        """The headers of operations."""
        token = token_maker(self.embedded.data_dir)("operator", "OPERATOR", "000000", "faults")
        return {"authorization": f"Bearer {token}"}

    def kill(self, name: str) -> None:
        """kill -9; whoever keeps the processes starts it again."""
        with suppress(ProcessLookupError):
            os.kill(self.children.pid(name), signal.SIGKILL)

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """SIGSTOP: the process hangs with its connections open, and goes on after the `with`."""
        pid = self.children.pid(name)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def keep(self) -> None:
        """Starts again whatever has ended, until told that it is over."""
        while self.keeping:
            for name, status in self.children.ended().items():
                self.children.end(name)
                if name.endswith("-second"):
                    continue
                point = self.points.armed.get(name)
                if status == crash.STATUS and point:
                    now = clock.wall_seconds()
                    self.happened.append(Happened(f"crash {point}", now, now))
                    self.points.armed.pop(name)
                else:
                    self.points.missed(name)
                if status not in CRASHED and name not in self.rolling:
                    self.by_itself[name] += 1
                self.rolling.discard(name)
                self.start(name)
            await asyncio.sleep(LOOK_SECONDS)

    async def until_alive(self, name: str) -> None:
        """Waits until a process answers again, whatever becomes of it meanwhile; raises TimeoutError."""
        service, _, kind = name.partition("-")
        address = self.addresses[service]
        await self.until(address.api if kind == "api" else address.ops, "/health/live", "live")

    async def until(self, base: str, path: str, said: str) -> None:
        """Waits until this is said there; raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient(timeout=2, trust_env=False) as client:
            while True:
                with suppress(httpx.HTTPError):
                    answer = await client.get(f"{base}{path}")
                    if answer.is_success and said in answer.text:
                        return
                await asyncio.sleep(LOOK_SECONDS)


@contextmanager
def standing(data_dir: Path) -> Iterator[Stand]:
    """Starts everything on a fresh folder and waits until all ten are ready; ends everything."""
    services = load_all()
    with (
        kept(data_dir),
        EmbeddedPostgres.start(data_dir) as postgres,
        EmbeddedKafka.start(data_dir) as kafka,
        Children(data_dir) as children,
    ):
        ports = ports_of(NAMES, 0)
        urls = {name: postgres.ensure_database(database_name(name)) for name in NAMES}
        asyncio.run(bring_to_head(services, urls))
        for name, url in urls.items():
            asyncio.run(witness.make_table(name, url))
        make_topics(NAMES, told(TopicSettings, kafka_bootstrap=kafka.bootstrap), lambda _: None)
        jwks_file(data_dir)
        embedded = Quick(data_dir, urls, kafka.bootstrap)
        addresses = start(children, embedded, ports, TODAY)
        until_ready(children, [url for address in addresses.values() for url in (address.api, address.ops)])
        yield Stand(data_dir, postgres, kafka, children, embedded, ports, addresses)
