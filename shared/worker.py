"""What happens by itself in one service until it is told to stop: relay, consumer, deadlines, jobs, upkeep.

Each is a loop that survives any fault of the road: it says so, waits, and goes on where it was.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shared import clock, dead_letters, deadlines, idempotency, jobs, outbox, settling, telemetry
from shared.bus import Bus, BusAway
from shared.db import TRANSIENT, Database
from shared.errors import Unavailable
from shared.events import topic_of
from shared.inbox import Consumer
from shared.outbox import Relay
from shared.policy import Policy
from shared.service import Service
from shared.settings import ServiceSettings

log = logging.getLogger(__name__)

UPKEEP_SECONDS = 30
DRIVEN_POLL_SECONDS = 0.05
"""While the clock is driven, due deadlines are looked for this often."""


class Worker:
    """The worker of one service; `run` returns when `stop` is set and the work in hand is done."""

    def __init__(self, service: Service, settings: ServiceSettings, bus: Bus) -> None:
        self.service = service
        self.settings = settings
        self.bus = bus
        self.database: Database | None = None
        self.relay: Relay | None = None
        self._jobs_awake = asyncio.Event()

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
            connections=limits.pool_connections,
            wait_seconds=limits.pool_wait_seconds,
            statement_seconds=limits.statement_seconds,
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
            ("deadlines", lambda: self._deadlines(database, stop)),
            ("jobs", lambda: self._jobs(database, self._kinds(consumer), stop)),
            ("upkeep", lambda: self._upkeep(database, stop)),
        ]
        try:
            await asyncio.gather(*(self._survive(name, loop, stop) for name, loop in loops), self._wake_at(stop))
        finally:
            await database.close()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._jobs_awake.set()

    async def _until_open(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.open()
            except TRANSIENT as error:
                log.warning("waits for the database", extra={"service": self.service.name, "reason": repr(error)})
                await _pause(stop, self.settings.limits.poll_seconds)
            else:
                return

    async def _survive(self, name: str, loop: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await loop()
            except (*TRANSIENT, BusAway, Unavailable) as error:
                log.warning(f"{name} waits", extra={"service": self.service.name, "reason": repr(error)})
            except Exception:  # the edge: a loop that ends is work that silently stops
                log.exception("%s failed and is started again", name, extra={"service": self.service.name})
            await _pause(stop, self.settings.limits.poll_seconds)

    async def _deadlines(self, database: Database, stop: asyncio.Event) -> None:
        while not stop.is_set():
            met = 0
            for kind, due in self.service.deadlines.items():
                met += await deadlines.meet(database, kind, due, self.settings.limits.deadline_rows)
            if not met:
                poll = DRIVEN_POLL_SECONDS if clock.driven() else self.settings.limits.poll_seconds
                await _pause(stop, poll)

    def _kinds(self, consumer: Consumer) -> jobs.Jobs:
        """The service's own kinds of jobs, and those that every service has."""

        async def replay(job: jobs.Job) -> dict[str, int]:
            return {"applied": await settling.replay(consumer, job.params["letter_id"], job.caller)}

        async def drop(job: jobs.Job) -> dict[str, int]:
            applied = await settling.drop(consumer, job.params["letter_id"], job.caller, job.params["reason"])
            return {"applied": applied}

        return {**self.service.jobs, dead_letters.REPLAY: replay, dead_letters.DROP: drop}

    async def _jobs(self, database: Database, kinds: jobs.Jobs, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._jobs_awake.clear()
            if await jobs.run_next(database, kinds):
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._jobs_awake.wait(), self.settings.limits.poll_seconds)

    async def _upkeep(self, database: Database, stop: asyncio.Event) -> None:
        while not stop.is_set():
            async with database.pool.acquire(timeout=database.wait_seconds) as connection:
                await outbox.prune(connection, keep_days=self.settings.limits.outbox_days)
                await connection.execute("SELECT jicai_upkeep_inbox($1)", self.settings.limits.inbox_days)
                await idempotency.prune(connection, self.settings.limits.idempotency_days)
                await connection.execute("SELECT jicai_head_of_history(current_date - 1)")
            telemetry.OUTBOX_WAITING.labels(self.service.name).set(await outbox.waiting(database))
            await self.bus.lag()
            await _pause(stop, UPKEEP_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
