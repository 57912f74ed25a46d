"""Reads documents: by number for handlers, by id and paged for people."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.traceability.errors import DocumentNotFound
from services.traceability.queries.scope import scope_of, seen
from services.traceability.tables import documents
from shared.db import Tx
from shared.values import frozen


@frozen
class Document:
    """A captured bill with the answer it was given."""

    id: UUID
    organisation_code: str
    region: str
    bill_number: str
    bill_type: str
    receipt_id: UUID | None
    shipment_line_id: UUID | None
    place: str | None
    captured_at: datetime
    accepted: int
    packs: int
    placeholders: int
    digest: bytes
    answer: dict[str, Any]


_ALL = sa.select(*(documents.c[name] for name in Document.__annotations__)).where(seen(documents))
_BY_ID = _ALL.where(documents.c.id == sa.bindparam("id"))
_BY_NUMBERS = _ALL.where(
    documents.c.organisation_code == sa.any_(sa.bindparam("organisations", type_=sa.ARRAY(sa.Text))),
    documents.c.bill_number == sa.any_(sa.bindparam("numbers", type_=sa.ARRAY(sa.Text))),
)


async def documents_by_number(tx: Tx, bills: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Document]:
    """The known ones by organisation and bill number."""
    wanted = sorted(set(bills))
    if not wanted:
        return {}
    organisations, numbers = (sorted({bill[part] for bill in wanted}) for part in (0, 1))
    found = await tx.all(Document, _BY_NUMBERS, organisations=organisations, numbers=numbers, **scope_of(tx))
    return {(one.organisation_code, one.bill_number): one for one in found}


async def get_document(tx: Tx, document_id: UUID) -> Document:
    """Raises DocumentNotFound."""
    found = await tx.one(Document, _BY_ID, id=document_id, **scope_of(tx))
    if found is None:
        raise DocumentNotFound("There is no document {document_id} that you may see.", document_id=document_id)
    return found


async def documents_page(
    tx: Tx, *, bill_number: str | None, bill_type: str | None, receipt_id: UUID | None, after: UUID | None, rows: int
) -> list[Document]:
    """Up to `rows` documents after a key, in the order of capture."""
    wanted = _ALL.order_by(documents.c.id).limit(rows)
    for column, value in (("bill_number", bill_number), ("bill_type", bill_type), ("receipt_id", receipt_id)):
        if value is not None:
            wanted = wanted.where(documents.c[column] == value)
    if after is not None:
        wanted = wanted.where(documents.c.id > after)
    return await tx.all(Document, wanted, **scope_of(tx))
