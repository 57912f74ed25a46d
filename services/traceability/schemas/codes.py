"""What is shown of one code over HTTP."""

from datetime import datetime
from uuid import UUID

from shared.http import View


class ReceivingView(View):
    """Where a code is: by which document it came, for which line. `state` I in, O sold, C written off."""

    institution_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    captured_at: datetime
    receipt_id: UUID | None
    shipment_line_id: UUID | None
    product_code: str | None
    lot_number: str | None
    packs: int
    awaiting_ident: str | None
    state: str
    sold_quantity: int


class MovementView(View):
    """One move: ship, sell, take_back, send_back, pass_on, write_off; `quantity` of an opened pack."""

    organisation_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    move: str
    quantity: int | None
    captured_at: datetime
    received_document_id: UUID | None


class CodeAnomalyView(View):
    """Something found about the code."""

    id: UUID
    kind: str
    severity: str
    detail: str
    state: str
    found_at: datetime


class CodeView(View):
    """The whole life of a code, as far as the caller may see it."""

    code: str
    family: str
    ident: str | None
    product_code: str | None
    level: int | None
    packs_per_unit: int | None
    lies_in: list[str]
    holds: int
    received: ReceivingView | None
    movements: list[MovementView]
    anomalies: list[CodeAnomalyView]
