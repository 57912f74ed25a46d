"""Learns which lots are recalled. Natural key of what it learns: recall and lot."""

from collections.abc import Sequence

from services.orders.queries.recalls import fill_recalled_lots
from services.orders.rules.recalls import RecalledLot
from shared.db import Tx
from shared.events.traceability import RecallClosed, RecallOpened
from shared.inbox import Received


async def on_recalls_opened(tx: Tx, events: Sequence[Received[RecallOpened]]) -> None:
    """Goods of these lots neither leave nor are accepted; their end may have arrived before."""
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
    """Goods of these lots move again, unless another recall is open."""
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
