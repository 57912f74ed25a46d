"""What traceability says: which receipts want codes, how far codes cover them, and which codes and lots are suspect.

Coverage figures are totals in sale units; a receipt is one shipment line at one hospital.
"""

from typing import Annotated
from uuid import UUID

from shared.events.base import Event, Instant, event, one_of

AnomalyKind = Annotated[
    str,
    one_of(
        *("received_elsewhere", "already_sold", "mismatch", "no_inbound", "written_off", "recalled", "expired"),
        *("duplicate", "content_differs", "unknown", "recalled_lot_held", "surplus"),
    ),
]


@event("cn.jicai.traceability.receipt.expected.v1", subject="receipt_id")
class ReceiptExpected(Event, frozen=True, kw_only=True):
    """Codes for these goods are awaited at the hospital; `exempt`: none are asked for, and it is never short."""

    receipt_id: UUID
    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    product_code: str
    lot_number: str
    quantity_shipped: int
    exempt: bool = False


@event("cn.jicai.traceability.coverage.verified.v1", subject="receipt_id")
class CoverageVerified(Event, frozen=True, kw_only=True):
    """Valid codes cover everything that was accepted."""

    receipt_id: UUID
    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    product_code: str
    quantity_accepted: int
    quantity_covered: int
    verified_at: Instant


@event("cn.jicai.traceability.coverage.short.v1", subject="receipt_id")
class CoverageShort(Event, frozen=True, kw_only=True):
    """Valid codes cover a part of what was accepted; `quantity_covered` of it, so far."""

    receipt_id: UUID
    shipment_line_id: UUID
    order_id: UUID
    order_line_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    product_code: str
    quantity_accepted: int
    quantity_covered: int


@event("cn.jicai.traceability.code.flagged.v1", subject="anomaly_id")
class CodeFlagged(Event, frozen=True, kw_only=True):
    """A code was found where it should not be: sold twice, of another product, expired, recalled, unknown.

    Said for each bill that brings it to light: `finds` counts them, `bill_number` and `captured_by`, a person of the
    institution, are of that bill. Of what is wrong with goods as they were delivered, the distributor of the line that this
    bill is for and the maker of its product are named.
    """

    anomaly_id: UUID
    code: str
    kind: AnomalyKind
    institution_code: str
    region: str
    product_code: str | None
    detail: str
    finds: int = 1
    bill_number: str | None = None
    captured_by: str | None = None
    distributor_code: str | None = None
    manufacturer_code: str | None = None


@event("cn.jicai.traceability.code.cleared.v1", subject="anomaly_id")
class CodeCleared(Event, frozen=True, kw_only=True):
    """The anomaly is closed, by the authority or by itself; `finding` is what came of it. It is the last that is said of it."""

    anomaly_id: UUID
    code: str
    kind: AnomalyKind
    institution_code: str
    region: str
    product_code: str | None
    finding: str
    cleared_at: Instant


@event("cn.jicai.traceability.recall.opened.v1", subject="recall_id")
class RecallOpened(Event, frozen=True, kw_only=True):
    """Goods of these lots may not be received, used or sold."""

    recall_id: UUID
    product_code: str
    lot_numbers: tuple[str, ...]
    reason: str
    opened_at: Instant
    opened_by: str | None = None
    """the maker, or the authority: who closes it"""
    opened_by_name: str | None = None
    manufacturer_code: str | None = None


@event("cn.jicai.traceability.recall.closed.v1", subject="recall_id")
class RecallClosed(Event, frozen=True, kw_only=True):
    """The recall is over."""

    recall_id: UUID
    product_code: str
    lot_numbers: tuple[str, ...]
    closed_at: Instant
