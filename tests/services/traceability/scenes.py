"""What happened before: products listed, goods shipped and accepted, identification codes uploaded, codes of boxes."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
from uuid_utils.compat import uuid7

from shared import clock
from shared.events.listing import ListedProduct, ProductListed
from shared.events.orders import (
    AcceptedLine,
    DeliveryAccepted,
    DeliveryRejected,
    RejectedLine,
    ShipmentCancelled,
    ShipmentDispatched,
    ShippedLine,
)
from shared.events.traceability import CodeFlagged
from tests.house import WorkerInHand

HOSPITAL, OTHER_HOSPITAL = "H33010200059", "H33010200060"
DISTRIBUTOR, MAKER, OTHER_MAKER = "91330100MA27XL0Q3D", "91350200MA31E12PXF", "913502000728319549"
OTHER_DISTRIBUTOR = "91310110666007217T"
REGION = "330102"
PRODUCT, OTHER_PRODUCT = "XA01ABD075A002010100483", "XA02BCP073A001010100484"
SLICE = "T000100001"
IDENT, CASE_IDENT, OTHER_IDENT = "8385793", "8385794", "8021761"
NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)

Caller = Callable[..., dict[str, str]]


def box(number: int, ident: str = IDENT) -> str:
    """The trace code of a box."""
    return f"{ident}{number:013d}"


def boxes(count: int, first: int = 1, ident: str = IDENT) -> list[str]:
    return [box(number, ident) for number in range(first, first + count)]


def id_made(minutes_ago: int) -> UUID:
    """An id as orders would have made it then: its first 48 bits are the milliseconds since 1970."""
    milliseconds = int(clock.wall_seconds() - 60 * minutes_ago) * 1000
    return UUID(int=milliseconds << 80 | (uuid7().int & (1 << 80) - 1))


def listed(product_code: str = PRODUCT, maker: str = MAKER, **changed: Any) -> ProductListed:
    """A product is listed; its facts are the same in every listing."""
    facts: dict[str, Any] = {
        "listing_id": uuid4(),
        "region": "330000",
        "product_code": product_code,
        "product_kind": "western",
        "generic_name": "阿莫西林胶囊",
        "trade_name": None,
        "dosage_form": "胶囊",
        "specification": "0.25g",
        "unit": "盒",
        "units_per_pack": 24,
        "approval_number": None,
        "manufacturer_code": maker,
        "manufacturer_name": "青禾制药有限公司",
        "holder_name": None,
        "agent_code": None,
        "category": "national_vbp",
        "batch_code": None,
        "price_yuan": Decimal("12.34"),
        "valid_from": date(2022, 1, 1),
        "valid_to": None,
        **changed,
    }
    return ProductListed(listing_id=facts["listing_id"], listing=ListedProduct(**facts))


class Line:
    """One shipment line through its life, as orders tells of it."""

    def __init__(
        self,
        quantity: int = 10,
        *,
        product_code: str = PRODUCT,
        kind: str = "western",
        lot: str = "240101",
        expires_on: date = date(2027, 12, 31),
        hospital: str = HOSPITAL,
        distributor: str = DISTRIBUTOR,
        region: str = REGION,
    ) -> None:
        self.id, self.order_id, self.order_line_id, self.shipment_id = uuid7(), uuid4(), uuid4(), uuid4()
        self.quantity = quantity
        self.hospital, self.distributor, self.region = hospital, distributor, region
        self.goods: dict[str, Any] = {
            "product_code": product_code,
            "product_kind": kind,
            "product_name": "阿莫西林胶囊",
            "unit": "盒",
            "lot_number": lot,
            "expires_on": expires_on,
        }

    def _shipment(self) -> dict[str, Any]:
        return {
            "shipment_id": self.shipment_id,
            "order_id": self.order_id,
            "institution_code": self.hospital,
            "distributor_code": self.distributor,
            "region": self.region,
        }

    def _named(self) -> dict[str, Any]:
        return {"order_number": "O1", "institution_name": "第一医院", "distributor_name": "华东医药"}

    def dispatched(self, *more: "Line", at: datetime = NOW) -> ShipmentDispatched:
        lines = tuple(
            ShippedLine(
                shipment_line_id=line.id,
                order_line_id=line.order_line_id,
                produced_on=date(2024, 1, 1),
                quantity=line.quantity,
                **line.goods,
            )
            for line in (self, *more)
        )
        return ShipmentDispatched(
            **self._shipment(), **self._named(), shipment_number="S1", dispatched_at=at, lines=lines
        )

    def accepted(self, quantity: int | None = None, at: datetime = NOW) -> DeliveryAccepted:
        line = AcceptedLine(
            shipment_line_id=self.id,
            order_line_id=self.order_line_id,
            manufacturer_code=MAKER,
            quantity_accepted=self.quantity if quantity is None else quantity,
            unit_price_yuan=Decimal("12.3400"),
            **self.goods,
        )
        return DeliveryAccepted(**self._shipment(), **self._named(), accepted_at=at, lines=(line,))

    def rejected(self, quantity: int | None = None) -> DeliveryRejected:
        line = RejectedLine(
            shipment_line_id=self.id,
            order_line_id=self.order_line_id,
            product_code=self.goods["product_code"],
            lot_number=self.goods["lot_number"],
            quantity_rejected=self.quantity if quantity is None else quantity,
            reason="wet",
        )
        return DeliveryRejected(**self._shipment(), order_number="O1", rejected_at=NOW, lines=(line,))

    def cancelled(self) -> ShipmentCancelled:
        return ShipmentCancelled(
            **self._shipment(), shipment_number="S1", shipment_line_ids=(self.id,), reason="wrong address"
        )

    def bill(self, codes: Sequence[str], number: str = "B1", bill_type: str = "102", **more: Any) -> dict[str, Any]:
        return {
            "bill_number": number,
            "bill_type": bill_type,
            "shipment_line_id": str(self.id),
            "codes": list(codes),
            **more,
        }


def bill(codes: Iterable[str], number: str = "B1", bill_type: str = "321", **more: Any) -> dict[str, Any]:
    """A bill without a line: a sale, a return, a destruction."""
    return {"bill_number": number, "bill_type": bill_type, "codes": list(codes), **more}


class Desk:
    """The API in the hands of the people of these scenes."""

    def __init__(self, client: httpx.AsyncClient, caller: Caller) -> None:
        self.client = client
        self._caller = caller
        self.roles = {
            HOSPITAL: ("hospital", HOSPITAL, REGION),
            OTHER_HOSPITAL: ("hospital", OTHER_HOSPITAL, REGION),
            DISTRIBUTOR: ("distributor", DISTRIBUTOR, "330000"),
            OTHER_DISTRIBUTOR: ("distributor", OTHER_DISTRIBUTOR, "330000"),
            MAKER: ("manufacturer", MAKER, "350200"),
            OTHER_MAKER: ("manufacturer", OTHER_MAKER, "350200"),
            "authority": ("authority", "A330000", "330000"),
            "far authority": ("authority", "A440000", "440000"),
            "operator": ("operator", "platform", "000000"),
        }

    def as_(self, who: str) -> dict[str, str]:
        return self._caller(*self.roles[who])

    async def post(self, who: str, path: str, body: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        once = {"idempotency-key": str(uuid4())} if path == "/recalls" else {}
        return await self.client.post(path, json=body, headers={**self.as_(who), **once, **named})

    async def get(self, who: str, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=self.as_(who))

    async def capture(self, *bills: dict[str, Any], who: str = HOSPITAL) -> list[dict[str, Any]]:
        """The answer to each bill: what stands at its place."""
        answered = await self.post(who, "/documents", {"documents": list(bills)})
        assert answered.status_code == 200, answered.text
        return [item.get("item") or item["problem"] for item in answered.json()["items"]]

    async def receipt(self, line: Line, who: str = "operator") -> dict[str, Any]:
        found = await self.get(who, f"/receipts/by-shipment-line/{line.id}")
        assert found.status_code == 200, found.text
        shown: dict[str, Any] = found.json()
        return shown

    async def upload(self, *idents: dict[str, Any], who: str = MAKER) -> list[dict[str, Any]]:
        answered = await self.post(who, "/identification-codes/bulk", list(idents))
        assert answered.status_code == 200, answered.text
        return [item.get("item") or item["problem"] for item in answered.json()["items"]]

    async def codes(
        self, ident: str, product_code: str = PRODUCT, level: int = 1, packs: int = 1, who: str = MAKER
    ) -> Any:
        """Says what one identification code means."""
        one = {"ident": ident, "product_code": product_code, "level": level, "packs_per_unit": packs}
        return (await self.upload(one, who=who))[0]


def reasons(answer: dict[str, Any]) -> dict[str, str]:
    """Each refused code with its reason."""
    return {one["code"]: one["reason"] for one in answer["refused"]}


def line_of(answer: dict[str, Any]) -> UUID:
    return UUID(answer["shipment_line_id"])


def recall(*lots: str) -> dict[str, Any]:
    return {
        "product_code": "XA01ABD075A002010100483",
        "lot_numbers": list(lots) or ["240101"],
        "reason": "particles",
    }


async def flagged(worker: WorkerInHand) -> list[tuple[str, str]]:
    """What was said of codes: the kind and the code."""
    return [(fact.kind, fact.code) for fact in await worker.said() if isinstance(fact, CodeFlagged)]
