"""The load: orders placed, confirmed, shipped, accepted and captured over HTTP, by hospitals that do not give up.

Invariant: every batch that was begun is played to its end.
"""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, Protocol

from deploy.story.cast import Cast, assemble, load
from deploy.story.market import open_market
from deploy.story.money import name_accounts
from deploy.story.teller import Teller
from deploy.visitor import Person, Visitor
from shared import clock
from tests.faults.client import Answered, Client, NeverTaken

MARKET_OPENED_DAYS_AGO = 60
UNANSWERED_EVERY = 20
"""Of so many orders one is never confirmed, so that there is a deadline to keep."""
UNCAPTURED_EVERY = 10
SLOWLY_SECONDS = 6.0
"""A hospital that is ahead of the faults waits up to so long between two batches, which are small ones then."""
SLOWLY_ORDERS = 5
WAITS_SECONDS = 0.2
HOSPITALS = 4
HOSPITAL_CODE = "H33010290{:03d}"


class Pace(Protocol):
    """How fast the load may go."""

    @property
    def load_may_go_on(self) -> bool:
        """The load is not ahead of the faults."""

    @property
    def crowded(self) -> bool:
        """So much is in flight that nothing may be added."""


@dataclass(slots=True)
class Load:
    """Some hospitals side by side, each taking one batch of orders after the other through its life."""

    visitor: Visitor
    cast: Cast
    orders_per_call: int
    pace: Pace
    client: Client = field(default_factory=Client)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _serials: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def answered(self) -> Answered:
        """What was said yes to."""
        return self.client.answered

    @property
    def operator(self) -> Person:
        """Who acts for all: bulk calls name the party."""
        return self.visitor.person("operator", "OPERATOR", self.cast.sample.region, "faults")

    async def play(self, stop: asyncio.Event) -> None:
        """Until told to stop; every batch that was begun is played to its end. What is never taken stops the whole load."""
        async with asyncio.TaskGroup() as together:
            for place in range(HOSPITALS):
                together.create_task(self._hospital(HOSPITAL_CODE.format(place), stop))

    async def _hospital(self, code: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            slowly = not self.pace.load_may_go_on
            size = min(self.orders_per_call, SLOWLY_ORDERS) if slowly else self.orders_per_call
            try:
                await self._batch(code, [next(self._numbers) for _ in range(size)])
            except NeverTaken as never:
                self.answered.never_taken.append(str(never))
                stop.set()
            if slowly:
                await asyncio.sleep(random.uniform(0, SLOWLY_SECONDS))
            while self.pace.crowded and not stop.is_set():  # noqa: ASYNC110
                await asyncio.sleep(WAITS_SECONDS)

    async def _batch(self, hospital: str, numbers: list[int]) -> None:
        orders = await self._bulk("orders/orders/bulk", [self._order(hospital, number) for number in numbers])
        self.answered.orders.update(order["id"] for order in orders)
        answered = [order for order, number in zip(orders, numbers, strict=True) if number % UNANSWERED_EVERY]
        confirmed = await self._bulk(
            "orders/confirmations/bulk", [one for order in answered for one in _confirmations(order)]
        )
        self.answered.confirmed |= {
            line["id"] for order in confirmed for line in order["lines"] if line["state"] != "pending"
        }
        shipments = await self._bulk("orders/shipments/bulk", [one for order in answered for one in _shipments(order)])
        self.answered.shipments.update(shipment["id"] for shipment in shipments)
        received = await self._bulk("orders/acceptances/bulk", [_acceptance(shipment) for shipment in shipments])
        self.answered.accepted |= {line["id"] for shipment in received for line in shipment["lines"]}
        lines = [line for place, one in enumerate(shipments) if place % UNCAPTURED_EVERY for line in one["lines"]]
        bills = [self._bill(hospital, line) for line in lines]
        captured = await self._capture([bill for bill in bills if bill is not None])
        self.answered.captured.update(document["id"] for document in captured)

    def _order(self, hospital: str, number: int) -> dict[str, Any]:
        cast = self.cast
        a, b = cast.enterprise("dealer_a").uscc, cast.enterprise("dealer_b").uscc
        wanted = (("tablets", 2, a), ("pills", 1, b), ("slices", 3, a))
        return {
            "order_number": f"F-{number:07d}",
            "institution_code": hospital,
            "lines": [
                {"product_code": cast.product(key).code, "quantity": quantity, "distributor_code": dealer}
                for key, quantity, dealer in wanted
            ],
        }

    def _bill(self, hospital: str, line: dict[str, Any]) -> dict[str, Any] | None:
        product = next(one for one in self.cast.sample.products if one.code == line["product_code"])
        if product.ident is None:
            return None
        return {
            "bill_number": f"B-{line['id']}",
            "bill_type": "102",
            "organisation_code": hospital,
            "shipment_line_id": line["id"],
            "codes": [f"{product.ident}{next(self._serials):013d}" for _ in range(line["quantity"])],
        }

    async def _bulk(self, path: str, commands: list[Any]) -> list[Any]:
        return await self.client.items(self.operator, path, commands)

    async def _capture(self, bills: list[Any]) -> list[Any]:
        return await self.client.items(self.operator, "traceability/documents", bills, lambda left: {"documents": left})


async def market(visitor: Visitor) -> Cast:
    """Opens the market of the story some weeks ago, with more hospitals and with accounts to pay to, then gives the platform
    the real time."""
    cast = assemble(load(), visitor)
    began = clock.start_of_day(clock.today() - timedelta(days=MARKET_OPENED_DAYS_AGO)) + timedelta(hours=9)
    teller = Teller(visitor, began)
    await teller.on(began)
    await open_market(cast, teller)
    codes = [HOSPITAL_CODE.format(place) for place in range(HOSPITALS)]
    hospitals = [{"code": code, "name": f"青禾市第{place}院区"} for place, code in enumerate(codes, 2)]
    await cast.authority.post("listing/institutions/bulk", hospitals)
    await name_accounts(cast, teller)
    await visitor.release_clock()
    await visitor.until_quiet()
    return cast


def _shares(order: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The lines of each distributor."""
    shares: dict[str, list[dict[str, Any]]] = {}
    for line in order["lines"]:
        shares.setdefault(line["distributor_code"], []).append(line)
    return shares


def _confirmations(order: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "order_id": order["id"],
            "distributor_code": code,
            "lines": [{"line_number": one["line_number"], "quantity": one["quantity_ordered"]} for one in lines],
        }
        for code, lines in _shares(order).items()
    ]


def _shipments(order: dict[str, Any]) -> list[dict[str, Any]]:
    today = clock.today()
    lot = {
        "lot_number": f"L{today:%y%m}",
        "produced_on": (today - timedelta(days=100)).isoformat(),
        "expires_on": (today + timedelta(days=600)).isoformat(),
    }
    return [
        {
            "shipment_number": f"S-{order['order_number']}",
            "order_id": order["id"],
            "distributor_code": code,
            "lines": [{"line_number": one["line_number"], "quantity": one["quantity_ordered"], **lot} for one in lines],
        }
        for code, lines in _shares(order).items()
    ]


def _acceptance(shipment: dict[str, Any]) -> dict[str, Any]:
    return {
        "shipment_id": shipment["id"],
        "lines": [{"shipment_line_id": one["id"], "accepted": one["quantity"]} for one in shipment["lines"]],
    }
