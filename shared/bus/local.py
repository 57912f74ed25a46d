"""The bus of one process: `send` returns when every subscriber has committed.

It has no memory of its own: an outbox row stays until then, so nothing is lost in a crash.
"""

import asyncio
from collections.abc import Mapping, Sequence

from shared.bus.base import Apply, BusAway, Message, Transient


class LocalBus:
    """Hands messages over directly; takes nothing before every one of `groups` listens."""

    def __init__(self, groups: Sequence[str] = ()) -> None:
        self._groups = frozenset(groups)
        self._subscribers: dict[str, tuple[frozenset[str], Apply]] = {}
        self._held: dict[str, str] = {}

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Hands the messages to every subscriber of their topic, and waits for all of them even when one fails."""
        if missing := self._groups - set(self._subscribers):
            raise BusAway(f"{', '.join(sorted(missing))} does not listen yet")
        handing = [
            self._hand(group, wanted, apply)
            for group, (topics, apply) in list(self._subscribers.items())
            if (wanted := [message for message in messages if message.topic in topics])
        ]
        for outcome in await asyncio.gather(*handing, return_exceptions=True):
            if isinstance(outcome, Transient):
                raise BusAway(f"a subscriber could not take the events now: {outcome}") from outcome
            if isinstance(outcome, BaseException):
                raise outcome

    async def _hand(self, group: str, messages: Sequence[Message], apply: Apply) -> None:
        try:
            await apply(messages)
        except Transient as error:
            self._held[group] = str(error)
            raise
        self._held.pop(group, None)

    async def consume(self, group: str, topics: Sequence[str], apply: Apply, stop: asyncio.Event) -> None:
        """Subscribes until told to stop."""
        self._subscribers[group] = (frozenset(topics), apply)
        try:
            await stop.wait()
        finally:
            del self._subscribers[group]

    async def lag(self) -> int:
        """Always 0: what was sent was applied."""
        return 0

    async def away(self) -> str | None:
        """Never: it is this process."""
        return None

    @property
    def held(self) -> Mapping[str, str]:
        """The groups that could not take their events the last time, and why."""
        return self._held
