"""A database that stops answering, stopped or behind a road that swallows all: refused in bounded time, then at once."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest

from deploy.issuer import make_token
from deploy.postgres import EmbeddedPostgres
from shared.db import Database, Scope
from shared.errors import Unavailable
from shared.faults import TRANSIENT
from shared.http import create_app
from shared.policy import Policy
from shared.settings import Limits, ServiceSettings
from tests.house import House
from tests.toy import let_in, toy

let_in()

NEVER_SECONDS = 20
"""Long past every limit here: whoever waits so long hangs."""
LIMITS = Limits(answer_seconds=0.5, pool_wait_seconds=1, statement_seconds=600, pool_connections=3)


class Road(Protocol):
    """The way to a database, which can be cut without a word and mended."""

    url: str

    def cut(self) -> None: ...
    def mend(self) -> None: ...


class Stopped:
    """The server and its children stand still; the kernel goes on taking what is sent to them."""

    def __init__(self, server: EmbeddedPostgres, url: str) -> None:
        self.url = url
        self._server = server

    def _send(self, signum: signal.Signals) -> None:
        postmaster = psutil.Process(self._server.pid)
        for process in (postmaster, *postmaster.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signum)

    def cut(self) -> None:
        self._send(signal.SIGSTOP)

    def mend(self) -> None:
        self._send(signal.SIGCONT)


class BlackHole:
    """What is sent over a road that was cut arrives nowhere, later too; a new one leads there again."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._swallows = asyncio.Event()
        self._going: set[asyncio.Task[None]] = set()
        self.url = url

    @asynccontextmanager
    async def open(self) -> AsyncIterator["BlackHole"]:
        server = await asyncio.start_server(self._lead, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        self.url = self.url.replace(f":{self._to.port}/", f":{port}/")
        yield self
        server.close()
        for task in self._going:
            task.cancel()
        await asyncio.gather(*self._going, return_exceptions=True)

    def cut(self) -> None:
        self._swallows.set()

    def mend(self) -> None:
        self._swallows = asyncio.Event()

    async def _lead(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        there, on = await asyncio.open_connection(self._to.hostname, self._to.port)
        for source, sink in ((here, on), (there, back)):
            self._going.add(asyncio.create_task(self._carry(source, sink, self._swallows)))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, swallows: asyncio.Event) -> None:
        try:
            while data := await source.read(65_536):
                if not swallows.is_set():
                    sink.write(data)
        finally:
            sink.transport.abort()


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A server of its own: it stands still in these tests."""
    with tempfile.TemporaryDirectory(prefix="jicai-silence-") as made, EmbeddedPostgres.start(Path(made)) as server:
        yield House(server, Path(made))


@pytest.fixture(params=["stopped", "black hole"])
async def road(request: pytest.FixtureRequest, house: House) -> AsyncIterator[Road]:
    url = house.url(toy)
    if request.param == "stopped":
        stopped = Stopped(house.postgres, url)
        yield stopped
        stopped.mend()
    else:
        async with BlackHole(url).open() as hole:
            yield hole


@pytest.fixture
def told(house: House, road: Road) -> ServiceSettings:
    return house.settings(toy).model_copy(update={"database_url": road.url, "limits": LIMITS})


@pytest.fixture
async def ask(house: House, told: ServiceSettings) -> AsyncIterator[Callable[[], asyncio.Task[httpx.Response]]]:
    """A request to the toy, under way: `await ask()` is its answer. One connection stands already."""
    async with asking(house, told) as client, asyncio.timeout(3 * NEVER_SECONDS):
        assert (await client.get("/things")).status_code == 200
        yield lambda: asyncio.create_task(client.get("/things"))


@asynccontextmanager
async def asking(house: House, told: ServiceSettings) -> AsyncIterator[httpx.AsyncClient]:
    """A hospital before a toy that is told so."""
    app = create_app(toy, told)
    token = make_token(house.data_dir, organisation="H33010200059", roles=["hospital"], region="330100")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://toy", headers={"authorization": f"Bearer {token}"}
        ) as client,
    ):
        yield client


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def until_answered(ask: Callable[[], asyncio.Task[httpx.Response]]) -> None:
    async with asyncio.timeout(NEVER_SECONDS):
        while (await ask()).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_request_is_refused_in_bounded_time_and_taken_again_when_the_database_answers(
    road: Road, ask: Callable[[], asyncio.Task[httpx.Response]]
) -> None:
    road.cut()
    async with asyncio.timeout(NEVER_SECONDS):
        refused(await ask())
    road.mend()
    await until_answered(ask)


async def test_while_one_asks_again_the_others_are_refused_without_waiting_for_it(
    road: Road, ask: Callable[[], asyncio.Task[httpx.Response]]
) -> None:
    road.cut()
    async with asyncio.timeout(NEVER_SECONDS):
        refused(await ask())
        asks_again = None
        while asks_again is None:
            asked = ask()
            await asyncio.sleep(0.1)  # more than a refusal without waiting takes, less than asking
            if not asked.done():
                asks_again = asked
        for answer in await asyncio.gather(*(ask() for _ in range(20))):
            refused(answer)
        assert not asks_again.done()
        refused(await asks_again)
    road.mend()
    await until_answered(ask)


@pytest.mark.parametrize("says", [True, False])
async def test_a_statement_or_a_commit_is_given_up_in_bounded_time_and_its_connection_with_it(
    road: Road, *, says: bool
) -> None:
    limits = LIMITS.model_copy(update={"statement_seconds": 1})
    database = await Database.open(road.url, policy=Policy([]), limits=limits)

    async def cut_off() -> None:
        async with database.transaction() as tx:
            road.cut()
            if says:
                await tx.sql("SELECT 1")

    async with asyncio.timeout(NEVER_SECONDS):
        with pytest.raises(TRANSIENT):
            await cut_off()
        assert database.pool.get_size() == 0
        road.mend()
        while await database.trouble():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        async with database.transaction() as tx:
            assert [tuple(row) for row in await tx.sql("SELECT 1")] == [(1,)]
    await database.close()


@pytest.mark.parametrize("use", ["transaction", "reading"])
async def test_who_waits_for_a_statement_when_the_database_falls_silent_does_not_wait_for_its_end(
    road: Road, use: str
) -> None:
    database = await Database.open(road.url, policy=Policy([]), limits=LIMITS)
    begun = database.transaction if use == "transaction" else database.reading

    async def cut_off() -> None:
        async with begun(Scope(reach="all")) as tx:
            await tx.sql("SELECT 1 AS one")
            road.cut()
            await tx.sql("SELECT 2 AS two")

    async with asyncio.timeout(NEVER_SECONDS):
        with pytest.raises((*TRANSIENT, Unavailable)):
            await cut_off()
        assert database.pool.get_size() == 0
    road.mend()
    await database.close()


@pytest.mark.parametrize("use", ["transaction", "reading"])
async def test_a_statement_that_takes_its_time_is_not_taken_for_silence(house: House, use: str) -> None:
    database = await Database.open(house.url(toy), policy=Policy([]), limits=LIMITS)
    begun = database.transaction if use == "transaction" else database.reading
    async with begun(Scope(reach="all")) as tx:
        found = await tx.sql("SELECT 7 AS seven FROM pg_sleep($1)", 5 * LIMITS.answer_seconds)
    assert [row["seven"] for row in found] == [7]
    await database.close()


async def test_who_asks_whether_it_answers_is_told_in_bounded_time_and_again_when_it_does(road: Road) -> None:
    database = await Database.open(road.url, policy=Policy([]), limits=LIMITS)
    assert await database.trouble() is None
    road.cut()
    async with asyncio.timeout(NEVER_SECONDS):
        for _ in range(2):
            assert await database.trouble() == "the database does not answer: TimeoutError"
            assert database.pool.get_size() == 0
        road.mend()
        while await database.trouble():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await database.close()


@pytest.fixture
async def held(house: House) -> AsyncIterator[asyncpg.Connection]:
    """Holds every COMMIT of a thing, from the first on, until it lets go of its lock."""
    owner = await asyncpg.connect(house.url(toy))
    await owner.execute(HOLD)
    await owner.execute("SELECT pg_advisory_lock(7)")
    yield owner
    await owner.execute("DROP TRIGGER hold ON things")
    await owner.close()


HOLD = """
CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()
"""
COMMITTING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'COMMIT'"


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"request_seconds": 1}, "took_too_long"), ({"statement_seconds": 1}, "unavailable")],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_what_was_committed_and_not_answered_is_not_denied_and_not_done_again(
    house: House, held: asyncpg.Connection, limits: dict[str, float], code: str
) -> None:
    before = await held.fetchval("SELECT count(*) FROM things")
    async with BlackHole(house.url(toy)).open() as road, asyncio.timeout(3 * NEVER_SECONDS):
        told = {"database_url": road.url, "limits": LIMITS.model_copy(update=limits)}
        async with asking(house, house.settings(toy).model_copy(update=told)) as client:
            client.headers["idempotency-key"] = code
            lost = asyncio.create_task(client.post("/things", json={"name": "chair"}))
            while not await held.fetchval(COMMITTING):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            road.cut()
            await held.execute("SELECT pg_advisory_unlock(7)")
            answer = await lost
            assert (answer.status_code, answer.json()["code"]) == (503, code)
            assert "may or may not have been done" in answer.json()["detail"]
            assert await held.fetchval("SELECT count(*) FROM things") == before + 1
            road.mend()
            while (again := await client.post("/things", json={"name": "chair"})).status_code != 201:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            assert again.headers["idempotency-replayed"] == "true"
    assert await held.fetchval("SELECT count(*) FROM things") == before + 1


async def test_whoever_finds_no_connection_free_does_not_take_the_database_for_silent(house: House) -> None:
    alone = LIMITS.model_copy(update={"pool_connections": 1})
    database = await Database.open(house.url(toy), policy=Policy([]), limits=alone)
    async with database.transaction():
        with pytest.raises(Unavailable):
            async with database.transaction():
                raise AssertionError("it began")
    async with database.transaction() as tx:
        assert await tx.sql("SELECT 1")
    await database.close()
