"""Who takes part in settlement's tests, deliveries as they come from orders, and the way to a sheet in one call."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from uuid_utils.compat import uuid7

from deploy.deeds import connected
from deploy.money import disagreements
from services.settlement.gateways import Bank, ScriptedBank
from services.settlement.handlers.payments import send_run
from shared.db import Database
from shared.events.orders import AcceptedLine, DeliveryAccepted
from shared.events.traceability import CoverageShort, CoverageVerified
from shared.service import Service
from tests.house import WorkerInHand

HOSPITAL_CODE = "H33010200059"
OTHER_HOSPITAL_CODE = "H33010200060"
SUPPLIER_CODE = "91310110666007217T"
OTHER_SUPPLIER_CODE = "91440101MA5CJQ4N59"
HOSPITAL = ("hospital", HOSPITAL_CODE, "330100")
OTHER_HOSPITAL = ("hospital", OTHER_HOSPITAL_CODE, "330100")
SUPPLIER = ("distributor", SUPPLIER_CODE, "310100")
MAKER = ("manufacturer", "91350200MA31E12PXF", "350200")
AGENCY_A = ("agency", "113301000000000001", "330100", "person A")
AGENCY_B = ("agency", "113301000000000001", "330100", "person B")
PROVINCE = ("agency", "113300000000000001", "330000", "person P")
OTHER_AGENCY = ("agency", "113501000000000001", "350100", "person C")
AUTHORITY = ("authority", "11330000MB0001", "330000")
OPERATOR = ("operator", "OPS", "000000")

ACCOUNT = {
    "holder_name": "华东医药股份有限公司",
    "bank_name": "中国工商银行杭州支行",
    "cnaps_code": "102100099996",
    "account_number": "1202021509900012345",
}

BEFORE_CODES = datetime(2025, 3, 5, 2, tzinfo=UTC)
"""No codes are asked for yet."""
WITH_CODES = datetime(2026, 3, 5, 2, tzinfo=UTC)
"""Codes are asked for."""
CLOSED = datetime(2025, 3, 31, 16, tzinfo=UTC)
"""The first of April in Shanghai."""


def line(quantity: int = 100, price: str = "12.3400", kind: str = "western") -> AcceptedLine:
    return AcceptedLine(
        shipment_line_id=uuid7(),
        order_line_id=uuid7(),
        product_code="XA01ABD075A002010100483",
        product_kind=kind,
        product_name="阿莫西林胶囊",
        manufacturer_code="91350200MA31E12PXF",
        unit="盒",
        lot_number="20250101",
        expires_on=date(2027, 1, 1),
        quantity_accepted=quantity,
        unit_price_yuan=Decimal(price),
    )


def delivery(
    *lines: AcceptedLine,
    at: datetime = BEFORE_CODES,
    hospital: str = HOSPITAL_CODE,
    supplier: str = SUPPLIER_CODE,
    region: str = "330100",
) -> DeliveryAccepted:
    return DeliveryAccepted(
        shipment_id=uuid7(),
        order_id=uuid7(),
        order_number="PO-1",
        institution_code=hospital,
        institution_name="市第一医院",
        distributor_code=supplier,
        distributor_name="华东医药",
        region=region,
        accepted_at=at,
        lines=lines or (line(),),
    )


def covered(accepted: DeliveryAccepted, quantity: int, place: int = 0) -> CoverageShort | CoverageVerified:
    one = accepted.lines[place]
    known: dict[str, Any] = {
        "receipt_id": uuid7(),
        "shipment_line_id": one.shipment_line_id,
        "order_id": accepted.order_id,
        "order_line_id": one.order_line_id,
        "institution_code": accepted.institution_code,
        "distributor_code": accepted.distributor_code,
        "region": accepted.region,
        "product_code": one.product_code,
        "quantity_accepted": one.quantity_accepted,
        "quantity_covered": quantity,
    }
    if quantity < one.quantity_accepted:
        return CoverageShort(**known)
    return CoverageVerified(**known, verified_at=accepted.accepted_at)


def with_bank(service: Service, bank: Bank) -> Service:
    """The service as it is, with another bank behind its job."""
    return replace(service, jobs={"send_run": partial(send_run, lambda: bank)})


@dataclass
class Stage:
    """The service with a scripted bank, and the way through it over HTTP."""

    client: httpx.AsyncClient
    caller: Callable[..., dict[str, str]]
    worker: WorkerInHand
    bank: ScriptedBank
    drive: Callable[[datetime], None]

    async def get(self, path: str, who: Sequence[str] = AGENCY_A) -> Any:
        answer = await self.client.get(path, headers=self.caller(*who))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, who: Sequence[str], body: Any = None, status: int = 200, **headers: str) -> Any:
        answer = await self.client.post(path, json=body, headers={**self.caller(*who), **headers})
        assert answer.status_code == status, answer.text
        return answer.json()

    async def sheets(self, *deliveries: DeliveryAccepted, at: datetime = CLOSED) -> list[dict[str, Any]]:
        """Takes in deliveries, closes their month, and tells the sheets."""
        self.drive(min(each.accepted_at for each in deliveries))
        await self.worker.deliver(*deliveries)
        self.drive(at)
        assert await self.worker.meet_deadlines()
        return (await self.get("/sheets?limit=500"))["items"]

    async def named(self, supplier: str = SUPPLIER_CODE, region: str = "330000", **other: str) -> dict[str, Any]:
        """An account that a supplier has named."""
        who = ("distributor", supplier, "310100")
        return await self.post("/accounts", who, {"region": region, **ACCOUNT, **other}, 201)

    async def confirmed(self, supplier: str = SUPPLIER_CODE, region: str = "330000", **other: str) -> dict[str, Any]:
        """The same, confirmed by the agency of the province."""
        named = await self.named(supplier, region, **other)
        if named["state"] == "confirmed":
            return named
        return await self.post(f"/accounts/{named['id']}/confirmation", PROVINCE, **{"if-match": '"1"'})

    async def reviewed(self, *deliveries: DeliveryAccepted, accounts: bool = True) -> list[dict[str, Any]]:
        """The same, confirmed and reviewed, with an account for each supplier."""
        sheets = await self.sheets(*deliveries)
        for supplier in sorted({sheet["distributor_code"] for sheet in sheets if accounts}):
            await self.confirmed(supplier)
        for sheet in sheets:
            hospital = ("hospital", sheet["institution_code"], sheet["region"])
            await self.post(f"/sheets/{sheet['id']}/confirmation", hospital, **{"if-match": '"1"'})
            await self.post(f"/sheets/{sheet['id']}/review", AGENCY_A, **{"if-match": '"2"'})
        return sheets

    async def run(self, *deliveries: DeliveryAccepted) -> dict[str, Any]:
        """The same, in a run that was approved."""
        await self.reviewed(*deliveries)
        run = await self.post("/payment-runs", AGENCY_A, {}, 201)
        return await self.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)

    async def ledger_agrees(self) -> None:
        """Every count of the same yuan agrees, and the entries sum to zero."""
        found = await self.get("/reconciliation?from=2020-01-01&to=2030-01-01", OPERATOR)
        assert found["differences"] == []
        assert found["ledger_sum_yuan"] == "0.00"


@pytest.fixture
def bank() -> ScriptedBank:
    return ScriptedBank()


@pytest.fixture
async def stage(
    client: httpx.AsyncClient,
    caller: Callable[..., dict[str, str]],
    service: Service,
    database: Database,
    database_url: Callable[[Service], str],
    bank: ScriptedBank,
    driven_clock: Callable[[datetime], None],
) -> AsyncIterator[Stage]:
    """At the end the audit finds nothing: whatever was done, rows and deeds agree."""
    yield Stage(client, caller, WorkerInHand(with_bank(service, bank), database), bank, driven_clock)
    async with connected(database_url(service)) as owner:
        assert await disagreements(owner) == []


def ids(items: Sequence[dict[str, Any]]) -> list[UUID]:
    return [UUID(item["id"]) for item in items]
