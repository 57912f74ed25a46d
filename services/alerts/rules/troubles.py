"""What makes an alert of a trouble that was told as such, and what remedies it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from services.alerts.rules.alerts import About, Cause, Kind
from shared import money
from shared.errors import Said
from shared.events.orders import LineRefused
from shared.events.settlement import PaymentFailed
from shared.events.traceability import CodeFlagged

SHOWN_FINDS = 20
"""Of a code that is captured again and again, the evidence names so many finds, the last ones, and counts all."""


def supply_key(institution_code: str, product_code: str) -> str:
    """What a later confirmation remedies: the supply of a product at an institution."""
    return f"{institution_code}/{product_code}"


def refused(event: LineRefused, event_id: UUID, at: datetime, manufacturer_code: str | None) -> Cause:
    """Supply trouble at an institution; the line's maker was told when the order was placed."""
    return Cause(
        kind=Kind.LINE_REFUSED,
        about=About.ORDER_LINE,
        about_id=str(event.line_id),
        cause="refused",
        remedy_key=supply_key(event.institution_code, event.product_code),
        institution_code=event.institution_code,
        supplier_code=event.distributor_code,
        region=event.region,
        product_code=event.product_code,
        happened_at=at,
        detail=Said(
            "{refused} of {ordered} {product} were refused, order {order_number}: {reason}",
            refused=event.quantity_refused,
            ordered=event.quantity_ordered,
            product=event.product_name,
            order_number=event.order_number,
            reason=event.reason,
        ),
        evidence={
            "order_id": str(event.order_id),
            "order_number": event.order_number,
            "line_id": str(event.line_id),
            "quantity_ordered": event.quantity_ordered,
            "quantity_refused": event.quantity_refused,
            "reason": event.reason,
            "events": [str(event_id)],
        },
        manufacturer_code=manufacturer_code,
    )


def unpaid_key(sheet_id: UUID, *, returned: bool) -> str:
    """What a later payment remedies: that a sheet was not paid, or that its money came back."""
    return f"{sheet_id}, returned" if returned else f"{sheet_id}"


def payment_failed(event: PaymentFailed, event_id: UUID, at: datetime) -> Cause:
    """A sheet that the bank did not pay, or whose money came back: of one payment first the one, then the other."""
    return Cause(
        kind=Kind.PAYMENT_FAILED,
        about=About.SHEET,
        about_id=str(event.sheet_id),
        cause=unpaid_key(event.payment_id, returned=event.returned),
        remedy_key=unpaid_key(event.sheet_id, returned=event.returned),
        institution_code=event.institution_code,
        supplier_code=event.distributor_code,
        region=event.region,
        product_code=None,
        happened_at=at,
        detail=Said(
            "{yuan} yuan were not paid: {reason}", yuan=money.amount_text(event.amount_yuan), reason=event.reason
        ),
        evidence={
            "payment_id": str(event.payment_id),
            "run_id": str(event.run_id),
            "sheet_id": str(event.sheet_id),
            "amount_yuan": money.amount_text(event.amount_yuan),
            "reason": event.reason,
            "events": [str(event_id)],
        },
    )


def flagged_key(event: CodeFlagged) -> str:
    """What the alert is about that tells another distributor than the first of a code: one anomaly, one distributor."""
    return f"{event.anomaly_id}:{event.distributor_code}"


def flagged(event: CodeFlagged, event_id: UUID, at: datetime, about_id: str = "") -> Cause:
    """A trace code found where it should not be; about its anomaly, unless that is another's already."""
    return Cause(
        kind=Kind.CODE_FLAGGED,
        about=About.CODE,
        about_id=about_id or str(event.anomaly_id),
        cause="flagged",
        remedy_key=str(event.anomaly_id),
        institution_code=event.institution_code,
        supplier_code=event.distributor_code,
        region=event.region,
        product_code=event.product_code,
        happened_at=at,
        detail=Said("Trace code {code} was flagged: {detail}", code=event.code, detail=event.detail),
        evidence={
            "anomaly_id": str(event.anomaly_id),
            "code": event.code,
            "kind": event.kind,
            "institution_code": event.institution_code,
            "finds": event.finds,
            "captured": [_capture(event, at)],
            "events": [str(event_id)],
        },
        manufacturer_code=event.manufacturer_code,
    )


def found_again(evidence: Mapping[str, Any], event: CodeFlagged, event_id: UUID, at: datetime) -> dict[str, Any] | None:
    """The evidence with one more find of the same code; None when it was told before."""
    if event.finds <= evidence.get("finds", 1):
        return None
    return {
        **evidence,
        "finds": event.finds,
        "captured": [*evidence.get("captured", ()), _capture(event, at)][-SHOWN_FINDS:],
        "events": [*evidence["events"], str(event_id)][-SHOWN_FINDS:],
    }


def _capture(event: CodeFlagged, at: datetime) -> dict[str, Any]:
    """Who captured the code, by which bill, and when that came to light."""
    return {"bill_number": event.bill_number, "by": event.captured_by, "at": at}
