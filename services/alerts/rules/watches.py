"""What is watched for a deadline: order lines, and when each is as promised.

Facts come from several topics in any order, so each column is filled by its own event and a decision reads what is there.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.alerts.rules.alerts import About, Alert, Cause, Kind
from shared.errors import Said
from shared.values import frozen

SHOWN_LINES = 50
"""Lines that the evidence of one alert lists; the count tells of the rest."""


@frozen
class WatchedLine:
    """An order line as far as it is known here; `None` is what has not arrived yet."""

    line_id: UUID
    order_id: UUID
    order_number: str | None
    institution_code: str
    supplier_code: str | None
    manufacturer_code: str | None
    region: str
    product_code: str | None
    product_name: str | None
    quantity_ordered: int | None
    quantity_confirmed: int | None
    quantity_refused: int | None
    placed_at: datetime | None
    confirm_by: datetime | None
    deliver_by: datetime | None
    confirmed_at: datetime | None
    refused_at: datetime | None
    cancelled_at: datetime | None
    closed_at: datetime | None
    placed_event: UUID | None
    confirmed_event: UUID | None
    quantity_accepted: int = 0
    quantity_on_the_way: int = 0

    def arriving(self, accepted: int, on_the_way: int) -> "WatchedLine":
        """The line with what was accepted of it, and what was shipped and neither received nor taken back."""
        return replace(self, quantity_accepted=accepted, quantity_on_the_way=on_the_way)

    @property
    def quantity_missing(self) -> int:
        """What was confirmed, and is neither accepted nor on the way."""
        return max(0, (self.quantity_confirmed or 0) - self.quantity_accepted - self.quantity_on_the_way)

    @property
    def answered(self) -> bool:
        """Whether nobody waits for the distributor's word any more."""
        return any((self.confirmed_at, self.refused_at, self.cancelled_at, self.closed_at))

    @property
    def delivered(self) -> bool:
        """Whether nothing more is awaited: accepted as confirmed, or closed."""
        if self.closed_at or self.cancelled_at:
            return True
        return self.quantity_confirmed is not None and self.quantity_accepted >= self.quantity_confirmed


def unconfirmed_key(order_id: UUID, supplier_code: str | None) -> str:
    """What an unconfirmed alert is about: one order at one distributor."""
    return f"{order_id}:{supplier_code}"


def unconfirmed(lines: Sequence[WatchedLine], now: datetime) -> list[Cause]:
    """One cause per order and distributor that still owes a word on a line after the time to confirm."""
    open_lines: dict[str, list[WatchedLine]] = {}
    for line in lines:
        if line.confirm_by is not None and line.confirm_by <= now and not line.answered:
            open_lines.setdefault(unconfirmed_key(line.order_id, line.supplier_code), []).append(line)
    return [_unconfirmed(key, group, now) for key, group in open_lines.items()]


def _unconfirmed(key: str, lines: Sequence[WatchedLine], now: datetime) -> Cause:
    first = lines[0]
    return Cause(
        kind=Kind.ORDER_UNCONFIRMED,
        about=About.ORDER,
        about_id=key,
        cause="confirm_by",
        remedy_key=key,
        institution_code=first.institution_code,
        supplier_code=first.supplier_code,
        region=first.region,
        product_code=first.product_code if len(lines) == 1 else None,
        happened_at=first.confirm_by or now,
        detail=Said(
            "Neither confirmed nor refused by {by}: {count:#line} of order {order_number}.",
            by=first.confirm_by or "?",
            count=len(lines),
            order_number=first.order_number,
        ),
        evidence={
            "order_id": str(first.order_id),
            "order_number": first.order_number,
            "confirm_by": first.confirm_by,
            "line_count": len(lines),
            "lines": [_shown(line) for line in lines[:SHOWN_LINES]],
            "events": [str(first.placed_event)],
        },
    )


def overdue_deliveries(lines: Sequence[WatchedLine], now: datetime) -> list[Cause]:
    """One cause per confirmed line of which less than confirmed was accepted after the time to deliver."""
    return [
        Cause(
            kind=Kind.DELIVERY_OVERDUE,
            about=About.ORDER_LINE,
            about_id=str(line.line_id),
            cause="deliver_by",
            remedy_key=str(line.line_id),
            institution_code=line.institution_code,
            supplier_code=line.supplier_code,
            region=line.region,
            product_code=line.product_code,
            happened_at=line.deliver_by,
            detail=_late_words(line),
            evidence={
                "order_id": str(line.order_id),
                "order_number": line.order_number,
                "deliver_by": line.deliver_by,
                **_shown(line),
                **arriving(line),
                "events": [str(line.confirmed_event)],
            },
            manufacturer_code=line.manufacturer_code,
        )
        for line in lines
        if line.deliver_by is not None and line.deliver_by <= now and not line.delivered
    ]


def _late_words(line: WatchedLine) -> Said:
    return Said(
        "Of {confirmed} confirmed and due by {by} {accepted} are accepted, {on_the_way} on the way and {missing} missing; order"
        " {order_number}.",
        confirmed=line.quantity_confirmed,
        by=line.deliver_by,
        accepted=line.quantity_accepted,
        on_the_way=line.quantity_on_the_way,
        missing=line.quantity_missing,
        order_number=line.order_number,
    )


def arriving(line: WatchedLine) -> dict[str, Any]:
    """The figures of a line that change while it is delivered."""
    names = ("quantity_accepted", "quantity_on_the_way", "quantity_missing")
    return {name: getattr(line, name) for name in names}


def late_as_known(alert: Alert, line: WatchedLine) -> Alert:
    """An alert of a late delivery with the figures as they are now."""
    return replace(alert, detail=_late_words(line), evidence={**alert.evidence, **arriving(line)})


def _shown(line: WatchedLine) -> dict[str, Any]:
    return {
        "line_id": str(line.line_id),
        "product_code": line.product_code,
        "product_name": line.product_name,
        "quantity_ordered": line.quantity_ordered,
        "quantity_confirmed": line.quantity_confirmed,
        "quantity_accepted": line.quantity_accepted,
    }
