"""Keeps which lots are recalled, and finds lines of them that would go to the bank."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.settlement.queries.payables import COLUMNS as PAYABLE_COLUMNS
from services.settlement.queries.payables import OF_RECALL, RECALL
from services.settlement.rules.payables import Payable
from services.settlement.rules.recalls import RecalledLot
from services.settlement.tables import payables, recalled_lots, sheet_lines
from shared.db import Tx
from shared.values import frozen

# What is known of a recall is never unlearnt: its end may arrive before its beginning.
_FILL = (
    f"INSERT INTO recalled_lots AS t ({', '.join(OF_RECALL)}) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[],"  # noqa: S608  names are declared
    " $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[]) ORDER BY 1, 2"
    " ON CONFLICT (recall_id, lot_number) DO UPDATE SET "
    + ", ".join(f"{name} = coalesce(t.{name}, excluded.{name})" for name in OF_RECALL[3:])
)
_OF_LOT = (
    sa.select(*(recalled_lots.c[name] for name in OF_RECALL))
    .where(
        recalled_lots.c.product_code == sa.bindparam("product_code"),
        recalled_lots.c.lot_number == sa.bindparam("lot_number"),
    )
    .order_by(recalled_lots.c.opened_at, recalled_lots.c.recall_id)
)
_ON_SHEETS = (
    sa.select(
        *(payables.c[name] for name in PAYABLE_COLUMNS),
        sheet_lines.c.sheet_id.label("line_sheet_id"),
        sheet_lines.c.amount_yuan.label("line_yuan"),
        *(RECALL.c[name].label(f"recall_{name}") for name in OF_RECALL),
    )
    .select_from(sheet_lines.join(payables, payables.c.id == sheet_lines.c.payable_id).join(RECALL, sa.true()))
    .where(
        sheet_lines.c.sheet_id == sa.any_(sa.bindparam("sheets", type_=sa.ARRAY(sa.Uuid))),
        sheet_lines.c.disputed_at.is_(None),
    )
    .order_by(payables.c.id, sheet_lines.c.sheet_id)
    .with_for_update(of=payables)
)


@frozen
class RecalledLine:
    """A line of a sheet whose lot is recalled: the payable, and how much of it stands on that sheet."""

    sheet_id: UUID
    payable: Payable
    yuan: Decimal
    recall: RecalledLot


async def fill_recalled_lots(tx: Tx, rows: Sequence[RecalledLot]) -> None:
    """Keeps what one kind of event tells of recalled lots."""
    lots = {(one.recall_id, one.lot_number): one for one in rows}.values()
    await tx.sql(_FILL, *([getattr(one, name) for one in lots] for name in OF_RECALL))


async def recalls_of_lot(tx: Tx, payable: Payable) -> list[RecalledLot]:
    """Every recall of the payable's lot, the earliest first, closed ones too."""
    return await tx.all(RecalledLot, _OF_LOT, product_code=payable.product_code, lot_number=payable.lot_number)


async def recalled_lines(tx: Tx, sheet_ids: Sequence[UUID]) -> list[RecalledLine]:
    """The lines of sheets, which are locked already, whose lots are recalled now; their payables are locked."""
    found: list[RecalledLine] = []
    for row in await tx.rows(_ON_SHEETS, sheets=sorted(set(sheet_ids))):
        values: dict[str, Any] = dict(row)
        sheet_id, yuan = values.pop("line_sheet_id"), values.pop("line_yuan")
        recall = RecalledLot(**{name: values.pop(f"recall_{name}") for name in OF_RECALL})
        found.append(RecalledLine(sheet_id, Payable(**values), yuan, recall))
    return found
