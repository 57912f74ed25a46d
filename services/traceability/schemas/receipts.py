"""What is shown of receipts over HTTP."""

from datetime import date, datetime
from uuid import UUID

from shared.http import View


class ReceiptView(View):
    """A shipment line at a hospital, and how far valid codes cover what was accepted of it, in sale units."""

    id: UUID
    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID | None
    institution_code: str
    distributor_code: str
    region: str
    product_code: str | None
    product_kind: str | None
    product_name: str | None
    unit: str | None
    lot_number: str | None
    expires_on: date | None
    quantity_shipped: int | None
    quantity_accepted: int | None
    quantity_rejected: int | None
    packs_captured: int
    quantity_covered: int
    exempt: bool
    state: str
    dispatched_at: datetime | None
    accepted_at: datetime | None
    version: int
