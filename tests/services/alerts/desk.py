"""Everybody who takes part in a direct report, on the API; what the tests of reports stand on."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from tests.house import WorkerInHand
from tests.services.alerts.facts import HOSPITAL, OTHER_HOSPITAL, OTHER_SUPPLIER, PRODUCT, REGION, SUPPLIER

CITY, PROVINCE = ("authority", "YB330100", "330100"), ("authority", "YB330000", "330000")
REPORTER, RESPONDENT, OTHER = ("hospital", HOSPITAL), ("distributor", SUPPLIER), ("distributor", OTHER_SUPPLIER)
Headers = Callable[..., dict[str, str]]

REPORT = {
    "kind": "late",
    "region": REGION,
    "respondent_code": SUPPLIER,
    "order_number": "CG-1",
    "text": "三次未按时送达",
    "evidence": [{"text": "3 月 2 日未到"}, {"link": "https://files.example.cn/a.pdf"}],
    "occurred_at": "2026-03-02T03:00:00Z",
}


MANUFACTURER = "91330100MA29CDCD30"


async def introduce(worker: WorkerInHand, order_number: str = "CG-1") -> None:
    """Lets alerts know those who take part, and an order of the hospital's at the supplier, which nothing is awaited of."""
    await worker.database.pool.executemany(
        "INSERT INTO organisations (code, name, region, active, version) VALUES ($1, $1, $2, true, 0)"
        " ON CONFLICT DO NOTHING",
        [(code, REGION) for code in (HOSPITAL, OTHER_HOSPITAL, SUPPLIER, OTHER_SUPPLIER, MANUFACTURER)],
    )
    await worker.database.pool.execute(
        "INSERT INTO order_lines (line_id, order_id, order_number, institution_code, supplier_code, manufacturer_code,"
        " region, product_code, confirmed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())",
        *(uuid4(), uuid4(), order_number, HOSPITAL, SUPPLIER, MANUFACTURER, REGION, PRODUCT),
    )


class Desk:
    """Everybody who takes part in a report, on the API."""

    def __init__(self, client: httpx.AsyncClient, caller: Headers) -> None:
        self.client, self.caller = client, caller

    async def report(self, who: tuple[str, ...] = ("hospital", HOSPITAL), **fields: Any) -> httpx.Response:
        headers = self.caller(*who) | {"idempotency-key": str(uuid4())}
        return await self.client.post("/problems", json=REPORT | fields, headers=headers)

    async def reported(self, who: tuple[str, ...] = ("hospital", HOSPITAL), **fields: Any) -> dict[str, Any]:
        answer = await self.report(who, **fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def act(
        self, problem: dict[str, Any], step: str, who: tuple[str, ...], match: str | None = None, **body: Any
    ) -> httpx.Response:
        headers = self.caller(*who) | {"if-match": match or f'"{problem["version"]}"'}
        return await self.client.post(f"/problems/{problem['id']}/{step}", json=body, headers=headers)

    async def acted(self, problem: dict[str, Any], step: str, who: tuple[str, ...], **body: Any) -> dict[str, Any]:
        answer = await self.act(problem, step, who, **body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    async def get(self, path: str, who: tuple[str, ...]) -> httpx.Response:
        return await self.client.get(path, headers=self.caller(*who))
