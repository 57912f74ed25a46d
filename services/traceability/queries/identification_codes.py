"""Reads what identification codes mean, and which are awaited: scanned by somebody, uploaded by nobody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from services.traceability.queries.scope import scope_of, seen
from services.traceability.rules.identification_codes import Meaning
from services.traceability.tables import identification_codes, units
from shared.db import Tx

_MEANINGS = sa.select(*(identification_codes.c[name] for name in Meaning.__annotations__))
_BY_IDENTS = _MEANINGS.where(identification_codes.c.ident == sa.any_(sa.bindparam("idents", type_=sa.ARRAY(sa.Text))))


@dataclass(frozen=True, slots=True)
class Uploaded(Meaning):
    """An identification code with who uploaded it, and when."""

    uploaded_by: str
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class Awaited:
    """An identification code in the queue of unknown ones, with how many codes wait for it."""

    ident: str
    codes: int
    institutions: int


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
    ident = units.c.awaiting_ident.label("ident")
    wanted = (
        sa.select(
            ident,
            sa.func.count().label("codes"),
            sa.func.count(sa.distinct(units.c.institution_code)).label("institutions"),
        )
        .where(seen(units), units.c.awaiting_ident.is_not(None))
        .group_by(ident)
        .order_by(ident)
        .limit(rows)
    )
    if after is not None:
        wanted = wanted.where(units.c.awaiting_ident > after)
    return await tx.all(Awaited, wanted, **scope_of(tx))
