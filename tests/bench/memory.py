"""Memory of a worker over many events: after all of them, against after the first tenth."""

import asyncio
import os
import sys
from pathlib import Path

import psutil
from aiokafka import AIOKafkaProducer
from rich.console import Console

from deploy.environment import Embedded
from deploy.services import NAMES
from services.settlement.app import service as settlement
from shared.bus import ensure_topics
from tests.bench.deliveries import sealed
from tests.bench.harness import Figure, Ground, at_most

AHEAD = 20_000
"""So many events wait on the broker at most, so that the worker always has work."""


async def bench(servers: Ground) -> list[Figure]:
    """A worker of settlement in a process of its own, fed with deliveries of one line."""
    await servers.house.empty(settlement)
    await ensure_topics(NAMES, partitions=2, bootstrap_servers=servers.kafka.bootstrap)
    owner = await servers.house.database(settlement)
    embedded = Embedded(
        servers.house.data_dir, {"settlement": servers.house.url(settlement)}, kafka_bootstrap=servers.kafka.bootstrap
    )
    worker = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "jicai",
        *("work", "settlement", "--ops-port", "0"),
        env={**os.environ, **embedded.variables("settlement")},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=servers.kafka.bootstrap,
        compression_type="lz4",
        linger_ms=20,
        request_timeout_ms=300_000,  # a broker that a busy machine stalls is waited for
    )
    await producer.start()
    seen = psutil.Process(worker.pid)
    sent, tenth, resident = 0, servers.scale // 10, []
    try:
        while len(resident) < 10:
            applied = await owner.pool.fetchval("SELECT count(*) FROM inbox")
            if applied >= tenth * (len(resident) + 1):
                resident.append(seen.memory_info().rss / 2**20)
                Console().print(f"{applied:,} events: {resident[-1]:.0f} MiB", style="dim")
            while sent < min(servers.scale, applied + AHEAD):
                batch = [sealed(lines=1) for _ in range(500)]
                await asyncio.gather(
                    *[await producer.send("orders", payload, str(subject).encode()) for subject, payload in batch]
                )
                sent += len(batch)
            await asyncio.sleep(1)
    finally:
        worker.terminate()
        await worker.wait()
        await producer.stop()
    name = f"memory of a worker after {servers.scale:,} events, against {tenth:,}"
    return [at_most(name, resident[-1], resident[0], 1.1, "MiB")]
