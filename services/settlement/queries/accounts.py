"""Reads receiving accounts: of a supplier and region for handlers, of sheets for payment runs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from services.settlement.errors import AccountNotFound
from services.settlement.queries.scope import seen_by
from services.settlement.rules.accounts import CONFIRMED, NAMED, Account
from services.settlement.tables import accounts, organisations, sheets
from shared.db import Tx
from shared.values import names_of

COLUMNS = tuple(name for name in names_of(Account) if name in accounts.c)
_NAMES = (
    sa.select(organisations.c.names)
    .where(organisations.c.code == accounts.c.supplier_code)
    .scalar_subquery()
    .label("supplier_names")
)
_ALL = sa.select(*(accounts.c[name] for name in COLUMNS), _NAMES)

_IS_OPEN = sa.or_(accounts.c.state == NAMED, accounts.c.state == CONFIRMED)
OF_SHEET = sa.and_(
    accounts.c.supplier_code == sheets.c.distributor_code, sheets.c.region.op("^@")(accounts.c.region_prefix)
)
"""The accounts that a sheet may be paid to, of which the one for the nearest region is."""
NEAREST = sa.func.length(accounts.c.region_prefix).desc()
RECEIVING = (
    sa.select(accounts.c.state)
    .where(OF_SHEET, _IS_OPEN)
    .order_by(accounts.c.state != CONFIRMED, NEAREST)
    .limit(1)
    .scalar_subquery()
    .label("receiving")
)
"""Whether a sheet's supplier has a confirmed account, or has at least named one."""
IS_CONFIRMED = sa.exists().where(OF_SHEET, accounts.c.state == CONFIRMED)
_OF_SHEETS = (
    sa.select(sheets.c.id.label("sheet_id"), *(accounts.c[name] for name in COLUMNS))
    .join_from(sheets, accounts, OF_SHEET)
    .where(sheets.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), accounts.c.state == CONFIRMED)
    .ext(distinct_on(sheets.c.id))
    .order_by(sheets.c.id, NEAREST)
)
_OF_KEY = (
    _ALL.where(
        accounts.c.supplier_code == sa.bindparam("supplier"),
        accounts.c.region == sa.bindparam("region"),
        _IS_OPEN,
    )
    .order_by(accounts.c.id)
    .with_for_update()
)
_ASKED = accounts.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))


def _within(tx: Tx) -> Any:
    return seen_by(tx.scope, (accounts.c.supplier_code,), accounts.c.region)


async def open_accounts(tx: Tx, supplier: str, region: str) -> dict[str, Account]:
    """What is named and what is confirmed of a supplier in a region, by state, locked."""
    return {one.state: one for one in await tx.all(Account, _OF_KEY, supplier=supplier, region=region)}


async def accounts_to_decide(tx: Tx, ids: Sequence[UUID]) -> list[Account]:
    """These accounts, with the confirmed ones of their suppliers and regions, as far as the caller sees them, locked."""
    key = sa.tuple_(accounts.c.supplier_code, accounts.c.region)
    asked = accounts.alias("asked")
    same_key = key.in_(
        sa.select(asked.c.supplier_code, asked.c.region).where(
            asked.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))
        )
    )
    wanted = _ALL.where(sa.or_(_ASKED, sa.and_(same_key, accounts.c.state == CONFIRMED)), _within(tx))
    return await tx.all(Account, wanted.order_by(accounts.c.id).with_for_update(), ids=sorted(set(ids)))


async def accounts_of_sheets(tx: Tx, sheet_ids: Sequence[UUID]) -> dict[UUID, Account]:
    """The confirmed account of each sheet that has one; load the sheets first."""
    found: dict[UUID, Account] = {}
    for row in await tx.rows(_OF_SHEETS, ids=list(sheet_ids)):
        values = dict(row)
        sheet_id = values.pop("sheet_id")
        found[sheet_id] = Account(**values)
    return found


async def get_account(tx: Tx, account_id: UUID) -> Account:
    """Raises AccountNotFound."""
    found = await tx.one(Account, _ALL.where(accounts.c.id == account_id, _within(tx)))
    if found is None:
        raise AccountNotFound("There is no account {account_id} that you may see.", account_id=account_id)
    return found


async def accounts_page(
    tx: Tx, *, supplier: str | None, region: str | None, state: str | None, after: UUID | None, rows: int
) -> list[Account]:
    """Up to `rows` accounts after a key, in the order of naming."""
    wanted = _ALL.where(_within(tx)).order_by(accounts.c.id).limit(rows)
    equal = ((accounts.c.supplier_code, supplier), (accounts.c.region, region), (accounts.c.state, state))
    for column, value in equal:
        if value is not None:
            wanted = wanted.where(column == value)
    if after is not None:
        wanted = wanted.where(accounts.c.id > after)
    return await tx.all(Account, wanted)
