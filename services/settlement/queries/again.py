"""Walks through accounts, payables, sheets and payments in the order of ids, so that they can be said again; what it hands out
is locked until the end of the transaction. What a payment has moved is read from the ledger alone."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa

from services.settlement.queries.ledger import Booked
from services.settlement.rules.accounts import Account
from services.settlement.rules.payables import Payable
from services.settlement.rules.payments import Payment
from services.settlement.rules.sheets import Sheet
from services.settlement.tables import accounts, payables, payments, sheets
from shared.db import Record, Tx
from shared.values import names_of

T = TypeVar("T", Account, Payable, Payment, Sheet)

_FIRST = UUID(int=0)
_OF_BOOKED = names_of(Booked)


def _walk(
    table: sa.Table, into: type[Account | Payable | Payment | Sheet], *said: sa.ColumnElement[bool]
) -> sa.Executable:
    columns = (table.c[field.name] for field in fields(into) if field.name in table.c)
    wanted = sa.select(*columns).where(table.c.id > sa.bindparam("after"), *said)
    return wanted.order_by(table.c.id).limit(sa.bindparam("rows")).with_for_update()


_ACCOUNTS = _walk(accounts, Account)
_PAYABLES = _walk(payables, Payable)
_SHEETS = _walk(sheets, Sheet)
_PAYMENTS = _walk(payments, Payment, payments.c.version > 0)
_DEEDS = (
    "SELECT about::uuid AS about, action, at, detail FROM history"
    " WHERE about = ANY($1::uuid[]::text[]) AND action = ANY($2::text[]) ORDER BY id"
)
# What was paid of a payable in all when a payment was answered: the sum over its ledger up to that step.
_BOOKED = """
SELECT payment_id, payable_id, shipment_line_id, order_id, order_line_id, amount_yuan, paid_yuan, step, kind FROM (
    SELECT t.payment_id, t.payable_id, p.shipment_line_id, p.order_id, p.order_line_id, t.amount_yuan, t.step, t.kind,
        sum(CASE t.kind WHEN 'paid' THEN t.amount_yuan WHEN 'bounced' THEN -t.amount_yuan ELSE 0 END)
            OVER (PARTITION BY t.payable_id ORDER BY t.step) AS paid_yuan
    FROM transfers t JOIN payables p ON p.id = t.payable_id
    WHERE t.payable_id IN (SELECT payable_id FROM transfers WHERE payment_id = ANY($1::uuid[]))
) AS steps
WHERE payment_id = ANY($1::uuid[]) AND kind IN ('paid', 'refused', 'bounced') ORDER BY payment_id, payable_id, step
"""


async def accounts_after(tx: Tx, after: str, rows: int) -> tuple[list[Account], str | None]:
    """The next accounts, and where to go on; None: these were the last."""
    return _page(await tx.all(Account, _ACCOUNTS, after=UUID(after) if after else _FIRST, rows=rows), rows)


async def payables_after(tx: Tx, after: str, rows: int) -> tuple[list[Payable], str | None]:
    """The next payables, and where to go on; None: these were the last."""
    return _page(await tx.all(Payable, _PAYABLES, after=UUID(after) if after else _FIRST, rows=rows), rows)


async def sheets_after(tx: Tx, after: str, rows: int) -> tuple[list[Sheet], str | None]:
    """The next sheets, and where to go on; None: these were the last."""
    return _page(await tx.all(Sheet, _SHEETS, after=UUID(after) if after else _FIRST, rows=rows), rows)


async def deeds_of(tx: Tx, ids: Sequence[UUID], actions: Sequence[str]) -> list[Record]:
    """What history tells of these sheets: `about`, `action`, `at` and `detail`, the oldest first."""
    return list(await tx.sql(_DEEDS, list(ids), list(actions)))


async def payments_after(tx: Tx, after: str, rows: int) -> tuple[list[Payment], str | None]:
    """The next payments that the bank was asked for, and where to go on; None: these were the last."""
    return _page(await tx.all(Payment, _PAYMENTS, after=UUID(after) if after else _FIRST, rows=rows), rows)


def _page(found: list[T], rows: int) -> tuple[list[T], str | None]:
    return found, str(found[-1].id) if len(found) == rows else None


async def booked_for(tx: Tx, ids: Sequence[UUID]) -> list[tuple[str, Booked]]:
    """What the answers to these payments have moved, each with the kind of its posting, in the order of payables."""
    found = await tx.sql(_BOOKED, list(ids))
    return [(row["kind"], Booked(**{name: row[name] for name in _OF_BOOKED})) for row in found]
