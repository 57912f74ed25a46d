"""What is shown of one code over HTTP."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.traceability.rules.recalls import Recall, to_do
from shared.http import View
from shared.tongue import Told, spoken


class ReceivingView(View):
    """Where a code is: by which document it came, for which line. `state` I in, O sold, C written off.

    `came_in`: the case that was scanned for it; `packs` and `state` are the case's while nobody has opened that.
    """

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
    came_in: str | None
    state: str
    sold_quantity: int


class CodeArrivalView(View):
    """Where the code is, the case it lies in, or what lies in it: so many `codes` by one bill; nothing of what was used."""

    institution_code: str
    institution_name: str | None
    bill_number: str
    bill_type: str
    captured_at: datetime
    shipment_line_id: UUID | None
    product_code: str | None
    lot_number: str | None
    codes: int
    packs: int


class ContentView(View):
    """What came of a case by one document: of the `codes` in it that came so, how many are in stock, sold, written off."""

    institution_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    captured_at: datetime
    receipt_id: UUID | None
    shipment_line_id: UUID | None
    codes: int
    packs: int
    held: int
    sold: int
    written_off: int


class LineCoverageView(View):
    """How far codes cover a line for which the code came."""

    receipt_id: UUID
    shipment_line_id: UUID
    quantity_accepted: int | None
    quantity_covered: int
    packs_captured: int
    state: str

    @classmethod
    def of(cls, receipt: Any) -> "LineCoverageView":
        """The part of a receipt that concerns its codes."""
        return cls(
            receipt_id=receipt.id, **{name: getattr(receipt, name) for name in cls.model_fields if name != "receipt_id"}
        )


class MovementView(View):
    """One move: ship, sell, take_back, send_back, pass_on, write_off; `quantity` of an opened pack.

    `code` is another where the case moved in which the code lies. What went on from where it was received tells by which
    bill it had come (`received_…`), and of which line and lot it was.
    """

    code: str
    organisation_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    move: str
    quantity: int | None
    captured_at: datetime
    received_document_id: UUID | None
    received_bill_number: str | None
    received_at: datetime | None
    shipment_line_id: UUID | None
    lot_number: str | None


class RefusalView(View):
    """A scan that did not land: `reason` is a stable word, `rule` says why."""

    organisation_code: str
    document_id: UUID
    bill_number: str
    bill_type: str
    captured_at: datetime
    shipment_line_id: UUID | None
    lot_number: str | None
    reason: str
    rule: Told


class CodeAnomalyView(View):
    """Something found about the code, or about a case it lies in."""

    id: UUID
    kind: str
    severity: str
    code: str | None
    detail: Told
    state: str
    found_at: datetime


class CodeRecallView(View):
    """A recall, open or closed, of a lot of which the code is; `what` is to be done with the pack while it is open."""

    id: UUID
    lot_numbers: list[str]
    reason: str
    state: str
    opened_by: str
    opened_at: datetime
    closed_at: datetime | None
    what: str | None

    @classmethod
    def of(cls, recall: Recall, lots: Collection[str | None], state: str | None) -> "CodeRecallView":
        """The part of a recall that concerns the code: `lots` are those it came as, `state` is the pack's."""
        what = to_do(recall, state)
        told = {name: getattr(recall, name) for name in cls.model_fields if name not in {"lot_numbers", "what"}}
        return cls(
            **told,
            lot_numbers=[lot for lot in recall.lot_numbers if lot in lots],
            what=None if what is None else spoken(what),
        )


class CodeView(View):
    """The whole life of a code, as far as the caller may see it."""

    code: str
    family: str
    ident: str | None
    product_code: str | None
    product_name: str | None
    manufacturer_code: str | None
    level: int | None
    packs_per_unit: int | None
    lies_in: list[str]
    holds: int
    received: ReceivingView | None
    arrivals: list[CodeArrivalView] = Field(
        description="for the maker of the codes and the distributor of their line: at which institution they are, of which lot"
    )
    contents: list[ContentView]
    coverage: list[LineCoverageView]
    movements: list[MovementView]
    recalls: list[CodeRecallView]
    refused: list[RefusalView]
    anomalies: list[CodeAnomalyView]
