"""Plays the days of trade: each order placed at its own time, and confirmed, shipped, accepted and traced that same day.

Invariant: every step goes by a number of its own (order, shipment, bill), so that a day that was played in part is played to
its end and nothing is done twice. Orders are placed one after the other, because the clock stands where each was; what
follows an order is done beside, many at once.
"""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from deploy.replay.codes import codes_of, idents
from deploy.replay.refused import ApiRefusals, Kept
from deploy.replay.rules import Line, Order
from deploy.replay.stage import PASSING, TRIES, WAIT_SECONDS, Bar, ReplayStopped, Stage, accepted, again
from deploy.visitor import Refused
from shared import clock
from shared.values import frozen

ORDERS_PER_BATCH = 25
"""Few enough that what follows the first orders of a day is done while the others are placed."""
BATCHES_AT_ONCE = 2
CODES_PER_BILL = 3_500
CODES_PER_CALL = 25_000
SHELF_LIFE_YEARS = 2
MADE_BEFORE_DAYS = 180
PURCHASE_IN = "102"
UNPROCESSABLE = 422
_PLACE = re.compile(r"/lines/(\d+)")


@frozen
class Placed:
    """An order on the platform, with the lines of the plan by their number there."""

    order: Order
    order_id: str
    lines: dict[int, Line]

    def number(self) -> str:
        """The number of its shipments; each distributor sends one."""
        return f"{self.order.institution_code}-{self.order.order_number}"


@dataclass(slots=True)
class Bill:
    """Codes of one shipment line, on one bill."""

    document: dict[str, Any]

    @property
    def size(self) -> int:
        """Codes on it."""
        return len(self.document["codes"])


@dataclass(slots=True)
class Days:
    """The days of trade; `refused` are rows that the platform did not take."""

    stage: Stage
    refused: ApiRefusals
    done: set[tuple[str, str]] = field(default_factory=set)
    ident: dict[str, str] = field(default_factory=dict)

    async def look(self) -> None:
        """Asks the platform which orders are finished, so that they are not played again; time goes on from the newest."""
        stage, plan = self.stage, self.stage.plan
        self.ident = idents(plan.catalogue.listed)
        await stage.visitor.until_quiet()
        short = {
            receipt["order_id"] async for receipt in stage.pages(stage.operator, "traceability/receipts", state="short")
        }
        period = {"placed_from": plan.first.isoformat(), "placed_to": plan.last.isoformat()}
        wanted = {order.key: len(self._wanted(order)) for order in plan.orders}
        newest = clock.start_of_day(plan.first)
        async for head in stage.pages(stage.operator, "orders/orders", **period):
            key = head["institution_code"], head["order_number"]
            if head["state"] == "closed" and head["id"] not in short and head["line_count"] == wanted.get(key):
                self.done.add(key)
            newest = max(newest, datetime.fromisoformat(head["placed_at"]))
        await stage.drive(newest)

    def _wanted(self, order: Order) -> list[Line]:
        """The lines that the platform has not refused."""
        return [line for line in order.lines if line.row not in self.refused.rows]

    async def play(self, day: date, orders: list[Order], bar: Bar) -> None:
        """One day to its end: nothing of it is in flight afterwards."""
        left = [order for order in orders if order.key not in self.done]
        bar.step(len(orders) - len(left))
        if not left:
            return
        await self.stage.drive(clock.start_of_day(day))
        room = asyncio.Semaphore(BATCHES_AT_ONCE)
        async with asyncio.TaskGroup() as beside:
            batch: list[Placed] = []
            for order in left:
                placed = await self._place(order)
                if placed is None:
                    bar.step()
                    continue
                batch.append(placed)
                if len(batch) == ORDERS_PER_BATCH:
                    await self.stage.drive(order.ordered_at)
                    await room.acquire()
                    beside.create_task(self._follow(batch, room, bar))
                    batch = []
            if batch:
                await self.stage.drive(left[-1].ordered_at)
                await room.acquire()
                beside.create_task(self._follow(batch, room, bar))
        with self.stage.seconds.part("days: until quiet"):
            await self.stage.visitor.until_quiet()

    async def _place(self, order: Order) -> Placed | None:
        """Places an order at its own time, as the hospital; lines that the platform refuses are left out and reported."""
        stage = self.stage
        lines = self._wanted(order)
        with stage.seconds.part("days: place"):
            await stage.drive(order.ordered_at, "orders")
            while lines:
                command = {
                    "order_number": order.order_number,
                    "delivery_point": order.received_by,
                    "lines": [
                        {
                            "product_code": line.product_code,
                            "quantity": line.quantity,
                            "distributor_code": stage.codes[line.distributor],
                        }
                        for line in lines
                    ],
                }
                headers = stage.hospital(order.institution_code).headers
                try:
                    view = await again(stage.visitor, "POST", "orders/orders", headers, json=command)
                except Refused as refusal:
                    lines = self._without_refused(lines, refusal)
                else:
                    return Placed(order, view["id"], dict(enumerate(lines, 1)))
        return None

    def _without_refused(self, lines: list[Line], refusal: Refused) -> list[Line]:
        """The lines that may still be ordered; the others are refused by the platform, all of them where it names none."""
        if refusal.status != UNPROCESSABLE:
            raise ReplayStopped(str(refusal)) from refusal
        faults: dict[int, list[dict[str, Any]]] = {}
        for fault in refusal.problem.get("errors", []):
            if found := _PLACE.match(fault["pointer"]):
                faults.setdefault(int(found[1]), []).append(fault)
        for place, line in enumerate(lines):
            if not faults or place in faults:
                said = faults.get(place) or [{"pointer": "", "given": "", "rule": str(refusal), "allowed": ""}]
                self._refuse(line, refusal.code, said)
        return [line for place, line in enumerate(lines) if faults and place not in faults]

    def _refuse(self, line: Line, reason: str, faults: list[dict[str, Any]]) -> None:
        said = tuple(
            (fault["pointer"], str(fault.get("given") or ""), str(fault["rule"]), str(fault["allowed"]))
            for fault in faults
        )
        self.refused.add(Kept(line.row, reason, said))

    async def _follow(self, batch: list[Placed], room: asyncio.Semaphore, bar: Bar) -> None:
        """What happens with placed orders that same day."""
        stage = self.stage
        try:
            with stage.seconds.part("days: confirm"):
                await stage.bulk(stage.operator, "orders/confirmations/bulk", self._confirmations(batch))
            with stage.seconds.part("days: ship"):
                loads = await stage.bulk(stage.operator, "orders/shipments/bulk", self._shipments(batch))
            with stage.seconds.part("days: accept"):
                await stage.bulk(stage.operator, "orders/acceptances/bulk", [_acceptance(load) for load in loads])
            with stage.seconds.part("days: capture"):
                await self._capture(self._bills(batch, loads))
            bar.step(len(batch))
        finally:
            room.release()

    def _by_distributor(self, placed: Placed) -> dict[str, dict[int, Line]]:
        """The lines of each distributor, who sees no others."""
        shares: dict[str, dict[int, Line]] = {}
        for number, line in placed.lines.items():
            shares.setdefault(self.stage.codes[line.distributor], {})[number] = line
        return shares

    def _confirmations(self, batch: list[Placed]) -> list[dict[str, Any]]:
        return [
            {
                "order_id": placed.order_id,
                "distributor_code": code,
                "lines": [{"line_number": number, "quantity": line.quantity} for number, line in share.items()],
            }
            for placed in batch
            for code, share in self._by_distributor(placed).items()
        ]

    def _shipments(self, batch: list[Placed]) -> list[dict[str, Any]]:
        return [
            {
                "shipment_number": placed.number(),
                "order_id": placed.order_id,
                "distributor_code": code,
                "lines": [
                    {"line_number": number, "quantity": line.quantity, **_lot(placed.order)}
                    for number, line in share.items()
                ],
            }
            for placed in batch
            for code, share in self._by_distributor(placed).items()
        ]

    def _bills(self, batch: list[Placed], loads: list[dict[str, Any]]) -> list[Bill]:
        """The bills of a batch: at most so many codes each, as the platform of the field takes them."""
        by_order = {placed.order_id: placed for placed in batch}
        bills: list[Bill] = []
        for load in loads:
            placed = by_order[load["order_id"]]
            for goods in load["lines"]:
                codes = codes_of(placed.lines[goods["line_number"]], self.ident)
                for part, start in enumerate(range(0, len(codes), CODES_PER_BILL), 1):
                    bills.append(
                        Bill(
                            {
                                "bill_number": f"{placed.number()}-{goods['line_number']}-{part}",
                                "bill_type": PURCHASE_IN,
                                "organisation_code": placed.order.institution_code,
                                "shipment_line_id": goods["id"],
                                "codes": codes[start : start + CODES_PER_BILL],
                            }
                        )
                    )
        return bills

    async def _capture(self, bills: list[Bill]) -> None:
        """Captures bills in calls of many; those whose receipt is not known yet are sent again in a moment."""
        stage = self.stage
        for _ in range(TRIES):
            late: list[Bill] = []
            for call in _calls(bills):
                body = {"documents": [bill.document for bill in call]}
                answer = await again(stage.visitor, "POST", "traceability/documents", stage.operator.headers, json=body)
                for bill, item in zip(call, answer["items"], strict=True):
                    if (item.get("problem") or {}).get("code") in PASSING:
                        late.append(bill)
                        continue
                    captured = accepted("traceability/documents", item)
                    if captured["refused"]:
                        raise ReplayStopped(f"Bill {captured['bill_number']}: {captured['refused'][0]}")
            if not late:
                return
            bills = late
            await asyncio.sleep(WAIT_SECONDS)
        raise ReplayStopped(f"{len(bills)} bills name shipment lines that never reached traceability.")


def _calls(bills: list[Bill]) -> list[list[Bill]]:
    """Bills together, up to the most codes of a call."""
    calls: list[list[Bill]] = []
    size = CODES_PER_CALL
    for bill in bills:
        if size + bill.size > CODES_PER_CALL:
            calls.append([])
            size = 0
        calls[-1].append(bill)
        size += bill.size
    return calls


def _lot(order: Order) -> dict[str, str]:
    """The lot an order is served from: one a month, made half a year before, good for two years."""
    made = (clock.local_date(order.ordered_at) - timedelta(days=MADE_BEFORE_DAYS)).replace(day=1)
    return {
        "lot_number": f"R{made:%y%m}",
        "produced_on": made.isoformat(),
        "expires_on": made.replace(year=made.year + SHELF_LIFE_YEARS).isoformat(),
    }


def _acceptance(load: dict[str, Any]) -> dict[str, Any]:
    """Everything that was sent is accepted."""
    return {
        "shipment_id": load["id"],
        "lines": [{"shipment_line_id": goods["id"], "accepted": goods["quantity"]} for goods in load["lines"]],
    }
