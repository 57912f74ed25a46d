"""Reads sheets, and issues them: one statement sums up everything of a month that is released and on no sheet yet."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa

from services.settlement.errors import SheetNotFound
from services.settlement.queries.accounts import IS_CONFIRMED, RECEIVING
from services.settlement.queries.payables import COLUMNS as PAYABLE_COLUMNS
from services.settlement.queries.payments import FAILED_FOR, FAILED_TO, IN_DOUBT, PAYING
from services.settlement.queries.scope import parties
from services.settlement.rules.payables import Payable
from services.settlement.rules.sheets import Disputed, Sheet
from services.settlement.tables import payables, sheet_lines, sheets
from shared import telemetry
from shared.db import Record, Tx
from shared.values import frozen

COLUMNS = tuple(field.name for field in fields(Sheet) if field.name in sheets.c)
_ALL = sa.select(
    *(sheets.c[name] for name in COLUMNS), PAYING, RECEIVING, FAILED_FOR, FAILED_TO, IN_DOUBT.label("in_doubt")
)

# What codes cover now of what was released; nothing of a lot that is recalled goes onto a sheet.
_COVERED = "round((p.quantity_released - p.quantity_uncovered) * p.unit_price_yuan, 2)"
# Amounts are differences of totals, and so are quantities: a line pays for what is covered and stands on no other.
_OF_LINE = "coalesce(l.quantity, round(l.amount_yuan / p.unit_price_yuan)::integer)"
_ON_OTHERS = f"(SELECT sum({_OF_LINE}) FROM sheet_lines AS l WHERE l.payable_id = p.id AND l.disputed_at IS NULL)"  # noqa: S608
_READY = (
    f" {_COVERED} > p.sheeted_yuan AND p.held_reason IS NULL AND NOT EXISTS (SELECT FROM recalled_lots AS r"
    " WHERE r.product_code = p.product_code AND r.lot_number = p.lot_number AND r.opened_at IS NOT NULL"
    " AND r.closed_at IS NULL)"
)
_UNSHEETED = (
    " FROM payables AS p WHERE p.region = ANY($1::text[]) AND p.accepted_month <= $2 AND p.sheeted_yuan < p.amount_yuan"
)
_PAIRS = (
    "SELECT DISTINCT p.institution_code, p.distributor_code, p.region"  # noqa: S608  constants
    + _UNSHEETED
    + f" AND {_READY} AND NOT EXISTS (SELECT FROM sheets AS s"
    " WHERE s.institution_code = p.institution_code AND s.distributor_code = p.distributor_code"
    " AND s.region = p.region AND s.month = $2)"
)
_STILL_OPEN = "SELECT DISTINCT p.region" + _UNSHEETED

# A payable that was released or disputed meanwhile is seen as it stands once its lock is ours.
_ISSUE = f"""
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::date[])
        AS g(sheet_id, institution_code, distributor_code, region, confirm_by)
), ready AS (
    SELECT p.id, g.sheet_id, {_COVERED} - p.sheeted_yuan AS yuan, p.quantity_released - p.quantity_uncovered
        - CASE WHEN p.sheeted_yuan = 0 THEN 0 ELSE {_ON_OTHERS} END AS quantity
    FROM payables AS p
    JOIN given AS g USING (institution_code, distributor_code, region)
    WHERE p.accepted_month <= $6 AND p.sheeted_yuan < p.amount_yuan AND {_READY}
    ORDER BY p.id FOR UPDATE OF p
), moved AS (
    UPDATE payables AS p
    SET sheeted_yuan = p.sheeted_yuan + r.yuan, sheet_id = r.sheet_id, entries = p.entries + 1
    FROM ready AS r WHERE p.id = r.id
    RETURNING p.id, r.sheet_id, r.yuan, r.quantity, p.entries, p.institution_code, p.institution_name, p.distributor_code,
        p.distributor_name, p.region, p.due_on
), lines AS (
    INSERT INTO sheet_lines (sheet_id, payable_id, institution_code, distributor_code, region, amount_yuan, quantity)
    SELECT sheet_id, id, institution_code, distributor_code, region, yuan, quantity FROM moved
), booked AS (
    INSERT INTO transfers (payable_id, step, kind, debit_account, credit_account, amount_yuan, booked_at, sheet_id,
        institution_code, distributor_code, region)
    SELECT id, entries, $8, $9, $10, yuan, $7, sheet_id, institution_code, distributor_code, region
    FROM moved ORDER BY id
), noted AS (
    INSERT INTO history (about, action, detail, at, organisation, person, request_id, operation, institution_code,
        supplier_code, region)
    SELECT id::text, 'sheeted', jsonb_build_object('sheet_id', sheet_id, 'amount_yuan', yuan::text,
        'changes', jsonb_build_object('account', ARRAY[$9::text, $10::text])), $7, $11, $12, NULL, $13,
        institution_code, distributor_code, region
    FROM moved
)
INSERT INTO sheets (id, institution_code, institution_name, distributor_code, distributor_name, region, month,
    amount_yuan, line_count, state, confirm_by, due_on, issued_at, version)
SELECT g.sheet_id, g.institution_code, max(m.institution_name), g.distributor_code, max(m.distributor_name), g.region,
    $6, sum(m.yuan), count(*), 'issued', g.confirm_by, min(m.due_on), $7, 1
FROM moved AS m JOIN given AS g ON g.sheet_id = m.sheet_id
GROUP BY g.sheet_id, g.institution_code, g.distributor_code, g.region, g.confirm_by
RETURNING {", ".join(map(str, sheets.c))}
"""  # noqa: S608  names are declared
_LEAVE = (
    "UPDATE sheet_lines AS l SET disputed_at = $4, dispute_reason = u.reason"
    " FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS u(sheet_id, payable_id, reason)"
    " WHERE l.sheet_id = u.sheet_id AND l.payable_id = u.payable_id"
)

_QUANTITY = sa.func.coalesce(
    sheet_lines.c.quantity, sa.cast(sa.func.round(sheet_lines.c.amount_yuan / payables.c.unit_price_yuan), sa.Integer)
)
"""What a line pays for; of one that an earlier version issued, what its amount makes at the price: exact above 2 fen."""


@frozen
class Line:
    """A payable on a sheet: by how much, and why it left if it was disputed."""

    payable_id: UUID
    order_id: UUID
    order_number: str
    product_code: str
    product_name: str
    lot_number: str
    unit: str
    quantity: int
    """what the amount pays for"""
    quantity_accepted: int
    unit_price_yuan: Decimal
    accepted_at: datetime
    amount_yuan: Decimal
    disputed_at: datetime | None
    dispute_reason: str | None


async def pairs_to_sheet(tx: Tx, regions: Sequence[str], month: date) -> list[tuple[str, str, str]]:
    """Institution, distributor and region of every sheet that the month still lacks."""
    return [tuple(row) for row in await tx.sql(_PAIRS, regions, month)]


async def issue_sheets(
    tx: Tx,
    sheets_to_issue: Sequence[tuple[UUID, str, str, str, date]],
    *,
    month: date,
    at: datetime,
    posting: tuple[str, str, str],
    who: tuple[str, str],
) -> list[Sheet]:
    """Sums up, per sheet (id, institution, distributor, region, confirm by), what is released up to the month."""
    columns = [list(column) for column in zip(*sheets_to_issue, strict=True)]
    return [
        Sheet(**row) for row in await tx.sql(_ISSUE, *columns, month, at, *posting, *who, telemetry.operation.get())
    ]


async def regions_still_open(tx: Tx, regions: Sequence[str], month: date) -> list[str]:
    """Those of the regions where something accepted up to the month is not wholly on sheets."""
    return [row[0] for row in await tx.sql(_STILL_OPEN, regions, month)]


async def sheets_to_change(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Sheet]:
    """Those of the sheets that the caller may see, locked in the order of their ids."""
    wanted = (
        _ALL.where(sheets.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), parties(tx.scope, sheets))
        .order_by(sheets.c.id)
        .with_for_update()
    )
    return {found.id: found for found in await tx.all(Sheet, wanted, ids=sorted(set(ids)))}


async def reviewed_sheets_to_pay(tx: Tx, rows: int) -> list[Sheet]:
    """The oldest reviewed sheets that the caller may see, of suppliers with a confirmed account, none in doubt; locked."""
    ready = (sheets.c.state == "reviewed", sheets.c.amount_yuan > 0, IS_CONFIRMED, ~IN_DOUBT)
    wanted = _ALL.where(*ready, parties(tx.scope, sheets)).order_by(sheets.c.id).limit(rows).with_for_update()
    return await tx.all(Sheet, wanted)


async def count_without_account(tx: Tx) -> int:
    """How many reviewed sheets that the caller may see wait for an account of their supplier."""
    wanted = sa.select(sa.func.count()).select_from(sheets)
    (row,) = await tx.rows(wanted.where(sheets.c.state == "reviewed", ~IS_CONFIRMED, parties(tx.scope, sheets)))
    count: int = row[0]
    return count


async def count_in_doubt(tx: Tx) -> int:
    """How many reviewed sheets that the caller may see are kept back because the bank has contradicted itself."""
    wanted = sa.select(sa.func.count()).select_from(sheets)
    (row,) = await tx.rows(wanted.where(sheets.c.state == "reviewed", IN_DOUBT, parties(tx.scope, sheets)))
    count: int = row[0]
    return count


async def get_sheet(tx: Tx, sheet_id: UUID) -> Sheet:
    """Raises SheetNotFound."""
    found = await tx.one(Sheet, _ALL.where(sheets.c.id == sheet_id, parties(tx.scope, sheets)))
    if found is None:
        raise SheetNotFound("There is no sheet {sheet_id} that you may see.", sheet_id=sheet_id)
    return found


async def sheets_page(
    tx: Tx,
    *,
    institution: str | None = None,
    distributor: str | None = None,
    state: str | None = None,
    month: date | None = None,
    after: UUID | None,
    rows: int,
) -> list[Sheet]:
    """Up to `rows` sheets after a key, in the order of issue."""
    wanted = _ALL.where(parties(tx.scope, sheets)).order_by(sheets.c.id).limit(rows)
    equal = {"institution_code": institution, "distributor_code": distributor, "state": state, "month": month}
    for name, value in equal.items():
        if value is not None:
            wanted = wanted.where(sheets.c[name] == value)
    if after is not None:
        wanted = wanted.where(sheets.c.id > after)
    return await tx.all(Sheet, wanted)


async def lines_page(tx: Tx, sheet_id: UUID, *, after: UUID | None, rows: int) -> list[Line]:
    """Up to `rows` lines of a sheet after a payable, disputed ones too; load the sheet first."""
    own = ("payable_id", "amount_yuan", "disputed_at", "dispute_reason")
    quantities = (_QUANTITY.label("quantity"), payables.c.quantity.label("quantity_accepted"))
    known = {*own, "quantity", "quantity_accepted"}
    of_payable = [field.name for field in fields(Line) if field.name not in known]
    wanted = (
        sa.select(*(sheet_lines.c[name] for name in own), *quantities, *(payables.c[name] for name in of_payable))
        .join_from(sheet_lines, payables, payables.c.id == sheet_lines.c.payable_id)
        .where(sheet_lines.c.sheet_id == sheet_id, parties(tx.scope, sheet_lines))
        .order_by(sheet_lines.c.payable_id)
        .limit(rows)
    )
    if after is not None:
        wanted = wanted.where(sheet_lines.c.payable_id > after)
    return await tx.all(Line, wanted)


async def still_disputed(tx: Tx, sheet_id: UUID, rows: int) -> list[Disputed]:
    """Up to `rows` lines that left the sheet for a dispute that is not settled yet; load the sheet first."""
    wanted = (
        sa.select(
            payables.c.id.label("payable_id"),
            *(payables.c[name] for name in ("order_number", "product_name", "lot_number", "held_yuan", "resolve_by")),
            sheet_lines.c.dispute_reason.label("reason"),
        )
        .join_from(sheet_lines, payables, payables.c.id == sheet_lines.c.payable_id)
        .where(sheet_lines.c.sheet_id == sheet_id, sheet_lines.c.disputed_at.is_not(None), payables.c.held_yuan > 0)
        .where(parties(tx.scope, sheet_lines))
        .order_by(sheet_lines.c.payable_id)
        .limit(rows)
    )
    return await tx.all(Disputed, wanted)


async def lines_to_dispute(
    tx: Tx, pairs: Sequence[tuple[UUID, UUID]]
) -> tuple[dict[UUID, Payable], dict[tuple[UUID, UUID], Decimal]]:
    """The payables of these (sheet, payable) pairs, locked, and the undisputed amount that stands on each pair."""
    wanted = (
        sa.select(
            *(payables.c[name] for name in PAYABLE_COLUMNS),
            sheet_lines.c.sheet_id.label("line_sheet_id"),
            sheet_lines.c.amount_yuan.label("line_yuan"),
        )
        .join_from(sheet_lines, payables, payables.c.id == sheet_lines.c.payable_id)
        .where(
            sheet_lines.c.sheet_id == sa.any_(sa.bindparam("sheets", type_=sa.ARRAY(sa.Uuid))),
            sheet_lines.c.payable_id == sa.any_(sa.bindparam("payables", type_=sa.ARRAY(sa.Uuid))),
            sheet_lines.c.disputed_at.is_(None),
            parties(tx.scope, sheet_lines),
        )
        .order_by(payables.c.id)
        .with_for_update(of=payables)
    )
    found: list[Record] = await tx.rows(
        wanted, sheets=sorted({sheet for sheet, _ in pairs}), payables=sorted({payable for _, payable in pairs})
    )
    loaded: dict[UUID, Payable] = {}
    yuan: dict[tuple[UUID, UUID], Decimal] = {}
    for row in found:
        values = dict(row)
        yuan[values.pop("line_sheet_id"), values["id"]] = values.pop("line_yuan")
        loaded[values["id"]] = Payable(**values)
    return loaded, yuan


async def take_lines_off(tx: Tx, disputed: Sequence[tuple[UUID, UUID, str]], at: datetime) -> None:
    """Marks lines (sheet, payable, reason) as disputed: they are no part of the sheet any more."""
    if disputed:
        await tx.sql(_LEAVE, *[list(column) for column in zip(*disputed, strict=True)], at)
