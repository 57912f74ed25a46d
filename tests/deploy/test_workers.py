"""Workers of one service as real processes: they wait for their broker, and one that is told to end leaves nothing half done."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from deploy.children import Children
from deploy.databases import bring_to_head
from deploy.embedded import free_port
from deploy.environment import Embedded, database_name
from deploy.kafka import EmbeddedKafka
from deploy.logs import log_file
from deploy.postgres import EmbeddedPostgres
from deploy.services import NAMES, load
from deploy.wiring import TopicSettings, make_topics, told
from shared import clock
from shared.envelope import seal
from shared.events.listing import EnterpriseRegistered

PATIENCE_SECONDS = 90
EVENTS = 40
MEMBERS = 5
"""The place of the members in the description of a group."""
BLOCKED = (
    "SELECT client_port FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'orders worker'"
)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Waits for it, and says so when it does not come."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class Workers:
    """Workers of orders, each a process with its own port for operations."""

    def __init__(self, folder: Path, children: Children, url: str, broker: int) -> None:
        self.folder = folder
        self.bootstrap = f"127.0.0.1:{broker}"
        self._children = children
        self._told = Embedded(folder, {"orders": url}, self.bootstrap).variables("orders")
        self._ports: dict[str, int] = {}

    def start(self, name: str) -> None:
        self._ports[name] = free_port()
        self._children.start(name, ["work", "orders", "--ops-port", str(self._ports[name])], self._told)

    async def until(self, name: str, status: str, reason: str = "") -> None:
        """Waits until its health has come to this status, for this reason."""

        async def has_come() -> bool:
            self._children.check()
            try:
                answer = await client.get(f"http://127.0.0.1:{self._ports[name]}/health/ready")
            except httpx.TransportError:
                return False
            health = answer.json()
            return health["status"] == status and reason in "; ".join(health["reasons"])

        async with httpx.AsyncClient(trust_env=False) as client:
            await until(has_come)

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self._children.pid(name))

    def applied(self, name: str) -> tuple[int, int]:
        """How many events it says it has applied, and how many came to it again."""
        lines = [json.loads(line) for line in log_file(self.folder, name).read_text().splitlines() if line[:1] == "{"]
        batches = [line for line in lines if line["message"] == "batch applied"]
        return sum(line["applied"] for line in batches), sum(line["repeated"] for line in batches)

    async def are(self, count: int) -> bool:
        """Whether the group has so many members now."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            (described,) = await admin.describe_consumer_groups(["orders"])
            return len(described.groups[0][MEMBERS]) == count
        finally:
            await admin.close()

    async def say(self, first: int, count: int) -> None:
        """Enterprises that orders hears of, all on one partition."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            for number in range(first, first + count):
                await producer.send_and_wait("listing", _registered(number), partition=0)
        finally:
            await producer.stop()


def _registered(number: int) -> bytes:
    fact = EnterpriseRegistered(
        enterprise_id=uuid4(),
        enterprise_code=f"E{number}",
        name=f"企业{number}",
        aliases=(),
        kinds=("distributor",),
        provisional=False,
        active=True,
        region="330000",
    )
    return seal(
        event_id=uuid4(),
        source="/listing",
        event_type=fact.TYPE,
        subject=str(fact.enterprise_id),
        time=clock.now(),
        sequence=1,
        data=fact,
    )


@asynccontextmanager
async def held(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Nobody can write down an enterprise meanwhile."""
    holder = await asyncpg.connect(url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE enterprises IN SHARE MODE")
            yield holder
    finally:
        await holder.close()


async def test_a_worker_waits_for_its_broker_and_one_that_ends_finishes_its_batch_and_leaves_the_rest_to_the_other(
    folder: Path,
) -> None:
    with EmbeddedPostgres.start(folder, durable=False) as postgres, Children(folder) as children:
        url = postgres.ensure_database(database_name("orders"))
        await bring_to_head([load("orders")], {"orders": url})
        workers = Workers(folder, children, url, free_port())
        workers.start("first")
        await workers.until("first", "degraded", f"nobody answers at {workers.bootstrap}")
        with EmbeddedKafka.start(folder, int(workers.bootstrap.rpartition(":")[2])):
            await workers.until(
                "first",
                "degraded",
                "the broker has no topic listing, settlement, traceability; `jicai topics` makes it",
            )
            topics = told(TopicSettings, kafka_bootstrap=workers.bootstrap)
            await asyncio.to_thread(make_topics, NAMES, topics, print)
            await workers.until("first", "ready")
            workers.start("second")
            await workers.until("second", "ready")
            await until(lambda: workers.are(2))
            await _end_in_the_middle(workers, url)


async def _end_in_the_middle(workers: Workers, url: str) -> None:
    watcher = await asyncpg.connect(url)

    async def waits() -> bool:
        return bool(await watcher.fetch(BLOCKED))

    async def all_known() -> bool:
        return await watcher.fetchval("SELECT count(*) FROM enterprises") == 2 * EVENTS

    try:
        async with held(url):
            await workers.say(0, EVENTS)
            await until(waits)
            leaving, staying = _who(workers, await watcher.fetchval(BLOCKED))
            process = workers.process(leaving)
            process.send_signal(signal.SIGTERM)
            await workers.say(EVENTS, EVENTS)
            assert process.is_running()
            assert await waits(), "the batch in hand is not given up"
        await asyncio.to_thread(process.wait)
        assert await workers.are(1), "it has left; nobody waits for the end of its session"
        await until(all_known)
        (done, again), (rest, repeated) = workers.applied(leaving), workers.applied(staying)
        assert done > 0, "it has finished its batch"
        assert (done + rest, again + repeated) == (2 * EVENTS, 0)
    finally:
        await watcher.close()


def _who(workers: Workers, port: int) -> tuple[str, str]:
    """Which worker this connection to the database is of, and the other."""
    names = ["first", "second"]
    names.sort(key=lambda name: port not in {one.laddr.port for one in workers.process(name).net_connections()})
    return names[0], names[1]
