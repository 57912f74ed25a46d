"""One noisy client beside a quiet one, on a real process with the limits as they ship but for a lower rate: how much slower
the quiet one's requests become. `python -m tests.bench.noisy` is the crowd alone, without Kafka."""

import asyncio
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from deploy.issuer import make_token
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from tests.bench import http_load
from tests.bench.harness import Figure, Ground, percentile, tell, told
from tests.bench.http_load import Target
from tests.bench.http_orders import Stage, stage
from tests.house import House
from tests.services.orders import facts

SECONDS = 5.0
PAUSE_SECONDS = 0.06
"""Between two requests of the quiet client: fewer than it may."""
NOISY_CONNECTIONS = 16
CROWD_CONNECTIONS = 64
BOUND = "JICAI_LIMIT_ORGANISATION_CONNECTIONS"
PER_SECOND, BURST = "20", "40"
"""What one organisation may here; the noisy one tries a hundred times as much."""


async def bench(ground: Ground) -> list[Figure]:
    """One that asks too often, and one that asks for too much at once."""
    return [*await _too_often(ground), *await crowd(await stage(ground.postgres, ground.house))]


async def crowd(on: Stage) -> list[Figure]:
    """The quiet client's pages of one while another keeps asking for whole ones; with its bound at the pool, and without."""
    figures = []
    for name, connections in (("bounded", None), ("not bounded", "10")):
        os.environ.pop(BOUND, None)
        if connections:
            os.environ[BOUND] = connections
        alone, beside, pages = await _crowded(on)
        before, after = (percentile(each, 0.5) * 1e3 for each in (alone, beside))
        figures += [
            told(f"crowd, {name}: median of the quiet one, alone", before, "ms"),
            told(f"crowd, {name}: median of the quiet one, beside it", after, "ms"),
            told(f"crowd, {name}: slower by", after / before, "times"),
            told(f"crowd, {name}: whole pages of the noisy one", pages, "pages/s"),
        ]
    os.environ.pop(BOUND, None)
    return figures


async def _crowded(on: Stage) -> tuple[list[float], list[float], float]:
    async with on.serving("ours") as (ours,):
        await on.reading(ours)
        whole = http_load.request("GET", "/orders?limit=500", on.headers)
        token = make_token(on.data, organisation=facts.OTHER_HOSPITAL, roles=["hospital"], region="330100")
        one = http_load.request("GET", "/orders?limit=1", {"authorization": f"Bearer {token}"})
        await _quiet(ours, one, 1.0)
        alone = await _quiet(ours, one, SECONDS)
        stop = asyncio.Event()
        noisy = [asyncio.create_task(_noisy(ours, whole, stop)) for _ in range(CROWD_CONNECTIONS)]
        await asyncio.sleep(1)
        beside = await _quiet(ours, one, SECONDS)
        stop.set()
        taken = [counted for counted, _ in await asyncio.gather(*noisy)]
        return alone, beside, sum(taken) / (SECONDS + 1)


async def _too_often(ground: Ground) -> list[Figure]:
    """The quiet client alone, then beside the noisy one; and how many of the noisy one's requests were turned away."""
    url = ground.house.url(load("orders"))
    os.environ.update({"JICAI_LIMIT_REQUESTS_PER_SECOND": PER_SECOND, "JICAI_LIMIT_REQUESTS_BURST": BURST})
    quiet, loud = (
        http_load.request("GET", "/lines", {"authorization": f"Bearer {_token(ground, code)}"})
        for code in (facts.HOSPITAL, facts.OTHER_HOSPITAL)
    )
    with http_load.server("ours", ground.house.data_dir, url) as ours:
        await http_load.ready(ours)
        await _quiet(ours, quiet, 1.0)
        alone = await _quiet(ours, quiet, SECONDS)
        stop = asyncio.Event()
        noisy = [asyncio.create_task(_noisy(ours, loud, stop)) for _ in range(NOISY_CONNECTIONS)]
        beside = await _quiet(ours, quiet, SECONDS)
        stop.set()
        counts = await asyncio.gather(*noisy)
    taken, refused = (sum(each) for each in zip(*counts, strict=True))
    return [
        told("noisy client: p99 of the quiet one, alone", percentile(alone, 0.99) * 1e3, "ms"),
        told("noisy client: p99 of the quiet one, beside it", percentile(beside, 0.99) * 1e3, "ms"),
        told("noisy client: its requests taken", taken / SECONDS, "requests/s"),
        told("noisy client: its requests refused with 429", refused / SECONDS, "requests/s"),
    ]


def _token(ground: Ground, code: str) -> str:
    return make_token(ground.house.data_dir, organisation=code, roles=["hospital"], region="330100")


async def _quiet(target: Target, asked: bytes, seconds: float) -> list[float]:
    """Seconds of each request for a page, one after the other with pauses; all are answered with success."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=2**26)
    latencies = []
    until = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < until:
        await http_load.ask(reader, writer, asked)
        latencies.append(time.perf_counter() - begun)
        await asyncio.sleep(PAUSE_SECONDS)
    writer.close()
    return latencies


async def _noisy(target: Target, asked: bytes, stop: asyncio.Event) -> tuple[int, int]:
    """Another organisation that asks for pages as fast as it is answered: taken, refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=2**26)
    taken = refused = 0
    while not stop.is_set():
        with suppress(RuntimeError):
            refused += 1
            await http_load.ask(reader, writer, asked)
            taken, refused = taken + 1, refused - 1
    writer.close()
    return taken, refused


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres.start(Path(folder)) as postgres:
        house = House(postgres, Path(folder))
        figures = await crowd(await stage(postgres, house))
        await house.close()
    tell(Console(), figures)


if __name__ == "__main__":
    asyncio.run(_main())
