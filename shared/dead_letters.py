"""What could not be applied, kept with its reason and its original bytes until a person replays or drops it.

Later events of the same subject wait behind a dead one, those of other subjects go on. Nothing is marked in the inbox
before it was applied or dropped, so a replay goes the same way as the first try.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.bus import Message
from shared.db import PLATFORM, Tx

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
    free: list[E] = []
    for event in events:
        if (event.message.topic, event.subject) in blocked:
            bury(tx, event.message, "waits behind a dead letter of the same subject", event, state="waiting")
        else:
            free.append(event)
    return free
