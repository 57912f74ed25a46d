"""One run: load and faults side by side, then quiet, then the count; the figures go to a file.

Invariant: faults and load keep step, so that every fault meets work under way.
"""

import asyncio
import os
import random
import subprocess
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
from rich.console import Console
from uuid_utils.compat import uuid7

from deploy.platform import token_maker
from deploy.server import SIGNALS
from deploy.visitor import Refused, Visitor
from shared import clock, crash
from shared.bus import BusAway, KafkaBus
from shared.faults import TRANSIENT
from shared.migrations import ROOT
from tests.faults import checker
from tests.faults.books import Books, opened
from tests.faults.checker import Findings
from tests.faults.client import Answered
from tests.faults.faults import Trouble, kinds
from tests.faults.load import Load, market
from tests.faults.office import Bank, Office
from tests.faults.progress import Progress
from tests.faults.stand import ASKED, Happened, Points, Stand, standing

EVENTS_A_ROUND = 250_000
"""So many events for each time that every fault happens."""
SMALL = 5_000
TINY = 1_000
"""Up to here faults come back to back, so that every kind of them fits into a few minutes."""
BROKER_STOPPED_SECONDS = {True: 5.0, False: 30.0}
FURTHEST_PASS = {True: 4, False: 20}
"""A process crashes at its step at one of so many passes, at random."""
WAITS_FOR_LOAD_SECONDS = 60
"""A fault waits at most so long for the load to catch up: a platform that is down makes none."""
WAITS_FOR_STEPS_SECONDS, LOOK_SECONDS = 1_200, 0.5
"""For the steps at which nothing has crashed yet, once all events are there."""
EVENTS_A_CALL, MOST_ORDERS_A_CALL = 500, 200
"""Of so many wanted events, one more order is placed by a call; each has two shipments and three lines."""
QUIET_SECONDS = 600
QUIET_LOOKS = 3
PAID_SECONDS = 600
LONGEST_SECONDS = 12 * 60 * 60
DEADLINES_AHEAD = timedelta(days=10)
"""At the end alerts' worker is driven so far ahead: every order that nobody answered must be seen."""
TRIES_OF_A_FAULT = 5
STEPS = (*crash.RELAY, *crash.CONSUMER, *crash.REQUEST)
say = Console(highlight=False, soft_wrap=True, markup=False).print


async def play(stand: Stand, wanted: int, seed: int) -> tuple[Findings, dict[str, Any]]:
    """Everything on a platform that stands; what was found, and the figures."""
    began = clock.wall_seconds()
    small = wanted <= SMALL
    random.seed(seed)
    rounds = max(1, wanted // EVENTS_A_ROUND)
    progress = Progress(wanted, rounds * len(kinds(stand)))
    async with Visitor(stand.addresses, token_maker(stand.data_dir)) as visitor:
        cast = await market(visitor)
        load = Load(visitor, cast, max(1, min(MOST_ORDERS_A_CALL, wanted // EVENTS_A_CALL)), progress)
        stand.points = Points(deque(), FURTHEST_PASS[small])
        async with asyncio.timeout(LONGEST_SECONDS), asyncio.TaskGroup() as keeping:
            keeping.create_task(stand.keep())
            watching = keeping.create_task(progress.watch(stand, visitor))
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as together:
                together.create_task(load.play(stop))
                bank = Bank(stand.bank_folder, load.answered.bank)
                office = Office(stand, cast, load.client, progress, bank)
                together.create_task(office.play(stop))
                trouble = Trouble(stand, BROKER_STOPPED_SECONDS[small], wanted <= TINY)
                for _ in range(rounds):
                    await _make_trouble(trouble, progress, stop)
                await _until_done(stand, progress, stop)
                stop.set()
            watching.cancel()
            await _until_quiet(visitor)
            await _until_paid(office, visitor)
            await _drive_alerts(stand)
            await _until_quiet(visitor)
            stand.keeping = False
    seconds = clock.wall_seconds() - began
    async with opened(stand.postgres.ensure_database("books")) as books:
        await _copy_topics(stand, books)
        await checker.read(books, stand.url_of)
        found = await checker.check(stand.url_of, books, load.answered)
        figures = await _figures(stand, books, found, load.answered)
    return found, {"commit": _commit(), "ended": clock.now(), **figures, "seed": seed, "seconds": round(seconds, 1)}


def _commit() -> str:
    """What was played, as Git names it; `-dirty`: with changes that are in no commit."""
    asked = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


async def _make_trouble(trouble: Trouble, progress: Progress, stop: asyncio.Event) -> None:
    """One round: every fault once, in any order, and every named step dealt to who passes it; fewer when the load gave up."""
    steps, faults = list(STEPS), list(kinds(trouble.stand).items())
    random.shuffle(steps)
    random.shuffle(faults)
    trouble.stand.points.left.extend(steps)
    for kind, fault in faults:
        if stop.is_set():
            return
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


async def _until_done(stand: Stand, progress: Progress, stop: asyncio.Event) -> None:
    """Until the events are there, and every step that was dealt has been crashed at: or was waited for long enough, or the
    load gave up."""
    waited = 0.0
    while progress.events < progress.wanted or stand.points.left or stand.points.armed:
        if stop.is_set() or waited >= WAITS_FOR_STEPS_SECONDS:
            return
        await asyncio.sleep(LOOK_SECONDS)
        if progress.events >= progress.wanted:
            waited += LOOK_SECONDS
        for name in (*ASKED, "orders-worker", "settlement-worker", "traceability-worker"):
            if stand.points.left and name not in stand.points.armed and random.random() < 0.1:
                stand.kill(name)  # so that it is started with a step dealt to it


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


async def _until_paid(office: Office, visitor: Visitor) -> None:
    """The office goes on, with a bank that pays whatever it is asked, until nothing waits to be paid that could be."""
    office.bank.willing = True
    until, left = clock.elapsed() + PAID_SECONDS, (0, 0, 0)
    while clock.elapsed() < until and await office.turn():
        await _until_quiet(visitor)
        with suppress(*TRANSIENT, asyncpg.PostgresError):
            left = await checker.left(office.stand.url_of("settlement"))
            if not any(left):
                return
    say(f"  not paid after {PAID_SECONDS} s: payments, sheets, payables {left}")


async def _drive_alerts(stand: Stand) -> None:
    base = stand.addresses["alerts"].ops
    async with httpx.AsyncClient(timeout=30, trust_env=False, headers=stand.operator) as client:
        ahead = (clock.now() + DEADLINES_AHEAD).isoformat()
        (await client.put(f"{base}/clock", json={"now": ahead})).raise_for_status()


async def _copy_topics(stand: Stand, books: Books) -> None:
    """Every message of every topic, from the beginning, each partition in its order."""
    bus = KafkaBus(client_id="checker", batch_messages=5_000, bootstrap_servers=stand.kafka.bootstrap)
    stop = asyncio.Event()
    reading = asyncio.create_task(bus.consume(f"checker-{uuid7().hex}", checker.topics(), books.copy_topic, stop))
    quiet = 0
    while quiet < QUIET_LOOKS and not reading.done():
        await asyncio.sleep(0.5)
        with suppress(BusAway):
            quiet = quiet + 1 if bus.listens and await bus.lag() == 0 else 0
    stop.set()
    await reading
    await bus.stop()


class Stalls:
    """The longest that anything waited, of what was under way while a fault lasted, counted from the fault's beginning."""

    def __init__(self, happened: Sequence[Happened]) -> None:
        self._ordered = sorted(happened, key=lambda one: one.began)
        self._begins = [one.began for one in self._ordered]
        self._lasting = max((one.ended - one.began for one in happened), default=0.0)
        self.longest = {one.kind: 0.0 for one in happened}

    def add(self, began: float, ended: float) -> None:
        """Something that was under way from one second to another."""
        for place in range(bisect_left(self._begins, began - self._lasting), len(self._ordered)):
            fault = self._ordered[place]
            if fault.began > ended:
                break
            if fault.ended >= began:
                self.longest[fault.kind] = max(self.longest[fault.kind], ended - max(began, fault.began))


async def _figures(stand: Stand, books: Books, found: Findings, answered: Answered) -> dict[str, Any]:
    stalls = Stalls(stand.happened)
    for call in answered.calls:
        stalls.add(*call)
    async for wait in books.waits():
        stalls.add(*wait)
    return {
        "events": await books.events(),
        "orders": len(answered.orders),
        "accepted_lines": len(answered.accepted),
        "sheets": len(answered.sheets),
        "payments": len(answered.bank),
        "payments_made": sum(map(bool, answered.bank.values())),
        "paid_yuan": str(sum(answered.bank.values())),
        "load_average": [round(one, 1) for one in os.getloadavg()],
        "faults": dict(sorted(Counter(one.kind for one in stand.happened).items())),
        "never_came": never_came(stand),
        "never_taken": answered.never_taken,
        "lost": found.sum(Findings.LOST),
        "doubled": found.sum(Findings.DOUBLED),
        "out_of_order": found.sum(Findings.DISORDER),
        "ledger_sum": found.ledger_sum,
        "wrong": found.wrong,
        "told_otherwise": found.told,
        "longest_stall_s": {kind: round(seconds, 2) for kind, seconds in sorted(stalls.longest.items())},
        "repeated_on_topics": await books.count(checker.REPEATED),
        "requests_repeated": answered.retries,
        "ended_by_themselves": dict(stand.by_itself),
    }


def never_came(stand: Stand) -> list[str]:
    """The faults and named steps that should have happened and have not; a deadlock is the server's to make."""
    wanted = {*kinds(stand), *(f"crash {step}" for step in STEPS)} - {"deadlock"}
    return sorted(wanted - {one.kind for one in stand.happened})


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
