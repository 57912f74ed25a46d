"""A service that lost its database, or was given an older one back, reads from Kafka what it has missed; tried on a real Kafka
and a real PostgreSQL. What cannot be had again is named by `jicai audit`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.chain import SERVICES, Chain, inspect
from deploy.cli import app
from deploy.databases import bring_to_head
from deploy.environment import Embedded, database_name
from deploy.kafka import EmbeddedKafka
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from deploy.wiring import TopicSettings, kafka_bus, make_topics, told
from shared import clock, outbox
from shared.bus import BusAway, KafkaBus
from shared.worker import Worker
from tests.deploy.said_again import Rows, bring_back

PATIENCE_SECONDS = 240
LISTENING = ("orders", "settlement", "traceability", "alerts")
OWED = "SELECT id, shipment_line_id, quantity, amount_yuan, quantity_released, released_yuan, due_on"
PAYABLES = " FROM payables ORDER BY id"
ALERTS = "SELECT id, kind, about_id, state, version FROM alerts ORDER BY id"
QUIET_LOOKS = 3


@dataclass
class Ground:
    """The databases as they were told, a Kafka on which all of it was said, and when the hour after the backup began."""

    folder: Path
    server: EmbeddedPostgres
    kafka: EmbeddedKafka
    hour_began: datetime

    def url_of(self, name: str) -> str:
        return self.server.url(database_name(name))

    async def rows(self, name: str, sql: str) -> Rows:
        """What a database answers."""
        connection = await asyncpg.connect(self.url_of(name))
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def change(self, database: str, sql: str) -> Any:
        """Runs one statement as the owner; the first value that it answers."""
        connection = await asyncpg.connect(self.server.url(database))
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    async def chain(self) -> Chain:
        return await inspect(self.url_of)

    async def jicai(self, *arguments: str) -> tuple[int, str]:
        """Exit status and everything that a command says, told where Kafka is."""
        variables = {
            f"{name.upper()}_{key}": value
            for name in SERVICES
            for key, value in (("DATABASE_URL", self.url_of(name)), ("KAFKA_BOOTSTRAP", self.kafka.bootstrap))
        }
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=variables)
        return result.exit_code, result.output

    @asynccontextmanager
    async def at_work(
        self, *names: str, catching_up: Sequence[str] = ()
    ) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """The workers of these services, once everything that was said is applied; call what it gives to wait again."""
        embedded = Embedded(self.folder, {name: self.url_of(name) for name in SERVICES}, self.kafka.bootstrap)
        workers: list[tuple[Worker, KafkaBus]] = []
        for service in map(load, names):
            settings = embedded.settings(service)
            bus = kafka_bus(service, settings)
            workers.append((Worker(service, settings, bus, catching_up=service.name in catching_up), bus))
        stop = asyncio.Event()
        going = [asyncio.create_task(worker.run(stop)) for worker, _ in workers]
        try:
            await _until_quiet(workers)
            yield lambda: _until_quiet(workers)
        finally:
            stop.set()
            await asyncio.gather(*going)
            for _, bus in workers:
                await bus.stop()


async def _until_quiet(workers: Sequence[tuple[Worker, KafkaBus]]) -> None:
    quiet = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while quiet < QUIET_LOOKS:
            await asyncio.sleep(0.2)
            quiet = 0 if any([await _busy(*one) for one in workers]) else quiet + 1


async def _busy(worker: Worker, bus: KafkaBus) -> bool:
    if worker.database is None or not bus.listens:
        return True
    try:
        return bool(await outbox.waiting(worker.database) or await bus.lag())
    except BusAway:
        return True


@pytest.fixture(scope="module")
async def ground(played: EmbeddedPostgres, lasting_folder: Path) -> AsyncIterator[Ground]:
    """Everything is said on Kafka: what the backup knows, and then the work of the hour after it."""
    with EmbeddedKafka.start(lasting_folder) as kafka:
        wanted = told(TopicSettings, kafka_bootstrap=kafka.bootstrap)
        await asyncio.to_thread(make_topics, SERVICES, wanted, lambda _: None)
        ground = Ground(lasting_folder, played, kafka, clock.now())
        await bring_back(played, "told")
        last = {name: await ground.change(f"earlier_{name}", "SELECT max(id) FROM outbox") or 0 for name in SERVICES}
        for name in SERVICES:
            await ground.change(database_name(name), f"UPDATE outbox SET sent_at = NULL WHERE id <= {last[name]}")
        async with ground.at_work(*SERVICES) as quiet:
            await asyncio.sleep(1)
            ground.hour_began = clock.now()
            for name in SERVICES:
                await ground.change(database_name(name), f"UPDATE outbox SET sent_at = NULL WHERE id > {last[name]}")
            await quiet()
        yield ground


async def test_a_service_at_work_is_not_put_back_and_an_instant_is_asked_for(ground: Ground) -> None:
    async with ground.at_work("settlement"):
        status, said = await ground.jicai("rewind", "settlement", "--from-beginning")
    assert status == 1
    assert "The group settlement is at work" in said
    assert "Stop every worker of settlement first." in said
    for arguments in ((), ("--since", "2026-03-02T08:00:00Z", "--from-beginning")):
        status, said = await ground.jicai("rewind", "settlement", *arguments)
        assert (status, said.strip()) == (1, "Say how far back: either --since with an instant, or --from-beginning.")
    for instant, why in (("yesterday", "is no instant"), ("2026-03-02T08:00:00", "says no zone")):
        status, said = await ground.jicai("rewind", "settlement", "--since", instant)
        assert status == 1
        assert why in said
    status, said = await ground.jicai("rewind", "settlement", "--since", "2199-01-01T00:00:00Z")
    assert status == 0
    assert "stays at" in said
    assert "Nothing to change." in said  # never forward: that would pass over what nobody has applied
    assert await ground.jicai("rewind", "listing", "--from-beginning") == (0, "listing listens to nobody.\n")


async def test_settlement_restored_to_an_earlier_hour_ends_equal_to_the_rest(ground: Ground) -> None:
    before = await ground.rows("settlement", OWED + ", version" + PAYABLES)
    alerts = await ground.rows("alerts", ALERTS)
    await bring_back(ground.server, "earlier", ["settlement"])
    assert len(await ground.rows("settlement", OWED + PAYABLES)) == len(before) - 1
    assert not (await ground.chain()).whole
    status, said = await ground.jicai("rewind", "settlement", "--since", ground.hour_began.isoformat())
    assert status == 0, said
    assert "messages come again" in said
    assert "orders/0: " in said
    async with ground.at_work(*LISTENING):
        pass
    assert await ground.rows("settlement", OWED + ", version" + PAYABLES) == before
    assert await ground.rows("alerts", ALERTS) == alerts
    chain = await ground.chain()
    assert chain.whole, chain
    status, said = await ground.jicai("audit", "--url", ground.server.url("").rstrip("/"))
    assert status == 0, said


async def test_settlement_dropped_and_caught_up_owes_the_same_and_audit_names_what_it_had_paid(ground: Ground) -> None:
    before = await ground.rows("settlement", OWED + PAYABLES)
    paid = await ground.rows("settlement", "SELECT id FROM payables WHERE paid_yuan > 0")
    await ground.change("postgres", f"DROP DATABASE {database_name('settlement')} WITH (FORCE)")
    ground.server.ensure_database(database_name("settlement"))
    await bring_to_head([load("settlement")], {"settlement": ground.url_of("settlement")})
    status, said = await ground.jicai("rewind", "settlement", "--from-beginning")
    assert status == 0, said
    async with ground.at_work(*LISTENING, catching_up=["settlement"]):
        pass
    await ground.change(database_name("settlement"), "UPDATE deadlines SET due_at = now() - interval '1 hour'")
    async with ground.at_work("settlement", catching_up=["settlement"]):
        pass
    assert (
        await ground.rows("settlement", "SELECT id FROM sheets") == []
    )  # goods that were paid are asked for by nobody
    assert await ground.rows("settlement", OWED + PAYABLES) == before
    chain = await ground.chain()
    assert (chain.without_payable, chain.other_amounts, chain.unbalanced, chain.doubled) == (0, 0, 0, 0)
    assert chain.dead == {}
    assert chain.told_unpaid == len(paid)
    status, said = await ground.jicai("audit")
    assert status == 1
    for (payable_id,) in paid:
        assert f"payment {payable_id} (order CG-0001): settlement has nothing, orders has" in said
    for state in ("paid", "confirmed"):  # sheets, accounts
        for listener in ("orders", "alerts"):
            assert f"settlement has nothing, {listener} has it as {state}" in said
    assert "payables that are paid in orders alone: settlement knows no payment of them: " in said
    assert "\npayable " not in said
    await bring_back(ground.server, "told", ["settlement"])


async def test_orders_restored_to_an_earlier_hour_cannot_unsay_it_and_audit_names_each_thing(ground: Ground) -> None:
    await bring_back(ground.server, "told", ["settlement"])
    await bring_back(ground.server, "earlier", ["orders"])
    (line,) = await ground.rows(
        "settlement", "SELECT shipment_line_id, amount_yuan FROM payables WHERE order_number = 'CG-0003'"
    )
    status, said = await ground.jicai("audit", "--url", ground.server.url("").rstrip("/"))
    assert status == 1
    name = f"accepted line {line[0]} (order CG-0003, lot L2)"
    assert f"{name}: orders has nothing, settlement has 10 accepted for {line[1]} yuan" in said
    assert f"accepted line {line[0]} (order " in said
    assert "orders has nothing, traceability has 10 accepted" in said
    assert "traceability has 7 covered, orders has nothing" in said
    assert said.count("accepted line ") == 2  # and nothing that agrees
    await bring_back(ground.server, "told", ["orders"])
    assert (await ground.chain()).whole
