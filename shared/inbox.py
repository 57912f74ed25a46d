"""Events enter through here: at least once in, once applied, in the order of their subject.

The event's id and its effect are committed together; a failed handler leaves no mark. Handlers take lists of events of
one type. What can never be applied becomes a dead letter in the same transaction, and later events of its subject wait
behind it; a fault of the road is raised as Transient, and the messages come again.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa

from shared import clock, dead_letters, telemetry
from shared.bus import Message, Transient
from shared.db import EVERYTHING, PLATFORM, TRANSIENT, Database, Tx
from shared.envelope import Envelope, Unreadable, unseal
from shared.errors import ServiceError, Unavailable
from shared.events import Event, read

E = TypeVar("E", bound=Event)
log = logging.getLogger(__name__)

inbox = sa.Table(
    "inbox",
    PLATFORM,
    sa.Column("event_id", sa.Uuid, primary_key=True),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # Ids are UUIDv7, so a range of ids is a range of time, and old ids are dropped by partition (migrations/upkeep.py).
    postgresql_partition_by="RANGE (event_id)",
)

_ACCEPT = "INSERT INTO inbox (event_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id"


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """One event as a handler sees it: `data` is the fact, `sequence` the version of its subject."""

    data: E
    id: UUID
    subject: str
    sequence: int
    time: datetime
    request_id: str | None
    message: Message


Handler = Callable[[Tx, Sequence[Received[Any]]], Awaitable[None]]
Handlers = Mapping[type[Event], Handler]


async def accept(tx: Tx, events: Sequence[Received[Any]]) -> list[Received[Any]]:
    """Those of the events that this service has not applied yet; marks them in this transaction."""
    fresh = {row["event_id"] for row in await tx.sql(_ACCEPT, [event.id for event in events])}
    chosen: list[Received[Any]] = []
    for event in events:
        if event.id in fresh:
            fresh.discard(event.id)
            chosen.append(event)
    return chosen


def waves(events: Sequence[Received[Any]]) -> list[list[Received[Any]]]:
    """Cuts a batch so that events of one subject stay in order while those of one type travel together.

    Each wave holds events of one type; a subject's next event is in the same wave only when it has the same type.
    """
    place_of: dict[str, tuple[int, type[Event]]] = {}
    ordered: dict[tuple[int, type[Event]], list[Received[Any]]] = {}
    for event in events:
        kind = type(event.data)
        last = place_of.get(event.subject)
        depth = 0 if last is None else last[0] + (last[1] is not kind)
        place_of[event.subject] = (depth, kind)
        ordered.setdefault((depth, kind), []).append(event)
    return [ordered[key] for key in sorted(ordered, key=lambda key: key[0])]


class Consumer:
    """Applies messages to one service: inbox, waves, handlers, one transaction a batch."""

    def __init__(self, service: str, database: Database, handlers: Handlers) -> None:
        self.service = service
        self._database = database
        self._handlers = handlers
        self._types = {kind.TYPE: kind for kind in handlers}

    async def apply(self, messages: Sequence[Message]) -> None:
        """Applies a batch of one partition; raises Transient when it must come again."""
        events, unreadable = self._open(messages)
        try:
            await self._together(events, unreadable)
        except (*TRANSIENT, Unavailable) as error:
            raise Transient(repr(error)) from error
        except Exception as error:  # the edge: the batch is tried event by event, which finds the culprit
            log.info("batch is tried one by one", extra={"service": self.service, "reason": repr(error)})
            try:
                await self._one_by_one(events, unreadable)
            except (*TRANSIENT, Unavailable) as away:
                raise Transient(repr(away)) from away

    def _open(self, messages: Sequence[Message]) -> tuple[list[Received[Any]], list[tuple[Message, str]]]:
        events: list[Received[Any]] = []
        unreadable: list[tuple[Message, str]] = []
        for message in messages:
            try:
                envelope = unseal(message.value)
                kind = self._types.get(envelope.type)
                if kind is None:
                    self._unhandled(envelope, message, unreadable)
                    continue
                data = read(kind, envelope.data)
            except Unreadable as error:
                unreadable.append((message, str(error)))
                continue
            events.append(
                Received(
                    data=data,
                    id=envelope.id,
                    subject=envelope.subject,
                    sequence=int(envelope.sequence),
                    time=envelope.time,
                    request_id=envelope.requestid or None,
                    message=message,
                )
            )
        return events, unreadable

    def _unhandled(self, envelope: Envelope, message: Message, unreadable: list[tuple[Message, str]]) -> None:
        """Skips what nobody here handles; an unknown major version of what is handled is a dead letter."""
        stem = envelope.type.rsplit(".v", 1)[0]
        if any(known.rsplit(".v", 1)[0] == stem for known in self._types):
            unreadable.append((message, f"{envelope.type} is a version that is not read here"))
            return
        telemetry.EVENTS.labels(self.service, envelope.type, "skipped").inc()

    async def _together(self, events: Sequence[Received[Any]], unreadable: Sequence[tuple[Message, str]]) -> None:
        async with self._database.transaction(EVERYTHING) as tx:
            for message, reason in unreadable:
                dead_letters.bury(tx, message, reason)
            if not events:
                return
            fresh = await accept(tx, await dead_letters.hold_back(tx, events))
            for wave in waves(fresh):
                await self._handlers[type(wave[0].data)](tx, wave)
        self._count(events, fresh)

    async def _one_by_one(self, events: Sequence[Received[Any]], unreadable: Sequence[tuple[Message, str]]) -> None:
        await self._together([], unreadable)
        for event in events:
            try:
                await self._together([event], [])
            except (*TRANSIENT, Unavailable):
                raise
            except Exception as error:  # the edge: a refusal is kept with its reason, for a person
                async with self._database.transaction(EVERYTHING) as tx:
                    dead_letters.bury(tx, event.message, _reason(error), event)
                telemetry.EVENTS.labels(self.service, event.data.TYPE, "dead").inc()
                log.warning(
                    "dead letter",
                    extra={"event_id": str(event.id), "subject": event.subject, "reason": _reason(error)},
                    exc_info=not isinstance(error, ServiceError),
                )

    async def settle(self, letter_id: int, *, drop: bool = False, note: str = "") -> int:
        """Replays the letters of one subject in order, from its oldest on, or drops that one first; returns how many
        were applied. Stops at the first that still cannot be, which keeps its new reason."""
        async with self._database.transaction(EVERYTHING) as tx:
            named = await tx.one(dead_letters.DeadLetter, dead_letters.GET, id=letter_id)
        if named is None:
            return 0
        applied = 0
        while outcome := await self._settle_first(named.topic, named.subject, letter_id if drop else None, note):
            applied += outcome == "replayed"
        return applied

    async def _settle_first(self, topic: str, subject: str, dropped: int | None, note: str) -> str | None:
        """What became of the oldest open letter of a subject; None: there is none, or it still cannot be applied."""
        async with self._database.transaction(EVERYTHING) as tx:
            letter = await dead_letters.first_of(tx, topic, subject)
            if letter is None:
                return None
            events, unreadable = self._open([letter.message])
            if letter.id == dropped:
                await accept(tx, events)
                await dead_letters.settle(tx, letter, "dropped", note)
                return "dropped"
            reason = unreadable[0][1] if unreadable else await self._try(tx, events)
            if reason is None:
                await dead_letters.settle(tx, letter, "replayed", note)
                return "replayed"
            await dead_letters.stays(tx, letter, reason)
            return None

    async def _try(self, tx: Tx, events: Sequence[Received[Any]]) -> str | None:
        """None when the events were applied, else why not; what they changed until then is undone."""
        await tx.sql("SAVEPOINT attempt")
        try:
            for event in await accept(tx, events):
                await self._handlers[type(event.data)](tx, [event])
            await tx.flush()
        except (*TRANSIENT, Unavailable):
            raise
        except Exception as error:  # the edge: a letter that still cannot be applied stays, with its reason
            tx.forget()
            await tx.sql("ROLLBACK TO SAVEPOINT attempt")
            return _reason(error)
        return None

    def _count(self, events: Sequence[Received[Any]], fresh: Sequence[Received[Any]]) -> None:
        now = clock.now()
        for event in fresh:
            telemetry.EVENTS.labels(self.service, event.data.TYPE, "applied").inc()
            telemetry.EFFECT_SECONDS.labels(self.service).observe(max(0.0, (now - event.time).total_seconds()))
        if repeated := len(events) - len(fresh):
            telemetry.EVENTS.labels(self.service, "any", "repeated").inc(repeated)


def _reason(error: Exception) -> str:
    if isinstance(error, ServiceError):
        return f"{error.code}: {error.detail}"
    return f"{type(error).__name__}: {error}"
