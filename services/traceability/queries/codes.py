"""Tells the whole life of a code, as far as the caller may see it: its own rows, and those of the cases it lies in.

The distributor of a line learns that the code came for it, and why scans for it were refused; what becomes of the goods in
the hospital, whether they are sold, is not its to know.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from services.traceability.queries.scope import scope_of, seen
from services.traceability.rules.receipts import Receipt
from services.traceability.tables import documents, movements, receipts, refusals, units
from shared.db import Tx
from shared.values import frozen


@frozen
class Receiving:
    """Where a code is: by which document it came, for which line, and what became of it."""

    code: str
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
    came_in: str | None
    state: str
    sold_quantity: int


@frozen
class Content:
    """What came of a case by one document: so many of the codes in it are in stock, sold, written off."""

    institution_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    captured_at: datetime
    receipt_id: UUID | None
    shipment_line_id: UUID | None
    codes: int
    packs: int
    held: int
    sold: int
    written_off: int


@frozen
class Movement:
    """One move of a code, or of a case it lies in, after it was received, or before."""

    code: str
    organisation_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    move: str
    quantity: int | None
    captured_at: datetime
    received_document_id: UUID | None


@frozen
class Refusal:
    """A scan of the code that did not land, and why."""

    organisation_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    captured_at: datetime
    shipment_line_id: UUID | None
    reason: str
    rule: str


_CODES = sa.bindparam("codes", type_=sa.ARRAY(sa.Text))
_BILL = tuple(documents.c[name] for name in ("bill_number", "bill_type", "captured_at"))
_LINE = (documents.c.receipt_id, documents.c.shipment_line_id)
# The distributor of a line reads units of it, to learn for which line they came; where they are now is not its to know. The
# second wall is said here, as row-level security lets it through.
_WHERE_IT_IS = sa.or_(
    sa.func.current_setting("app.reach") != "own",
    units.c.institution_code == sa.func.current_setting("app.org"),
)
_RECEIVINGS = (
    sa.select(
        *(units.c[name] for name in ("code", "institution_code", "document_id", "packs", "awaiting_ident", "came_in")),
        units.c.state,
        units.c.sold_quantity,
        *_BILL,
        *_LINE,
        *(receipts.c[name] for name in ("product_code", "lot_number")),
    )
    .join_from(units, documents, documents.c.id == units.c.document_id)
    .outerjoin(receipts, receipts.c.id == documents.c.receipt_id)
    .where(units.c.code == sa.any_(_CODES), seen(units), _WHERE_IT_IS)
)
_CONTENTS = (
    sa.select(
        units.c.institution_code,
        units.c.document_id,
        *_BILL,
        *_LINE,
        sa.func.count().label("codes"),
        sa.func.sum(units.c.packs).label("packs"),
        *(
            sa.func.count().filter(units.c.state == sa.literal_column(f"'{letter}'")).label(name)
            for name, letter in (("held", "I"), ("sold", "O"), ("written_off", "C"))
        ),
    )
    .join_from(units, documents, documents.c.id == units.c.document_id)
    .where(units.c.code == sa.any_(_CODES), seen(units), _WHERE_IT_IS)
    .group_by(units.c.institution_code, units.c.document_id, *_BILL, *_LINE)
    .order_by(units.c.document_id)
)
_MOVEMENTS = (
    sa.select(
        *(movements.c[name] for name in ("code", "organisation_code", "document_id", "move", "quantity")),
        movements.c.received_document_id,
        *_BILL,
    )
    .join_from(movements, documents, documents.c.id == movements.c.document_id)
    .where(movements.c.code == sa.any_(_CODES), seen(movements))
    .order_by(documents.c.captured_at, documents.c.id)
)
_REFUSALS = (
    sa.select(
        *(refusals.c[name] for name in ("organisation_code", "document_id", "reason", "rule")),
        *_BILL,
        documents.c.shipment_line_id,
    )
    .join_from(refusals, documents, documents.c.id == refusals.c.document_id)
    .where(refusals.c.code == sa.bindparam("code"), seen(documents))
    .order_by(documents.c.captured_at, documents.c.id, refusals.c.reason)
)
_LINES = (
    sa.select(*(receipts.c[name] for name in Receipt.__annotations__))
    .where(
        receipts.c.id.in_(
            sa.select(documents.c.receipt_id)
            .join_from(units, documents, documents.c.id == units.c.document_id)
            .where(units.c.code == sa.any_(_CODES))
        ),
        seen(receipts),
    )
    .order_by(receipts.c.id)
)


async def lines_of_codes(tx: Tx, codes: Sequence[str]) -> list[Receipt]:
    """The lines for which these codes were received, where the caller is a party of the line, its distributor too."""
    return await tx.all(Receipt, _LINES, codes=list(codes), **scope_of(tx))


async def find_receiving(tx: Tx, codes: Sequence[str]) -> Receiving | None:
    """Where the first of the codes is that is anywhere the caller may see: the code, else the case it lies in."""
    found = {one.code: one for one in await tx.all(Receiving, _RECEIVINGS, codes=list(codes), **scope_of(tx))}
    return next((found[code] for code in codes if code in found), None)


async def contents_of(tx: Tx, inside: Sequence[str]) -> list[Content]:
    """What came of these codes, which lie in one case, by document."""
    return await tx.all(Content, _CONTENTS, codes=list(inside), **scope_of(tx)) if inside else []


async def movements_of(tx: Tx, codes: Sequence[str]) -> list[Movement]:
    """Every move of these codes that the caller may see, oldest first."""
    return await tx.all(Movement, _MOVEMENTS, codes=list(codes), **scope_of(tx))


async def refusals_of(tx: Tx, code: str) -> list[Refusal]:
    """Every scan of the code that was refused, of the caller's own or for a line of it, oldest first."""
    return await tx.all(Refusal, _REFUSALS, code=code, **scope_of(tx))
