"""What orders says: what was ordered, who took it on, what was shipped, accepted, rejected or closed.

Events about an order and its lines have the order as subject, those about a shipment and its acceptance the shipment;
`sequence` is the subject's version, raised by one for each event. Quantities are whole sale units.
"""

from datetime import date
from typing import Annotated
from uuid import UUID

from shared.codes import ProductKind
from shared.events.base import Amount, Event, Instant, Price, Value, event, one_of


class OrderedLine(Value, frozen=True, kw_only=True):
    """One line of an order, at the listing's price of that moment."""

    line_id: UUID
    line_number: int
    listing_id: UUID
    product_code: str
    product_kind: Annotated[str, one_of(*ProductKind)]
    product_name: str
    unit: str
    quantity: int
    unit_price_yuan: Price
    amount_yuan: Amount
    distributor_code: str
    distributor_name: str
    manufacturer_code: str


@event("cn.jicai.orders.order.placed.v1", subject="order_id")
class OrderPlaced(Event, frozen=True, kw_only=True):
    """A hospital ordered; every distributor named must confirm or refuse its lines by `confirm_by`."""

    order_id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    region: str
    delivery_point: str | None
    placed_at: Instant
    confirm_by: Instant
    lines: tuple[OrderedLine, ...]


@event("cn.jicai.orders.order.cancelled.v1", subject="order_id")
class OrderCancelled(Event, frozen=True, kw_only=True):
    """The hospital took back the lines that nobody had confirmed."""

    order_id: UUID
    order_number: str
    institution_code: str
    region: str
    line_ids: tuple[UUID, ...]
    reason: str


@event("cn.jicai.orders.line.confirmed.v1", subject="order_id")
class LineConfirmed(Event, frozen=True, kw_only=True):
    """The distributor will deliver `quantity_confirmed` by `deliver_by`; what is left of the line is refused."""

    order_id: UUID
    line_id: UUID
    order_number: str
    institution_code: str
    distributor_code: str
    region: str
    product_code: str
    product_name: str
    quantity_ordered: int
    quantity_confirmed: int
    deliver_by: Instant


@event("cn.jicai.orders.line.refused.v1", subject="order_id")
class LineRefused(Event, frozen=True, kw_only=True):
    """The distributor will not deliver `quantity_refused` of the line: supply trouble."""

    order_id: UUID
    line_id: UUID
    order_number: str
    institution_code: str
    distributor_code: str
    region: str
    product_code: str
    product_name: str
    quantity_ordered: int
    quantity_refused: int
    reason: str


@event("cn.jicai.orders.line.closed.v1", subject="order_id")
class LineClosed(Event, frozen=True, kw_only=True):
    """Nothing more will come for this line: everything was received, or the hospital closed the remainder."""

    order_id: UUID
    line_id: UUID
    order_number: str
    institution_code: str
    distributor_code: str
    region: str
    product_code: str
    quantity_ordered: int
    quantity_accepted: int
    quantity_unfulfilled: int
    reason: str


class ShippedLine(Value, frozen=True, kw_only=True):
    """Goods of one lot on the way."""

    shipment_line_id: UUID
    order_line_id: UUID
    product_code: str
    product_kind: Annotated[str, one_of(*ProductKind)]
    product_name: str
    unit: str
    lot_number: str
    produced_on: date
    expires_on: date
    quantity: int


@event("cn.jicai.orders.shipment.dispatched.v1", subject="shipment_id")
class ShipmentDispatched(Event, frozen=True, kw_only=True):
    """The distributor sent goods for one order."""

    shipment_id: UUID
    shipment_number: str
    order_id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    dispatched_at: Instant
    lines: tuple[ShippedLine, ...]


@event("cn.jicai.orders.shipment.cancelled.v1", subject="shipment_id")
class ShipmentCancelled(Event, frozen=True, kw_only=True):
    """The distributor took the shipment back before anything of it was received."""

    shipment_id: UUID
    shipment_number: str
    order_id: UUID
    institution_code: str
    distributor_code: str
    region: str
    shipment_line_ids: tuple[UUID, ...]
    reason: str


class AcceptedLine(Value, frozen=True, kw_only=True):
    """What the hospital took of one shipment line, and what it is to be paid at."""

    shipment_line_id: UUID
    order_line_id: UUID
    product_code: str
    product_kind: Annotated[str, one_of(*ProductKind)]
    product_name: str
    manufacturer_code: str
    unit: str
    lot_number: str
    expires_on: date
    quantity_accepted: int
    unit_price_yuan: Price


@event("cn.jicai.orders.delivery.accepted.v1", subject="shipment_id")
class DeliveryAccepted(Event, frozen=True, kw_only=True):
    """The hospital accepted goods: settlement opens payables, traceability expects codes."""

    shipment_id: UUID
    order_id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    accepted_at: Instant
    lines: tuple[AcceptedLine, ...]


class RejectedLine(Value, frozen=True, kw_only=True):
    """What the hospital did not take of one shipment line."""

    shipment_line_id: UUID
    order_line_id: UUID
    product_code: str
    lot_number: str
    quantity_rejected: int
    reason: str


@event("cn.jicai.orders.delivery.rejected.v1", subject="shipment_id")
class DeliveryRejected(Event, frozen=True, kw_only=True):
    """The hospital refused goods on arrival."""

    shipment_id: UUID
    order_id: UUID
    order_number: str
    institution_code: str
    distributor_code: str
    region: str
    rejected_at: Instant
    lines: tuple[RejectedLine, ...]
