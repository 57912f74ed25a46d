"""Everything said again to who knows it changes nothing; said to who has lost it, he ends equal to the rest."""

import pytest

from deploy.chain import SERVICES, inspect
from deploy.services import load
from shared import republish
from tests.deploy.said_again import Five

OF_EVENTS = ("placed_event", "confirmed_event", "opened_event", "issued_event")
"""Which event told it: another one, now."""


async def test_all_said_twice_to_who_has_it_changes_no_row_no_ledger_and_no_alert(five: Five) -> None:
    before = {name: await five.own(name) for name in SERVICES}
    said = await five.say_again()
    assert await five.say_again() == said > 30
    await five.settle()
    assert five.carried == 2 * said  # and nobody had anything to answer
    assert await five.dead() == []
    after = {name: await five.own(name, ("told_at",)) for name in SERVICES}
    before["traceability"]["products"] = after["traceability"]["products"]  # the same word, at a later time
    assert after["alerts"]["alerts"]
    for name in SERVICES:
        for table, rows in after[name].items():
            assert rows == before[name][table], f"{name}.{table}"
    assert (await inspect(five.urls.__getitem__)).gaps == {}


async def test_alerts_that_has_lost_its_watches_watches_the_same_again(five: Five) -> None:
    tables = ("order_lines", "receipts", "sheets", "recalled_lots", "organisations", "remedies")
    before = {table: await five.rows("alerts", table, OF_EVENTS) for table in tables}
    open_alerts = "SELECT kind, about_id FROM alerts WHERE state = 'open' ORDER BY 1, 2"
    stood = [tuple(row) for row in await five.databases["alerts"].pool.fetch(open_alerts)]
    assert all(before.values())
    await five.empty("alerts")
    await five.say_again()
    await five.settle()
    assert await five.dead() == []
    for table in tables:
        assert await five.rows("alerts", table, OF_EVENTS) == before[table], table
    assert [tuple(row) for row in await five.databases["alerts"].pool.fetch(open_alerts)] == stood


async def test_settlement_that_has_lost_everything_owes_the_same_under_the_same_ids(five: Five) -> None:
    owed = (
        "SELECT id, shipment_line_id, order_id, quantity, amount_yuan, quantity_released, released_yuan, due_on,"
        " codes_required, version FROM payables ORDER BY id"
    )
    before = [tuple(row) for row in await five.databases["settlement"].pool.fetch(owed)]
    assert before
    await five.empty("settlement")
    assert await five.say_again("orders", "traceability")
    await five.settle()
    assert await five.dead() == []
    assert [tuple(row)[:-1] for row in await five.databases["settlement"].pool.fetch(owed)] == [
        row[:-1] for row in before
    ]
    chain = await inspect(five.urls.__getitem__)
    assert (chain.without_payable, chain.other_amounts, chain.unbalanced, chain.ledger_sum) == (0, 0, 0, 0)
    assert chain.told_unpaid == len(await five.rows("orders", "line_payments")) > 0


async def test_traceability_that_has_lost_everything_expects_the_same(five: Five) -> None:
    own = ("id", "packs_captured", "state", "version")  # codes are nobody's but its own
    before = await five.rows("traceability", "receipts", own)
    products = await five.rows("traceability", "products", ("told_at",))
    assert before
    assert products
    await five.empty("traceability")
    await five.say_again("listing", "orders")
    await five.settle()
    assert await five.dead() == []
    assert await five.rows("traceability", "receipts", own) == before
    assert await five.rows("traceability", "products", ("told_at",)) == products


async def test_orders_that_has_lost_what_the_others_told_it_hears_it_again(five: Five) -> None:
    heard = five.databases["orders"]
    tables = (
        "line_payments",
        "payables",
        "sheets",
        "recalled_lots",
        "shipment_lines",
        "institutions",
        "enterprises",
        "listings",
    )
    before = {table: await five.rows("orders", table) for table in tables}
    assert all(before.values())
    await heard.pool.execute("UPDATE shipment_lines SET quantity_traced = 0, traced_version = 0")
    for projection in load("orders").projections.values():
        await republish.empty(heard, projection)
    await five.say_again("listing", "settlement", "traceability")
    await five.settle()
    assert await five.dead() == []
    for table in tables:
        assert await five.rows("orders", table) == before[table], table


@pytest.mark.parametrize(
    ("name", "projection"),
    [(name, projection) for name in SERVICES for projection in load(name).projections],
)
async def test_every_projection_that_is_emptied_is_filled_again_by_its_sources(
    five: Five, name: str, projection: str
) -> None:
    wanted = load(name).projections[projection]
    but = (*OF_EVENTS, "told_at")
    before = {table.name: await five.rows(name, table.name, but) for table in wanted.tables}
    await republish.empty(five.databases[name], wanted)
    for source, kinds in wanted.sources.items():
        for kind in kinds:
            await republish.republish(five.databases[source], load(source).republish[kind])
    await five.carry()
    assert await five.dead() == []
    assert {table.name: await five.rows(name, table.name, but) for table in wanted.tables} == before
