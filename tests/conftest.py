"""What every test may ask for; tests/README.md shows each in use. One PostgreSQL for the whole run, real roles and walls."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import cache

import httpx
import pytest
from fastapi import FastAPI
from xdist.scheduler import LoadFileScheduling

from deploy.issuer import make_token
from deploy.postgres import EmbeddedPostgres
from deploy.services import NAMES, load
from shared import clock
from shared.db import Database, Scope, Tx
from shared.http import create_app
from shared.service import Service
from tests.contract import Contract
from tests.house import House, WorkerInHand

MANY_PROCESSES = ("tests/deploy/", "tests/faults/", "tests/journeys/")


class Shared(LoadFileScheduling):
    """Of several test processes each has servers of its own and does whole files; one alone does what starts many processes."""

    def _split_scope(self, nodeid: str) -> str:
        return "many processes" if nodeid.startswith(MANY_PROCESSES) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Shared:
    """Asked for with `-n 2`."""
    return Shared(config, log)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The one server of this run; forgets everything with it."""
    with EmbeddedPostgres.start(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
async def house(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The databases of this run, made when they are asked for."""
    made = House(postgres, tmp_path_factory.mktemp("house"))
    yield made
    await made.close()


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Service:
    """The service a test is about: the one that a folder above it is named after."""
    (name,) = set(request.path.parts) & set(NAMES)
    return load(name)


@pytest.fixture(scope="session")
def database_url(house: House) -> Callable[[Service | str], str]:
    """`database_url("orders")`: the owner's URL of that service's database."""
    return lambda asked: house.url(load(asked) if isinstance(asked, str) else asked)


@pytest.fixture
def begin(house: House, service: Service) -> Callable[..., AbstractAsyncContextManager[Tx]]:
    """`async with begin(Scope("own", "H33…")) as tx`: as the API for that scope, or `begin()` as the worker; rolled back."""

    def begun(scope: Scope | None = None) -> AbstractAsyncContextManager[Tx]:
        return house.rolled_back(service, scope)

    return begun


@pytest.fixture
async def tx(begin: Callable[..., AbstractAsyncContextManager[Tx]]) -> AsyncIterator[Tx]:
    """A transaction as the worker, which sees every row; rolled back when the test is over."""
    async with begin() as begun:
        yield begun


@pytest.fixture
async def database(house: House, service: Service) -> AsyncIterator[Database]:
    """The service's database as its worker, for tests that commit; empty again afterwards."""
    yield await house.database(service)
    await house.empty(service)


@pytest.fixture
def worker(service: Service, database: Database) -> WorkerInHand:
    """What happens by itself, one move at a time: `await worker.deliver(OrderPlaced(…))`."""
    return WorkerInHand(service, database)


@pytest.fixture(scope="session")
async def _apps(house: House) -> AsyncIterator[Callable[[Service], Awaitable[FastAPI]]]:
    """One running app a service for the whole run, because making one takes longer than most tests."""
    running: dict[str, tuple[FastAPI, AbstractAsyncContextManager[object]]] = {}

    async def app_of(service: Service) -> FastAPI:
        if service.name not in running:
            app = create_app(service, house.settings(service))
            lifespan = app.router.lifespan_context(app)
            await lifespan.__aenter__()
            running[service.name] = (app, lifespan)
        return running[service.name][0]

    yield app_of
    for _, lifespan in running.values():
        await lifespan.__aexit__(None, None, None)


@pytest.fixture(scope="session")
def contracts() -> dict[str, Contract]:
    """What answers are compared with, by service; read once, because reading takes longer than most tests."""
    return {}


@pytest.fixture
async def client(
    service: Service,
    database: Database,
    _apps: Callable[[Service], Awaitable[FastAPI]],
    contracts: dict[str, Contract],
) -> AsyncIterator[httpx.AsyncClient]:
    """The service's API over HTTP, in this process, held to its contract; what it committed is gone after the test."""
    app = await _apps(service)
    if service.name not in contracts:
        contracts[service.name] = Contract(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    hooks = {"response": [contracts[service.name].hold]}
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{service.name}", event_hooks=hooks) as made:
        yield made


@pytest.fixture(scope="session")
def token(house: House) -> Callable[..., str]:
    """`token("hospital", "H33010200059", "330100")`: a bearer token of that organisation, signed once and good for a day."""

    @cache
    def made(role: str, organisation: str, region: str = "330100", person: str = "tester") -> str:
        return make_token(house.data_dir, organisation=organisation, roles=[role], region=region, person=person)

    return made


@pytest.fixture(scope="session")
def caller(token: Callable[..., str]) -> Callable[..., dict[str, str]]:
    """`headers=caller("hospital", "H33010200059", "330100")`: the same as a header."""
    return lambda *who: {"authorization": f"Bearer {token(*who)}"}


@pytest.fixture
def driven_clock() -> Iterator[Callable[[datetime], None]]:
    """`driven_clock(instant)` moves the clock of this process, forwards only; real time again afterwards."""
    clock.release()
    clock.allow_driving(True)
    yield clock.drive
    clock.release()
