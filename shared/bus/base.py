"""What a worker needs of a bus: a message is handed on at least once and, for one key, in order.

Who receives it makes it once (inbox). A message counts as sent when it is safe, and as read when `apply` has returned.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from shared.envelope import CONTENT_TYPE
from shared.values import frozen


@frozen
class Message:
    """One message: `key` is the subject, `value` the bytes of the event."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = (("content-type", CONTENT_TYPE.encode()),)


Apply = Callable[[Sequence[Message]], Awaitable[None]]
"""Applies messages of one partition, in order; raises Transient to be handed them again."""


class Transient(Exception):
    """The messages could not be applied now and shall come again; nothing of them was kept."""


class BusAway(Exception):
    """The broker did not take the messages; they stay in the outbox."""


class Bus(Protocol):
    """What a worker needs of a bus."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns when every message is safe; raises BusAway when one is not. May be cancelled."""

    async def consume(self, group: str, topics: Sequence[str], apply: Apply, stop: asyncio.Event) -> None:
        """Hands batches to `apply` until told to stop; raises BusAway when the broker is lost."""

    async def lag(self) -> int:
        """How many messages this group has not applied yet; raises BusAway when the broker does not say."""

    async def away(self) -> str | None:
        """Why the broker cannot be used now, in words; None when it can."""

    @property
    def held(self) -> Mapping[str, str]:
        """The partitions that a fault of the road holds up now, each with the fault."""
