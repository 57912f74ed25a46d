"""What is said about sheets over HTTP."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, PlainSerializer

from services.settlement.rules.sheets import Sheet, next_step
from shared.http import Amount, Command, Price, Reason, View
from shared.next_steps import NextStep

SHEET = "01890a5d-ac96-774b-bcce-b302099a8057"
PAYABLE = "01890a5d-ac96-774b-bcce-b302099a8058"

Month = Annotated[date, PlainSerializer(lambda month: f"{month:%Y-%m}", return_type=str), Field(examples=["2026-03"])]


class ActOnSheet(Command):
    """A sheet that is confirmed or reviewed; with `version` only while nobody changed it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sheet_id": SHEET, "version": 1}]})

    sheet_id: UUID
    version: int | None = Field(None, ge=1, strict=True, description="the version that was read")


class ReturnSheet(Command):
    """The agency found something wrong with a confirmed sheet; the hospital looks at it again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "与入库单金额不一致,请核对"}]})

    reason: Reason


class DisputedLine(Command):
    """A line that the hospital does not stand by, and why."""

    payable_id: UUID
    reason: Reason


class DisputeSheet(Command):
    """These lines leave the sheet; the rest may be confirmed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lines": [{"payable_id": PAYABLE, "reason": "到货数量与发票不符"}]}]}
    )

    lines: list[DisputedLine] = Field(min_length=1, max_length=1_000)


class DisputeSheetOf(DisputeSheet):
    """The same, naming the sheet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sheet_id": SHEET, "lines": [{"payable_id": PAYABLE, "reason": "到货数量与发票不符"}]}]
        }
    )

    sheet_id: UUID
    version: int | None = Field(None, ge=1, strict=True, description="the version that was read")


class SheetView(View):
    """The month of a hospital and a distributor, summed up; disputed lines have left the amount."""

    id: UUID
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    month: Month
    amount_yuan: Amount
    line_count: int
    disputed_yuan: Amount
    disputed_count: int
    state: str
    confirm_by: date = Field(description="may lie after `due_on`, which it does not move")
    review_by: date | None
    return_reason: str | None = Field(description="why the agency sent it back, until it is confirmed again")
    due_on: date = Field(
        description="when the earliest of its lines is due: counted from acceptance, whoever still has to act"
    )
    issued_at: datetime
    waits_for: NextStep | None
    version: int

    @classmethod
    def of(cls, sheet: Sheet) -> Self:
        """The view of a sheet."""
        shown = {name: getattr(sheet, name) for name in cls.model_fields if name != "waits_for"}
        return cls(**shown, waits_for=next_step(sheet))


class LineView(View):
    """A payable on a sheet."""

    payable_id: UUID
    order_id: UUID
    order_number: str
    product_code: str
    product_name: str
    lot_number: str
    unit: str
    quantity: int = Field(description="what this sheet pays for, in `unit`: times the price it is the amount, to a fen")
    quantity_accepted: int = Field(description="what was accepted; the rest is on other sheets or waits for codes")
    unit_price_yuan: Price
    accepted_at: datetime
    amount_yuan: Amount
    disputed_at: datetime | None
    dispute_reason: str | None
