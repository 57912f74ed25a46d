"""Five databases that the story was told in, and a road between them for tests: what a service has recorded goes to all that
listen, one batch after the other, as often as there is something to say.

Each state can be kept and brought back, as a backup would be, by copying databases.
"""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from deploy import addresses
from deploy.chain import SERVICES
from deploy.embedded import free_port
from deploy.environment import database_name
from deploy.platform import token_maker
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from deploy.story.cast import assemble
from deploy.story.cast import load as sample
from deploy.story.teller import Teller
from deploy.visitor import Visitor
from shared import clock, deadlines, republish
from shared.bus import Message
from shared.db import PLATFORM, Database
from shared.events import topic_of
from shared.inbox import Consumer
from shared.policy import Policy

ROOT = Path(__file__).parents[2]
UNSENT = "SELECT id, subject, payload FROM outbox WHERE sent_at IS NULL ORDER BY id"
SENT = "UPDATE outbox SET sent_at = clock_timestamp() WHERE id = ANY($1::bigint[])"
Rows = list[tuple[Any, ...]]


class Five:
    """The databases of the five services, open, and what they do by themselves."""

    def __init__(self, databases: dict[str, Database], urls: dict[str, str]) -> None:
        self.databases = databases
        self.urls = urls
        self.consumers = {name: Consumer(name, one, load(name).handlers) for name, one in databases.items()}
        self.carried = 0

    async def carry(self) -> None:
        """Takes everything recorded to everybody who listens, and what they answer, until nothing is left to say."""
        while sum([await self._carry(name) for name in SERVICES]):
            pass

    async def _carry(self, name: str) -> int:
        rows = await self.databases[name].pool.fetch(UNSENT)
        messages = [Message(name, row["subject"], row["payload"]) for row in rows]
        for listener in SERVICES if messages else ():
            if name in {topic_of(kind) for kind in load(listener).handlers}:
                await self.consumers[listener].apply(messages)
        await self.databases[name].pool.execute(SENT, [row["id"] for row in rows])
        self.carried += len(rows)
        return len(rows)

    async def settle(self) -> None:
        """Carries everything, and meets every deadline that is due."""
        await self.carry()
        for name in SERVICES:
            for kind, due in load(name).deadlines.items():
                while await deadlines.meet(self.databases[name], kind, due, 500):
                    await self.carry()

    async def say_again(self, *names: str) -> int:
        """Every kind of these services, or of all; returns how many facts that were."""
        return sum(
            [
                await republish.republish(self.databases[name], read)
                for name in names or SERVICES
                for read in load(name).republish.values()
            ]
        )

    async def rows(self, name: str, table: str, but: Sequence[str] = ()) -> Rows:
        """The rows of a table, without some of its columns, in an order of their own."""
        found = await self.databases[name].pool.fetch(f'SELECT * FROM "{table}"')
        return sorted((tuple(value for column, value in row.items() if column not in but) for row in found), key=repr)

    async def own(self, name: str, but: Sequence[str] = ()) -> dict[str, Rows]:
        """Every table of the service's own, and its history."""
        tables = [table.name for table in load(name).metadata.sorted_tables]
        return {table: await self.rows(name, table, but) for table in [*tables, "history"]}

    async def dead(self) -> list[tuple[str, str]]:
        """Every dead letter, by who refused it and why."""
        why = "SELECT reason FROM dead_letters"
        return [(name, row["reason"]) for name, one in self.databases.items() for row in await one.pool.fetch(why)]

    async def empty(self, name: str) -> None:
        """As a database that was dropped and migrated anew."""
        tables = [*PLATFORM.sorted_tables, *load(name).metadata.sorted_tables]
        names = ", ".join(f'"{table.name}"' for table in tables)
        await self.databases[name].pool.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


@asynccontextmanager
async def opened(server: EmbeddedPostgres) -> AsyncIterator[Five]:
    """The five as the owner of their databases."""
    async with AsyncExitStack() as stack:
        databases: dict[str, Database] = {}
        for name in SERVICES:
            url = server.url(database_name(name))
            database = await Database.open(url, policy=Policy.load(()), name=f"{name} again")
            stack.push_async_callback(database.close)
            databases[name] = database
        yield Five(databases, {name: server.url(database_name(name)) for name in SERVICES})


async def keep(server: EmbeddedPostgres, mark: str, names: Sequence[str] = SERVICES) -> None:
    """Copies the databases aside; nobody may be connected to them."""
    for name in names:
        await _copy(server, database_name(name), f"{mark}_{name}")


async def bring_back(server: EmbeddedPostgres, mark: str, names: Sequence[str] = SERVICES) -> None:
    """Puts the copies in the place of the databases."""
    for name in names:
        await _copy(server, f"{mark}_{name}", database_name(name))


async def _copy(server: EmbeddedPostgres, source: str, target: str) -> None:
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
    finally:
        await connection.close()


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """`jicai run` for as long as the block lasts."""
    command = [
        sys.executable,
        "-m",
        "deploy.cli",
        "run",
        "--no-story",
        "--data",
        str(folder),
        "--port",
        str(free_port()),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        assert any(line.startswith("ready:") for line in child.stdout)
        try:
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=120)


async def recalls(folder: Path) -> None:
    """The maker recalls a lot that was received, and one that nobody has, and ends the second."""
    async with Visitor(addresses.read(folder), token_maker(folder)) as visitor:
        cast = assemble(sample(), visitor)
        code = cast.product("tablets").code
        lots = {line["lot_number"] for line in (await cast.hospital.get("traceability/receipts"))["items"]}
        maker = cast.maker
        first = {"product_code": code, "lot_numbers": sorted(lots), "reason": "杂质"}
        await maker.post("traceability/recalls", first, key="recall-1")
        other = {"product_code": code, "lot_numbers": ["NOWHERE"], "reason": "标签"}
        second = await maker.post("traceability/recalls", other, key="recall-2")
        await maker.post(f"traceability/recalls/{second['id']}/close", {"reason": "已更正"})
        await visitor.until_quiet()


async def one_more(folder: Path) -> None:
    """One more order on its way from placing to its codes, on a platform that runs in this folder."""
    async with Visitor(addresses.read(folder), token_maker(folder)) as visitor:
        cast = assemble(sample(), visitor)
        await Teller(visitor, clock.now()).on(
            clock.now()
        )  # the clock stands, so that an event and its deed are of one instant
        pills, today = cast.product("pills"), clock.today()
        dealer = cast.enterprise("dealer_b").uscc
        wanted = [{"product_code": pills.code, "quantity": 10, "distributor_code": dealer}]
        order = await cast.hospital.post("orders/orders", {"order_number": "CG-0003", "lines": wanted})
        answer = {"lines": [{"line_number": 1, "quantity": 10}]}
        await cast.dealer_b.post(f"orders/orders/{order['id']}/confirmation", answer)
        lot = {
            "lot_number": "L2",
            "produced_on": str(today - timedelta(days=100)),
            "expires_on": str(today + timedelta(days=600)),
        }
        sent = {
            "shipment_number": "PS-3",
            "order_id": order["id"],
            "lines": [{"line_number": 1, "quantity": 10, **lot}],
        }
        shipment = await cast.dealer_b.post("orders/shipments", sent)
        (line,) = shipment["lines"]
        taken = {"lines": [{"shipment_line_id": line["id"], "accepted": 10, "rejected": 0}]}
        await cast.hospital.post(f"orders/shipments/{shipment['id']}/acceptance", taken)
        await visitor.until_quiet()
        codes = [f"{pills.ident}{serial:013d}" for serial in range(500, 507)]
        document = {
            "bill_number": "RK-9",
            "bill_type": "102",
            "shipment_line_id": line["id"],
            "place": "库",
            "codes": codes,
        }
        await cast.hospital.post("traceability/documents", {"documents": [document]})
        await visitor.until_quiet()
        await visitor.release_clock()
