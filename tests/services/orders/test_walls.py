"""Behind the scoped queries the database itself shows each organisation only its own rows; examples are what they show."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from deploy.issuer import make_token
from services.orders.schemas.lines import CloseLine, ConfirmLines, ConfirmLinesOf
from services.orders.schemas.orders import CancelOrder, PlaceOrder
from services.orders.schemas.shipments import AcceptShipment, AcceptShipmentOf, CancelShipment, DispatchShipment
from shared.db import Database, Scope, Tx
from shared.http import Command
from tests.house import House
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import (
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    OTHER_DISTRIBUTOR,
    OTHER_HOSPITAL,
    STATIN,
    order,
    wanted,
)

TABLES = ("orders", "order_lines", "shipments", "shipment_lines")


@pytest.mark.parametrize(
    ("scope", "rows"),
    [
        (Scope("own", HOSPITAL), [1, 2, 1, 1]),
        (Scope("own", DISTRIBUTOR), [1, 1, 1, 1]),
        (Scope("own", OTHER_DISTRIBUTOR), [1, 1, 0, 0]),
        (Scope("own", MAKER), [1, 1, 0, 1]),
        (Scope("own", OTHER_HOSPITAL), [0, 0, 0, 0]),
        (Scope("region", "A", "3301"), [1, 2, 1, 1]),
        (Scope("region", "A", "3302"), [0, 0, 0, 0]),
        (Scope("region", HOSPITAL, "3302"), [1, 2, 1, 1]),
        (Scope("all"), [1, 2, 1, 1]),
        (Scope(), [0, 0, 0, 0]),
    ],
    ids=str,
)
async def test_the_database_shows_only_rows_within_reach(
    hand: Hand, begin: Callable[..., AbstractAsyncContextManager[Tx]], scope: Scope, rows: list[int]
) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN, 5, OTHER_DISTRIBUTOR)))
    await hand.confirm(placed["id"], (1, 100))
    await hand.accept(await hand.ship(placed["id"]))
    async with begin(scope) as tx:
        assert [(await tx.sql(f"SELECT count(*) FROM {table}"))[0][0] for table in TABLES] == rows


@pytest.mark.parametrize("second", ["authority", "agency"])
@pytest.mark.parametrize(("role", "who"), [("hospital", HOSPITAL), ("distributor", DISTRIBUTOR)])
async def test_a_second_role_for_another_region_takes_nothing_of_one_s_own_away(
    hand: Hand, house: House, role: str, who: str, second: str
) -> None:
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    shipment = await hand.ship(placed["id"])

    async def seen(*roles: str) -> list[object]:
        token = make_token(house.data_dir, organisation=who, roles=list(roles), region="330200")
        paths = ("/orders", "/lines", "/shipments", f"/orders/{placed['id']}", f"/shipments/{shipment['id']}")
        answers = [await hand.client.get(path, headers={"authorization": f"Bearer {token}"}) for path in paths]
        return [(answer.status_code, answer.json()) for answer in answers]

    assert await seen(role, second) == await seen(role)
    alone = [status for status, _ in await seen(second)]  # type: ignore[misc]
    assert alone == [200] * 5


async def test_the_worker_sees_every_row(hand: Hand, database: Database) -> None:
    await hand.place()
    async with database.transaction() as tx:
        assert (await tx.sql("SELECT count(*) FROM orders"))[0][0] == 1


@pytest.mark.parametrize(
    "command",
    [
        PlaceOrder,
        CancelOrder,
        CloseLine,
        ConfirmLines,
        ConfirmLinesOf,
        DispatchShipment,
        CancelShipment,
        AcceptShipment,
        AcceptShipmentOf,
    ],
)
def test_every_command_shows_an_example_that_is_read(command: type[Command]) -> None:
    extra = command.model_config["json_schema_extra"]
    assert isinstance(extra, dict)
    examples = extra["examples"]
    assert isinstance(examples, list)
    assert [command.model_validate(example) for example in examples]


async def test_nobody_takes_the_hospitals_decisions_for_it(hand: Hand) -> None:
    """A distributor sees the order that it supplies; with the role of a hospital it is still not the one that buys."""
    placed = await hand.place()
    path = f"/orders/{placed['id']}"
    why = {"reason": "不再需要"}
    taken_back = await hand.say("hospital", DISTRIBUTOR, f"{path}/cancellation", why, 403)
    assert (taken_back["code"], HOSPITAL in taken_back["detail"]) == ("not_your_organisation", True)
    await hand.confirm(placed["id"], (1, 100))
    await hand.say("hospital", DISTRIBUTOR, f"{path}/lines/1/closure", why, 403)
    shipment = await hand.ship(placed["id"])
    await hand.accept(shipment, who=DISTRIBUTOR, status=403)
    assert (await hand.see(path))["lines"][0]["quantity_accepted"] == 0
    assert (await hand.accept(shipment))["lines"][0]["quantity_accepted"] > 0


async def test_nobody_calls_back_the_goods_of_another(hand: Hand) -> None:
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    shipment = await hand.ship(placed["id"])
    path = f"/shipments/{shipment['id']}/cancellation"
    called_back = await hand.say("distributor", HOSPITAL, path, {"reason": "发错"}, 403)
    assert (called_back["code"], DISTRIBUTOR in called_back["detail"]) == ("not_your_organisation", True)
    assert (await hand.see(f"/shipments/{shipment['id']}"))["state"] == "dispatched"
