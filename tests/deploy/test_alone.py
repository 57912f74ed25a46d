"""A service started while its database and its broker are away waits, says so, and goes on when they come."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from deploy.alone import operations_of
from deploy.children import Children
from deploy.embedded import free_port, wait_until
from deploy.environment import Embedded, database_name
from deploy.issuer import jwks_file, make_token
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from shared.bus import BusAway, LocalBus
from shared.identity import Verifier, trusted
from shared.worker import Worker
from tests.deploy.test_cli import said
from tests.house import House

PATIENCE_SECONDS = 90


class Alone:
    """The API and the worker of orders, whose PostgreSQL is stopped; nothing listens where their Kafka should be."""

    def __init__(self, folder: Path, children: Children, postgres: EmbeddedPostgres, url: str) -> None:
        self.folder = folder
        self.postgres = postgres
        self.api, self.ops, self.metrics = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
        told = Embedded(folder, {"orders": url}, f"127.0.0.1:{free_port()}").variables("orders")
        told["ORDERS_METRICS_PORT"] = self.metrics.rpartition(":")[2]
        children.start("api", ["serve", "orders", "--port", self.api.rpartition(":")[2]], told)
        children.start("worker", ["work", "orders", "--ops-port", self.ops.rpartition(":")[2]], told)
        for base in (self.api, self.ops, self.metrics):
            assert wait_until(lambda base=base: status_of(base, "/health/live") == 200, PATIENCE_SECONDS)
        children.check()

    def ask(self, base: str, path: str, role: str | None) -> httpx.Response:
        headers = {}
        if role is not None:
            token = make_token(self.folder, organisation="H33010200059", roles=[role], region="330100")
            headers["authorization"] = f"Bearer {token}"
        return httpx.get(base + path, headers=headers, timeout=20, trust_env=False)


def status_of(base: str, path: str) -> int:
    try:
        return httpx.get(base + path, timeout=5, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


@pytest.fixture
def alone(folder: Path) -> Iterator[Alone]:
    jwks_file(folder)
    with EmbeddedPostgres.start(folder, durable=False) as postgres:
        url = postgres.ensure_database(database_name("orders"))
        assert said("migrate", "orders", "--database-url", url)[0] == 0
        postgres.stop()
        with Children(folder) as children:
            yield Alone(folder, children, postgres, url)


def test_both_wait_for_the_database_say_so_and_go_on_when_it_comes(alone: Alone) -> None:
    for base in (alone.api, alone.ops, alone.metrics):
        unready = httpx.get(f"{base}/health/ready", timeout=20, trust_env=False)
        assert (unready.status_code, unready.json()["status"]) == (503, "unready")
        assert unready.headers["retry-after"]
        assert "the database" in unready.json()["reasons"][0]
    refused = alone.ask(alone.api, "/orders", "hospital")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable"), refused.text
    assert refused.headers["retry-after"]
    flight = alone.ask(alone.ops, "/in-flight", "operator")
    assert (flight.status_code, "retry-after" in flight.headers) == (503, True)

    alone.postgres.restart()
    assert wait_until(lambda: status_of(alone.api, "/health/ready") == 200, PATIENCE_SECONDS)
    assert wait_until(lambda: status_of(alone.ops, "/health/ready") == 200, PATIENCE_SECONDS)
    assert alone.ask(alone.api, "/orders", "hospital").json()["items"] == []
    worker = httpx.get(f"{alone.ops}/health/ready", timeout=20, trust_env=False).json()
    assert worker["status"] == "degraded", "its broker is still away"
    assert "broker" in worker["reasons"][-1]


class SilentBus(LocalBus):
    """A bus whose broker does not say what is waiting."""

    async def lag(self) -> int:
        raise BusAway("the broker does not say what is waiting")


async def test_what_is_in_flight_is_not_known_while_the_broker_is_silent(
    house: House, caller: Callable[..., dict[str, str]]
) -> None:
    orders, bus = load("orders"), SilentBus()
    worker = Worker(orders, house.settings(orders), bus)
    worker.database = await house.database(orders)
    app = operations_of(worker, bus, Verifier(trusted(worker.settings), "orders", worker.settings.limits))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://worker") as client:
        flight = await client.get("/in-flight", headers=caller("operator", "OPERATOR"))
    assert (flight.status_code, flight.headers["retry-after"]) == (503, "1")
    assert "the broker does not say what is waiting" in flight.json()["detail"]


def test_metrics_are_open_on_their_own_port_alone(alone: Alone) -> None:
    assert alone.ask(alone.api, "/metrics", None).status_code == 401
    assert alone.ask(alone.api, "/metrics", "hospital").status_code == 403
    assert "jicai_" in alone.ask(alone.api, "/metrics", "operator").text
    for base in (alone.metrics, alone.ops):
        assert "jicai_" in alone.ask(base, "/metrics", None).text
    nowhere = alone.ask(alone.metrics, "/orders", "hospital")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "no_such_path")
    assert alone.ask(alone.metrics, "/clock", "operator").status_code == 404
    for path in ("/in-flight", "/clock"):
        assert alone.ask(alone.ops, path, None).status_code == 401
        assert alone.ask(alone.ops, path, "agency").status_code == 403
