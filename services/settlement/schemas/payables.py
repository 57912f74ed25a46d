"""What is said about payables over HTTP."""

from datetime import date, datetime
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field

from services.settlement.rules.payables import Seen, next_steps
from shared.http import Amount, Command, Price, Reason, View
from shared.next_steps import NextStep


class ResolveDispute(Command):
    """The dispute over a held payable is settled: it goes into the next sheet."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "复核后双方确认数量无误"}]})

    reason: Reason


class ResolveDisputeOf(ResolveDispute):
    """The same, naming the payable."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"payable_id": "01890a5d-ac96-774b-bcce-b302099a8057", "reason": "复核后双方确认数量无误"}]
        }
    )

    payable_id: UUID


class PayableView(View):
    """What is owed for one accepted line: released, on a sheet, held and paid are totals in yuan."""

    id: UUID
    shipment_line_id: UUID
    shipment_id: UUID
    order_id: UUID
    order_line_id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    product_code: str
    product_kind: str
    product_name: str
    unit: str
    lot_number: str
    quantity: int
    unit_price_yuan: Price
    amount_yuan: Amount
    accepted_at: datetime
    due_on: date
    codes_required: bool
    quantity_released: int = Field(description="may be paid; where codes are required, the rest still waits for them")
    quantity_uncovered: int = Field(
        description="of what was released, how much has lost its codes since: it stays released, and somebody must clear"
        " it up; what was never covered is quantity less quantity_released"
    )
    released_yuan: Amount
    sheeted_yuan: Amount
    held_yuan: Amount
    held_reason: str | None
    paid_yuan: Amount
    sheet_id: UUID | None
    state: str
    waits_for: NextStep | None = Field(description="the first of `next`; null when there is none")
    next: list[NextStep] = Field(
        description="everybody it waits for: who moves what is released, who captures what is not"
    )
    version: int

    @classmethod
    def of(cls, seen: Seen) -> Self:
        """The view of a payable with the sheet it stands on."""
        payable = seen.payable
        shown = {name: getattr(payable, name) for name in cls.model_fields if name not in {"waits_for", "next"}}
        steps = next_steps(seen)
        return cls(**shown, waits_for=steps[0] if steps else None, next=steps)
