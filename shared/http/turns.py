"""Whose turn it is: what one organisation has under way is bounded, and it never holds every connection of the pool.

Alone it may hold all but one, and as soon as another is there `organisation_connections`. Whoever finds none free waits in
the queue of its own organisation; a connection that comes free goes to the organisation that has the fewest, so that a quiet
one waits behind nobody's hundred. Counted in this process.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from shared import clock
from shared.errors import TooMany, Unavailable
from shared.settings import Limits

COMPANY_SECONDS = 1.0
"""So long after two organisations were under way at once, neither is taken to be alone."""


class OrganisationBusy(TooMany):
    title = "Too many requests of one organisation at once"


@dataclass(slots=True, eq=False)
class _Organisation:
    name: str
    under_way: int = 0
    connected: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Turns:
    """The requests under way in one process, by organisation."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free = limits.pool_connections
        self._known: dict[str, _Organisation] = {}
        self._company_until = 0.0

    @contextmanager
    def under_way(self, organisation: str) -> Iterator[None]:
        """Counts a request until it is answered; raises OrganisationBusy."""
        one = self._known.setdefault(organisation, _Organisation(organisation))
        if one.under_way >= self._limits.organisation_requests:
            raise OrganisationBusy(
                "{organisation} has {under_way} requests under way here; send the next when one is answered.",
                headers={"Retry-After": "1"},
                organisation=organisation,
                under_way=one.under_way,
            )
        one.under_way += 1
        if len(self._known) > 1:
            self._company_until = clock.elapsed() + COMPANY_SECONDS
        try:
            yield
        finally:
            one.under_way -= 1
            self._forget(one)

    @asynccontextmanager
    async def connection(self, organisation: str) -> AsyncIterator[None]:
        """The right to one connection, for a request that is counted; raises Unavailable after `pool_wait_seconds`."""
        one = self._known[organisation]
        if self._free and one.connected < self._most():
            self._free -= 1
            one.connected += 1
        else:
            await self._wait(one)
        try:
            yield
        finally:
            self._give_back(one)

    def _most(self) -> int:
        """Connections that one organisation may hold now."""
        if clock.elapsed() < self._company_until:
            return self._limits.organisation_connections
        return max(1, self._limits.pool_connections - 1)

    async def _wait(self, one: _Organisation) -> None:
        turn = asyncio.get_running_loop().create_future()
        one.waiting.append(turn)
        try:
            async with asyncio.timeout(self._limits.pool_wait_seconds):
                await turn
        except TimeoutError as error:
            self._give_up(one, turn)
            raise Unavailable(
                "No connection came free in {seconds:g} s; nothing was changed, the same request may be sent again.",
                headers={"Retry-After": "2"},
                seconds=self._limits.pool_wait_seconds,
            ) from error
        except BaseException:
            self._give_up(one, turn)
            raise

    def _give_up(self, one: _Organisation, turn: asyncio.Future[None]) -> None:
        """A turn that was given in the same moment goes to the next."""
        if turn in one.waiting:
            one.waiting.remove(turn)
            self._forget(one)
        elif not turn.cancelled():
            self._give_back(one)

    def _give_back(self, one: _Organisation) -> None:
        self._free += 1
        one.connected -= 1
        self._forget(one)
        most = self._most()
        while waiting := [other for other in self._known.values() if other.waiting and other.connected < most]:
            next_one = min(waiting, key=lambda other: other.connected)
            turn = next_one.waiting.popleft()
            if not turn.done():
                self._free -= 1
                next_one.connected += 1
                turn.set_result(None)
                return

    def _forget(self, one: _Organisation) -> None:
        """Once nothing of it is under way, or is done for several of its requests together."""
        if not (one.under_way or one.connected or one.waiting):
            self._known.pop(one.name, None)
