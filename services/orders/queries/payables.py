"""Keeps what settlement says of payables and sheets, and reads what became of the goods that were sent for an order."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.orders.queries.recalls import recalls_of
from services.orders.queries.scope import Reach, of_party, reach_of, scoped
from services.orders.rules.orders import Book
from services.orders.rules.payables import CONFIRMED, NAMED, Known, Sent, Sheet
from services.orders.rules.shipments import CANCELLED
from services.orders.tables import accounts, line_payments, order_lines, payables, sheets, shipment_lines, shipments
from shared.db import Tx
from shared.events.settlement import (
    PaymentDoubted,
    PaymentFailed,
    PaymentPaid,
    PaymentSent,
    SheetConfirmed,
    SheetIssued,
    SheetReturned,
)
from shared.values import names_of

OfPayment = PaymentSent | PaymentPaid | PaymentFailed | PaymentDoubted
OfSheet = SheetIssued | SheetConfirmed | SheetReturned | OfPayment

_PAYABLE = ("shipment_line_id", "payable_id", "institution_code", "distributor_code", "manufacturer_code", "region")
MOVING = ("disputed", "resolve_by", "on_sheets", "moved_at", "version")
_OPEN = f"""
INSERT INTO payables ({", ".join(_PAYABLE)}, due_on)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::date[]) ORDER BY 1
ON CONFLICT (shipment_line_id) DO UPDATE SET due_on = excluded.due_on
"""  # noqa: S608  names are declared
# The newest version counts: one that comes late changes nothing, and one told again fills what was not kept at first.
_MOVE = f"""
INSERT INTO payables ({", ".join(_PAYABLE)}, {", ".join(MOVING)})
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::date[],
    $9::jsonb[], $10::timestamptz[], $11::int[]) ORDER BY 1
ON CONFLICT (shipment_line_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in MOVING)}
WHERE payables.version <= excluded.version
"""  # noqa: S608  names are declared
# What is known of a sheet is never unlearnt: that it was confirmed may arrive before that it was issued.
_LAST = ("confirmed_at", "returned_at", "paid_at", "unpaid_at", "sent_at", "doubted_at", "undoubted_at")
_FAILED = ("failed_reason", "failed_account_id")
_TOLD = ("confirm_by", "due_on", "issued_at", *_LAST, *_FAILED)
_FAILED_LATER = "excluded.unpaid_at >= coalesce(t.unpaid_at, '-infinity')"
_FILL_SHEETS = f"""
INSERT INTO sheets AS t (sheet_id, institution_code, distributor_code, region, month, {", ".join(_TOLD)})
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::date[], $6::date[], $7::date[], $8::timestamptz[],
    $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
    $15::timestamptz[], $16::text[], $17::uuid[]) ORDER BY 1
ON CONFLICT (sheet_id) DO UPDATE SET issued_at = coalesce(t.issued_at, excluded.issued_at),
    due_on = coalesce(t.due_on, excluded.due_on),
    confirm_by = CASE WHEN excluded.returned_at > coalesce(t.returned_at, '-infinity') THEN excluded.confirm_by
        ELSE coalesce(t.confirm_by, excluded.confirm_by) END,
    {", ".join(f"{name} = CASE WHEN {_FAILED_LATER} THEN excluded.{name} ELSE t.{name} END" for name in _FAILED)},
    {", ".join(f"{name} = greatest(t.{name}, excluded.{name})" for name in _LAST)}
"""  # noqa: S608  names are declared

_KEEP_ACCOUNTS = """
INSERT INTO accounts AS t (account_id, supplier_code, region_prefix, state, version)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[]) ORDER BY 1
ON CONFLICT (account_id) DO UPDATE SET state = excluded.state, version = excluded.version WHERE t.version < excluded.version
"""
_RECEIVING = (
    sa.select(
        sa.case(
            (sa.func.bool_or(accounts.c.state == CONFIRMED), CONFIRMED),
            (sa.func.bool_or(accounts.c.state == NAMED), NAMED),
        )
    )
    .where(accounts.c.supplier_code == sheets.c.distributor_code, sheets.c.region.op("^@")(accounts.c.region_prefix))
    .scalar_subquery()
    .label("receiving")
)
"""How far the account is that the supplier of a sheet is paid to, as settlement finds it; None before one is named."""
_FAILED_TO = (
    sa.select(accounts.c.state)
    .where(accounts.c.account_id == sheets.c.failed_account_id)
    .scalar_subquery()
    .label("failed_to")
)
"""What the account is now that the last payment of a sheet went to that failed."""

_ACCEPTED = sa.func.coalesce(shipment_lines.c.quantity_accepted, 0)
_COVERED = sa.func.least(shipment_lines.c.quantity_traced, _ACCEPTED)
_OF_SHEET = names_of(Sheet)


def _yuan(quantity: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.round(quantity * order_lines.c.unit_price_yuan, 2)


async def open_payables(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keeps by when shipment lines, which are locked already, are to be paid."""
    await tx.sql(_OPEN, *([row[name] for row in rows] for name in (*_PAYABLE, "due_on")))


async def move_payables(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keeps since when the money for shipment lines, which are locked already, stands as it does, where, and what is disputed."""
    await tx.sql(_MOVE, *([row[name] for row in rows] for name in (*_PAYABLE, *MOVING)))


async def keep_accounts(tx: Tx, rows: Sequence[tuple[UUID, str, str, str, int]]) -> None:
    """Keeps what the newest version says of accounts, one row each: supplier, where it is for, state, version."""
    await tx.sql(_KEEP_ACCOUNTS, *(list(column) for column in zip(*rows, strict=True)))


async def fill_sheets(tx: Tx, told: Sequence[tuple[OfSheet, Mapping[str, Any]]]) -> None:
    """Keeps what one kind of event, the newest last, tells of sheets: by when to confirm and to pay it; when it was issued,
    confirmed, sent back, sent to the bank, paid, paid no more, in doubt and in doubt no more."""
    rows = {
        one.sheet_id: (
            one.sheet_id,
            one.institution_code,
            one.distributor_code,
            one.region,
            one.month,
            *(more.get(name) for name in _TOLD),
        )
        for one, more in told
    }
    if rows:
        await tx.sql(_FILL_SHEETS, *(list(column) for column in zip(*rows.values(), strict=True)))


@lru_cache
def _sent(reach: Reach) -> sa.Executable:
    called_back = sa.func.coalesce(shipments.c.state == CANCELLED, sa.true())
    under_way = sa.and_(shipment_lines.c.received_at.is_(None), sa.not_(called_back))
    its_shipment = sa.and_(shipments.c.id == shipment_lines.c.shipment_id, of_party(reach, shipments))
    source = (
        shipment_lines.join(order_lines, order_lines.c.id == shipment_lines.c.order_line_id)
        .outerjoin(shipments, its_shipment)
        .outerjoin(payables, payables.c.shipment_line_id == shipment_lines.c.id)
        .outerjoin(line_payments, line_payments.c.payable_id == payables.c.payable_id)
    )
    names = ("line_number", "product_code", "lot_number", "unit", "quantity", "received_at", "codes_required")
    return (
        sa.select(
            *(shipment_lines.c[name] for name in names),
            under_way.label("on_the_way"),
            _ACCEPTED.label("quantity_accepted"),
            _COVERED.label("quantity_traced"),
            _yuan(_ACCEPTED).label("amount_yuan"),
            _yuan(sa.case((shipment_lines.c.codes_required, _COVERED), else_=_ACCEPTED)).label("payable_yuan"),
            sa.func.coalesce(line_payments.c.amount_yuan, 0).label("paid_yuan"),
            *(payables.c[name] for name in ("due_on", "disputed", "resolve_by", "on_sheets", "moved_at")),
        )
        .select_from(source)
        .where(order_lines.c.order_id == sa.bindparam("order_id"), of_party(reach, order_lines))
        .order_by(shipment_lines.c.id)
    )


@lru_cache
def _sheets(reach: Reach) -> sa.Executable:
    """Those that are no longer to come, the oldest first."""
    return (
        sa.select(*(sheets.c[name] for name in _OF_SHEET if name in sheets.c), _FAILED_TO, _RECEIVING)
        .where(
            sheets.c.institution_code == sa.bindparam("institution_code"),
            sheets.c.distributor_code == sa.any_(sa.bindparam("distributor_codes", type_=sa.ARRAY(sa.Text))),
            sheets.c.region == sa.bindparam("region"),
            of_party(reach, sheets),
        )
        .order_by(sheets.c.month)
    )


async def known_of(tx: Tx, book: Book) -> Known:
    """What became of the goods that were sent for an order, as far as they are within reach."""
    reach, order = reach_of(tx), book.order
    found = await tx.all(Sent, _sent(reach), order_id=order.id, **scoped(tx))
    sent = [_with_terms(tx, order.region, one) for one in found]
    lots = {one.lot for one in sent}
    recalls = await recalls_of(tx, {product for product, _ in lots}, {number for _, number in lots}) if lots else []
    distributors = {line.distributor_code for line in book.lines}
    seen = distributors & {tx.scope.organisation} if reach == Reach.SUPPLIER else distributors
    by_distributor: dict[str, list[Sheet]] = defaultdict(list, {code: [] for code in seen})
    if sent and seen:
        parties = {"institution_code": order.institution_code, "region": order.region}
        for sheet in await tx.all(Sheet, _sheets(reach), distributor_codes=sorted(seen), **parties, **scoped(tx)):
            by_distributor[sheet.distributor_code].append(sheet)
    return Known(tuple(sent), tuple(recalls), by_distributor)


def _with_terms(tx: Tx, region: str, sent: Sent) -> Sent:
    """The goods with the terms that settlement tells for them too."""
    if sent.received_at is None:
        return sent
    codes_by, sheet_by = (term(region, sent.received_at) for term in (tx.policy.codes_by, tx.policy.sheet_by))
    return replace(sent, codes_by=codes_by, sheet_by=sheet_by)
