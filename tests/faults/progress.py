"""How far load and faults have come, and how much is in flight: they keep step, and the load with its effects.

Invariant: `events` is never more than what was recorded.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import httpx

from deploy.chain import SERVICES
from deploy.visitor import Refused, Visitor
from shared.faults import TRANSIENT
from tests.faults.stand import Stand

AHEAD_OF_FAULTS = 0.05
AHEAD_OF_LOAD = 0.1
MOST_IN_FLIGHT = 10_000
"""Events and messages on their way; more than that, and the hospitals wait."""
LOOK_SECONDS = 1.0
ASK_SECONDS = 2.0
# What was recorded more than so long ago is counted once and not again: no transaction lasts so long.
RECORDED = """
SELECT count(*) AS more, count(*) FILTER (WHERE old) AS settled, coalesce(max(id) FILTER (WHERE old), $1) AS upto
FROM (SELECT id, recorded_at < clock_timestamp() - interval '2 min' AS old FROM outbox WHERE id > $1) AS recent
"""


@dataclass(slots=True)
class Progress:
    """How far load and faults have come."""

    wanted: int
    planned: int
    done: int = 0
    _recorded: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SERVICES, 0))
    _counted: dict[str, tuple[int, int]] = field(default_factory=lambda: dict.fromkeys(SERVICES, (0, 0)))
    _arrived: int = 0

    @property
    def events(self) -> int:
        """How many were recorded."""
        return sum(self._recorded.values())

    @property
    def fault_may_come(self) -> bool:
        """The faults are not ahead of the load."""
        return self.done / self.planned <= self.events / self.wanted + AHEAD_OF_LOAD

    @property
    def load_may_go_on(self) -> bool:
        """The load is not ahead of the faults; where it is, it goes on slowly."""
        return self.done == self.planned or self.events / self.wanted <= self.done / self.planned + AHEAD_OF_FAULTS

    @property
    def crowded(self) -> bool:
        """So much is in flight that nothing may be added; while nobody can say how much, what is recorded adds to it."""
        return self.events - self._arrived > MOST_IN_FLIGHT

    async def watch(self, stand: Stand, visitor: Visitor) -> None:
        """Looks again and again, until cancelled."""
        while True:
            for name in SERVICES:
                with suppress(*TRANSIENT, asyncpg.PostgresError):
                    await self._count(stand, name)
            with suppress(httpx.HTTPError, Refused, TimeoutError):
                before = self.events
                async with asyncio.timeout(ASK_SECONDS):
                    seen = await visitor.in_flight()
                self._arrived = before - sum(count for what, count in seen.items() if what != "dead_letters")
            await asyncio.sleep(LOOK_SECONDS)

    async def _count(self, stand: Stand, name: str) -> None:
        settled, upto = self._counted[name]
        async with stand.connected(name) as connection:
            found = await connection.fetchrow(RECORDED, upto)
        self._recorded[name] = settled + found["more"]
        self._counted[name] = settled + found["settled"], found["upto"]
