"""`python -m tests.bench [name …]`: measures the event path and the HTTP face beside their anchors and writes .data/bench.json.

N=1000000 in the environment: how many events the long ones take (100,000 unless told).
"""

import asyncio
import logging
import os
import sys
import time

import uvloop
from rich.console import Console

from tests.bench import capture, consumer, http_orders, latency, memory, noisy, relay, scale
from tests.bench.harness import Bench, Figure, ground, tell

BENCHES: dict[str, Bench] = {
    "relay": relay.bench,
    "local": latency.local,
    "latency": latency.kafka,
    "consumer": consumer.bench,
    "memory": memory.bench,
    "capture": capture.bench,
    "http": http_orders.bench,
    "noisy": noisy.bench,
}
LONG: dict[str, Bench] = {"growth": scale.growth, "catching-up": scale.catching_up}
"""Run when they are named: `make bench-scale`."""


async def main(names: list[str]) -> int:
    for name in ("aiokafka", "shared"):
        logging.getLogger(name).setLevel("CRITICAL")
    console = Console()
    every = {**BENCHES, **LONG}
    if unknown := set(names) - set(every):
        console.print(f"No benchmark {', '.join(sorted(unknown))}; there are {', '.join(every)}.")
        return 2
    figures: list[Figure] = []
    took: dict[str, float] = {}
    async with ground(int(os.environ.get("N", "100000"))) as servers:
        for name in names or BENCHES:
            began = time.perf_counter()
            measured = await every[name](servers)
            figures += measured
            took[name] = time.perf_counter() - began
            tell(console, measured)
    missed = [one.name for one in figures if one.met is False]
    console.print(f"{sum(one.met is True for one in figures)} goals met, {len(missed)} missed", *missed, sep="\n  ")
    console.print(", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items()), style="dim")
    return int(bool(missed))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(sys.argv[1:])))
