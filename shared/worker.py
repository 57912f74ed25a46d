"""What happens by itself in one service until it is told to stop: relay, consumer, deadlines, jobs, upkeep.

Each is a loop that survives any fault of the road: it says so, waits, and goes on where it was.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

import asyncpg

from shared import clock, dead_letters, deadlines, heads, idempotency, jobs, outbox, settling, telemetry
from shared.bus import Bus, BusAway
from shared.db import Database
from shared.events import topic_of
from shared.faults import LONGEST_PAUSE_SECONDS, TRANSIENT, cause_of, pause_seconds
from shared.inbox import ROAD, Consumer
from shared.outbox import Relay
from shared.policy import Policy
from shared.service import Service
from shared.settings import ServiceSettings

log = logging.getLogger(__name__)

UPKEEP_SECONDS = 30
MEASURE_SECONDS = 5
AWAY_SAID_SECONDS = 60
"""So often a broker that stays away is spoken of."""
GIVING_UP_SECONDS = 10
"""After `drain_seconds` a batch in hand is given up; the group and the broker are given this long to hear of it."""
PASSED_OVER_SECONDS = 60
DRIVEN_POLL_SECONDS = 0.05
"""While the clock is driven, due deadlines are looked for this often."""


class Absence:
    """What one process has said of a broker that is away: nothing at once, then once a minute, and that it is there again."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._since: float | None = None
        self._said_at: float | None = None

    def tell(self, reason: str | None, rows: int, oldest_seconds: float) -> None:
        """`reason`: why it is away, None when it is not; what was last seen to wait for it, and how long the oldest of it."""
        telemetry.BROKER_AWAY.labels(self._service).set(reason is not None)
        now = clock.elapsed()
        if reason is None:
            if self._since is not None and self._said_at is not None:
                away = {"service": self._service, "away_s": round(now - self._since)}
                log.info("the broker can be used again", extra=away)
            self._since = self._said_at = None
        elif self._since is None:
            self._since = now
        elif self._said_at is None or now - self._said_at >= AWAY_SAID_SECONDS:
            self._said_at = now
            waits = {"away_s": round(now - self._since), "events": rows, "oldest_s": round(oldest_seconds)}
            log.warning("the broker cannot be used", extra={"service": self._service, "reason": reason, **waits})


class Worker:
    """The worker of one service; `run` returns when `stop` is set and the work in hand is done.

    `catching_up`: it hears and tells what was missed, and does nothing by itself: no deadline is met, no job is begun.
    """

    def __init__(self, service: Service, settings: ServiceSettings, bus: Bus, *, catching_up: bool = False) -> None:
        self.service = service
        self.settings = settings
        self.bus = bus
        self.catching_up = catching_up
        self.database: Database | None = None
        self.relay: Relay | None = None
        self._away = "it was not asked so far"
        self._jobs_awake = asyncio.Event()
        self._broker = Absence(service.name)
        self._waits = 0, 0.0
        self._passed_over: dict[str, dict[str, float]] = {}

    @property
    def topics(self) -> list[str]:
        """The topics this service listens to."""
        return sorted({topic_of(contract) for contract in self.service.handlers})

    async def open(self) -> None:
        """Opens the database, as the worker's role."""
        limits = self.settings.limits
        self.database = await Database.open(
            self.settings.database_url,
            role=self.settings.worker_role,
            policy=Policy.load(self.settings.policy_files),
            limits=limits,
            name=f"{self.service.name} worker",
        )
        self.relay = Relay(
            self.service.name,
            self.database,
            self.bus,
            rows=limits.relay_rows,
            poll_seconds=limits.poll_seconds,
        )
        self.database.wake = self.wake

    def wake(self) -> None:
        """Something was recorded or queued: relay and jobs look at once."""
        if self.relay is not None:
            self.relay.wake()
        self._jobs_awake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """All loops until told to stop."""
        if self.database is None:
            await self._until_open(stop)
        database, relay = self.database, self.relay
        if database is None or relay is None:
            return
        consumer = Consumer(self.service.name, database, self.service.handlers)
        loops: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("relay", lambda: relay.run(stop)),
            ("consumer", lambda: self.bus.consume(self.service.name, self.topics, consumer.apply, stop)),
            ("measuring", lambda: self._measuring(database, stop)),
            ("upkeep", lambda: self._upkeep(database, stop)),
        ]
        if not self.catching_up:
            loops.append(("deadlines", lambda: self._deadlines(database, stop)))
            loops.append(("jobs", lambda: self._jobs(database, self._kinds(consumer), stop)))
        running = [asyncio.create_task(self._survive(name, loop, stop), name=name) for name, loop in loops]
        try:
            await stop.wait()
            self._jobs_awake.set()
            await self._drain(running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await database.close()

    async def _drain(self, running: Collection[asyncio.Task[None]]) -> None:
        """Lets the work in hand end; what takes longer is given up, undone or taken up by another worker."""
        _, late = await asyncio.wait(running, timeout=self.settings.limits.drain_seconds + GIVING_UP_SECONDS)
        for task in late:
            log.warning("given up at the stop", extra={"service": self.service.name, "loop": task.get_name()})

    async def troubles(self) -> tuple[str | None, list[str]]:
        """Why this worker can do nothing, or None; and what is wrong beside it, in words."""
        if self.database is None:
            return f"the database has not answered yet: {self._away}", []
        if reason := await self.database.trouble():
            return reason, []
        beside = [f"{place} is held up: {fault}" for place, fault in self.bus.held.items()]
        if away := await self.bus.away():
            beside.append(f"{away}; events wait in the outbox and on the broker")
        if self.catching_up:
            beside.append("it catches up: no deadline is met and no job is done until it is started without --catch-up")
        return None, beside

    async def _until_open(self, stop: asyncio.Event) -> None:
        failed = 0
        while not stop.is_set():
            try:
                await self.open()
            except (*TRANSIENT, asyncpg.PostgresError) as error:  # it may also not know us yet
                self._away = f"{type(error).__name__}: {error}"
                failed += 1
                wait = pause_seconds(failed, self.settings.limits.poll_seconds)
                log.warning("waits for the database", extra=self._told(cause_of(error), wait))
                await _pause(stop, wait)
            else:
                return

    async def _survive(self, name: str, loop: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Starts a loop again after each fault: later each time, and soon again once it has gone on for a while."""
        failed = 0
        while not stop.is_set():
            began = clock.elapsed()
            try:
                await loop()
            except Exception as error:  # the edge: a loop that ends is work that silently stops
                failed = failed + 1 if clock.elapsed() - began < LONGEST_PAUSE_SECONDS else 1
                wait = pause_seconds(failed, self.settings.limits.poll_seconds)
                if isinstance(error, (*ROAD, BusAway)):
                    log.warning(f"{name} waits", extra=self._told(cause_of(error), wait))
                else:
                    log.exception("%s failed and is started again", name, extra=self._told(cause_of(error), wait))
                await _pause(stop, wait)

    def _told(self, reason: str, wait: float) -> dict[str, object]:
        return {"service": self.service.name, "reason": reason, "wait_s": round(wait, 3)}

    async def _deadlines(self, database: Database, stop: asyncio.Event) -> None:
        while not stop.is_set():
            waiting = await deadlines.kinds_due(database)
            wanted = [(kind, due) for kind, due in self.service.deadlines.items() if kind in waiting]
            met = sum([await self._meet(database, kind, due) for kind, due in wanted])
            if not met:
                poll = DRIVEN_POLL_SECONDS if clock.driven() else self.settings.limits.poll_seconds
                await _pause(stop, poll)

    async def _meet(self, database: Database, kind: str, due: deadlines.Due) -> int:
        """Meets what is due; one that cannot be met stays, is passed over for a while, and keeps no other waiting."""
        over = self._passed_over.setdefault(kind, {})
        for done in [about for about, until in over.items() if until < clock.elapsed()]:
            del over[done]
        rows = self.settings.limits.deadline_rows
        try:
            return await deadlines.meet(database, kind, due, rows, over)
        except ROAD:
            raise
        except Exception:  # the edge: met one by one, which finds the culprit
            log.info("deadlines are met one by one", extra={"service": self.service.name, "kind": kind}, exc_info=True)
        met = 0
        for _ in range(rows):
            tried: list[str] = []
            try:
                met += await deadlines.meet(database, kind, due, 1, over, tried)
            except ROAD:
                raise
            except Exception:  # the edge: said aloud, tried again, and never lost
                if not tried:
                    raise
                log.exception(
                    "a deadline cannot be met", extra={"service": self.service.name, "kind": kind, "about": tried}
                )
                telemetry.DEADLINES_UNMET.labels(self.service.name, kind).inc()
                over.update(dict.fromkeys(tried, clock.elapsed() + PASSED_OVER_SECONDS))
            if not tried:
                break
        return met

    def _kinds(self, consumer: Consumer) -> jobs.Jobs:
        """The service's own kinds of jobs, and those that every service has."""

        return {**self.service.jobs, **settling.jobs_of(consumer)}

    async def _jobs(self, database: Database, kinds: jobs.Jobs, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._jobs_awake.clear()
            if await jobs.run_next(database, kinds):
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._jobs_awake.wait(), self.settings.limits.poll_seconds)

    async def _upkeep(self, database: Database, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._count_letters(database)
            with suppress(BusAway):  # the lag is not shown then, and why is said by who measures
                await self.bus.lag()
            async with database.pool.acquire(timeout=database.limits.pool_wait_seconds) as connection:
                await connection.execute("SELECT jicai_upkeep_inbox($1)", self.settings.limits.inbox_days)
                await idempotency.prune(connection, self.settings.limits.idempotency_days)
                while await outbox.prune(connection, keep_days=self.settings.limits.outbox_days) and not stop.is_set():
                    pass
                await heads.publish(connection, self.service.name, self.settings.heads_file)
            await _pause(stop, UPKEEP_SECONDS)

    async def _measuring(self, database: Database, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._measure(database)
            await _pause(stop, MEASURE_SECONDS)

    async def _measure(self, database: Database) -> None:
        reason = await self.bus.away()
        self._broker.tell(reason, *self._waits)  # first: a database in trouble does not silence it
        self._waits = rows, seconds = await outbox.waiting_since(database)
        telemetry.OUTBOX_WAITING.labels(self.service.name).set(rows)
        telemetry.OUTBOX_AGE.labels(self.service.name).set(seconds)

    async def _count_letters(self, database: Database) -> None:
        async with database.transaction() as tx:
            letters = await dead_letters.count(tx)
        for state, count in letters.items():
            telemetry.DEAD_LETTERS.labels(self.service.name, state).set(count)
        if any(letters.values()):  # what waits behind nothing, because a drop was cut off, waits for a person too
            log.warning("dead letters wait for a person", extra={"service": self.service.name, **letters})


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
