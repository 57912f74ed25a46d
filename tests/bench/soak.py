"""`python -m tests.bench.soak`: places orders for MINUTES=10 at 80 % of the rate just measured, and looks whether anything grows.

Memory of the server and its connections to the database are sampled; .data/soak.json holds the samples, the verdicts and
the p99. Fails when memory or connections are not flat, or a request was refused.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import asyncpg
import orjson
import psutil
from rich.console import Console

from deploy.postgres import EmbeddedPostgres
from tests.bench import http_load
from tests.bench.harness import percentile
from tests.bench.http_load import Target
from tests.bench.http_orders import Stage, stage
from tests.house import House

WRITTEN = Path(".data") / "soak.json"
SHARE = 0.8
WARM_SECONDS, MEASURED_SECONDS = 3.0, 5.0
SAMPLES = 40
GROWTH = 1.1
"""The last quarter of the samples may have this much of the memory of the second; the first is warming up."""
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orders api'"

Sample = dict[str, float]


async def soak(on: Stage, seconds: float) -> dict[str, object]:
    """Measures the rate, then places at 80 % of it; what came out."""
    async with on.serving("ours") as (ours,):
        ours.make = on.placing(ours)
        for each in (WARM_SECONDS, MEASURED_SECONDS):
            ours.rates.clear()
            await http_load.turns([ours], rounds=1, seconds=each)
        rate = ours.rate * SHARE
        ours.latencies.clear()
        samples: list[Sample] = []
        watching = asyncio.create_task(_watch(on, ours, seconds, samples))
        placed = await _pace(ours, rate, seconds)
        await watching
        return _told(samples, ours.latencies, rate, placed / seconds)


async def _pace(target: Target, rate: float, seconds: float) -> int:
    """Places as many a second, spread over a few connections; a request is timed from when it was due."""
    begun, count = time.perf_counter(), 0

    async def one(place: int) -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=2**26)
        number = place
        while (due := begun + number / rate) < begun + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await http_load.ask(reader, writer, target.make())
            target.latencies.append(time.perf_counter() - due)
            number, count = number + http_load.CONNECTIONS, count + 1
        writer.close()

    await asyncio.gather(*(one(place) for place in range(http_load.CONNECTIONS)))
    return count


async def _watch(on: Stage, target: Target, seconds: float, samples: list[Sample]) -> None:
    owner = await asyncpg.connect(on.urls["ours"])
    process = psutil.Process(target.process.pid)
    for place in range(SAMPLES):
        await asyncio.sleep(seconds / SAMPLES)
        connections = float(await owner.fetchval(CONNECTIONS))
        memory = process.memory_info().rss / 2**20
        samples.append({"second": round(seconds / SAMPLES * (place + 1), 1), "mib": memory, "connections": connections})
    await owner.close()


def _told(samples: list[Sample], latencies: list[float], rate: float, reached: float) -> dict[str, object]:
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    memory = median(one["mib"] for one in late) / median(one["mib"] for one in early)
    most = max(one["connections"] for one in samples)
    return {
        "asked_per_second": round(rate, 1),
        "placed_per_second": round(reached, 1),
        "p50_ms": round(percentile(latencies, 0.5) * 1e3, 1),
        "p99_ms": round(percentile(latencies, 0.99) * 1e3, 1),
        "memory_last_to_second_quarter": round(memory, 3),
        "memory_flat": memory <= GROWTH,
        "connections_most": most,
        "connections_flat": most <= max(one["connections"] for one in samples[: 2 * quarter]),
        "samples": samples,
    }


async def main(minutes: float) -> int:
    """Runs it on a server of its own and writes what came out."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres.start(Path(folder)) as postgres:
        house = House(postgres, Path(folder))
        try:
            found = await soak(await stage(postgres, house), minutes * 60)
        finally:
            await house.close()
    WRITTEN.parent.mkdir(exist_ok=True)
    WRITTEN.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    console.print({name: value for name, value in found.items() if name != "samples"})
    return int(not (found["memory_flat"] and found["connections_flat"]))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(float(os.environ.get("MINUTES", "10")))))
