"""Tells the whole life of a code, as far as the caller may see it: its own rows, and those of the cases it lies in.

The distributor of a line learns where a code came for it, and why scans for it were refused; a maker, who must supply and
recall, where its codes arrived and went on from there. What a hospital uses, whether goods are sold, is neither's to know.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from services.traceability.queries.identification_codes import meanings
from services.traceability.queries.products import own_among
from services.traceability.queries.scope import scope_of, seen
from services.traceability.rules.identification_codes import ident_in
from services.traceability.rules.receipts import Receipt
from services.traceability.tables import documents, movements, organisations, receipts, refusals, units
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
class CodeArrival:
    """So many of some codes are at an institution, by one bill: what their maker and the line's distributor may know."""

    institution_code: str
    institution_name: str | None
    bill_number: str
    bill_type: str
    captured_at: datetime
    shipment_line_id: UUID | None
    product_code: str | None
    lot_number: str | None
    codes: int
    packs: int


@frozen
class OwnCodes:
    """The codes among some that are of products of the caller's, and these products."""

    codes: list[str]
    products: list[str]


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
    """One move of a code, or of a case it lies in, after it was received, or before; of which line it was, and by which bill
    it had come."""

    code: str
    organisation_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    move: str
    quantity: int | None
    captured_at: datetime
    received_document_id: UUID | None
    received_bill_number: str | None
    received_at: datetime | None
    shipment_line_id: UUID | None
    product_code: str | None
    lot_number: str | None


@frozen
class Refusal:
    """A scan of the code that did not land, and why."""

    organisation_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    captured_at: datetime
    shipment_line_id: UUID | None
    product_code: str | None
    lot_number: str | None
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
_CAME = documents.alias("came")
_OF_LINE = receipts.c.id == sa.func.coalesce(_CAME.c.receipt_id, documents.c.receipt_id)
_MOVED = sa.select(
    *(movements.c[name] for name in ("code", "organisation_code", "document_id", "move", "quantity")),
    movements.c.received_document_id,
    _CAME.c.bill_number.label("received_bill_number"),
    _CAME.c.captured_at.label("received_at"),
    *_BILL,
    *(receipts.c[name] for name in ("shipment_line_id", "product_code", "lot_number")),
)
_MOVING = movements.join(documents, documents.c.id == movements.c.document_id).outerjoin(
    _CAME, _CAME.c.id == movements.c.received_document_id
)
_MOVEMENTS = _MOVED.select_from(_MOVING.outerjoin(receipts, _OF_LINE)).where(
    movements.c.code == sa.any_(_CODES), seen(movements)
)
_OWN_CODES = sa.bindparam("own_codes", type_=sa.ARRAY(sa.Text))
_OWN_PRODUCTS = sa.bindparam("own_products", type_=sa.ARRAY(sa.Text))
_SCOPE_REACH, _SCOPE_ORGANISATION = (
    sa.bindparam(name, type_=sa.Text) for name in ("scope_reach", "scope_organisation")
)
# Both are asked over the wall, so the second wall is said here: what is own of codes was asked behind it.
_OF_OWN_LINE = sa.and_(
    sa.or_(_SCOPE_REACH == "all", documents.c.supplier_code == _SCOPE_ORGANISATION),
    documents.c.supplier_code == sa.func.current_setting("app.org"),
)
_OF_OWN_PRODUCT = sa.and_(
    units.c.code == sa.any_(_OWN_CODES),
    sa.or_(
        receipts.c.product_code.is_(None),
        receipts.c.product_code == sa.any_(_OWN_PRODUCTS),
    ),
)
_ARRIVED = (
    units.c.institution_code,
    organisations.c.name.label("institution_name"),
    *_BILL,
    documents.c.shipment_line_id,
    *(receipts.c[name] for name in ("product_code", "lot_number")),
)
_ARRIVALS = (
    sa.select(*_ARRIVED, sa.func.count().label("codes"), sa.func.sum(units.c.packs).label("packs"))
    .join_from(units, documents, documents.c.id == units.c.document_id)
    .outerjoin(receipts, receipts.c.id == documents.c.receipt_id)
    .outerjoin(organisations, organisations.c.code == units.c.institution_code)
    .where(units.c.code == sa.any_(_CODES), sa.or_(_OF_OWN_PRODUCT, _OF_OWN_LINE))
    .group_by(*_ARRIVED, documents.c.id)
    .order_by(documents.c.captured_at, documents.c.id)
)
_WAY = sa.literal(["ship", "send_back", "pass_on", "write_off"], sa.ARRAY(sa.Text))
"""The moves that say where a code went, and nothing of use."""
_WAY_OF_OWN = _MOVED.select_from(
    _MOVING.outerjoin(receipts, sa.and_(_OF_LINE, receipts.c.product_code == sa.any_(_OWN_PRODUCTS)))
).where(movements.c.code == sa.any_(_CODES), movements.c.code == sa.any_(_OWN_CODES), movements.c.move == sa.any_(_WAY))
_REFUSALS = (
    sa.select(
        *(refusals.c[name] for name in ("organisation_code", "document_id", "reason", "rule")),
        *_BILL,
        documents.c.shipment_line_id,
        *(receipts.c[name] for name in ("product_code", "lot_number")),
    )
    .join_from(refusals, documents, documents.c.id == refusals.c.document_id)
    .outerjoin(receipts, receipts.c.id == documents.c.receipt_id)
    .where(refusals.c.code == sa.bindparam("code"), seen(documents))
    .order_by(documents.c.captured_at, documents.c.id, refusals.c.reason)
)
_LINES = (
    sa.select(*(receipts.c[name] for name in Receipt.__annotations__))
    .where(
        receipts.c.id.in_(
            sa.union(
                sa.select(documents.c.receipt_id)
                .join_from(units, documents, documents.c.id == units.c.document_id)
                .where(units.c.code == sa.any_(_CODES)),
                sa.select(documents.c.receipt_id)
                .join_from(movements, documents, documents.c.id == movements.c.received_document_id)
                .where(movements.c.code == sa.any_(_CODES)),
            )
        ),
        seen(receipts),
    )
    .order_by(receipts.c.id)
)


async def lines_of_codes(tx: Tx, codes: Sequence[str]) -> list[Receipt]:
    """The lines for which these codes were received, also those that went on from there, where the caller is a party of the
    line, its distributor too."""
    return await tx.all(Receipt, _LINES, codes=list(codes), **scope_of(tx))


async def find_receiving(tx: Tx, codes: Sequence[str]) -> Receiving | None:
    """Where the first of the codes is that is anywhere the caller may see: the code, else the case it lies in."""
    found = {one.code: one for one in await tx.all(Receiving, _RECEIVINGS, codes=list(codes), **scope_of(tx))}
    return next((found[code] for code in codes if code in found), None)


async def contents_of(tx: Tx, inside: Sequence[str]) -> list[Content]:
    """What came of these codes, which lie in one case, by document."""
    return await tx.all(Content, _CONTENTS, codes=list(inside), **scope_of(tx)) if inside else []


async def own_codes(tx: Tx, codes: Sequence[str]) -> OwnCodes:
    """Which of these codes are of products of the caller's: a case may hold another maker's too."""
    idents = {code: ident_in(code) for code in codes}
    known = await meanings(tx, idents.values())
    own = await own_among(tx, (meaning.product_code for meaning in known.values()))
    return OwnCodes(
        [code for code, ident in idents.items() if ident in known and known[ident].product_code in own], sorted(own)
    )


async def arrivals_of(tx: Tx, codes: Sequence[str], own: OwnCodes) -> list[CodeArrival]:
    """Where these codes are, if the caller makes them or delivered them for a line of its; oldest first. It looks over the
    wall on purpose: the rows are hospitals', and only where, when, by which bill and of which lot may be told."""
    async with tx.over_the_wall():
        return await tx.all(
            CodeArrival,
            _ARRIVALS,
            codes=list(codes),
            own_codes=own.codes,
            own_products=own.products,
            scope_reach=tx.scope.reach,
            scope_organisation=tx.scope.organisation,
        )


async def movements_of(tx: Tx, codes: Sequence[str], own: OwnCodes) -> list[Movement]:
    """Every move of these codes that the caller may see, oldest first; of its own products the way that they went, over the
    wall on purpose, as above."""
    found = await tx.all(Movement, _MOVEMENTS, codes=list(codes), **scope_of(tx))
    if own.codes:
        async with tx.over_the_wall():
            found += await tx.all(
                Movement, _WAY_OF_OWN, codes=list(codes), own_codes=own.codes, own_products=own.products
            )
    once = {(move.code, move.document_id): move for move in found}
    return sorted(once.values(), key=lambda move: (move.captured_at, move.document_id))


async def refusals_of(tx: Tx, code: str) -> list[Refusal]:
    """Every scan of the code that was refused, of the caller's own or for a line of it, oldest first."""
    return await tx.all(Refusal, _REFUSALS, code=code, **scope_of(tx))
