"""State said again: a market of orders that was lost is equal to the one before, and one that was not is left alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from services.listing.app import service as listing
from services.listing.handlers.enterprises import register_enterprises
from services.listing.schemas.enterprises import RegisterEnterprise
from services.orders.app import service as orders
from shared import clock, republish
from shared.bus import Message
from shared.db import Database
from shared.history import BY_ITSELF
from shared.inbox import Consumer
from tests.house import House, WorkerInHand
from tests.services.listing.people import AUTHORITY, DISTRIBUTOR, DISTRIBUTOR_CODE, MAKER, PRODUCT, Desk

MARKET = orders.projections["market"]


async def carry(house: House, database: Database) -> int:
    """Takes everything listing has recorded to orders, as the relay and the bus would."""
    rows = await database.pool.fetch("SELECT subject, payload FROM outbox ORDER BY id")
    consumer = Consumer("orders", await house.database(orders), orders.handlers)
    await consumer.apply([Message("listing", row["subject"], row["payload"]) for row in rows])
    return len(rows)


async def market(house: House) -> dict[str, list[Any]]:
    heard = await house.database(orders)
    return {
        table.name: sorted(tuple(row) for row in await heard.pool.fetch(f'SELECT * FROM "{table.name}"'))
        for table in MARKET.tables
    }


async def say_all_again(database: Database) -> int:
    return sum([await republish.republish(database, listing.republish[kind]) for kind in MARKET.sources["listing"]])


async def trade(desk: Desk, worker: WorkerInHand, drive: Callable[[datetime], None]) -> str:
    """A listed product, one relation confirmed and one ended, an institution; the path of the listing."""
    drive(clock.now())
    item = await desk.listed()
    institution = {"code": "H33010200059", "name": "市第一医院", "delivery_points": ["东院", "西院"]}
    done = await desk.post(AUTHORITY, "/institutions", institution)
    assert done.status_code == 201, done.text
    for region in ("330000", "330100"):
        relation = {
            "product_code": PRODUCT["code"],
            "region": region,
            "distributor_code": DISTRIBUTOR_CODE,
            "valid_from": "2026-01-01",
            "valid_to": "2029-12-31",
        }
        made = (await desk.post(MAKER, "/distributions", relation)).json()
        assert (await desk.post(DISTRIBUTOR, f"/distributions/{made['id']}/accept")).status_code == 200
    ended = await desk.post(MAKER, f"/distributions/{made['id']}/end", {"reason": "合同到期"})
    assert ended.status_code == 200, ended.text
    drive(clock.now() + timedelta(days=30))
    await worker.meet_deadlines()
    return f"/listings/{item['id']}"


async def test_a_market_that_was_lost_is_filled_again(
    desk: Desk, worker: WorkerInHand, house: House, database: Database, driven_clock: Callable[[datetime], None]
) -> None:
    try:
        path = await trade(desk, worker, driven_clock)
        suspended = await desk.post(AUTHORITY, f"{path}/suspend", {"reason_kind": "supply", "reason": "未配送"})
        assert suspended.status_code == 200, suspended.text
        await carry(house, database)
        before = await market(house)
        assert all(before.values())
        await republish.empty(await house.database(orders), MARKET)
        await house.empty(orders)  # with its inbox, as a database that was dropped
        await database.pool.execute("DELETE FROM outbox")  # and listing has long forgotten what it sent
        assert await say_all_again(database) == 7  # three enterprises, an institution, a listing, two relations
        assert await carry(house, database) == 7
        after = await market(house)
        # Of a relation that has ended only its end is said again, which is all that orders asks of it.
        assert len(before["distributions"]) == 2
        assert len(after["distributions"]) == 1
        assert {**after, "distributions": []} == {**before, "distributions": []}
    finally:
        await house.empty(orders)


async def test_said_again_to_who_knows_it_changes_nothing_and_undoes_nothing_newer(
    desk: Desk, worker: WorkerInHand, house: House, database: Database, driven_clock: Callable[[datetime], None]
) -> None:
    try:
        path = await trade(desk, worker, driven_clock)
        await carry(house, database)
        before = await market(house)
        await say_all_again(database)
        older = await database.pool.fetch("SELECT subject, payload FROM outbox ORDER BY id")
        await carry(house, database)
        assert await market(house) == before
        delisted = await desk.post(AUTHORITY, f"{path}/delist", {"reason_kind": "authority_order", "reason": "撤网"})
        assert delisted.status_code == 200, delisted.text
        await carry(house, database)
        newer = await market(house)
        assert newer != before
        consumer = Consumer("orders", await house.database(orders), orders.handlers)
        await consumer.apply([Message("listing", row["subject"], row["payload"]) for row in older])
        assert await market(house) == newer
    finally:
        await house.empty(orders)


async def test_many_are_said_again_page_by_page(database: Database) -> None:
    count = republish.ROWS + 7
    commands = [
        RegisterEnterprise(name=f"远山医药{number}有限公司", kinds=["distributor"], region="330100")
        for number in range(count)
    ]
    async with database.transaction() as tx:
        await register_enterprises(tx, BY_ITSELF, commands)
    await database.pool.execute("DELETE FROM outbox")
    assert await republish.republish(database, listing.republish["enterprises"]) == count
    assert await database.pool.fetchval("SELECT count(DISTINCT subject) FROM outbox") == count
