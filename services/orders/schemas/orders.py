"""What is said about orders over HTTP."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from services.orders.rules.market import LARGEST_QUANTITY
from services.orders.rules.orders import Book, Order, counts_of
from services.orders.schemas.fields import MOST_LINES
from services.orders.schemas.lines import LineView
from shared.http import Amount, Code, Command, Name, Price, Reason, View
from shared.http.invalid import InvalidRequest
from shared.values import frozen

AnyQuantity = Annotated[Any, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": LARGEST_QUANTITY})]
"""Read as whatever was sent, so that the rules report a wrong one together with every other fault of the line."""

_ORDER: dict[str, JsonValue] = {
    "order_number": "CG20260105-0001",
    "delivery_point": "河坊街院区",
    "lines": [
        {"product_code": "XA02BCA030A001010100001", "quantity": 120, "distributor_code": "91330100MA27XF6Q6M"},
        {
            "product_code": "XC07ABB040A001020100002",
            "quantity": 40,
            "distributor_code": "91330100MA27XF6Q6M",
            "unit_price_yuan": "8.7600",
        },
    ],
}


class PlaceOrderLine(Command):
    """A product, how many sale units of it, and who shall deliver; a price only to have it checked."""

    product_code: Code
    quantity: AnyQuantity = Field(description="whole sale units")
    distributor_code: Code
    unit_price_yuan: Price | None = Field(None, description="refused when it is not the listing's")


class PlaceOrder(Command):
    """Orders under a number of the hospital's own; the same number again is the same order."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ORDER]})

    order_number: Code
    delivery_point: Name | None = Field(None, description="a name under which the institution receives goods")
    lines: list[PlaceOrderLine] = Field(min_length=1, max_length=MOST_LINES)
    institution_code: Code | None = Field(None, description="for the operator, who acts for an institution")


@frozen
class UnreadableOrder:
    """An order that is not of the expected form: why, and the lines that can be judged all the same, by their place."""

    refusal: InvalidRequest
    institution_code: str | None
    delivery_point: str | None
    lines: Mapping[int, PlaceOrderLine]


def _or_why_not(given: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(given)
    except ValidationError as error:
        faults = error.errors()
        if not all(found["loc"] for found in faults):  # no object, or one with a name that is no text
            raise
        refusal = InvalidRequest.of([{**found, "loc": ("body", *found["loc"])} for found in faults])
        wrong = {found["loc"][0] for found in faults}
    lines = given.get("lines")
    sent = enumerate(lines[:MOST_LINES] if isinstance(lines, list) else ())
    readable = {place: line for place, one in sent if (line := _line(one)) is not None}
    good = {name: value for name, value in given.items() if name not in wrong}
    return UnreadableOrder(refusal, good.get("institution_code"), good.get("delivery_point"), readable)


def _line(given: Any) -> PlaceOrderLine | None:
    """A line without what is wrong in its form; None when a field that it needs is, or the whole of it."""
    try:
        return PlaceOrderLine.model_validate(given)
    except ValidationError as error:
        places = [found["loc"] for found in error.errors()]
    needed = {name for name, field in PlaceOrderLine.model_fields.items() if field.is_required()}
    if not all(places) or (wrong := {place[0] for place in places}) & needed:
        return None
    return PlaceOrderLine.model_validate({name: value for name, value in given.items() if name not in wrong})


AnyOrder = Annotated[PlaceOrder, WrapValidator(_or_why_not)]
"""A PlaceOrder or, when it is none, an UnreadableOrder: the market's faults are told together with those of the form."""


class CancelOrder(Command):
    """Takes back every line that nobody has confirmed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "doubled by mistake"}]})

    reason: Reason


class OrderHeadView(View):
    """An order without its lines; state: placed, confirmed, closed, cancelled, by all its lines; the counts are of those
    that the caller is a party of."""

    id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    region: str
    delivery_point: str | None
    state: str
    placed_at: datetime
    confirm_by: datetime
    line_count: int
    lines_pending: int
    lines_active: int
    lines_cancelled: int

    @classmethod
    def head(cls, order: Order, states: Sequence[str], **more: Any) -> Self:
        """Shows an order to somebody who sees lines in these states, with what else a fuller view has."""
        return cls(
            id=order.id,
            order_number=order.order_number,
            institution_code=order.institution_code,
            institution_name=order.institution_name,
            region=order.region,
            delivery_point=order.delivery_point,
            state=order.state,
            placed_at=order.placed_at,
            confirm_by=order.confirm_by,
            **counts_of(states),
            **more,
        )


class OrderView(OrderHeadView):
    """An order with those of its lines that the caller is a party of; counts and amounts are of these."""

    amount_yuan: Amount
    paid_yuan: Amount
    lines: list[LineView]

    @classmethod
    def of(cls, book: Book) -> Self:
        """Shows an order."""
        return cls.head(
            book.order,
            [line.state for line in book.lines],
            amount_yuan=sum((line.amount_yuan for line in book.lines), Decimal(0)),
            paid_yuan=sum((line.paid_yuan for line in book.lines), Decimal(0)),
            lines=[LineView.model_validate(line) for line in book.lines],
        )
