"""Reads receipts: locked by shipment line for handlers, paged for people."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from services.traceability.errors import ReceiptNotFound
from services.traceability.queries.scope import scope_of, seen
from services.traceability.rules.receipts import Receipt
from services.traceability.tables import receipts
from shared.db import Tx

_ALL = sa.select(*(receipts.c[name] for name in Receipt.__annotations__)).where(seen(receipts))
_KEYS = sa.bindparam("keys", type_=sa.ARRAY(sa.Uuid))
_LOCK_LINES = _ALL.where(receipts.c.shipment_line_id == sa.any_(_KEYS)).order_by(receipts.c.id).with_for_update()
_LOCK_IDS = _ALL.where(receipts.c.id == sa.any_(_KEYS)).order_by(receipts.c.id).with_for_update()
_BY_ID = _ALL.where(receipts.c.id == sa.bindparam("key"))
_BY_LINE = _ALL.where(receipts.c.shipment_line_id == sa.bindparam("key"))
_IN_DOCUMENTS = (
    "SELECT DISTINCT d.receipt_id FROM units u JOIN documents d ON d.id = u.document_id"
    " WHERE u.code = ANY($1::text[]) AND d.receipt_id IS NOT NULL"
)


async def receipts_by_line(tx: Tx, lines: Iterable[UUID]) -> dict[UUID, Receipt]:
    """The known ones by their shipment line, locked in one order for all."""
    keys = sorted(set(lines))
    found = await tx.all(Receipt, _LOCK_LINES, keys=keys, **scope_of(tx)) if keys else []
    return {receipt.shipment_line_id: receipt for receipt in found}


async def receipts_by_id(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, Receipt]:
    """The known ones by id, locked in one order for all."""
    keys = sorted(set(ids))
    found = await tx.all(Receipt, _LOCK_IDS, keys=keys, **scope_of(tx)) if keys else []
    return {receipt.id: receipt for receipt in found}


async def receipts_of_codes(tx: Tx, codes: Sequence[str]) -> dict[UUID, Receipt]:
    """The receipts by which these codes came in, locked before the codes themselves are."""
    found = await tx.sql(_IN_DOCUMENTS, codes)
    return await receipts_by_id(tx, [row["receipt_id"] for row in found])


async def find_receipt(tx: Tx, receipt_id: UUID) -> Receipt | None:
    """One receipt; None where there is none that the caller may see."""
    return await tx.one(Receipt, _BY_ID, key=receipt_id, **scope_of(tx))


def codes_by(tx: Tx, receipt: Receipt | None) -> datetime | None:
    """The instant from which the codes of what was accepted are late; None before anything was."""
    if receipt is None or receipt.accepted_at is None:
        return None
    return tx.policy.codes_by(receipt.region, receipt.accepted_at)


async def get_receipt(tx: Tx, receipt_id: UUID) -> Receipt:
    """Raises ReceiptNotFound."""
    found = await find_receipt(tx, receipt_id)
    if found is None:
        raise ReceiptNotFound("There is no receipt {receipt_id} that you may see.", receipt_id=receipt_id)
    return found


async def get_receipt_of_line(tx: Tx, shipment_line_id: UUID) -> Receipt:
    """Raises ReceiptNotFound."""
    found = await tx.one(Receipt, _BY_LINE, key=shipment_line_id, **scope_of(tx))
    if found is None:
        raise ReceiptNotFound(
            "There is no receipt for shipment line {shipment_line_id} that you may see, so far.",
            shipment_line_id=shipment_line_id,
        )
    return found


async def receipts_page(
    tx: Tx, *, state: str | None, product_code: str | None, institution_code: str | None, after: UUID | None, rows: int
) -> list[Receipt]:
    """Up to `rows` receipts after a key, in the order of their making."""
    wanted = _ALL.order_by(receipts.c.id).limit(rows)
    for column, value in (("state", state), ("product_code", product_code), ("institution_code", institution_code)):
        if value is not None:
            wanted = wanted.where(receipts.c[column] == value)
    if after is not None:
        wanted = wanted.where(receipts.c.id > after)
    return await tx.all(Receipt, wanted, **scope_of(tx))
