"""Books what happens to whole sheets, and derives every balance from the entries alone."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.settlement.queries.scope import parties
from services.settlement.rules.ledger import SIDES, Balance, Posting, Transfer
from services.settlement.rules.reconciliation import Totals
from services.settlement.tables import payables, transfers
from shared import clock, telemetry
from shared.db import Record, Tx
from shared.identity import Caller
from shared.values import frozen

_PAID_SIGN = {Posting.PAID: 1, Posting.BOUNCED: -1}

# Payables are locked in the order of their ids, as everywhere; one that stands on two of the sheets is booked twice. What is
# known of a payable travels with it in arrays: two lists that are joined anew have no index, and cost their product.
_BOOK_SHEETS = """
WITH sums AS (
    SELECT l.payable_id, sum(l.amount_yuan) AS yuan, count(*)::int AS places,
        array_agg(l.sheet_id ORDER BY l.sheet_id) AS sheet_ids,
        array_agg(g.payment_id ORDER BY l.sheet_id) AS payment_ids,
        array_agg(l.amount_yuan ORDER BY l.sheet_id) AS amounts
    FROM sheet_lines AS l
    JOIN unnest($1::uuid[], $2::uuid[]) AS g(sheet_id, payment_id) ON g.sheet_id = l.sheet_id
    WHERE l.disputed_at IS NULL GROUP BY l.payable_id
), locked AS (
    SELECT p.id, s.yuan, s.places, s.sheet_ids, s.payment_ids, s.amounts
    FROM payables AS p JOIN sums AS s ON s.payable_id = p.id ORDER BY p.id FOR UPDATE OF p
), moved AS (
    UPDATE payables AS p SET paid_yuan = p.paid_yuan + $3::int * k.yuan, entries = p.entries + k.places
    FROM locked AS k WHERE p.id = k.id
    RETURNING p.id, p.shipment_line_id, p.order_id, p.order_line_id, p.paid_yuan, p.entries - k.places AS base,
        p.institution_code, p.distributor_code, p.region, k.sheet_ids, k.payment_ids, k.amounts
), lines AS (
    SELECT m.*, l.sheet_id, l.payment_id, l.amount_yuan, l.place::int AS place
    FROM moved AS m, unnest(m.sheet_ids, m.payment_ids, m.amounts)
        WITH ORDINALITY AS l(sheet_id, payment_id, amount_yuan, place)
), booked AS (
    INSERT INTO transfers (payable_id, step, kind, debit_account, credit_account, amount_yuan, booked_at, sheet_id,
        payment_id, institution_code, distributor_code, region)
    SELECT id, base + place, $4, $5, $6, amount_yuan, $7, sheet_id, payment_id, institution_code, distributor_code, region
    FROM lines ORDER BY id, place
), noted AS (
    INSERT INTO history (about, action, detail, at, organisation, person, request_id, operation, institution_code,
        supplier_code, region)
    SELECT id::text, $4, jsonb_build_object('sheet_id', sheet_id, 'payment_id', payment_id,
        'amount_yuan', amount_yuan::text, 'changes', jsonb_build_object('account', ARRAY[$5::text, $6::text])),
        $7, $8, $9, $10, $11, institution_code, distributor_code, region
    FROM lines
)
SELECT payment_id, id AS payable_id, shipment_line_id, order_id, order_line_id, amount_yuan, paid_yuan, base + place AS step
FROM lines ORDER BY payment_id, id
"""


@frozen
class Booked:
    """A payable that a payment moved: by how much now, what is paid of it in all, and at which step of its ledger."""

    payment_id: UUID
    payable_id: UUID
    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID
    amount_yuan: Decimal
    paid_yuan: Decimal
    step: int


async def book_sheets(
    tx: Tx, who: Caller, posting: Posting, sheets_and_payments: Sequence[tuple[UUID, UUID]]
) -> list[Booked]:
    """Books a posting for every undisputed line of the sheets, in one statement: payables, ledger and history."""
    if not sheets_and_payments:
        return []
    debit, credit = SIDES[posting]
    sheet_ids, payment_ids = (list(column) for column in zip(*sheets_and_payments, strict=True))
    rows = await tx.sql(
        _BOOK_SHEETS,
        sheet_ids,
        payment_ids,
        _PAID_SIGN.get(posting, 0),
        posting.value,
        debit.value,
        credit.value,
        clock.now(),
        who.organisation,
        who.person,
        telemetry.request_id.get(),
        telemetry.operation.get(),
    )
    return [Booked(**row) for row in rows]


def _signed(tx: Tx, narrowed: Sequence[Any]) -> sa.CompoundSelect[Any]:
    """Every entry with its sign: debits count up, credits down."""
    within = (parties(tx.scope, transfers), *narrowed)
    debits = sa.select(transfers.c.debit_account.label("account"), transfers.c.amount_yuan.label("yuan"))
    credited = sa.select(transfers.c.credit_account, -transfers.c.amount_yuan)
    return sa.union_all(debits.where(*within), credited.where(*within))


async def balances(tx: Tx, *, institution: str | None, distributor: str | None) -> list[Balance]:
    """The balance of every account that has entries, within what the caller may see."""
    narrowed = []
    if institution is not None:
        narrowed.append(transfers.c.institution_code == institution)
    if distributor is not None:
        narrowed.append(transfers.c.distributor_code == distributor)
    entries = _signed(tx, narrowed).subquery()
    total = sa.func.sum(entries.c.yuan)
    wanted = (
        sa.select(
            entries.c.account,
            sa.func.coalesce(total.filter(entries.c.yuan > 0), 0).label("debits_yuan"),
            sa.func.coalesce(-total.filter(entries.c.yuan < 0), 0).label("credits_yuan"),
            total.label("balance_yuan"),
        )
        .group_by(entries.c.account)
        .order_by(entries.c.account)
    )
    return await tx.all(Balance, wanted)


async def transfers_page(
    tx: Tx, *, payable_id: UUID | None, sheet_id: UUID | None, kind: str | None, after: int | None, rows: int
) -> list[Transfer]:
    """Up to `rows` transactions after a key, in the order of booking."""
    wanted = sa.select(*(transfers.c[field.name] for field in fields(Transfer))).where(parties(tx.scope, transfers))
    for column, value in (
        (transfers.c.payable_id, payable_id),
        (transfers.c.sheet_id, sheet_id),
        (transfers.c.kind, kind),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if after is not None:
        wanted = wanted.where(transfers.c.id > after)
    return await tx.all(Transfer, wanted.order_by(transfers.c.id).limit(rows))


def _accepted_between(first: date, last: date) -> tuple[Any, ...]:
    start: datetime = clock.start_of_day(first)
    end: datetime = clock.start_of_day(last + timedelta(days=1))
    return payables.c.accepted_at >= start, payables.c.accepted_at < end


async def totals(tx: Tx, first: date, last: date) -> Totals:
    """Counts and sums over what was accepted from the first to the last day, both inclusive."""
    column = payables.c

    def counted(name: str, yuan: sa.ColumnElement[Decimal]) -> tuple[Any, Any]:
        return sa.func.count().filter(yuan > 0).label(name), sa.func.coalesce(sa.func.sum(yuan), 0).label(
            f"{name}_yuan"
        )

    recomputed = sa.func.round(column.quantity * column.unit_price_yuan, 2)
    wanted = sa.select(
        sa.func.count(column.shipment_line_id.distinct()).label("lines"),
        sa.func.coalesce(sa.func.sum(recomputed), 0).label("lines_yuan"),
        sa.func.count().label("payables"),
        sa.func.coalesce(sa.func.sum(column.amount_yuan), 0).label("payables_yuan"),
        *counted("released", column.released_yuan),
        *counted("sheeted", column.sheeted_yuan),
        *counted("held", column.held_yuan),
        *counted("paid", column.paid_yuan),
    ).where(parties(tx.scope, payables), *_accepted_between(first, last))
    (found,) = await tx.all(Totals, wanted)
    return found


async def booked_between(tx: Tx, first: date, last: date) -> dict[str, Decimal]:
    """The balance of every account over the entries of what was accepted in that time."""
    of_time = sa.select(payables.c.id).where(parties(tx.scope, payables), *_accepted_between(first, last))
    entries = _signed(tx, [transfers.c.payable_id.in_(of_time)]).subquery()
    by_account = sa.select(entries.c.account, sa.func.sum(entries.c.yuan)).group_by(entries.c.account)
    wanted = by_account.order_by(entries.c.account)
    found: list[Record] = await tx.rows(wanted)
    return {row[0]: row[1] for row in found}


async def ledger_sum(tx: Tx) -> Decimal:
    """The sum over every signed entry that the caller may see; anything but zero is a fault."""
    entries = _signed(tx, []).subquery()
    found = await tx.value(sa.select(sa.func.coalesce(sa.func.sum(entries.c.yuan), 0)))
    return Decimal(found)
