"""Reads payables: locked for handlers, with the sheet they stand on for people; keeps the projection of coverage."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.settlement.errors import PayableNotFound
from services.settlement.queries.accounts import RECEIVING
from services.settlement.queries.payments import FAILED_FOR, FAILED_TO, IN_DOUBT, PAYING
from services.settlement.queries.scope import parties
from services.settlement.rules.payables import AWAITING_CODES, RECALLED, RELEASED, Payable, Seen
from services.settlement.rules.recalls import RecalledLot
from services.settlement.rules.sheets import PAID, Sheet
from services.settlement.tables import payables, recalled_lots, sheet_lines, sheets
from shared import clock
from shared.db import Record, Tx
from shared.events.settlement import SheetPart
from shared.values import names_of

COLUMNS = names_of(Payable)
_ALL = sa.select(*(payables.c[name] for name in COLUMNS))
_OF_SHEET = names_of(Sheet)
OF_RECALL = names_of(RecalledLot)
RECALL = (
    sa.select(*(recalled_lots.c[name] for name in OF_RECALL))
    .where(
        recalled_lots.c.product_code == payables.c.product_code,
        recalled_lots.c.lot_number == payables.c.lot_number,
        recalled_lots.c.opened_at.is_not(None),
        recalled_lots.c.closed_at.is_(None),
    )
    .order_by(recalled_lots.c.opened_at, recalled_lots.c.recall_id)
    .limit(1)
    .lateral("recall")
)
"""The first open recall of a payable's lot."""
_EARLIER = sheets.alias("earlier")
_UNPAID = (
    sa.select(sheet_lines.c.sheet_id)
    .join(_EARLIER, _EARLIER.c.id == sheet_lines.c.sheet_id)
    .where(
        sheet_lines.c.payable_id == payables.c.id,
        sheet_lines.c.disputed_at.is_(None),
        _EARLIER.c.state != PAID,
    )
    .order_by(_EARLIER.c.month, _EARLIER.c.id)
    .limit(1)
    .scalar_subquery()
)
"""The oldest sheet on which a part of a payable waits to be paid, also where a later part is paid already."""
_SEEN = sa.select(
    *(payables.c[name] for name in COLUMNS),
    *(sheets.c[name].label(f"of_{name}") for name in _OF_SHEET if name in sheets.c),
    PAYING.label("of_paying"),
    RECEIVING.label("of_receiving"),
    FAILED_FOR.label("of_failed_for"),
    FAILED_TO.label("of_failed_to"),
    IN_DOUBT.label("of_in_doubt"),
    *(RECALL.c[name].label(f"recall_{name}") for name in OF_RECALL),
).select_from(
    payables.outerjoin(sheets, sheets.c.id == sa.func.coalesce(_UNPAID, payables.c.sheet_id)).outerjoin(
        RECALL, sa.true()
    )
)
_STATE = sa.case(
    (
        sa.and_(
            RECALL.c.recall_id.is_not(None), sa.or_(payables.c.state == AWAITING_CODES, payables.c.state == RELEASED)
        ),
        RECALLED,
    ),
    else_=payables.c.state,
)
"""The state that people are shown, as `Seen.state`."""
_AWAITING_CODES = sa.and_(
    payables.c.codes_required, payables.c.quantity_released - payables.c.quantity_uncovered < payables.c.quantity
)
"""As `Payable.quantity_awaiting_codes` counts."""

_PARTS = (
    "SELECT l.payable_id, l.sheet_id, CASE WHEN l.disputed_at IS NULL THEN l.amount_yuan ELSE 0.00 END AS amount_yuan"
    " FROM unnest($1::uuid[], $2::timestamptz[]) AS u(payable_id, moved_at)"
    " JOIN sheet_lines AS l USING (payable_id) JOIN sheets AS s ON s.id = l.sheet_id"
    " WHERE s.issued_at <= u.moved_at ORDER BY l.payable_id, l.sheet_id"
)
_KNOWN = "SELECT shipment_line_id FROM payables WHERE shipment_line_id = ANY($1::uuid[])"
_COVERED_SO_FAR = (
    "INSERT INTO coverage (shipment_line_id, institution_code, distributor_code, region, quantity_covered, version)"
    " SELECT u.*, 0, 0 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS u"
    " ON CONFLICT (shipment_line_id) DO UPDATE SET version = coverage.version"
    " RETURNING shipment_line_id, quantity_covered"
)
_COVER = (
    "INSERT INTO coverage (shipment_line_id, institution_code, distributor_code, region, quantity_covered, version)"
    " SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[])"
    " ON CONFLICT (shipment_line_id) DO UPDATE"
    " SET quantity_covered = excluded.quantity_covered, version = excluded.version"
    " WHERE coverage.version < excluded.version"
    " RETURNING shipment_line_id, quantity_covered"
)
_OF_LINES = (
    _ALL.where(payables.c.shipment_line_id == sa.any_(sa.bindparam("lines", type_=sa.ARRAY(sa.Uuid))))
    .order_by(payables.c.id)
    .with_for_update()
)


async def known_lines(tx: Tx, shipment_line_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the shipment lines that are owed for already."""
    return {row[0] for row in await tx.sql(_KNOWN, shipment_line_ids)}


async def covered_so_far(tx: Tx, lines: Mapping[UUID, Mapping[str, str]]) -> dict[UUID, int]:
    """How far codes cover these lines (with their parties), each locked until the end.

    A line that nobody spoke of yet gets a row of version 0, so that coverage that arrives meanwhile waits for us.
    """
    if not lines:
        return {}
    ordered = sorted(lines.items())
    columns = [[parties[name] for _, parties in ordered] for name in ("institution_code", "distributor_code", "region")]
    found = await tx.sql(_COVERED_SO_FAR, [line for line, _ in ordered], *columns)
    return {row["shipment_line_id"]: row["quantity_covered"] for row in found}


async def store_coverage(tx: Tx, rows: Sequence[tuple[UUID, str, str, str, int, int]]) -> dict[UUID, int]:
    """Keeps what is newer than what is known, one row a line in the order of lines; returns what it kept."""
    columns = [list(column) for column in zip(*sorted(rows), strict=True)]
    return {row["shipment_line_id"]: row["quantity_covered"] for row in await tx.sql(_COVER, *columns)}


async def payables_of_lines(tx: Tx, shipment_line_ids: Sequence[UUID]) -> list[Payable]:
    """The payables of these shipment lines, locked in the order of their ids."""
    return await tx.all(Payable, _OF_LINES, lines=list(shipment_line_ids))


async def payables_to_change(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Payable]:
    """Those of the payables that the caller may see, locked in the order of their ids."""
    wanted = (
        _ALL.where(payables.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))), parties(tx.scope, payables))
        .order_by(payables.c.id)
        .with_for_update()
    )
    return {found.id: found for found in await tx.all(Payable, wanted, ids=sorted(set(ids)))}


async def parts_on_sheets(
    tx: Tx, of: Iterable[Payable], moved_at: Mapping[UUID, datetime] | None = None
) -> Mapping[UUID, list[SheetPart]]:
    """The sheets on which parts of these payables stand, paid or not, that were issued before their money moved, now
    or at an instant of each; nothing of it stands on those it has left. What has just left a sheet is written before."""
    parts: dict[UUID, list[SheetPart]] = defaultdict(list)
    now = clock.now()
    if ids := [payable.id for payable in of]:
        for row in await tx.sql(_PARTS, ids, [(moved_at or {}).get(payable_id, now) for payable_id in ids]):
            parts[row["payable_id"]].append(SheetPart(sheet_id=row["sheet_id"], amount_yuan=row["amount_yuan"]))
    return parts


async def get_payable(tx: Tx, payable_id: UUID) -> Seen:
    """Raises PayableNotFound."""
    found = await tx.row(_SEEN.where(payables.c.id == payable_id, parties(tx.scope, payables)))
    if found is None:
        raise PayableNotFound("There is no payable {payable_id} that you may see.", payable_id=payable_id)
    return _seen(tx, found)


async def seen_payables(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Seen]:
    """Payables that were just changed, as they stand now."""
    if not ids:
        return {}
    found = await tx.rows(_SEEN.where(payables.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))), ids=ids)
    return {row["id"]: _seen(tx, row) for row in found}


async def payables_page(
    tx: Tx,
    *,
    institution: str | None = None,
    distributor: str | None = None,
    state: str | None = None,
    awaiting_codes: bool | None = None,
    month: date | None = None,
    due_before: date | None = None,
    sheet_id: UUID | None = None,
    order_id: UUID | None = None,
    after: UUID | None,
    rows: int,
) -> list[Seen]:
    """Up to `rows` payables after a key, in the order of opening."""
    wanted = _SEEN.where(parties(tx.scope, payables)).order_by(payables.c.id).limit(rows)
    equal: dict[str, Any] = {
        "institution_code": institution,
        "distributor_code": distributor,
        "accepted_month": month,
        "order_id": order_id,
    }
    for name, value in equal.items():
        if value is not None:
            wanted = wanted.where(payables.c[name] == value)
    if sheet_id is not None:
        on_it = sheet_lines.c.payable_id == payables.c.id, sheet_lines.c.sheet_id == sheet_id
        wanted = wanted.where(sa.select(sheet_lines.c.payable_id).where(*on_it).exists())
    if state is not None:
        wanted = wanted.where(_STATE == state)  # noqa: SIM300  a column
    if awaiting_codes is not None:
        wanted = wanted.where(_AWAITING_CODES if awaiting_codes else sa.not_(_AWAITING_CODES))
    if due_before is not None:
        wanted = wanted.where(payables.c.due_on < due_before)
    if after is not None:
        wanted = wanted.where(payables.c.id > after)
    return [_seen(tx, found) for found in await tx.rows(wanted)]


def _seen(tx: Tx, found: Record) -> Seen:
    values = dict(found)
    sheet = {name: values.pop(f"of_{name}") for name in _OF_SHEET}
    recall = {name: values.pop(f"recall_{name}") for name in OF_RECALL}
    payable = Payable(**values)
    return Seen(
        payable,
        Sheet(**sheet) if sheet["id"] is not None else None,
        RecalledLot(**recall) if recall["recall_id"] is not None else None,
        codes_by=tx.policy.codes_by(payable.region, payable.accepted_at),
        closes_at=tx.policy.sheet_by(payable.region, payable.accepted_at),
    )
