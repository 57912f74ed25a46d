"""What could not be applied, kept with its reason and its original bytes until a person replays or drops it.

Later events of the same subject wait behind a dead one, those of other subjects go on. Nothing is marked in the inbox
before it was applied or dropped, so a replay goes the same way as the first try.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.bus import Message
from shared.db import PLATFORM, Tx, lock_number

dead_letters = sa.Table(
    "dead_letters",
    PLATFORM,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("event_id", sa.Uuid),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("settled_at", sa.DateTime(timezone=True)),
    sa.Column("note", sa.Text),
    sa.UniqueConstraint("topic", "digest"),
    sa.CheckConstraint("state IN ('dead', 'waiting', 'replayed', 'dropped')", name="state"),
)
sa.Index(
    "ix_dead_letters_open",
    dead_letters.c.topic,
    dead_letters.c.subject,
    postgresql_where=dead_letters.c.state.in_(["dead", "waiting"]),
)

_BLOCKED = "SELECT DISTINCT topic, subject FROM dead_letters WHERE state IN ('dead', 'waiting')"
_FIRST = (
    "SELECT * FROM dead_letters WHERE topic = $1 AND subject = $2 AND state IN ('dead', 'waiting') ORDER BY id LIMIT 1"
)
_SETTLE = "UPDATE dead_letters SET state = $2, note = $3, settled_at = now() WHERE id = $1"
_STAYS = "UPDATE dead_letters SET state = 'dead', reason = $2 WHERE id = $1"

REPLAY, DROP = "replay_dead_letter", "drop_dead_letter"
"""The kinds of jobs that settle letters."""

_SHARED = "SELECT pg_advisory_xact_lock_shared($1)"
_ALONE = "SELECT pg_advisory_xact_lock($1)"
_LOCK = lock_number("dead_letters")

GET = sa.select(dead_letters).where(dead_letters.c.id == sa.bindparam("id"))
OPEN = (
    sa.select(dead_letters)
    .where(dead_letters.c.state.in_(["dead", "waiting"]), dead_letters.c.id > sa.bindparam("after"))
    .order_by(dead_letters.c.id)
    .limit(sa.bindparam("rows"))
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that waits for a person, or behind one that does."""

    id: int
    topic: str
    subject: str
    digest: bytes
    event_id: UUID | None
    reason: str
    payload: bytes
    headers: dict[str, str]
    state: str
    received_at: datetime
    settled_at: datetime | None
    note: str | None

    @property
    def message(self) -> Message:
        """The message as it came."""
        headers = tuple((name, value.encode()) for name, value in self.headers.items())
        return Message(self.topic, self.subject, self.payload, headers)


class _Event(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def subject(self) -> str: ...
    @property
    def message(self) -> Message: ...


E = TypeVar("E", bound=_Event)


def bury(tx: Tx, message: Message, reason: str, event: _Event | None = None, state: str = "dead") -> None:
    """Keeps a message with its reason; the same bytes are kept once, however often they come."""
    row: dict[str, Any] = {
        "topic": message.topic,
        "subject": event.subject if event else message.key,
        "digest": hashlib.sha256(message.value).digest(),
        "event_id": event.id if event else None,
        "reason": reason[:4_000],
        "payload": message.value,
        "headers": {name: value.decode(errors="replace") for name, value in message.headers},
        "state": state,
    }
    tx.add(dead_letters, row, skip_repeated=True)


async def hold_back(tx: Tx, events: Sequence[E]) -> list[E]:
    """Those of the events that nothing stands before; the others wait behind the dead letter of their subject."""
    blocked = {(row["topic"], row["subject"]) for row in await tx.sql(_BLOCKED)}
    if not blocked:
        return list(events)
    await tx.sql(_SHARED, _LOCK)  # nobody settles letters while we decide what waits behind them
    blocked = {(row["topic"], row["subject"]) for row in await tx.sql(_BLOCKED)}
    free: list[E] = []
    for event in events:
        if (event.message.topic, event.subject) in blocked:
            bury(tx, event.message, "waits behind a dead letter of the same subject", event, state="waiting")
        else:
            free.append(event)
    return free


async def first_of(tx: Tx, topic: str, subject: str) -> DeadLetter | None:
    """The oldest open letter of a subject, while nobody else settles letters."""
    await tx.sql(_ALONE, _LOCK)
    rows = await tx.sql(_FIRST, topic, subject)
    return DeadLetter(**rows[0]) if rows else None


async def settle(tx: Tx, letter: DeadLetter, state: str, note: str) -> None:
    """Closes a letter: `replayed`, or `dropped` with the reason why."""
    await tx.sql(_SETTLE, letter.id, state, note)


async def stays(tx: Tx, letter: DeadLetter, reason: str) -> None:
    """The letter could not be applied this time either."""
    await tx.sql(_STAYS, letter.id, reason[:4_000])
