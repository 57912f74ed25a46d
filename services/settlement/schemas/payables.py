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
    version: int | None = Field(None, ge=1, strict=True, description="the version that was read")


class RecallOfLot(View):
    """The open recall of a payable's lot: nothing that is not in a run yet is paid until it is closed."""

    recall_id: UUID
    reason: str | None
    opened_by: str | None
    opened_by_name: str | None
    opened_at: datetime


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
    quantity: int = Field(description="what was accepted, in `unit`")
    unit_price_yuan: Price
    amount_yuan: Amount
    accepted_at: datetime
    due_on: date
    codes_required: bool
    quantity_released: int = Field(description="of `quantity`, how much codes have covered so far: so much may be paid")
    quantity_awaiting_codes: int = Field(
        description="of `quantity`, how much no codes cover now: not yet, or not any more; 0 where none are required"
    )
    quantity_cover_lost: int = Field(
        description="of quantity_released, how much has lost its codes since: it goes onto no sheet until codes cover it"
        " again, and what is on one or paid stays so"
    )
    quantity_uncovered: int = Field(
        description="the same as quantity_cover_lost, under its earlier name", json_schema_extra={"deprecated": True}
    )
    released_yuan: Amount
    sheeted_yuan: Amount
    held_yuan: Amount
    held_reason: str | None
    resolve_by: date | None = Field(description="the day by which the dispute is to be settled; the due date stays")
    paid_yuan: Amount
    sheet_id: UUID | None
    state: str = Field(
        description="paid: all of it; else the first that is true of a part: held, sheeted, released (it waits for a sheet),"
        " awaiting_codes; the rest may still wait for codes, see quantity_awaiting_codes. recalled: it waits for codes or a"
        " sheet, and its lot is recalled"
    )
    recall: RecallOfLot | None = Field(
        description="also of what is paid: a paid payable with one is money for recalled goods"
    )
    waits_for: NextStep | None = Field(description="the first of `next`; null when there is none")
    next: list[NextStep] = Field(
        description="everybody it waits for: who moves what is released, who captures what is not, who ends a recall"
    )
    version: int

    @classmethod
    def of(cls, seen: Seen) -> Self:
        """The view of a payable with the sheet it stands on."""
        payable = seen.payable
        other = {"state", "recall", "waits_for", "next", "quantity_cover_lost"}
        shown = {name: getattr(payable, name) for name in cls.model_fields if name not in other}
        recall = RecallOfLot.model_validate(seen.recall) if seen.recall else None
        steps = next_steps(seen)
        shown |= {"quantity_cover_lost": payable.quantity_uncovered, "state": seen.state, "recall": recall}
        return cls(**shown, waits_for=steps[0] if steps else None, next=steps)
