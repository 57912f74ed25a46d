"""The HTTP face of orders with everything on, beside a bare anchor in the same run, on the same uvicorn.

`python -m tests.bench http` is the whole; `python -m tests.bench.http_orders [place bulk read page walls]` a part of it,
without Kafka and with the CPU of the server process per request.
"""

import asyncio
import itertools
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import sqlalchemy as sa
from rich.console import Console

from deploy.issuer import make_token
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from shared.db import PLATFORM
from tests.bench import http_load
from tests.bench.harness import Figure, Ground, tell
from tests.bench.http_load import Target
from tests.house import DIALECT, House, WorkerInHand
from tests.services.orders import facts

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "1.0"))
STOCK = 2_000
"""Orders that stand before reading is measured."""
ITEMS, LINES = 1_000, 3
BULK_LINES = 5_000
"""What one call must reach a second."""
WALLS = ("token", "rls", "idempotency", "history")
ANEW = "SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
"""The anchor's database may have been used by another benchmark of the run."""
LIMITS = {"JICAI_LIMIT_REQUESTS_PER_SECOND": "1000000", "JICAI_LIMIT_REQUESTS_BURST": "1000000"}
"""Counted as ever, but nobody is turned away: one client does here what a thousand hospitals do."""

_numbers = itertools.count()
console = Console()


@dataclass(frozen=True, slots=True)
class Stage:
    """The server, its databases and a token; processes are started for each measurement."""

    postgres: EmbeddedPostgres
    data: Path
    urls: dict[str, str]
    headers: dict[str, str]

    @asynccontextmanager
    async def serving(self, *names: str) -> AsyncIterator[list[Target]]:
        """Targets by name: `ours`, `anchor`, or a wall that ours is without."""
        async with AsyncExitStack() as stack:
            targets = []
            for name in names:
                kind = "anchor" if name == "anchor" else "ours"
                without = ["--without", name] if name not in ("ours", "anchor", "idempotency") else []
                started = http_load.server(name, self.data, self.urls[kind], *without)
                targets.append(stack.enter_context(started))
            for target in targets:
                await http_load.ready(target)
            yield targets

    def placing(self, target: Target) -> Callable[[], bytes]:
        """Requests to place one order of 3 lines after the other, each under a key of its own."""

        def make() -> bytes:
            number = f"{target.name}-{next(_numbers)}"
            key = {} if target.name in ("anchor", "idempotency") else {"idempotency-key": number}
            return http_load.request("POST", "/orders", {**self.headers, **key}, orjson.dumps(_order(number)))

        return make

    def bulk(self, target: Target) -> Callable[[], bytes]:
        """Requests to place 1,000 orders at once."""

        def make() -> bytes:
            number = next(_numbers)
            body = orjson.dumps([_order(f"{target.name}-{number}-{place}") for place in range(ITEMS)])
            return http_load.request("POST", "/orders/bulk", {**self.headers, "idempotency-key": f"b{number}"}, body)

        return make

    async def reading(self, target: Target) -> Callable[[], bytes]:
        """Requests to read orders that were placed before."""
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=2**26)
        make = self.bulk(target)
        for _ in range(STOCK // ITEMS):
            answer = orjson.loads(await http_load.ask(reader, writer, make()))
        self.postgres.psql(
            "ANALYZE", urlsplit(self.urls[target.name]).path.lstrip("/")
        )  # as its own daemon would, some time
        ids = answer if target.name == "anchor" else [item["item"]["id"] for item in answer["items"]]
        writer.close()
        wanted = itertools.cycle(http_load.request("GET", f"/orders/{order_id}", self.headers) for order_id in ids)
        return lambda: next(wanted)

    def listing(self, _: Target) -> Callable[[], bytes]:
        """Requests for the first page of 50."""
        asked = http_load.request("GET", "/orders", self.headers)
        return lambda: asked


def _order(number: str) -> dict[str, Any]:
    lines = [facts.wanted(facts.ASPIRIN), facts.wanted(facts.STATIN), facts.wanted(facts.STATIN, 40)]
    return {"order_number": number, "lines": lines}


async def stage(postgres: EmbeddedPostgres, house: House) -> Stage:
    """Both databases, the market known to orders."""
    os.environ.update(LIMITS)
    orders = load("orders")
    ours = house.url(orders)
    await WorkerInHand(orders, await house.database(orders)).deliver(*facts.market(), sequence=1)
    anchor = postgres.ensure_database("anchor")
    tables = _tables(orders.metadata, "orders", "order_lines") + _tables(PLATFORM, "outbox")
    postgres.psql(";\n".join([ANEW, *tables]), "anchor")
    token = make_token(house.data_dir, organisation=facts.HOSPITAL, roles=["hospital"], region="330100")
    return Stage(postgres, house.data_dir, {"ours": ours, "anchor": anchor}, {"authorization": f"Bearer {token}"})


def _tables(collection: sa.MetaData, *names: str) -> list[str]:
    made: list[str] = []
    engine = sa.create_mock_engine(
        "postgresql+asyncpg://", lambda each, *_: made.append(str(each.compile(dialect=DIALECT)))
    )
    collection.create_all(engine, [collection.tables[name] for name in names], checkfirst=False)
    return made


def _figure(name: str, ours: Target, anchor: Target, goal: float | None, unit: str, per: int = 1) -> Figure:
    """More is better; without a goal it is told only."""
    ratio = http_load.ratio(ours, anchor)
    cpu = " / ".join(f"{target.cpu_us:,.0f}" for target in (ours, anchor))
    p50, p99 = (f"{ours.percentile(part):.1f}" for part in (0.5, 0.99))
    console.print(
        f"{name}: {ratio:.2f} ×, CPU of the server {cpu} µs a request, p50 {p50} ms, p99 {p99} ms", style="dim"
    )
    met = None if goal is None else ratio >= goal
    said = "" if goal is None else f"≥ {goal:g} ×"
    return Figure(name, round(ours.rate * per, 1), round(anchor.rate * per, 1), round(ratio, 3), said, unit, met)


async def _place(on: Stage) -> list[Figure]:
    async with on.serving("ours", "anchor") as (ours, anchor):
        ours.make, anchor.make = on.placing(ours), on.placing(anchor)
        await http_load.turns([ours, anchor], rounds=ROUNDS, seconds=SECONDS)
        return [_figure("http: placing an order of 3 lines", ours, anchor, 0.6, "orders/s")]


async def _bulk(on: Stage) -> list[Figure]:
    async with on.serving("ours", "anchor") as (ours, anchor):
        ours.make, anchor.make = on.bulk(ours), on.bulk(anchor)
        await http_load.turns([ours, anchor], rounds=ROUNDS, seconds=SECONDS, connections=1)
        lines = ITEMS * LINES
        bulk = _figure("http: 1,000 orders of 3 lines in one call", ours, anchor, 0.25, "lines/s", lines)
        enough = bulk.ours >= BULK_LINES
        return [bulk, Figure("http: lines in bulk", bulk.ours, None, None, f"≥ {BULK_LINES:,}", "lines/s", enough)]


async def _read(on: Stage) -> list[Figure]:
    async with on.serving("ours", "anchor") as (ours, anchor):
        ours.make, anchor.make = await on.reading(ours), await on.reading(anchor)
        await http_load.turns([ours, anchor], rounds=ROUNDS, seconds=SECONDS)
        return [_figure("http: reading an order", ours, anchor, 0.5, "reads/s")]


async def _page(on: Stage) -> list[Figure]:
    async with on.serving("ours", "anchor") as (ours, anchor):
        for target in (ours, anchor):
            await on.reading(target)
            target.make = on.listing(target)
        await http_load.turns([ours, anchor], rounds=ROUNDS, seconds=SECONDS)
        return [_figure("http: a page of 50 orders", ours, anchor, 0.5, "pages/s")]


async def _walls(on: Stage) -> list[Figure]:
    async with on.serving("ours", *WALLS) as targets:
        for target in targets:
            target.make = on.placing(target)
        await http_load.turns(targets, rounds=ROUNDS, seconds=SECONDS)
        ours, *without = targets
        return [_figure(f"http: placing, against without {one.name}", ours, one, None, "orders/s") for one in without]


MEASUREMENTS = {"place": _place, "bulk": _bulk, "read": _read, "page": _page, "walls": _walls}


async def bench(ground: Ground) -> list[Figure]:
    """Every measurement."""
    return await _measure(await stage(ground.postgres, ground.house), *MEASUREMENTS)


async def _measure(on: Stage, *names: str) -> list[Figure]:
    return [figure for name in names for figure in await MEASUREMENTS[name](on)]


async def _main(*names: str) -> None:
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres.start(Path(folder)) as postgres:
        house = House(postgres, Path(folder))
        figures = await _measure(await stage(postgres, house), *names)
        await house.close()
    tell(console, figures)


if __name__ == "__main__":
    asyncio.run(_main(*(sys.argv[1:] or MEASUREMENTS)))
