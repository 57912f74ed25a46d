"""Learns which lots are recalled, and keeps money for them from the bank; what is paid stays paid, and is named.

Natural key of what it learns: recall and lot. While a recall is open, payables of its lots go onto no sheet, lines that are
on one leave it before it enters a run, and a run that was made before cannot be approved with them.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from services.settlement.handlers.payables import book, history_parties, parties_of, promise_closing
from services.settlement.handlers.sheets import leave_sheets, parties_of_sheet
from services.settlement.queries.recalls import RecalledLine, fill_recalled_lots, recalled_lines
from services.settlement.rules import payables as payable_rules
from services.settlement.rules import sheets as sheet_rules
from services.settlement.rules.ledger import Posting
from services.settlement.rules.payables import Payable
from services.settlement.rules.recalls import RecalledLot
from services.settlement.rules.sheets import Sheet
from shared import clock, history
from shared.db import Tx
from shared.events.traceability import RecallClosed, RecallOpened
from shared.identity import Caller
from shared.inbox import Received
from shared.next_steps import recall_words


async def on_recalls_opened(tx: Tx, events: Sequence[Received[RecallOpened]]) -> None:
    """Nothing more is paid for goods of these lots; their end may have arrived before."""
    lots = [
        RecalledLot(
            recall_id=event.data.recall_id,
            lot_number=lot_number,
            product_code=event.data.product_code,
            reason=event.data.reason,
            opened_by=event.data.opened_by,
            opened_by_name=event.data.opened_by_name,
            manufacturer_code=event.data.manufacturer_code,
            opened_at=event.data.opened_at,
        )
        for event in events
        for lot_number in event.data.lot_numbers
    ]
    await fill_recalled_lots(tx, lots)


async def on_recalls_closed(tx: Tx, events: Sequence[Received[RecallClosed]]) -> None:
    """What codes still cover of these lots goes onto the next sheet."""
    lots = [
        RecalledLot(
            recall_id=event.data.recall_id,
            lot_number=lot_number,
            product_code=event.data.product_code,
            closed_at=event.data.closed_at,
        )
        for event in events
        for lot_number in event.data.lot_numbers
    ]
    await fill_recalled_lots(tx, lots)


async def leave_recalled_out(tx: Tx, caller: Caller, chosen: Sequence[Sheet]) -> list[Sheet]:
    """The sheets as they may be paid now: lines of recalled lots leave them for a later sheet; a sheet that holds nothing else
    stays as it is, and is left out."""
    lines: dict[UUID, list[RecalledLine]] = defaultdict(list)
    for line in await recalled_lines(tx, [sheet.id for sheet in chosen]):
        lines[line.sheet_id].append(line)
    payable = [sheet for sheet in chosen if len(lines[sheet.id]) < sheet.line_count]
    leaving = [line for sheet in payable for line in lines[sheet.id]]
    moved: dict[UUID, Payable] = {}
    held: list[tuple[Payable, str]] = []
    for line in leaving:
        after = moved[line.payable.id] = _leave(tx, caller, moved.get(line.payable.id, line.payable), line)
        held.append((after, _reason(line)))
    await leave_sheets(tx, [(line.sheet_id, line.payable.id, _reason(line)) for line in leaving], held)
    for region in sorted({one.region for one in moved.values()}):
        promise_closing(tx, region, clock.month_of(clock.now()))
    return [_without(tx, caller, sheet, lines[sheet.id]) if lines[sheet.id] else sheet for sheet in payable]


def _leave(tx: Tx, caller: Caller, payable: Payable, line: RecalledLine) -> Payable:
    after = payable_rules.off_sheet(payable, line.yuan)
    book(tx, after.id, after.entries, Posting.RECALLED, line.yuan, clock.now(), parties_of(after), line.sheet_id)
    detail = {"detail": _reason(line), "sheet_id": line.sheet_id, "amount_yuan": line.yuan}
    history.note(tx, caller, after.id, "recalled", history_parties(after), detail)
    return after


def _reason(line: RecalledLine) -> str:
    """Kept and told in English, whoever asks."""
    return str(recall_words(line.recall))


def _without(tx: Tx, caller: Caller, sheet: Sheet, lines: Sequence[RecalledLine]) -> Sheet:
    yuan = sum((line.yuan for line in lines), Decimal(0))
    after = sheet_rules.without(sheet, yuan, len(lines))
    detail = {
        "lines": len(lines),
        "amount_yuan": yuan,
        "payable_ids": [str(line.payable.id) for line in lines],
        "changes": history.changes(sheet, after, "amount_yuan", "line_count"),
    }
    history.note(tx, caller, sheet.id, "recalled_lines_left", parties_of_sheet(sheet), detail)
    return after
