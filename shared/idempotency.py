"""Once: the same key and body give the first answer again, and the record commits with the effect.

Same key with another body is refused (422), a key whose first request still runs too (409). Only successes are recorded:
a refusal changed nothing and may be corrected under the same key. Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from shared.db import PLATFORM, Tx, lock_number, private, quoted
from shared.errors import BadRequest, Conflict, Unprocessable
from shared.values import frozen

KEY_CHARACTERS = 255

idempotency_keys = sa.Table(
    "idempotency_keys",
    PLATFORM,
    sa.Column("organisation", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    info=private(("organisation",)),
)
sa.Index("ix_idempotency_keys_recorded_at", idempotency_keys.c.recorded_at)

_CLAIM = (
    "SELECT pg_try_advisory_xact_lock($1) AS mine, k.body_hash, k.status, k.headers, k.body FROM (SELECT 1) AS one"
    " LEFT JOIN idempotency_keys AS k ON k.organisation = $2 AND k.operation = $3 AND k.key = $4"
)


class KeyTooLong(BadRequest):
    title = "The Idempotency-Key is too long"


class KeyReused(Unprocessable):
    """Send a new request under a new key; to have the first answer again, send the first request as it was."""

    title = "The Idempotency-Key was used for another request"


class StillRunning(Conflict):
    """Wait as long as `Retry-After` says and send the same request again under the same Idempotency-Key."""

    title = "The first request with this Idempotency-Key still runs"


@frozen
class Key:
    """One use of an Idempotency-Key: per organisation and operation, with a hash over path and body."""

    organisation: str
    operation: str
    key: str
    body_hash: bytes

    @classmethod
    def of(cls, *, organisation: str, operation: str, key: str, path: str, body: bytes) -> "Key":
        """Raises KeyTooLong over KEY_CHARACTERS."""
        if len(key) > KEY_CHARACTERS:
            raise KeyTooLong(
                "The Idempotency-Key has {count} characters, at most {KEY_CHARACTERS} are read.",
                count=len(key),
                KEY_CHARACTERS=KEY_CHARACTERS,
            )
        digest = hashlib.sha256(path.encode() + b"\0" + body).digest()
        return cls(organisation, operation, key, digest)

    @property
    def lock(self) -> int:
        """The number of its advisory lock."""
        return lock_number(f"{self.organisation}\0{self.operation}\0{self.key}")


@frozen
class Answer:
    """What was answered the first time."""

    status: int
    headers: dict[str, str]
    body: bytes


def question_of(keys: Iterable[Key]) -> str:
    """Travels with the first words of a transaction: finds no row when each key is ours and was never used."""
    claims = (
        f"SELECT FROM jicai_claim({key.lock}, {', '.join(map(quoted, (key.organisation, key.operation, key.key)))})"
        for key in keys
    )
    return " UNION ALL ".join(claims)


async def claim(tx: Tx, key: Key) -> Answer | None:
    """The first answer if there was one; None: go on, the key is ours. Raises KeyReused, StillRunning.

    In a transaction that was opened with the key's question, the common case costs nothing more.
    """
    if tx.asked == 0:
        return None
    (row,) = await tx.sql(_CLAIM, key.lock, key.organisation, key.operation, key.key)
    if row["status"] is not None:
        if bytes(row["body_hash"]) != key.body_hash:
            raise KeyReused(
                "This Idempotency-Key came before with another body or path; use a new key for a new request."
            )
        return Answer(row["status"], row["headers"], bytes(row["body"]))
    if not row["mine"]:
        raise StillRunning("Ask again in a moment.", headers={"Retry-After": "1"})
    return None


def keep(tx: Tx, key: Key, answer: Answer) -> None:
    """Records the answer, in the transaction of its effect."""
    row: dict[str, Any] = {
        "organisation": key.organisation,
        "operation": key.operation,
        "key": key.key,
        "body_hash": key.body_hash,
        "status": answer.status,
        "headers": answer.headers,
        "body": answer.body,
    }
    tx.add(idempotency_keys, row)


async def prune(connection: "asyncpg.pool.PoolConnectionProxy[Any]", keep_days: float) -> None:
    """Forgets answers that are older than `keep_days`."""
    await connection.execute(
        "DELETE FROM idempotency_keys WHERE recorded_at < clock_timestamp() - $1::interval", timedelta(days=keep_days)
    )
