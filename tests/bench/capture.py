"""Captures 10,000 codes in one call to the real app and says what it cost: processor time of Python and of PostgreSQL.

`python -m tests.bench.capture [single|cases] [profile]`, without Kafka: three bills of boxes, or of cases of fifty whose maps are
known. The first call is not counted; the app is called in this process, without a client's or a server's socket.
"""

import asyncio
import cProfile
import pstats
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import orjson
import psutil
import uvloop
from rich.console import Console

from deploy.issuer import make_token
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from shared.http import create_app
from shared.service import Service
from tests.bench.harness import Figure, Ground, below
from tests.house import House, WorkerInHand
from tests.services.traceability.scenes import (
    CASE_IDENT,
    HOSPITAL,
    IDENT,
    MAKER,
    PRODUCT,
    REGION,
    Line,
    box,
    boxes,
    listed,
)

BILLS = (3_400, 3_400, 3_200)
IN_A_CASE = 50
ROUNDS = 6
console = Console()


def postgres_seconds() -> float:
    """Processor time of the server's processes, all below this one."""
    children = psutil.Process().children(recursive=True)
    times = [child.cpu_times() for child in children if child.is_running()]
    return sum(one.user + one.system for one in times)


def codes_of(turn: int, bill: int, count: int, *, cases: bool) -> list[str]:
    """The codes scanned: boxes, or the cases that hold as many."""
    first = turn * 1_000_000 + bill * 10_000
    return boxes(count // IN_A_CASE, first, CASE_IDENT) if cases else boxes(count, first)


async def bench(servers: Ground) -> list[Figure]:
    """Both ways in which 10,000 boxes are scanned."""
    traceability = load("traceability")
    figures = []
    for cases in (False, True):
        await servers.house.empty(traceability)
        scanned = f"{sum(BILLS) // IN_A_CASE} cases of {IN_A_CASE}" if cases else f"{sum(BILLS):,} codes"
        seconds = await capture(servers.house, traceability, cases=cases)
        figures.append(below(f"capture: {scanned} in one call", seconds, 1, "s"))
    return figures


async def capture(house: House, service: Service, *, cases: bool, profiled: bool = False) -> float:
    """The middle of the seconds that a call takes by the clock."""
    worker = WorkerInHand(service, await house.database(service))
    await worker.deliver(listed())
    meanings = [(IDENT, 1, 1), (CASE_IDENT, 3, IN_A_CASE)]
    for meaning in meanings:
        await worker.database.pool.execute(
            f"INSERT INTO identification_codes VALUES ($1, '{PRODUCT}', $2, $3, '{MAKER}', now())", *meaning
        )
    app = create_app(service, house.settings(service))
    token = make_token(house.data_dir, organisation=HOSPITAL, roles=["hospital"], region=REGION)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    costs: list[tuple[float, float, float]] = []
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        for turn in range(ROUNDS + 1):
            lines = [Line(4_000) for _ in BILLS]
            await worker.deliver(*(line.dispatched() for line in lines), *(line.accepted() for line in lines))
            bills = [
                line.bill(codes_of(turn, place, count, cases=cases), f"B{turn}-{place}")
                for place, (line, count) in enumerate(zip(lines, BILLS, strict=True))
            ]
            if cases:
                await _pack(worker, [code for bill in bills for code in bill["codes"]])
            body = orjson.dumps({"documents": bills})
            profile = cProfile.Profile() if profiled and turn == ROUNDS else None
            before = time.process_time(), postgres_seconds(), time.perf_counter()
            if profile:
                profile.enable()
            answer = await client.post("/documents", content=body, headers=headers)
            if profile:
                profile.disable()
                pstats.Stats(profile).sort_stats("tottime").print_stats(30)
            after = time.process_time(), postgres_seconds(), time.perf_counter()
            assert [item["item"]["accepted"] for item in answer.json()["items"]] == list(BILLS), answer.text[:1_000]
            costs.append((after[0] - before[0], after[1] - before[1], after[2] - before[2]))
    python, postgres, wall = (statistics.median(one[part] for one in costs[1:]) for part in range(3))
    console.print(f"{sum(BILLS)} codes: Python {python:.2f} s, PostgreSQL {postgres:.2f} s, wall {wall:.2f} s (median)")
    return wall


async def _pack(worker: WorkerInHand, cases: list[str]) -> None:
    children = [(box(int(case[7:]) * IN_A_CASE + place), case) for case in cases for place in range(IN_A_CASE)]
    await worker.database.pool.execute(
        f"INSERT INTO packings SELECT c, p, '{MAKER}' FROM unnest($1::text[], $2::text[]) AS u (c, p)",
        [child for child, _ in children],
        [parent for _, parent in children],
    )


async def _main(*words: str) -> None:
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres.start(Path(folder)) as postgres:
        house = House(postgres, Path(folder))
        await capture(house, load("traceability"), cases="cases" in words, profiled="profile" in words)
        await house.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(*sys.argv[1:]))
