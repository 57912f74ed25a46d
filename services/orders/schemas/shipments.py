"""What is said about shipments and their acceptance over HTTP."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from itertools import chain
from typing import Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from services.orders.rules.shipments import Load, date_faults
from services.orders.schemas.fields import MOST_LINES, Day, LineNumber, Units
from services.orders.schemas.lines import OrderNamed
from shared import clock
from shared.errors import Fault
from shared.http import Code, Command, Judged, Quantity, Reason, View


class DispatchLine(Judged):
    """Goods of one lot for one line."""

    line_number: LineNumber
    lot_number: Code
    produced_on: Day
    expires_on: Day = Field(description="the first day on which the goods are expired")
    quantity: Quantity

    @classmethod
    def judged(cls, good: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[Fault]:
        if not {"produced_on", "expires_on"} <= good.keys():
            return []
        return date_faults(good["produced_on"], good["expires_on"], clock.today())


class DispatchShipment(OrderNamed):
    """Sends goods for one order under a number of the distributor's own; the same number again is the same shipment."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "shipment_number": "PS20260106-0007",
                    "institution_code": "H33010200059",
                    "order_number": "CG20260105-0001",
                    "lines": [
                        {
                            "line_number": 1,
                            "lot_number": "A2511032",
                            "produced_on": "2025-11-03",
                            "expires_on": "2027-11-03",
                            "quantity": 100,
                        }
                    ],
                }
            ]
        }
    )

    shipment_number: Code
    lines: list[DispatchLine] = Field(min_length=1, max_length=MOST_LINES)
    distributor_code: Code | None = Field(None, description="for the operator, who acts for a distributor")

    @classmethod
    def judged(cls, good: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[Fault]:
        today = clock.today()
        dates = (date_faults(one.produced_on, one.expires_on, today, place) for place, one in _lines(given))
        return [*super().judged(good, given), *chain.from_iterable(dates)]


def _lines(given: Mapping[str, Any]) -> Iterator[tuple[str, DispatchLine]]:
    """The lines of the right form, with their places; of the others pydantic told already."""
    lines = given.get("lines")
    for place, one in enumerate(lines[:MOST_LINES] if isinstance(lines, list) else ()):
        with suppress(ValidationError):
            yield f"/lines/{place}", DispatchLine.model_validate(one)


class CancelShipment(Command):
    """Calls goods back of which nothing was received."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the lorry broke down"}]})

    reason: Reason


class AcceptLine(Command):
    """What the hospital does with one shipment line: accepted + rejected = shipped."""

    shipment_line_id: UUID
    accepted: Units
    rejected: Units = 0
    reason: Reason | None = Field(None, description="why goods are rejected")


_ARRIVALS: list[JsonValue] = [
    {
        "shipment_line_id": "019be3a4-7c1e-7d0a-9a55-0c8f0c1f6a10",
        "accepted": 96,
        "rejected": 4,
        "reason": "four boxes were wet",
    }
]


class AcceptShipment(Command):
    """The hospital's decision on lines of a shipment, each once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lines": _ARRIVALS}]})

    lines: list[AcceptLine] = Field(min_length=1, max_length=MOST_LINES)


class AcceptShipmentOf(AcceptShipment):
    """The same, naming the shipment."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"shipment_id": "019be3a4-7c1e-7d0a-9a55-0c8f0c1f6a00", "lines": _ARRIVALS}]}
    )

    shipment_id: UUID


class ShipmentLineView(View):
    """Goods of one lot, and what became of them."""

    id: UUID
    order_line_id: UUID
    line_number: int
    product_code: str
    product_name: str
    unit: str
    lot_number: str
    produced_on: date
    expires_on: date
    quantity: int
    quantity_accepted: int | None
    quantity_rejected: int | None
    reason: str | None
    received_at: datetime | None


class ShipmentHeadView(View):
    """A shipment without its lines; state: dispatched, receiving, received, cancelled."""

    id: UUID
    shipment_number: str
    order_id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    dispatched_at: datetime
    state: str
    reason: str | None


class ShipmentView(ShipmentHeadView):
    """A shipment with its lines."""

    lines: list[ShipmentLineView]

    @classmethod
    def of(cls, load: Load) -> Self:
        """Shows a shipment."""
        head = ShipmentHeadView.model_validate(load.shipment)
        return cls(**dict(head), lines=[ShipmentLineView.model_validate(line) for line in load.lines])
