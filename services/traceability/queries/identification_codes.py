"""Reads what identification codes mean, and which are awaited: scanned by somebody, uploaded by nobody."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from services.traceability.queries.scope import scope_of, seen
from services.traceability.rules.identification_codes import Meaning
from services.traceability.tables import documents, identification_codes, products, receipts, units
from shared.db import Tx
from shared.values import frozen

_MEANINGS = sa.select(*(identification_codes.c[name] for name in Meaning.__annotations__))
_BY_IDENTS = _MEANINGS.where(identification_codes.c.ident == sa.any_(sa.bindparam("idents", type_=sa.ARRAY(sa.Text))))


@frozen
class Uploaded(Meaning):
    """An identification code with who uploaded it, and when."""

    uploaded_by: str
    uploaded_at: datetime


@frozen
class Awaited:
    """An identification code in the queue of unknown ones, with how many codes wait for it."""

    ident: str
    codes: int
    institutions: int
    product_codes: list[str]


_LINES = units.join(documents, documents.c.id == units.c.document_id).outerjoin(
    receipts, receipts.c.id == documents.c.receipt_id
)
_AWAITED = (
    sa.select(
        units.c.awaiting_ident.label("ident"),
        sa.func.count().label("codes"),
        sa.func.count(sa.distinct(units.c.institution_code)).label("institutions"),
        sa.func.array_remove(sa.func.array_agg(sa.distinct(receipts.c.product_code)), None).label("product_codes"),
    )
    .where(units.c.awaiting_ident.is_not(None), units.c.awaiting_ident > sa.bindparam("after", type_=sa.Text))
    .group_by(units.c.awaiting_ident)
    .order_by(units.c.awaiting_ident)
    .limit(sa.bindparam("rows"))
)
_AWAITED_HERE = _AWAITED.select_from(_LINES).where(seen(units))
# Products are public, so that the second wall is said here, as in queries/products.py.
_OWN = [
    sa.or_(*(maker == organisation for maker in (products.c.manufacturer_code, products.c.agent_code)))
    for organisation in (sa.bindparam("organisation", type_=sa.Text), sa.func.current_setting("app.org"))
]
_AWAITED_OF_MAKER = _AWAITED.select_from(
    _LINES.join(products, products.c.product_code == receipts.c.product_code)
).where(*_OWN)


async def meanings(tx: Tx, idents: Iterable[str]) -> dict[str, Meaning]:
    """The known ones."""
    wanted = sorted(set(idents))
    found = await tx.all(Meaning, _BY_IDENTS, idents=wanted) if wanted else []
    return {meaning.ident: meaning for meaning in found}


async def identification_codes_page(
    tx: Tx, *, product_code: str | None, after: str | None, rows: int
) -> list[Uploaded]:
    """Up to `rows` of them after a key, in the order of the code."""
    wanted = sa.select(
        *(identification_codes.c[name] for name in (*Meaning.__annotations__, *Uploaded.__annotations__))
    )
    wanted = wanted.order_by(identification_codes.c.ident).limit(rows)
    if product_code is not None:
        wanted = wanted.where(identification_codes.c.product_code == product_code)
    if after is not None:
        wanted = wanted.where(identification_codes.c.ident > after)
    return await tx.all(Uploaded, wanted)


async def awaited_page(tx: Tx, *, after: str | None, rows: int) -> list[Awaited]:
    """Up to `rows` unknown identification codes among the codes that the caller may see."""
    return await tx.all(Awaited, _AWAITED_HERE, after=after or "", rows=rows, **scope_of(tx))


async def awaited_of_maker(tx: Tx, *, after: str | None, rows: int) -> list[Awaited]:
    """The same among the codes that were captured for lines of the caller's own products. It looks over the wall on purpose:
    the codes are hospitals', and only the identification code, the products and how many there are may be told."""
    async with tx.over_the_wall():
        return await tx.all(
            Awaited, _AWAITED_OF_MAKER, after=after or "", rows=rows, organisation=tx.scope.organisation
        )
