"""Walks through receipts, recalls and anomalies in the order of ids, so that they can be said again; whatever it hands out is
locked until the end of the transaction."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from services.traceability.rules.anomalies import Anomaly
from services.traceability.rules.recalls import Recall
from services.traceability.rules.receipts import Receipt
from services.traceability.tables import anomalies, recalls, receipts
from shared.db import Tx

_FIRST = UUID(int=0)


def _walk(table: sa.Table, into: type[Receipt | Recall | Anomaly], *said: sa.ColumnElement[bool]) -> sa.Executable:
    wanted = sa.select(*(table.c[name] for name in into.__annotations__)).where(
        table.c.id > sa.bindparam("after"), *said
    )
    return wanted.order_by(table.c.id).limit(sa.bindparam("rows")).with_for_update()


_RECEIPTS = _walk(receipts, Receipt, receipts.c.version > 0)
_RECALLS = _walk(recalls, Recall)
# What institutions hold of recalled lots was found here and told nobody.
_ANOMALIES = _walk(anomalies, Anomaly, anomalies.c.recall_id.is_(None))
_LAST_DEEDS = (
    "SELECT about::uuid AS about, max(at) AS at FROM history WHERE about = ANY($1::uuid[]::text[])"
    " AND action NOT LIKE 'anomaly%' GROUP BY about"
)
_LAST_FINDS = (
    "SELECT about::uuid AS about, max(at) AS at FROM history WHERE about = ANY($1::uuid[]::text[])"
    " AND action IN ('found', 'found_again') GROUP BY about"
)
_LAST_LINES = (
    "SELECT found.id, bill.receipt_id FROM anomalies AS found JOIN documents AS bill ON bill.id = found.last_document_id"
    " WHERE found.id = ANY($1::uuid[])"
)


async def receipts_after(tx: Tx, after: str, rows: int) -> tuple[list[Receipt], str | None]:
    """The next receipts of which something was said, and where to go on; None: these were the last."""
    found = await tx.all(Receipt, _RECEIPTS, after=_key(after), rows=rows)
    return found, str(found[-1].id) if len(found) == rows else None


async def recalls_after(tx: Tx, after: str, rows: int) -> tuple[list[Recall], str | None]:
    """The next recalls, and where to go on."""
    found = await tx.all(Recall, _RECALLS, after=_key(after), rows=rows)
    return found, str(found[-1].id) if len(found) == rows else None


async def anomalies_after(tx: Tx, after: str, rows: int) -> tuple[list[Anomaly], str | None]:
    """The next anomalies that were told, and where to go on."""
    found = await tx.all(Anomaly, _ANOMALIES, after=_key(after), rows=rows)
    return found, str(found[-1].id) if len(found) == rows else None


async def last_deeds(tx: Tx, ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When something was last done about each of these receipts or anomalies."""
    return {row["about"]: row["at"] for row in await tx.sql(_LAST_DEEDS, sorted(ids))}


async def last_finds(tx: Tx, ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When each of these anomalies was found last."""
    return {row["about"]: row["at"] for row in await tx.sql(_LAST_FINDS, sorted(ids))}


async def last_lines(tx: Tx, ids: Collection[UUID]) -> dict[UUID, UUID | None]:
    """By anomaly: the line for which the bill was written that brought it to light last."""
    return {row["id"]: row["receipt_id"] for row in await tx.sql(_LAST_LINES, sorted(ids))}


def _key(after: str) -> UUID:
    return UUID(after) if after else _FIRST
