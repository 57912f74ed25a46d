"""Who takes part in listing's tests, and shorthands over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

AUTHORITY = ("authority", "11330000MB0001", "330000")
OTHER_AUTHORITY = ("authority", "11350000MB0001", "350000")
MAKER_CODE = "91350200MA31E12PXF"
MAKER = ("manufacturer", MAKER_CODE, "350200")
OTHER_MAKER_CODE = "91440101MA5CJQ4N59"
OTHER_MAKER = ("manufacturer", OTHER_MAKER_CODE, "440100")
DISTRIBUTOR_CODE = "91310110666007217T"
DISTRIBUTOR = ("distributor", DISTRIBUTOR_CODE, "310100")
HOSPITAL = ("hospital", "H33010200059", "330100")
OPERATOR = ("operator", "OPS", "000000")

PRODUCT = {
    "code": "XA10BAE037A001010100001",
    "generic_name": "盐酸二甲双胍片",
    "trade_name": "青禾平",
    "dosage_form": "片剂",
    "specification": "0.5g",
    "unit": "盒",
    "units_per_pack": 20,
    "approval_number": "国药准字H20060001",
    "manufacturer_code": MAKER_CODE,
}
TERMS = {"region": "330000", "price_yuan": "12.3400", "category": "direct", "valid_from": "2026-01-01"}


def product_code(number: int) -> str:
    """The code of the n-th product of a test."""
    return f"XA10BAE037A001010{number:06d}"


@dataclass
class Desk:
    """The API with the header of whoever asks."""

    client: httpx.AsyncClient
    caller: Callable[..., dict[str, str]]

    async def post(self, who: tuple[str, str, str], path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.client.post(path, json=body, headers=self.caller(*who), **more)

    async def put(self, who: tuple[str, str, str], path: str, body: Any, **headers: str) -> httpx.Response:
        return await self.client.put(path, json=body, headers={**self.caller(*who), **headers})

    async def get(self, who: tuple[str, str, str], path: str, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=self.caller(*who))

    async def send(
        self, who: tuple[str, str, str], kind: str, sheet: bytes, content_type: str = "text/csv", **params: Any
    ) -> httpx.Response:
        headers = {**self.caller(*who), "content-type": content_type}
        return await self.client.post(f"/imports/{kind}", content=sheet, headers=headers, params=params)

    async def enterprises(self) -> None:
        """Registers the two makers and the distributor."""
        done = await self.post(
            OPERATOR,
            "/enterprises/bulk",
            [
                {"uscc": MAKER_CODE, "name": "青禾制药有限公司", "kinds": ["manufacturer"], "region": "350200"},
                {"uscc": OTHER_MAKER_CODE, "name": "南桥药业有限公司", "kinds": ["manufacturer"], "region": "440100"},
                {"uscc": DISTRIBUTOR_CODE, "name": "远山医药有限公司", "kinds": ["distributor"], "region": "310100"},
            ],
        )
        assert done.json()["succeeded"] == 3, done.text

    async def listed(self, **terms: Any) -> dict[str, Any]:
        """A product that the authority listed: on public notice, as the shipped policy asks."""
        await self.enterprises()
        done = await self.put(AUTHORITY, "/catalogue", [{**PRODUCT, **TERMS, **terms}])
        answer = done.json()
        assert answer["succeeded"] == 1, done.text
        item: dict[str, Any] = answer["items"][0]["item"]
        return item
