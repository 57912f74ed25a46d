"""One noisy client beside a quiet one, on a real process with the limits as they ship but for a lower rate: how much slower
the quiet one's slowest requests become."""

import asyncio
import os
import time
from contextlib import suppress

from deploy.issuer import make_token
from deploy.services import load
from tests.bench import http_load
from tests.bench.harness import Figure, Ground, percentile, told
from tests.bench.http_load import Target
from tests.services.orders import facts

SECONDS = 5.0
PAUSE_SECONDS = 0.06
"""Between two requests of the quiet client: fewer than it may."""
NOISY_CONNECTIONS = 16
PER_SECOND, BURST = "20", "40"
"""What one organisation may here; the noisy one tries a hundred times as much."""


async def bench(ground: Ground) -> list[Figure]:
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
