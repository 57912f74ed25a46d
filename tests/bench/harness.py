"""How a benchmark is run and told: ours and its anchor take turns in one run on one machine, and their ratio is the figure."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import orjson
from rich.console import Console
from rich.table import Table
from uuid_utils.compat import uuid7

from deploy.kafka import EmbeddedKafka
from deploy.postgres import EmbeddedPostgres
from shared.bus import KafkaBus, ensure_topics
from tests.house import House

WRITTEN = Path(".data") / "bench.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement. `ratio` is ours to the anchor; without an anchor the goal is about `ours` itself."""

    name: str
    ours: float
    anchor: float | None
    ratio: float | None
    goal: str
    unit: str
    met: bool | None


def at_least(name: str, ours: float, anchor: float, goal: float, unit: str) -> Figure:
    """More is better: ours must reach `goal` times the anchor."""
    ratio = ours / anchor
    return Figure(name, round(ours, 3), round(anchor, 3), round(ratio, 3), f"≥ {goal:g} ×", unit, ratio >= goal)


def at_most(name: str, ours: float, anchor: float, goal: float, unit: str) -> Figure:
    """Less is better: ours may be `goal` times the anchor."""
    ratio = ours / anchor
    return Figure(name, round(ours, 3), round(anchor, 3), round(ratio, 3), f"≤ {goal:g} ×", unit, ratio <= goal)


def below(name: str, ours: float, goal: float, unit: str) -> Figure:
    return Figure(name, round(ours, 3), None, None, f"< {goal:g}", unit, ours < goal)


def told(name: str, ours: float, unit: str) -> Figure:
    """Measured, and held to nothing."""
    return Figure(name, round(ours, 3), None, None, "", unit, None)


@dataclass(frozen=True, slots=True)
class Ground:
    """The servers of a run."""

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka
    house: House
    scale: int

    async def topic(self, partitions: int = 1) -> str:
        """A topic of its own."""
        name = f"bench{uuid7().hex}"
        await ensure_topics([name], partitions=partitions, bootstrap_servers=self.kafka.bootstrap)
        return name

    def bus(self, name: str) -> KafkaBus:
        return KafkaBus(client_id=name, bootstrap_servers=self.kafka.bootstrap)


Bench = Callable[[Ground], Awaitable[list[Figure]]]


@asynccontextmanager
async def ground(scale: int) -> AsyncIterator[Ground]:
    """PostgreSQL that keeps what it commits, and Kafka, on a folder that goes with the run."""
    with TemporaryDirectory(prefix="bench") as folder:
        data = Path(folder)
        with EmbeddedPostgres.start(data / "postgres") as postgres, EmbeddedKafka.start(data / "kafka") as kafka:
            house = House(postgres, data)
            try:
                yield Ground(postgres, kafka, house, scale)
            finally:
                await house.close()


async def in_turn(
    count: int, turns: int, prepare: Callable[[], Awaitable[None]], **contestants: Callable[[], Awaitable[None]]
) -> dict[str, float]:
    """Lets each do `count` in each turn, after one turn that does not count; returns the median per second of each.

    `prepare` lays the work out before each, outside the time that counts.
    """
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns + 1):
        for name, work in contestants.items():
            await prepare()
            began = time.perf_counter()
            await work()
            if turn:
                speeds[name].append(count / (time.perf_counter() - began))
    return {name: median(each) for name, each in speeds.items()}


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def histogram(console: Console, title: str, seconds: list[float]) -> None:
    """How many took how long, one line a bucket."""
    bounds = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, float("inf"))
    below_them = [sum(value < bound for value in seconds) for bound in bounds]
    console.print(f"[bold]{title}[/bold]")
    for bound, upto, before in zip(bounds, below_them, [0, *below_them], strict=False):
        share = (upto - before) / len(seconds)
        console.print(f"  < {bound * 1000:6.0f} ms {upto - before:7d} {'█' * round(share * 60)}")


def tell(console: Console, figures: list[Figure]) -> None:
    """Prints the table and writes the file; figures of benchmarks that were not run stay in it."""
    table = Table("what", "ours", "anchor", "ratio", "goal", "unit", "")
    for one in figures:
        mark = {True: "[green]met[/green]", False: "[red]missed[/red]", None: ""}[one.met]
        shown = (
            "" if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")
            for value in (one.ours, one.anchor, one.ratio)
        )
        table.add_row(one.name, *shown, one.goal, one.unit, mark)
    console.print(table)
    known = {one["name"]: one for one in orjson.loads(WRITTEN.read_bytes())} if WRITTEN.exists() else {}
    known.update({one.name: asdict(one) for one in figures})
    WRITTEN.parent.mkdir(exist_ok=True)
    WRITTEN.write_bytes(orjson.dumps(list(known.values()), option=orjson.OPT_INDENT_2))
