"""One run: load and faults side by side, then quiet, then the count; the figures go to a file.

Invariant: faults and load keep step, so that every fault meets work under way.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
from rich.console import Console
from uuid_utils.compat import uuid7

from deploy.chain import SERVICES
from deploy.platform import token_maker
from deploy.server import SIGNALS
from deploy.visitor import Refused, Visitor
from shared import clock, crash
from shared.bus import BusAway, KafkaBus, Message
from shared.db import TRANSIENT
from tests.faults import checker
from tests.faults.checker import Findings
from tests.faults.faults import Trouble, kinds
from tests.faults.load import Answered, Load, market
from tests.faults.stand import Happened, Points, Stand, standing

EVENTS_A_ROUND = 10_000
"""So many events for each time that every fault happens."""
SMALL = 5_000
TINY = 1_000
"""Up to here faults come back to back, so that every kind of them fits into a few minutes."""
BROKER_STOPPED_SECONDS = {True: 5.0, False: 30.0}
AHEAD_OF_FAULTS = 0.05
AHEAD_OF_LOAD = 0.1
WAITS_FOR_LOAD_SECONDS = 60
"""A fault waits at most so long for the load to catch up: a platform that is down makes none."""
CLIENTS = 3
EVENTS_A_CALL = 4_000
"""Of so many wanted events, one more order is placed by a call."""
QUIET_SECONDS = 600
QUIET_LOOKS = 3
LONGEST_SECONDS = 3 * 60 * 60
DEADLINES_AHEAD = timedelta(days=10)
"""At the end alerts' worker is driven so far ahead: every order that nobody answered must be seen."""
TRIES_OF_A_FAULT = 3
say = Console(highlight=False, soft_wrap=True, markup=False).print


@dataclass(slots=True)
class Progress:
    """How far load and faults have come."""

    wanted: int
    planned: int
    events: int = 0
    done: int = 0

    @property
    def fault_may_come(self) -> bool:
        """The faults are not ahead of the load."""
        return self.done / self.planned <= self.events / self.wanted + AHEAD_OF_LOAD

    @property
    def load_may_go_on(self) -> bool:
        """The load is not ahead of the faults; where it is, it goes on slowly."""
        return self.done == self.planned or self.events / self.wanted <= self.done / self.planned + AHEAD_OF_FAULTS


async def play(stand: Stand, wanted: int, seed: int) -> tuple[Findings, dict[str, Any]]:
    """Everything on a platform that stands; what was found, and the figures."""
    began = clock.wall_seconds()
    small = wanted <= SMALL
    random.seed(seed)
    rounds = max(1, wanted // EVENTS_A_ROUND)
    steps = [*crash.RELAY, *crash.CONSUMER, *crash.REQUEST] * rounds
    random.shuffle(steps)
    deck = list(kinds(stand).items()) * rounds
    random.shuffle(deck)
    progress = Progress(wanted, len(deck))
    async with Visitor(stand.addresses, token_maker(stand.data_dir)) as visitor:
        cast = await market(visitor)
        load = Load(visitor, cast, max(1, min(50, wanted // EVENTS_A_CALL)), lambda: progress.load_may_go_on)
        stand.points = Points(deque(steps), 4 if small else 40)
        async with asyncio.timeout(LONGEST_SECONDS), asyncio.TaskGroup() as keeping:
            keeping.create_task(stand.keep())
            counting = keeping.create_task(_count(stand, progress))
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as together:
                together.create_task(load.play(stop, CLIENTS))
                await _make_trouble(Trouble(stand, BROKER_STOPPED_SECONDS[small], wanted <= TINY), deck, progress)
                await _until_done(stand, progress)
                stop.set()
            counting.cancel()
            await _until_quiet(visitor)
            await _drive_alerts(stand)
            await _until_quiet(visitor)
            stand.keeping = False
    books = await checker.read(stand.url_of, await _everything_on(stand))
    found = await checker.check(stand.url_of, books, load.answered)
    seconds = clock.wall_seconds() - began
    return found, _figures(stand, books, found, load.answered, seconds, seed)


async def _make_trouble(trouble: Trouble, deck: Sequence[tuple[str, Any]], progress: Progress) -> None:
    for kind, fault in deck:
        for _ in range(WAITS_FOR_LOAD_SECONDS):
            if progress.fault_may_come:
                break
            await asyncio.sleep(1)
        for _ in range(TRIES_OF_A_FAULT):
            if await trouble.make(kind, fault):
                break
        progress.done += 1
        say(f"  {progress.done:>4}/{progress.planned} {kind}; {progress.events:,} events")
        if not trouble.back_to_back:
            await asyncio.sleep(random.uniform(0, 1))


async def _until_done(stand: Stand, progress: Progress) -> None:
    """Until the events are there, and every step that was dealt has been crashed at."""
    while progress.events < progress.wanted or stand.points.left or stand.points.armed:
        await asyncio.sleep(0.5)
        for name in ("orders-api", "traceability-api", "orders-worker", "settlement-worker", "traceability-worker"):
            if stand.points.left and name not in stand.points.armed and random.random() < 0.1:
                stand.kill(name)  # so that it is started with a step dealt to it


async def _count(stand: Stand, progress: Progress) -> None:
    while True:
        with suppress(*TRANSIENT, asyncpg.PostgresError):
            counts = []
            for name in SERVICES:
                async with stand.connected(name) as connection:
                    counts.append(await connection.fetchval("SELECT count(*) FROM outbox"))
            progress.events = sum(counts)
        await asyncio.sleep(1)


async def _until_quiet(visitor: Visitor) -> None:
    """Until nothing is in flight, seen some times in a row, whatever still comes up meanwhile."""
    quiet, last = 0, ""
    for _ in range(QUIET_SECONDS * 2):
        try:
            seen = await visitor.in_flight()
            busy = sum(count for name, count in seen.items() if name != "dead_letters")
            quiet = 0 if busy else quiet + 1
            last = str(seen)
        except (httpx.HTTPError, Refused) as away:
            quiet, last = 0, repr(away)
        if quiet == QUIET_LOOKS:
            return
        await asyncio.sleep(0.5)
    say(f"  not quiet after {QUIET_SECONDS} s: {last}")


async def _drive_alerts(stand: Stand) -> None:
    base = stand.addresses["alerts"].ops
    async with httpx.AsyncClient(timeout=30, trust_env=False, headers=stand.operator) as client:
        ahead = (clock.now() + DEADLINES_AHEAD).isoformat()
        (await client.put(f"{base}/clock", json={"now": ahead})).raise_for_status()


async def _everything_on(stand: Stand) -> list[Message]:
    """Every message of every topic, from the beginning, each partition in its order."""
    found: list[Message] = []

    async def collect(messages: Sequence[Message]) -> None:
        found.extend(messages)

    bus = KafkaBus(client_id="checker", batch_messages=5_000, bootstrap_servers=stand.kafka.bootstrap)
    stop = asyncio.Event()
    reading = asyncio.create_task(bus.consume(f"checker-{uuid7().hex}", checker.topics(), collect, stop))
    quiet = 0
    while quiet < QUIET_LOOKS and not reading.done():
        await asyncio.sleep(0.5)
        with suppress(BusAway):
            quiet = quiet + 1 if bus.listens and await bus.lag() == 0 else 0
    stop.set()
    await reading
    await bus.stop()
    return found


def stalls(happened: Sequence[Happened], waits: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The longest that anything waited, of what was under way while a fault lasted, counted from the fault's beginning."""
    longest: dict[str, float] = {one.kind: 0.0 for one in happened}
    ordered = sorted(happened, key=lambda one: one.began)
    lasting = max((one.ended - one.began for one in ordered), default=0.0)
    begins = [one.began for one in ordered]
    for began, ended in waits:
        for place in range(_first_from(begins, began - lasting), len(ordered)):
            fault = ordered[place]
            if fault.began > ended:
                break
            if fault.ended >= began:
                longest[fault.kind] = max(longest[fault.kind], ended - max(began, fault.began))
    return {kind: round(seconds, 2) for kind, seconds in sorted(longest.items())}


def _first_from(begins: Sequence[float], instant: float) -> int:
    low, high = 0, len(begins)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if begins[middle] < instant else (low, middle)
    return low


def _figures(
    stand: Stand, books: checker.Books, found: Findings, answered: Answered, seconds: float, seed: int
) -> dict[str, Any]:
    return {
        "events": books.events,
        "orders": len(answered.orders),
        "accepted_lines": len(answered.accepted),
        "faults": dict(sorted(Counter(one.kind for one in stand.happened).items())),
        "lost": found.sum(Findings.LOST),
        "doubled": found.sum(Findings.DOUBLED),
        "out_of_order": found.sum(Findings.DISORDER),
        "ledger_sum": found.ledger_sum,
        "wrong": found.wrong,
        "longest_stall_s": stalls(stand.happened, [*books.waits(), *answered.calls]),
        "repeated_on_topics": len(books.topics) - len(checker.first_of(books.topics)),
        "requests_repeated": answered.retries,
        "ended_by_themselves": dict(stand.by_itself),
        "seed": seed,
        "seconds": round(seconds, 1),
    }


def run(data_dir: Path, wanted: int, seed: int) -> dict[str, Any]:
    """A platform on a fresh folder, everything played on it; the figures."""
    with standing(data_dir) as stand:
        return asyncio.run(_until_told(stand, wanted, seed))


async def _until_told(stand: Stand, wanted: int, seed: int) -> dict[str, Any]:
    """Plays; Ctrl-C and SIGTERM cancel what is played, and then everything is ended in order."""
    playing = asyncio.create_task(play(stand, wanted, seed))
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, playing.cancel)
    await asyncio.wait({playing})
    if playing.cancelled():
        raise KeyboardInterrupt
    return playing.result()[1]


def write(file: Path, figures: dict[str, Any]) -> None:
    """Keeps the figures."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
