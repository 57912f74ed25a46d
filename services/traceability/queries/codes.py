"""Tells the whole life of a code, as far as the caller may see it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from services.traceability.queries.scope import scope_of, seen
from services.traceability.tables import documents, movements, receipts, units
from shared.db import Tx


@dataclass(frozen=True, slots=True)
class Receiving:
    """Where a code is: by which document it came, for which line, and what became of it."""

    institution_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    captured_at: datetime
    receipt_id: UUID | None
    shipment_line_id: UUID | None
    product_code: str | None
    lot_number: str | None
    packs: int
    awaiting_ident: str | None
    state: str
    sold_quantity: int


@dataclass(frozen=True, slots=True)
class Movement:
    """One move of a code after it was received, or before."""

    organisation_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    move: str
    quantity: int | None
    captured_at: datetime
    received_document_id: UUID | None


_RECEIVING = (
    sa.select(
        *(units.c[name] for name in ("institution_code", "document_id", "packs", "awaiting_ident", "state")),
        units.c.sold_quantity,
        *(documents.c[name] for name in ("bill_number", "bill_type", "captured_at", "receipt_id", "shipment_line_id")),
        *(receipts.c[name] for name in ("product_code", "lot_number")),
    )
    .join_from(units, documents, documents.c.id == units.c.document_id)
    .outerjoin(receipts, receipts.c.id == documents.c.receipt_id)
    .where(units.c.code == sa.bindparam("code"), seen(units))
)
_MOVEMENTS = (
    sa.select(
        *(movements.c[name] for name in ("organisation_code", "document_id", "move", "quantity")),
        movements.c.received_document_id,
        *(documents.c[name] for name in ("bill_number", "bill_type", "captured_at")),
    )
    .join_from(movements, documents, documents.c.id == movements.c.document_id)
    .where(movements.c.code == sa.bindparam("code"), seen(movements))
    .order_by(documents.c.captured_at, documents.c.id)
)


async def find_receiving(tx: Tx, code: str) -> Receiving | None:
    """Where the code is, if the caller may see that."""
    return await tx.one(Receiving, _RECEIVING, code=code, **scope_of(tx))


async def movements_of(tx: Tx, code: str) -> list[Movement]:
    """Every move of the code that the caller may see, oldest first."""
    return await tx.all(Movement, _MOVEMENTS, code=code, **scope_of(tx))
