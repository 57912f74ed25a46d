"""An enterprise has one code in all five services: called under its other one, each refuses all and names the right one."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.services import NAMES, load
from shared.events.listing import EnterpriseRegistered
from tests.house import House, WorkerInHand

CODE, USCC, NAME = "PROV-012345678901", "91350200MA31E12PXF", "仙居县药材公司"
READS = {
    "listing": "/listings",
    "orders": "/lines",
    "settlement": "/sheets",
    "traceability": "/recalls",
    "alerts": "/alerts",
}
WRITES: dict[str, tuple[str, Any]] = {
    "listing": ("/enterprises", {"name": NAME, "kinds": ["distributor"], "uscc": USCC, "region": "330000"}),
    "orders": ("/shipments/bulk", []),
    "settlement": (
        "/accounts",
        {
            "region": "330000",
            "holder": NAME,
            "bank_name": "工商银行",
            "bank_code": "102331000012",
            "number": "6222021001116245702",
        },
    ),
    "traceability": ("/documents", {"documents": []}),
    "alerts": ("/problems/bulk", []),
}


@pytest.fixture
async def client(name: str, house: House, _apps: Callable[[Any], Any]) -> AsyncIterator[httpx.AsyncClient]:
    """The API of one service, after listing has said that the enterprise's USCC was confirmed."""
    service = load(name)
    app = await _apps(service)
    database = await house.database(service)
    if name == "listing":
        await database.pool.execute(
            "INSERT INTO enterprises (id, code, uscc, name, aliases, name_keys, kinds, provisional, region, active, version)"
            " VALUES ($1, $2, $3, $4, '{}', '{}', '{distributor}', false, '330000', true, 2)",
            *(uuid4(), CODE, USCC, NAME),
        )
    else:
        told = EnterpriseRegistered(
            enterprise_id=uuid4(), enterprise_code=CODE, name=NAME, aliases=(), kinds=("distributor",),
            provisional=False, active=True, region="330000", uscc=USCC,
        )  # fmt: skip
        await WorkerInHand(service, database).deliver(told)
    app.state.runtime.standing._known.clear()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://one") as made:
        yield made
    await house.empty(service)


@pytest.mark.parametrize("name", NAMES)
async def test_under_its_uscc_an_enterprise_that_trades_under_another_code_is_told_that_code_and_nothing_else(
    client: httpx.AsyncClient, caller: Callable[..., dict[str, str]], name: str
) -> None:
    path, body = WRITES[name]
    under_uscc = caller("distributor", USCC) | {"idempotency-key": str(uuid4())}
    for refused in (
        await client.get(READS[name], headers=under_uscc),
        await client.post(path, json=body, headers=under_uscc),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "trades_under_other_code"), refused.text
        assert CODE in refused.json()["detail"]
    assert (await client.get(READS[name], headers=caller("distributor", CODE))).status_code == 200


@pytest.mark.parametrize("name", NAMES)
async def test_who_is_known_for_one_code_alone_is_let_through(
    client: httpx.AsyncClient, caller: Callable[..., dict[str, str]], name: str
) -> None:
    for who in (("distributor", "91310110666007217T"), ("hospital", "H33010200059"), ("authority", USCC, "330000")):
        assert (await client.get(READS[name], headers=caller(*who))).status_code in (200, 403), who
        assert "trades_under" not in (await client.get(READS[name], headers=caller(*who))).text
