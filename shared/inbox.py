"""Events enter through here: at least once in, once applied, in the order of their subject.

The event's id and its effect are committed together; a failed handler leaves no mark. Handlers take lists of events of
one type. What can never be applied becomes a dead letter in the same transaction, and later events of its subject wait
behind it; a fault of the road is raised as Transient, and the messages come again.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa

from shared import clock, crash, dead_letters, telemetry
from shared.bus import Message, Transient
from shared.db import EVERYTHING, PLATFORM, Database, Tx
from shared.envelope import Envelope, Unreadable, unseal
from shared.errors import ServiceError, Unavailable
from shared.events import Event, read, version_of
from shared.faults import NOT_MIGRATED, TOO_SLOW, TRANSIENT, cause_of
from shared.values import frozen

E = TypeVar("E", bound=Event)
log = logging.getLogger(__name__)

ROAD = (*TRANSIENT, *NOT_MIGRATED, Unavailable)
"""Not the fault of an event: it comes again."""

LOGGED = 10
"""Of a batch's events and requests, so many are named in its log line."""

inbox = sa.Table(
    "inbox",
    PLATFORM,
    sa.Column("event_id", sa.Uuid, primary_key=True),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    # Ids are UUIDv7, so a range of ids is a range of time, and old ids are dropped by partition (migrations/upkeep.py).
    postgresql_partition_by="RANGE (event_id)",
)

_ACCEPT = "INSERT INTO inbox (event_id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id"


@frozen
class Received(Generic[E]):
    """One event as a handler sees it: `data` is the fact, `sequence` the version of its subject, `id` the same in each version
    in which the fact is said."""

    data: E
    id: UUID
    subject: str
    sequence: int
    time: datetime
    request_id: str | None
    traceparent: str | None
    message: Message


@frozen
class Unread:
    """A message that cannot be read, and what stands for its subject."""

    message: Message
    subject: str
    reason: str
    id: UUID | None = None


Item = Received[Any] | Unread


class Wave(list[Received[Any]]):
    """Events of one type; while they are looped over, what is logged and recorded belongs to the request of each."""

    def __iter__(self) -> Iterator[Received[Any]]:
        for event in super().__iter__():
            with telemetry.belonging_to(event.request_id, event.traceparent):
                yield event

    def common(self) -> tuple[str | None, str | None]:
        """The request and the trace of all of them, where it is one."""
        requests = {(event.request_id, event.traceparent) for event in super().__iter__()}
        return requests.pop() if len(requests) == 1 else (None, None)


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


def waves(events: Sequence[Received[Any]]) -> list[Wave]:
    """Cuts a batch so that events of one subject stay in order while those of one type travel together.

    Each wave holds events of one type; a subject's next event is in the same wave only when it has the same type.
    """
    place_of: dict[str, tuple[int, type[Event]]] = {}
    ordered: dict[tuple[int, type[Event]], Wave] = {}
    for event in events:
        kind = type(event.data)
        last = place_of.get(event.subject)
        depth = 0 if last is None else last[0] + (last[1] is not kind)
        place_of[event.subject] = (depth, kind)
        ordered.setdefault((depth, kind), Wave()).append(event)
    return [ordered[key] for key in sorted(ordered, key=lambda key: key[0])]


class Consumer:
    """Applies messages to one service: inbox, waves, handlers, one transaction a batch."""

    def __init__(self, service: str, database: Database, handlers: Handlers) -> None:
        self.service = service
        self.database = database
        self._handlers = handlers
        self._types = {kind.TYPE: kind for kind in handlers}
        self._versions: dict[str, set[str]] = {}
        for stem, version in map(version_of, self._types):
            self._versions.setdefault(stem, set()).add(version)

    async def apply(self, messages: Sequence[Message]) -> None:
        """Applies a batch of one partition; raises Transient when it must come again."""
        try:
            if items := self.open(messages):
                await self._apply(items)
        except ROAD as error:
            raise Transient(cause_of(error)) from error
        except Exception as error:  # the edge: one partition stands still and says why, the others go on
            log.exception("a batch can neither be applied nor be kept as dead letters", extra={"service": self.service})
            raise Transient(reason_of(error)) from error

    def open(self, messages: Sequence[Message]) -> list[Item]:
        """What the messages say, in their order; leaves out what nobody here handles."""
        opened = (self._open(message) for message in messages)
        return [item for item in opened if item is not None]

    def _open(self, message: Message) -> Item | None:
        subject, event_id = dead_letters.subject_of_key(message.key), None
        try:
            envelope = unseal(message.value, message.headers)
            subject, event_id = envelope.subject, envelope.id
            return self._opened(message, envelope)
        except Unreadable as error:
            return Unread(message, subject, str(error), event_id)
        except Exception as error:  # the edge: whatever it is, it is not read, and a person must see it
            return Unread(message, subject, f"cannot be read: {reason_of(error)}", event_id)

    def _opened(self, message: Message, envelope: Envelope) -> Item | None:
        """Raises Unreadable."""
        kind = self._types.get(envelope.type)
        if kind is None and self._leaves_out(envelope):
            telemetry.EVENTS.labels(self.service, envelope.type, "skipped").inc()
            return None
        if kind is None:
            raise Unreadable(f"{envelope.type} is a version that is not read here")
        return Received(
            data=read(kind, envelope.data),
            id=envelope.factid or envelope.id,
            subject=envelope.subject,
            sequence=int(envelope.sequence),
            time=envelope.time,
            request_id=envelope.requestid or None,
            traceparent=envelope.traceparent or None,
            message=message,
        )

    def _leaves_out(self, envelope: Envelope) -> bool:
        """Whether nobody here asks for a fact, or takes it in another version in which it is said too."""
        known = self._versions.get(version_of(envelope.type)[0])
        return known is None or not known.isdisjoint((envelope.versions or "").split())

    async def _together(self, items: Sequence[Item]) -> None:
        began = clock.elapsed()
        outcomes: dict[str, list[Item]] = {"applied": [], "repeated": [], "waiting": [], "dead": []}
        async with self.database.transaction(EVERYTHING, ask=dead_letters.ANY_OPEN) as tx:
            free = await self._free(tx, items, outcomes)
            fresh = await accept(tx, free) if free else []
            crash.at("consumer: after inbox")
            for wave in waves(fresh):
                await self.handle(tx, wave)
            await tx.flush()
            crash.at("consumer: before commit")
        crash.at("consumer: after commit")
        outcomes["applied"].extend(fresh)
        if len(fresh) < len(free):
            chosen = {event.id for event in fresh}
            outcomes["repeated"].extend(event for event in free if event.id not in chosen)
        self._tell(items, outcomes, clock.elapsed() - began)

    async def handle(self, tx: Tx, wave: Wave) -> None:
        """Lets the handler of a wave act, on behalf of the request that it came from."""
        with telemetry.belonging_to(*wave.common()), telemetry.doing(wave[0].data.TYPE):
            await self._handlers[type(wave[0].data)](tx, wave)
            crash.at("consumer: inside handler")

    async def _free(self, tx: Tx, items: Sequence[Item], outcomes: Mapping[str, list[Item]]) -> Sequence[Received[Any]]:
        """The events that nothing stands before. What cannot be read becomes a dead letter, and from there on its subject
        waits; so does what comes behind an older letter."""
        blocked = await dead_letters.blocked(tx, {(item.message.topic, item.subject) for item in items})
        unread = [item.message for item in items if isinstance(item, Unread)]
        settled = await dead_letters.settled(tx, unread) if unread else set()
        free: list[Received[Any]] = []
        for item in items:
            place = item.message.topic, item.subject
            if isinstance(item, Unread) and dead_letters.digest(item.message) in settled:
                outcomes["repeated"].append(item)
            elif place in blocked:
                _bury(tx, item, "waits behind a dead letter of the same subject", state="waiting")
                outcomes["waiting"].append(item)
            elif isinstance(item, Unread):
                _bury(tx, item, item.reason)
                blocked.add(place)
                outcomes["dead"].append(item)
            else:
                free.append(item)
        return free

    async def _apply(self, items: Sequence[Item]) -> None:
        """All in one transaction. When that fails, each half in its own, the earlier one first: so the culprit is found in
        a few steps, the others go on, and the order of no subject is touched."""
        try:
            await self._together(items)
        except Exception as error:  # the edge: a refusal is kept with its reason, for a person
            halved = len(items) > 1
            if isinstance(error, ROAD) and not (halved and isinstance(error, TOO_SLOW)):
                raise
            if not halved:
                await self._refuse(items[0], error)
                return
            middle = len(items) // 2
            log.info(
                "batch is tried in halves",
                extra={"service": self.service, "events": len(items), "reason": cause_of(error)},
            )
            await self._apply(items[:middle])
            await self._apply(items[middle:])

    async def _refuse(self, item: Item, error: Exception) -> None:
        async with self.database.transaction(EVERYTHING) as tx:
            _bury(tx, item, reason_of(error))
        self._tell_refusal(item, reason_of(error), error)

    def _tell(self, items: Sequence[Item], outcomes: Mapping[str, Sequence[Item]], seconds: float) -> None:
        """One line a batch, one a refusal; and what is counted."""
        now = clock.now()
        for outcome, those in outcomes.items():
            for item in those:
                telemetry.EVENTS.labels(self.service, _type(item), outcome).inc()
                if isinstance(item, Received) and outcome == "applied":
                    age_seconds = (now - item.time).total_seconds()
                    telemetry.EFFECT_SECONDS.labels(self.service).observe(max(0.0, age_seconds))
        first = items[:LOGGED]
        log.info(
            "batch applied",
            extra={
                "service": self.service,
                "topic": items[0].message.topic,
                **{outcome: len(those) for outcome, those in outcomes.items()},
                "seconds": round(seconds, 4),
                "event_ids": [item.id for item in first],
                "subjects": [item.subject for item in first],
                "request_ids": [item.request_id for item in first if isinstance(item, Received)],
            },
        )
        for item in outcomes["dead"]:
            if isinstance(item, Unread):
                self._tell_refusal(item, item.reason)

    def _tell_refusal(self, item: Item, reason: str, error: Exception | None = None) -> None:
        if isinstance(item, Received):
            telemetry.EVENTS.labels(self.service, _type(item), "dead").inc()
        with telemetry.belonging_to(
            *((item.request_id, item.traceparent) if isinstance(item, Received) else (None, None))
        ):
            log.warning(
                "dead letter",
                extra={"service": self.service, "event_id": item.id, "subject": item.subject, "reason": reason},
                exc_info=None if error is None or isinstance(error, ServiceError) else error,
            )


def _bury(tx: Tx, item: Item, reason: str, state: str = "dead") -> None:
    dead_letters.bury(tx, item.message, item.subject, reason, event_id=item.id, state=state)


def _type(item: Item) -> str:
    return item.data.TYPE if isinstance(item, Received) else "unreadable"


def reason_of(error: Exception) -> str:
    """Why an event was refused, in one line."""
    if isinstance(error, ServiceError):
        return f"{error.code}: {error.detail}"
    return f"{type(error).__name__}: {error}"
