"""What could not be applied, kept with its reason and its original bytes until a person replays or drops it.

Later events of the same subject wait behind a dead one, those of other subjects go on. Nothing is marked in the inbox
before it was applied or dropped, so a replay goes the same way as the first try.
"""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.bus import Message
from shared.db import PLATFORM, Tx, lock_number, private
from shared.envelope import ATTRIBUTE_CHARACTERS
from shared.errors import Conflict, NotFound
from shared.values import frozen

REASON_CHARACTERS = 4_000

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
    info=private(()),
)
sa.Index(
    "ix_dead_letters_open",
    dead_letters.c.topic,
    dead_letters.c.subject,
    postgresql_where=dead_letters.c.state.in_(["dead", "waiting"]),
)

ANY_OPEN = "SELECT FROM dead_letters WHERE state IN ('dead', 'waiting') LIMIT 1"
"""Asked with the first words of a transaction: mostly nothing stands before anything."""
_BLOCKED = (
    "SELECT DISTINCT topic, subject FROM dead_letters WHERE state IN ('dead', 'waiting')"
    " AND (topic, subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
)
_FIRST = (
    sa.select(dead_letters)
    .where(
        dead_letters.c.topic == sa.bindparam("topic"),
        dead_letters.c.subject == sa.bindparam("subject"),
        sa.text("state IN ('dead', 'waiting')"),
    )
    .order_by(dead_letters.c.id)
    .limit(1)
)
_SETTLE = "UPDATE dead_letters SET state = $2, note = $3, settled_at = now() WHERE id = $1"
_STAYS = "UPDATE dead_letters SET state = 'dead', reason = $2 WHERE id = $1"

_SETTLED = "SELECT digest FROM dead_letters WHERE digest = ANY($1::bytea[]) AND state IN ('replayed', 'dropped')"
_COUNT = "SELECT state, count(*) FROM dead_letters WHERE state IN ('dead', 'waiting') GROUP BY state"
_CLEAN = str.maketrans({"\x00": "\N{REPLACEMENT CHARACTER}"})

REPLAY, DROP = "replay_dead_letter", "drop_dead_letter"
"""The kinds of jobs that settle letters."""

_SHARED = "SELECT pg_advisory_xact_lock_shared($1)"
_ALONE = "SELECT pg_advisory_xact_lock($1)"
_LOCK = lock_number("dead_letters")

_GET = sa.select(dead_letters).where(dead_letters.c.id == sa.bindparam("id"))


class LetterState(StrEnum):
    """Where a letter stands."""

    DEAD = "dead"
    WAITING = "waiting"
    REPLAYED = "replayed"
    DROPPED = "dropped"


def _are(state: LetterState | None) -> tuple[sa.ColumnElement[bool], ...]:
    """Which letters are meant: of a state, else the open ones; of a topic, where one is given."""
    of_state = f"state = '{state}'" if state else "state IN ('dead', 'waiting')"  # as the index says it
    topic = sa.bindparam("topic", type_=sa.Text)
    return sa.text(of_state), sa.or_(topic.is_(None), dead_letters.c.topic == topic)  # type: ignore[return-value]


LISTED = {
    state: sa.select(dead_letters)
    .where(*_are(state), dead_letters.c.id > sa.bindparam("after"))
    .order_by(dead_letters.c.id)
    .limit(sa.bindparam("rows"))
    for state in (None, *LetterState)
}
"""The letters of a state, or the open ones, the oldest first: of a `topic` or None, `after` a number, `rows` at most."""
COUNTED = {
    state: sa.select(sa.func.count()).select_from(dead_letters).where(*_are(state)) for state in (None, *LetterState)
}
"""How many there are of them."""
STANDING = (
    sa.select(sa.func.min(dead_letters.c.id).label("id"))
    .where(*_are(None))
    .group_by(dead_letters.c.topic, dead_letters.c.subject)
    .order_by("id")
)
"""The number of the first open letter of each subject."""


class DeadLetterNotFound(NotFound):
    title = "No such dead letter"


class DeadLetterSettled(Conflict):
    title = "The dead letter is settled already"


@frozen
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


Subject = tuple[str, str]
"""What a dead letter stands before: a topic, and a subject on it."""


def bury(tx: Tx, message: Message, subject: str, reason: str, *, event_id: UUID | None, state: str = "dead") -> None:
    """Keeps a message with its reason; the same bytes are kept once, however often they come."""
    row: dict[str, Any] = {
        "topic": message.topic,
        "subject": subject,
        "digest": digest(message),
        "event_id": event_id,
        "reason": _storable(reason, REASON_CHARACTERS),
        "payload": message.value,
        "headers": {_storable(name): _storable(value.decode(errors="replace")) for name, value in message.headers},
        "state": state,
    }
    tx.add(dead_letters, row, skip_repeated=True)


def digest(message: Message) -> bytes:
    """What tells messages apart: their bytes and, in binary mode, their attributes."""
    known = hashlib.sha256(message.value)
    for name, value in sorted(message.headers):
        if name.startswith("ce_"):
            known.update(f"\x00{name}\x00".encode() + value)
    return known.digest()


async def settled(tx: Tx, messages: Sequence[Message]) -> set[bytes]:
    """The digests of those of the messages that a person has settled already."""
    return {row["digest"] for row in await tx.sql(_SETTLED, [digest(message) for message in messages])}


def subject_of_key(key: str) -> str:
    """What stands for the subject of a message that cannot be read: its key, as far as the table can hold it."""
    return _storable(key, ATTRIBUTE_CHARACTERS)


def _storable(text: str, characters: int = REASON_CHARACTERS) -> str:
    """PostgreSQL's text takes no NUL, and its indexes no long one."""
    return text[:characters].translate(_CLEAN)


async def blocked(tx: Tx, subjects: Collection[Subject]) -> set[Subject]:
    """Those of the subjects that a dead letter stands before; while there are any, nobody settles letters beside us.

    A transaction that asked ANY_OPEN and found none knows the answer.
    """
    if tx.asked == 0 or not await _blocked(tx, subjects):
        return set()
    await tx.sql(_SHARED, _LOCK)
    return await _blocked(tx, subjects)


async def _blocked(tx: Tx, subjects: Collection[Subject]) -> set[Subject]:
    topics, names = [topic for topic, _ in subjects], [name for _, name in subjects]
    return {(row["topic"], row["subject"]) for row in await tx.sql(_BLOCKED, topics, names)}


async def alone(tx: Tx) -> None:
    """From here to the end of the transaction nobody else settles letters, or decides what waits behind one."""
    await tx.sql(_ALONE, _LOCK)


async def get(tx: Tx, letter_id: int) -> DeadLetter:
    """The letter of this number; raises DeadLetterNotFound."""
    letter = await tx.one(DeadLetter, _GET, id=letter_id)
    if letter is None:
        raise DeadLetterNotFound("There is no dead letter {letter_id}.", letter_id=letter_id)
    return letter


async def get_open(tx: Tx, letter_id: int) -> DeadLetter:
    """A letter that nobody has settled; raises DeadLetterNotFound, DeadLetterSettled."""
    letter = await get(tx, letter_id)
    if letter.settled_at is not None:
        raise settled_already(letter)
    return letter


def settled_already(letter: DeadLetter) -> DeadLetterSettled:
    """The refusal to settle a letter again; says how it was settled."""
    return DeadLetterSettled(
        "Dead letter {letter_id} is settled already: {note}.", letter_id=letter.id, note=letter.note
    )


async def first_of(tx: Tx, topic: str, subject: str) -> DeadLetter | None:
    """The oldest open letter of a subject."""
    return await tx.one(DeadLetter, _FIRST, topic=topic, subject=subject)


async def settle(tx: Tx, letter: DeadLetter, state: str, note: str) -> None:
    """Closes a letter: `replayed`, or `dropped` with the reason why."""
    await tx.sql(_SETTLE, letter.id, state, note)


async def stays(tx: Tx, letter: DeadLetter, reason: str) -> None:
    """The letter could not be applied this time either."""
    await tx.sql(_STAYS, letter.id, _storable(reason))


async def count(tx: Tx) -> dict[str, int]:
    """How many letters are dead, and how many wait behind them."""
    return {"dead": 0, "waiting": 0} | {row["state"]: row["count"] for row in await tx.sql(_COUNT)}
