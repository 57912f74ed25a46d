"""Reads anomalies: one to decide on, those of a code or a recall, pages for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.traceability.errors import AnomalyNotFound
from services.traceability.queries.scope import scope_of, seen
from services.traceability.rules.anomalies import UNKNOWN, Anomaly, Suppliers
from services.traceability.tables import anomalies, products, receipts
from shared.db import Tx

_ALL = sa.select(*(anomalies.c[name] for name in Anomaly.__annotations__)).where(seen(anomalies))
_BY_ID = _ALL.where(anomalies.c.id == sa.bindparam("id"))
_LOCK = _BY_ID.with_for_update()
_OF_CODES = _ALL.where(anomalies.c.code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text)))).order_by(
    anomalies.c.id
)
_SURPLUS = (
    _ALL.where(
        anomalies.c.kind == sa.literal_column("'surplus'"),
        anomalies.c.state != sa.literal_column("'closed'"),
        anomalies.c.receipt_id == sa.any_(sa.bindparam("receipts", type_=sa.ARRAY(sa.Uuid))),
    )
    .order_by(anomalies.c.id)
    .with_for_update()
)
_OF_RECALL = _ALL.where(anomalies.c.recall_id == sa.bindparam("recall_id")).order_by(anomalies.c.institution_code)
_OF_RECEIPT = _ALL.where(anomalies.c.receipt_id == sa.bindparam("receipt_id"), anomalies.c.state != "closed").order_by(
    anomalies.c.id
)
_OF_DOCUMENT = _ALL.where(
    sa.or_(
        *(column == sa.bindparam("document_id") for column in (anomalies.c.document_id, anomalies.c.last_document_id))
    ),
    anomalies.c.state != "closed",
).order_by(anomalies.c.id)
_UNKNOWN = (
    _ALL.where(
        anomalies.c.kind == UNKNOWN,
        anomalies.c.state != "closed",
        anomalies.c.ident == sa.any_(sa.bindparam("idents", type_=sa.ARRAY(sa.Text))),
    )
    .order_by(anomalies.c.id)
    .with_for_update()
)

_SUPPLIERS = (
    sa.select(receipts.c.id, receipts.c.distributor_code, products.c.manufacturer_code)
    .outerjoin_from(receipts, products, products.c.product_code == receipts.c.product_code)
    .where(receipts.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), seen(receipts))
)

_GIVEN = {
    "id": "uuid",
    "kind": "text",
    "severity": "text",
    "code": "text",
    "codes": "int",
    "ident": "text",
    "product_code": "text",
    "document_id": "uuid",
    "receipt_id": "uuid",
    "institution_code": "text",
    "region": "text",
    "detail": "text",
    "found_at": "timestamptz",
    "finds": "int",
    "last_document_id": "uuid",
    "bill_number": "text",
    "captured_by": "text",
}
# What the same document has brought to light already is not found once more.
_FIND_AGAIN = f"""
INSERT INTO anomalies ({", ".join(_GIVEN)}, state, version)
SELECT *, 'open', 1 FROM unnest({", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_GIVEN.values(), 1))})
    AS given ({", ".join(_GIVEN)}) ORDER BY institution_code, kind, code
ON CONFLICT (institution_code, kind, code) WHERE state <> 'closed' AND document_id IS NOT NULL DO UPDATE
SET finds = anomalies.finds + excluded.finds, last_document_id = excluded.last_document_id,
    bill_number = excluded.bill_number, captured_by = excluded.captured_by, version = anomalies.version + 1
WHERE anomalies.last_document_id <> excluded.last_document_id
RETURNING {", ".join(Anomaly.__annotations__)}
"""  # noqa: S608  names are declared


async def find_again(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> list[Anomaly]:
    """Keeps what was found, one row each institution, kind and code; returns what is new or found once more."""
    found = await tx.sql(_FIND_AGAIN, *([row[name] for row in rows] for name in _GIVEN)) if rows else []
    return [Anomaly(**row) for row in found]


async def suppliers_of(tx: Tx, lines: Iterable[UUID | None]) -> dict[UUID | None, Suppliers]:
    """By receipt: who delivered and made the goods."""
    ids = sorted({line for line in lines if line is not None})
    rows = await tx.rows(_SUPPLIERS, ids=ids, **scope_of(tx)) if ids else []
    return {row["id"]: Suppliers(row["distributor_code"], row["manufacturer_code"]) for row in rows}


async def get_anomaly(tx: Tx, anomaly_id: UUID, *, lock: bool = False) -> Anomaly:
    """Raises AnomalyNotFound."""
    found = await tx.one(Anomaly, _LOCK if lock else _BY_ID, id=anomaly_id, **scope_of(tx))
    if found is None:
        raise AnomalyNotFound("There is no anomaly {anomaly_id} that you may see.", anomaly_id=anomaly_id)
    return found


async def anomalies_of_codes(tx: Tx, codes: Sequence[str]) -> list[Anomaly]:
    """What was found about these codes, oldest first."""
    return await tx.all(Anomaly, _OF_CODES, codes=list(codes), **scope_of(tx))


async def surplus_of(tx: Tx, receipts: Sequence[UUID]) -> dict[UUID | None, Anomaly]:
    """By receipt: the anomaly that tells of more codes than goods, where one is not closed, locked."""
    found = await tx.all(Anomaly, _SURPLUS, receipts=sorted(receipts), **scope_of(tx))
    return {one.receipt_id: one for one in found}


async def anomalies_of_recall(tx: Tx, recall_id: UUID) -> list[Anomaly]:
    """The institutions that hold recalled goods, as far as the caller may see them."""
    return await tx.all(Anomaly, _OF_RECALL, recall_id=recall_id, **scope_of(tx))


async def anomalies_of_receipt(tx: Tx, receipt_id: UUID) -> list[Anomaly]:
    """What was found about the codes of a receipt and is not closed, as far as the caller may see it."""
    return await tx.all(Anomaly, _OF_RECEIPT, receipt_id=receipt_id, **scope_of(tx))


async def anomalies_of_document(tx: Tx, document_id: UUID) -> list[Anomaly]:
    """What a bill brought to light and is not closed, as far as the caller may see it."""
    return await tx.all(Anomaly, _OF_DOCUMENT, document_id=document_id, **scope_of(tx))


async def unknown_of(tx: Tx, idents: Sequence[str]) -> list[Anomaly]:
    """The anomalies that wait for the meaning of these identification codes, locked."""
    return await tx.all(Anomaly, _UNKNOWN, idents=sorted(idents), **scope_of(tx))


async def anomalies_page(
    tx: Tx,
    *,
    kind: str | None,
    state: str | None,
    severity: str | None,
    institution_code: str | None,
    after: UUID | None,
    rows: int,
) -> list[Anomaly]:
    """Up to `rows` anomalies after a key, in the order they were found."""
    wanted = _ALL.order_by(anomalies.c.id).limit(rows)
    given = {"kind": kind, "state": state, "severity": severity, "institution_code": institution_code}
    for column, value in given.items():
        if value is not None:
            wanted = wanted.where(anomalies.c[column] == value)
    if after is not None:
        wanted = wanted.where(anomalies.c.id > after)
    return await tx.all(Anomaly, wanted, **scope_of(tx))
