"""A hand on the API of orders: the market is known, and each party acts in one line."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.house import WorkerInHand
from tests.services.orders.facts import DISTRIBUTOR, HOSPITAL, NOW, goods, market, order


@dataclass
class Hand:
    """Sends requests as a party; `say` answers the body and holds the status, `ask` gives the response."""

    client: httpx.AsyncClient
    caller: Callable[..., dict[str, str]]

    async def ask(self, role: str, who: str, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        region = more.pop("region", "330100")
        content = {} if body is None else {"json": body}
        return await self.client.request(
            method, path, headers={**self.caller(role, who, region), **more.pop("headers", {})}, **content, **more
        )

    async def say(self, role: str, who: str, path: str, body: Any, status: int = 200) -> Any:
        answer = await self.ask(role, who, "POST", path, body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def see(self, path: str, role: str = "hospital", who: str = HOSPITAL, status: int = 200, **more: Any) -> Any:
        answer = await self.ask(role, who, "GET", path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def place(self, body: Any = None, status: int = 201, who: str = HOSPITAL) -> Any:
        return await self.say("hospital", who, "/orders", body or order(), status)

    async def confirm(self, order_id: str, *lines: Any, status: int = 200, who: str = DISTRIBUTOR) -> Any:
        answers = [
            {"line_number": number, "quantity": quantity, **({"reason": reason[0]} if reason else {})}
            for number, quantity, *reason in lines
        ]
        return await self.say("distributor", who, f"/orders/{order_id}/confirmation", {"lines": answers}, status)

    async def ship(
        self, order_id: str, number: str = "PS-1", *lines: Any, status: int = 201, who: str = DISTRIBUTOR
    ) -> Any:
        body = {"shipment_number": number, "order_id": order_id, "lines": list(lines) or [goods()]}
        return await self.say("distributor", who, "/shipments", body, status)

    async def accept(self, shipment: Any, *figures: Any, status: int = 200, who: str = HOSPITAL) -> Any:
        """Accepts by (accepted, rejected[, reason]) of each line; all of everything when nothing is said."""
        figures = figures or tuple((line["quantity"], 0) for line in shipment["lines"])
        lines = [
            {
                "shipment_line_id": line["id"],
                "accepted": accepted,
                "rejected": rejected,
                **({"reason": reason[0]} if reason else {}),
            }
            for line, (accepted, rejected, *reason) in zip(shipment["lines"], figures, strict=False)
        ]
        return await self.say("hospital", who, f"/shipments/{shipment['id']}/acceptance", {"lines": lines}, status)


@pytest.fixture
async def hand(
    client: httpx.AsyncClient,
    caller: Callable[..., dict[str, str]],
    worker: WorkerInHand,
    driven_clock: Callable[[datetime], None],
) -> Hand:
    """The market is known, and it is the morning of 2 March 2026 in Hangzhou."""
    driven_clock(NOW)
    await worker.deliver(*market(), sequence=1)
    return Hand(client, caller)
