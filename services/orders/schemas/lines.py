"""What is said about lines of orders over HTTP."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, model_validator

from services.orders.rules.lines import LineState
from services.orders.schemas.fields import MOST_LINES, LineNumber, PriceShown, Units
from shared.errors import Fault, RuleBroken, Said
from shared.http import Amount, Code, Command, Judged, Reason, View

_ONCE = Said("the order is named once"), Said("order_id, or institution_code with order_number")


class OrderNamed(Judged):
    """Which order: by its id, or by the institution and its order number."""

    order_id: UUID | None = None
    institution_code: Code | None = None
    order_number: Code | None = None

    @classmethod
    def judged(cls, good: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[Fault]:
        return [] if _named_once(given) else [Fault("", dict(given), *_ONCE, "named_once")]

    @model_validator(mode="after")
    def _is_named_once(self) -> Self:
        if not _named_once(self.__dict__):
            raise RuleBroken("named_once", *_ONCE)
        return self


def _named_once(given: Mapping[str, Any]) -> bool:
    by_id = given.get("order_id") is not None
    by_parts = [given.get(name) is not None for name in ("institution_code", "order_number")]
    return not any(by_parts) if by_id else all(by_parts)


class LineConfirmation(Command):
    """How much of a line will be delivered; the rest is refused, for the reason given."""

    line_number: LineNumber
    quantity: Units = Field(description="sale units that will be delivered; 0 refuses the line")
    reason: Reason | None = Field(None, description="why the rest will not be delivered")


_LINES: list[JsonValue] = [
    {"line_number": 1, "quantity": 100, "reason": "out of stock until March"},
    {"line_number": 2, "quantity": 40},
]


class ConfirmLines(Command):
    """The distributor's answer to lines of one order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lines": _LINES}]})

    lines: list[LineConfirmation] = Field(min_length=1, max_length=MOST_LINES)
    distributor_code: Code | None = Field(None, description="for the operator, who acts for a distributor")


class ConfirmLinesOf(OrderNamed, ConfirmLines):
    """The same, naming the order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"institution_code": "H33010200059", "order_number": "CG20260105-0001", "lines": _LINES}]
        }
    )


class CloseLine(Command):
    """Gives up what was not shipped yet."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "bought elsewhere after three months"}]})

    reason: Reason


class LineView(View):
    """A line with what became of every unit of it."""

    id: UUID
    order_id: UUID
    line_number: int
    institution_code: str
    distributor_code: str
    distributor_name: str
    manufacturer_code: str
    manufacturer_name: str
    region: str
    listing_id: UUID
    product_code: str
    product_kind: str
    product_name: str
    specification: str | None
    unit: str
    unit_price_yuan: PriceShown
    amount_yuan: Amount
    state: LineState
    quantity_ordered: int
    quantity_confirmed: int
    quantity_refused: int
    quantity_shipped: int
    quantity_accepted: int
    quantity_rejected: int
    quantity_closed: int
    on_the_way: int
    shippable: int
    quantity_traced: int
    paid_yuan: Amount
    deliver_by: datetime | None
    reason: str | None


class InboxLineView(LineView):
    """A line in a list, with the order it is of."""

    order_number: str
    institution_name: str
    delivery_point: str | None
    placed_at: datetime
    confirm_by: datetime
