"""Reads payments: for the job that sends them, for the answers of the bank, for people."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from services.settlement.errors import PaymentNotFound
from services.settlement.queries.scope import parties
from services.settlement.rules.accounts import CONFIRMED, DETAILS
from services.settlement.rules.payments import FAILED, PAID, PLANNED, SENDING, Payment
from services.settlement.rules.sheets import REVIEWED, Paying
from services.settlement.tables import accounts, payables, payment_runs, payments, recalled_lots, sheet_lines, sheets
from shared.db import Tx

_APPROVED = sa.and_(payments.c.state == PLANNED, payments.c.approved_at.is_not(None))
_IS_HELD_BACK = sa.and_(
    sa.or_(payments.c.state == PLANNED, payments.c.state == SENDING),
    sa.exists().where(payment_runs.c.id == payments.c.run_id, payment_runs.c.held_back_at.is_not(None)),
)
"""Whether it waits in a run that is held back; whose payment it is may read so much of the run, and no more."""
_PLANNED, _FAILED = payments.alias("planned"), payments.alias("failed")
_DOUBTED = sa.and_(
    sa.exists().where(
        _FAILED.c.sheet_id == _PLANNED.c.sheet_id, _FAILED.c.state == FAILED, _FAILED.c.contradicted_at.is_not(None)
    ),
    _PLANNED.c.doubt_known.is_not(True),
)
"""Whether the bank has said paid of a sheet that stands in a run, and who made the run did not know it."""
_OPEN = sa.select(_PLANNED.c.run_id).where(_PLANNED.c.state == PLANNED, _PLANNED.c.approved_at.is_(None))


def _otherwise(payment: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a payment tells other parties, another amount, or other details than its sheet and its account, beside it."""
    return sa.or_(
        payment.c.amount_yuan != sheets.c.amount_yuan,
        payment.c.institution_code != sheets.c.institution_code,
        payment.c.distributor_code != accounts.c.supplier_code,
        *(payment.c[name].is_distinct_from(accounts.c[name]) for name in DETAILS),
    )


CHANGED = (
    _OPEN.join(accounts, accounts.c.id == _PLANNED.c.account_id)
    .join(sheets, sheets.c.id == _PLANNED.c.sheet_id)
    .where(_otherwise(_PLANNED))
)
"""The open runs with a payment that is not what it was made of, within what the caller sees."""
_RECALLED = (
    _OPEN.join(sheet_lines, sheet_lines.c.sheet_id == _PLANNED.c.sheet_id)
    .join(payables, payables.c.id == sheet_lines.c.payable_id)
    .join(
        recalled_lots,
        sa.and_(
            recalled_lots.c.product_code == payables.c.product_code,
            recalled_lots.c.lot_number == payables.c.lot_number,
        ),
    )
    .where(
        sheet_lines.c.disputed_at.is_(None),
        payables.c.sheeted_yuan > payables.c.paid_yuan,
        recalled_lots.c.opened_at.is_not(None),
        recalled_lots.c.closed_at.is_(None),
    )
)
BARRED = sa.union_all(
    _OPEN.outerjoin(accounts, accounts.c.id == _PLANNED.c.account_id).where(
        sa.or_(accounts.c.state.is_distinct_from(CONFIRMED), _DOUBTED)
    ),
    _RECALLED,
)
"""The open runs that cannot be approved, within what the caller sees: an account, a doubt, or a recall is in the way."""
_IS_OPEN = sa.and_(payments.c.state == PLANNED, payments.c.approved_at.is_(None))
_IS_CHANGED = sa.and_(_IS_OPEN, payments.c.run_id.in_(CHANGED))
_IS_BARRED = sa.and_(_IS_OPEN, payments.c.run_id.in_(BARRED))
PAYING = (
    sa.select(
        sa.case(
            (_IS_HELD_BACK, sa.literal(Paying.HELD_BACK.value)),
            (_APPROVED, sa.literal(Paying.APPROVED.value)),
            (_IS_CHANGED, sa.literal(Paying.CHANGED.value)),
            (_IS_BARRED, sa.literal(Paying.BARRED.value)),
            else_=payments.c.state,
        )
    )
    .where(payments.c.sheet_id == sheets.c.id, sa.or_(payments.c.state == PLANNED, payments.c.state == SENDING))
    .scalar_subquery()
    .label("paying")
)
"""How far the payment of a sheet is that stands in a run; at most one is open."""
_LAST_FAILED = (
    sa.select(payments.c.reason)
    .where(payments.c.sheet_id == sheets.c.id, payments.c.state == FAILED, sheets.c.state == REVIEWED)
    .order_by(payments.c.id.desc())
    .limit(1)
)
FAILED_FOR = _LAST_FAILED.scalar_subquery().label("failed_for")
"""Why the last payment of a sheet failed that waits for another run."""
FAILED_TO = (
    _LAST_FAILED.with_only_columns(accounts.c.state)
    .join_from(payments, accounts, accounts.c.id == payments.c.account_id)
    .scalar_subquery()
    .label("failed_to")
)
"""What the account is now that this payment went to."""
IN_DOUBT = sa.exists().where(payments.c.sheet_id == sheets.c.id, payments.c.contradicted_at.is_not(None))
"""Whether the bank has said both of a payment of a sheet."""
_OTHERS_IN_DOUBT = (
    "SELECT sheet_id FROM payments WHERE sheet_id = ANY($1::uuid[]) AND id <> ALL($2::uuid[])"
    " AND contradicted_at IS NOT NULL"
)
_SHEET_STATE = (
    sa.select(sheets.c.state).where(sheets.c.id == payments.c.sheet_id).scalar_subquery().label("sheet_state")
)
_DUE_ON = sa.select(sheets.c.due_on).where(sheets.c.id == payments.c.sheet_id).scalar_subquery().label("due_on")
_ALL = sa.select(
    *(payments.c[field.name] for field in fields(Payment) if field.name in payments.c),
    _IS_BARRED.label("barred"),
    _IS_CHANGED.label("changed"),
    _IS_HELD_BACK.label("held_back"),
    _SHEET_STATE,
    _DUE_ON,
)
_APPROVE = "UPDATE payments SET approved_at = $2 WHERE run_id = $1 AND state = 'planned'"
_TO_SEND = (
    _ALL.where(
        payments.c.run_id == sa.bindparam("run_id"),
        payments.c.id > sa.bindparam("after"),
        sa.or_(payments.c.state == PLANNED, payments.c.state == SENDING),
    )
    .order_by(payments.c.id)
    .limit(sa.bindparam("rows"))
    .with_for_update()
)
_TO_ANSWER = (
    _ALL.where(payments.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    .order_by(payments.c.id)
    .with_for_update()
)
_BY_STATE = (
    sa.select(payments.c.state, sa.func.count()).where(payments.c.run_id == sa.bindparam("run_id")).group_by("state")
)
_ELSEWHERE = (
    sa.select(payments.c.distributor_code)
    .distinct()
    .select_from(payments.outerjoin(accounts, accounts.c.id == payments.c.account_id))
    .where(
        payments.c.run_id == sa.bindparam("run_id"),
        payments.c.state == PLANNED,
        accounts.c.state.is_distinct_from(CONFIRMED),
    )
    .order_by(payments.c.distributor_code)
)
_COUNT_OTHERWISE = (
    sa.select(sa.func.count())
    .select_from(
        payments.join(accounts, accounts.c.id == payments.c.account_id).join(sheets, sheets.c.id == payments.c.sheet_id)
    )
    .where(payments.c.run_id == sa.bindparam("run_id"), _otherwise(payments))
)
_COUNT_DOUBTED = (
    sa.select(sa.func.count())
    .select_from(_PLANNED)
    .where(_PLANNED.c.run_id == sa.bindparam("run_id"), _PLANNED.c.state == PLANNED, _DOUBTED)
)
_ON_SHEET = _ALL.where(
    payments.c.sheet_id == sa.bindparam("sheet_id"),
    sa.or_(payments.c.state == PLANNED, payments.c.state == SENDING, payments.c.state == PAID),
)
FIRST = UUID(int=0)


async def payments_to_send(tx: Tx, run_id: UUID, after: UUID, rows: int) -> list[Payment]:
    """The next payments of a run that the bank has not answered for, locked."""
    return await tx.all(Payment, _TO_SEND, run_id=run_id, after=after, rows=rows)


async def payments_to_answer(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Payment]:
    """Those of the payments that the caller may see, locked in the order of their ids."""
    wanted = _TO_ANSWER.where(parties(tx.scope, payments))
    return {found.id: found for found in await tx.all(Payment, wanted, ids=sorted(set(ids)))}


async def payments_of_run(tx: Tx, run_id: UUID, states: Sequence[str], *, lock: bool = False) -> list[Payment]:
    """All payments of a run in these states that the caller may see; a run holds at most 5,000."""
    within = payments.c.state == sa.any_(sa.bindparam("states", type_=sa.ARRAY(sa.Text)))
    wanted = _ALL.where(payments.c.run_id == run_id, within, parties(tx.scope, payments)).order_by(payments.c.id)
    return await tx.all(Payment, wanted.with_for_update() if lock else wanted, states=list(states))


async def payments_of_runs(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, list[Payment]]:
    """All payments of each of the runs that the caller may see, in the order of planning."""
    of_runs = payments.c.run_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))
    found: dict[UUID, list[Payment]] = {run_id: [] for run_id in ids}
    wanted = _ALL.where(of_runs, parties(tx.scope, payments)).order_by(payments.c.id)
    for payment in await tx.all(Payment, wanted, ids=list(ids)):
        found[payment.run_id].append(payment)
    return found


async def paid_elsewhere(tx: Tx, run_id: UUID) -> list[str]:
    """The suppliers of a run that is planned whose account is not, or no more, the confirmed one it was planned with."""
    return [row[0] for row in await tx.rows(_ELSEWHERE, run_id=run_id)]


async def count_otherwise(tx: Tx, run_id: UUID) -> int:
    """How many payments of a run tell other parties, another amount or other details than their sheets and accounts."""
    count: int = await tx.value(_COUNT_OTHERWISE, run_id=run_id)
    return count


async def count_doubted(tx: Tx, run_id: UUID) -> int:
    """How many sheets of a planned run have an earlier payment of which the bank has said paid, unknown to who made the run."""
    count: int = await tx.value(_COUNT_DOUBTED, run_id=run_id)
    return count


async def find_payment_on(tx: Tx, sheet_id: UUID) -> Payment | None:
    """The payment of a sheet that is made or on its way; at most one is."""
    return await tx.one(Payment, _ON_SHEET, sheet_id=sheet_id)


async def still_in_doubt(tx: Tx, ended: Sequence[Payment]) -> set[UUID]:
    """The sheets of these payments, of which no doubt is left, of which another payment is in doubt; lock the sheets first."""
    ids = ([each.sheet_id for each in ended], [each.id for each in ended])
    return {row[0] for row in await tx.sql(_OTHERS_IN_DOUBT, *ids)} if ended else set()


async def approve_payments(tx: Tx, run_id: UUID, at: datetime) -> None:
    """A second person has approved the run of these payments."""
    await tx.sql(_APPROVE, run_id, at)


async def count_by_state(tx: Tx, run_id: UUID) -> dict[str, int]:
    """How many payments of a run are in each state; load the run first."""
    return {row[0]: row[1] for row in await tx.rows(_BY_STATE, run_id=run_id)}


async def get_payment(tx: Tx, payment_id: UUID) -> Payment:
    """Raises PaymentNotFound."""
    found = await tx.one(Payment, _ALL.where(payments.c.id == payment_id, parties(tx.scope, payments)))
    if found is None:
        raise PaymentNotFound("There is no payment {payment_id} that you may see.", payment_id=payment_id)
    return found


async def payments_page(
    tx: Tx, *, run_id: UUID | None, sheet_id: UUID | None, state: str | None, after: UUID | None, rows: int
) -> list[Payment]:
    """Up to `rows` payments after a key, in the order of planning."""
    wanted = _ALL.where(parties(tx.scope, payments)).order_by(payments.c.id).limit(rows)
    for column, value in ((payments.c.run_id, run_id), (payments.c.sheet_id, sheet_id), (payments.c.state, state)):
        if value is not None:
            wanted = wanted.where(column == value)
    if after is not None:
        wanted = wanted.where(payments.c.id > after)
    return await tx.all(Payment, wanted)
