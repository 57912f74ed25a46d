"""The heads of history kept outside the database: one JSON line a day and service, added and never changed.

Who owns a database can make history and all its heads anew; a copy that he cannot reach still says what they were.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import orjson

from shared.db import Database
from shared.values import frozen

log = logging.getLogger(__name__)

_MAKE = "SELECT day, rows, last_id, digest FROM jicai_head_history()"
_ALL = "SELECT day, rows, last_id, digest FROM history_heads ORDER BY day"


@frozen
class Head:
    """The head of a day, as `GET /audit/heads` shows it; `digest` in hexadecimal."""

    day: date
    rows: int
    last_id: int
    digest: str

    def __str__(self) -> str:
        return f"{self.rows} rows up to {self.last_id}, {self.digest}"


class HeadsUnreadable(ValueError):
    """A file that should hold heads holds something else; names the line."""


async def publish(connection: Any, service: str, file: Path | None) -> None:
    """Writes the heads of the days that are over: into the database, the log, and the file where there is one."""
    for row in await connection.fetch(_MAKE):
        log.info("head of history", extra={"service": service, **asdict(_head(row))})
    if file is None:
        return
    all_heads = [_head(row) for row in await connection.fetch(_ALL)]
    try:
        await asyncio.to_thread(_add_missing, file, service, all_heads)
    except (OSError, HeadsUnreadable) as error:
        log.error("heads of history are not kept outside", extra={"service": service, "reason": str(error)})  # noqa: TRY400


def _add_missing(file: Path, service: str, heads: Iterable[Head]) -> None:
    """Adds what is newer than the newest line."""
    newest = max((head.day for head in kept(file)), default=date.min) if file.exists() else date.min
    lines = [orjson.dumps({"service": service, **asdict(head)}) + b"\n" for head in heads if head.day > newest]
    if lines:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as kept_outside:
            kept_outside.write(b"".join(lines))


def kept(file: Path) -> Iterator[Head]:
    """The heads of a file, in its order; raises HeadsUnreadable."""
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            yield msgspec.json.decode(line, type=Head)
        except msgspec.DecodeError as error:
            raise HeadsUnreadable(f"line {number} of {file} is no head of history: {error}") from error


async def differs(database: Database, outside: Iterable[Head]) -> str | None:
    """The first day whose head is not the one that was kept outside, in words."""
    async with database.transaction() as tx:
        here = {row["day"]: _head(row) for row in await tx.sql(_ALL)}
    for head in sorted(outside, key=lambda one: one.day):
        found = here.get(head.day)
        if found != head:
            return f"the head of {head.day.isoformat()} was kept outside as {head}; here it is {found or 'gone'}"
    return None


def _head(row: Any) -> Head:
    return Head(row["day"], row["rows"], row["last_id"], bytes(row["digest"]).hex())
