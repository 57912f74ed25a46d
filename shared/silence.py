"""A database that does not answer: found out in bounded time, and then nobody waits for it.

The first words of a transaction wait `answer_seconds` at most. What goes on longer is either slow or waits for nobody: another
connection is asked for, and where that does not answer either, the one in use is ended. After that one at a time asks again.
"""

import asyncio
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import asyncpg

from shared import clock
from shared.errors import Unavailable

log = logging.getLogger(__name__)

SILENT_SECONDS = 1
"""So long nobody asks again after the database has not answered."""
HEARD_SECONDS = 0.05
"""So long after an answer nobody needs to ask whether there is one."""


class Silence:
    """What one process knows of whether its database answers."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._heard_at = -math.inf
        self._until = 0.0
        """When a database that did not answer may be asked again, by one alone; 0: it answers."""

    def heard(self) -> None:
        """It answered just now."""
        self._heard_at = clock.elapsed()
        self._until = 0.0

    @property
    def heard_lately(self) -> bool:
        """Whether it answered a moment ago."""
        return clock.elapsed() < self._heard_at + HEARD_SECONDS

    @contextmanager
    def first_words(self, pool: asyncpg.Pool) -> Iterator[None]:
        """Around what waits for a connection and its first answer; raises Unavailable, for others without waiting."""
        asks_again = bool(self._until)
        if asks_again:
            if clock.elapsed() < self._until:
                raise away()
            self._until = math.inf
        until = 0.0
        try:
            yield
        except TimeoutError as error:
            if pool.get_size() < pool.get_max_size():  # else all are in use, by whom the database answers
                until = clock.elapsed() + SILENT_SECONDS
            raise away() from error
        finally:
            if until or asks_again:
                self._until = until

    @contextmanager
    def watched(self, connection: Any) -> Iterator[None]:
        """Around what a connection is used for: it is ended when the database falls silent meanwhile, and not for being slow."""
        loop = asyncio.get_running_loop()
        watching: asyncio.Task[None] | None = None

        def begin() -> None:
            nonlocal watching
            watching = loop.create_task(self._watch(connection))

        soon = loop.call_later(self._seconds, begin)
        try:
            yield
        finally:
            soon.cancel()
            if watching:
                watching.cancel()

    async def _watch(self, connection: Any) -> None:
        while await self._answers():  # noqa: ASYNC110  nobody tells us
            await asyncio.sleep(self._seconds)
        self._until = clock.elapsed() + SILENT_SECONDS
        log.warning("the database fell silent", extra={"after_seconds": self._seconds})
        end(connection)

    async def _answers(self) -> bool:
        """Whether a new connection is made in time, or refused: who refuses answers."""
        try:
            connection = await asyncpg.connect(self._url, timeout=self._seconds)
        except TimeoutError:
            return False
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return True
        end(connection)
        return True


def end(connection: Any) -> None:
    """Gives a connection up without a word to the server."""
    with suppress(asyncpg.InterfaceError):  # it has gone by itself
        connection.terminate()


def away() -> Unavailable:
    """The refusal of whoever needs a database that is not there; nothing was said to it."""
    return Unavailable(
        "The database does not answer now; nothing was changed, the same request may be sent again.",
        headers={"Retry-After": "2"},
    )
