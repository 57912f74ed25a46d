"""What every phase of a replay has in hand: the platform, the people, the clock, and how far everything is.

Invariant: the platform's clock, which keeps where it has come to, only moves forward.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.embedded import CannotStart
from deploy.replay.plan import Plan
from deploy.visitor import UNAVAILABLE, Person, Refused, Visitor
from shared import clock

PAGE_ROWS = 500
BULK_ITEMS = 1_000
TRIES = 60
WAIT_SECONDS = 0.1
TRIES_OF_A_CONNECTION = 3
PASSING = {"busy", "receipt_not_known_yet", "receipt_not_found"}
"""Codes of refusals that pass by themselves; a line that orders told of is known at last, also after a long standstill."""
TOO_MANY = 429


class ReplayStopped(CannotStart):
    """The platform refused what the replay cannot do without."""


class Seconds:
    """The seconds each phase took, with a bar for each on the terminal."""

    def __init__(self, console: Console) -> None:
        self.of: dict[str, float] = {}
        self._console = console
        self._said: set[str] = set()
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Seconds":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def phase(self, name: str, total: int = 1) -> Iterator["Bar"]:
        """Measures what is done inside; the same name again adds to it."""
        task = next((task.id for task in self._progress.tasks if task.description == name), None)
        if task is None:
            task = self._progress.add_task(name, total=total)
        started = clock.elapsed()
        try:
            yield Bar(self._progress, task)
        finally:
            self.of[name] = self.of.get(name, 0.0) + clock.elapsed() - started
            self._say(name)

    def _say(self, name: str) -> None:
        """Where there is no terminal, a line for each phase that is over."""
        (task,) = (task for task in self._progress.tasks if task.description == name)
        if task.finished and name not in self._said and not self._console.is_terminal:
            self._said.add(name)
            done = f"{task.total:,.0f} done, " if task.total != 1 else ""
            self._console.print(f"{name}: {done}{self.of[name]:.1f} s")

    def tell(self, words: str) -> None:
        """Where there is no terminal, words and how far the phases are that go on."""
        if not self._console.is_terminal:
            going = [
                f"{task.description} {task.completed:,.0f} of {task.total:,.0f} in {self.of[task.description]:.1f} s"
                for task in self._progress.tasks
                if not task.finished
            ]
            self._console.print("; ".join([words, *going]), soft_wrap=True)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measures a part of a phase; parts run beside each other, so they may sum to more than the phase."""
        started = clock.elapsed()
        try:
            yield
        finally:
            self.of[name] = self.of.get(name, 0.0) + clock.elapsed() - started


class Bar:
    """How far a phase is."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress = progress
        self._task = task

    def step(self, count: int = 1) -> None:
        """So much more is done."""
        self._progress.advance(self._task, count)


class Stage:
    """The platform as the replay sees it."""

    def __init__(self, visitor: Visitor, plan: Plan, seconds: Seconds) -> None:
        self.visitor = visitor
        self.plan = plan
        self.seconds = seconds
        self.codes: dict[str, str] = {}
        """the code on the platform of each enterprise of the plan"""
        self.now: datetime | None = None
        region = plan.region
        self.operator = visitor.person("operator", "OPERATOR", region, "replay")
        self.authority = visitor.person("authority", f"AUTHORITY-{region}", region, "replay")
        self.clerk = visitor.person("agency", f"AGENCY-{region}", region, "clerk")
        self.treasurer = visitor.person("agency", f"AGENCY-{region}", region, "treasurer")
        self.hospital = cache(self._hospital)

    def _hospital(self, code: str) -> Person:
        return self.visitor.person("hospital", code, self.plan.institutions[code].region, "replay")

    async def resume(self) -> None:
        """Begins where the platform's clock stands, which a restart does not change; else on the first day."""
        known = await self.visitor.clocks()
        await self.drive(max([clock.start_of_day(self.plan.first), *known]))

    async def release(self) -> None:
        """Gives the platform the real time back: nothing of the past waits any more."""
        await self.visitor.release_clock()

    async def drive(self, instant: datetime, service: str | None = None) -> None:
        """Moves the clock forward; one that is over or now changes nothing. With a service, only its API moves."""
        if self.now is not None and instant <= self.now:
            if service is None:
                await self.visitor.drive(self.now)
            return
        await self.visitor.drive(instant, service)
        self.now = instant

    async def bulk(self, person: Person, path: str, commands: Sequence[Any], method: str = "POST") -> list[Any]:
        """The things that came of many commands, in their order; what passes by itself is sent again, any other refusal
        stops the replay."""
        things: list[Any] = []
        for start in range(0, len(commands), BULK_ITEMS):
            part = commands[start : start + BULK_ITEMS]
            answer = await again(self.visitor, method, path, person.headers, json=part)
            things += [accepted(path, item) for item in answer["items"]]
        return things

    async def pages(self, person: Person, path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        after: str | None = None
        while True:
            asked = {**params, "limit": PAGE_ROWS, **({"after": after} if after else {})}
            page = await again(self.visitor, "GET", path, person.headers, params=asked)
            for item in page["items"]:
                yield item
            after = page["next"]
            if after is None:
                return


def accepted(path: str, item: Mapping[str, Any]) -> Any:
    """The thing that came of an item; raises ReplayStopped when it was refused."""
    if problem := item.get("problem"):
        faults = "; ".join(f"{fault['pointer']} {fault['rule']}" for fault in problem.get("errors", []))
        raise ReplayStopped(f"{path}, item {item['index']}: {problem['code']}: {problem['detail']} {faults}")
    return item["item"]


async def again(visitor: Visitor, method: str, path: str, headers: Mapping[str, str], **content: Any) -> Any:
    """A call that is repeated while the platform says that it is busy, or when its connection was lost: everything sent here
    has a natural key or an Idempotency-Key. Raises Refused."""
    for attempt in range(1, TRIES + 1):
        try:
            return await visitor.call(method, path, headers, **content)
        except Refused as refusal:
            passing = refusal.status in {UNAVAILABLE, TOO_MANY} or refusal.code in PASSING
            if not passing or attempt == TRIES:
                raise
        except (httpx.ReadError, httpx.RemoteProtocolError):  # the connection was closed under the request
            if attempt >= TRIES_OF_A_CONNECTION:
                raise
        await asyncio.sleep(WAIT_SECONDS)
    raise AssertionError("the loop returns or raises")
