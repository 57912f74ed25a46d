"""A lot under recall: nothing of it goes onto a sheet, and none of it that is on one goes to the bank, until it is closed.

What a recall does is read from the recalls that stand, never written into a payable, so that recalls, deliveries and
coverage come to the same in whichever order they arrive.
"""

from datetime import datetime
from uuid import UUID

from shared.values import frozen


@frozen
class RecalledLot:
    """One lot of a recall; `opened_at` is None while only its end has arrived, `opened_by` where that was not told."""

    recall_id: UUID
    lot_number: str
    product_code: str
    reason: str | None = None
    opened_by: str | None = None
    opened_by_name: str | None = None
    manufacturer_code: str | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
