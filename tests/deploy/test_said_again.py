"""Everything said again to who knows it changes nothing; said to who has lost it, he ends equal to the rest."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import addresses, story
from deploy.chain import SERVICES, inspect
from deploy.embedded import free_port
from deploy.platform import token_maker
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from deploy.story.cast import assemble
from deploy.story.cast import load as sample
from deploy.visitor import Visitor
from shared import republish
from tests.deploy.said_again import Five, bring_back, keep, opened

ROOT = Path(__file__).parents[2]
OF_EVENTS = ("placed_event", "confirmed_event", "opened_event")
"""Which event told it: another one, now."""


@pytest.fixture(scope="module")
async def played() -> AsyncIterator[EmbeddedPostgres]:
    """A server with the databases in which the story was told, a recall was opened and one was closed; kept as `told`."""
    with tempfile.TemporaryDirectory(prefix="jicai-again-", ignore_cleanup_errors=True) as made:
        folder = Path(made) / "data"
        with running(folder):
            await story.tell(addresses.read(folder), token_maker(folder))
            await recalls(folder)
        with EmbeddedPostgres.start(folder, durable=False) as server:
            async with opened(server) as five:
                await five.settle()
                assert await five.dead() == []
            await keep(server, "told")
            yield server


@pytest.fixture
async def five(played: EmbeddedPostgres) -> AsyncIterator[Five]:
    """The five as the story left them; the outboxes have long forgotten what was sent."""
    await bring_back(played, "told")
    async with opened(played) as databases:
        for database in databases.databases.values():
            await database.pool.execute("DELETE FROM outbox")
        yield databases


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """`jicai run` for as long as the block lasts."""
    command = [
        sys.executable,
        "-m",
        "deploy.cli",
        "run",
        "--no-story",
        "--data",
        str(folder),
        "--port",
        str(free_port()),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        assert any(line.startswith("ready:") for line in child.stdout)
        try:
            yield
        finally:
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=120)


async def recalls(folder: Path) -> None:
    """The maker recalls a lot that was received, and one that nobody has, and ends the second."""
    async with Visitor(addresses.read(folder), token_maker(folder)) as visitor:
        cast = assemble(sample(), visitor)
        code = cast.product("tablets").code
        lots = {line["lot_number"] for line in (await cast.hospital.get("traceability/receipts"))["items"]}
        maker = cast.maker
        first = {"product_code": code, "lot_numbers": sorted(lots), "reason": "杂质"}
        await maker.post("traceability/recalls", first, key="recall-1")
        other = {"product_code": code, "lot_numbers": ["NOWHERE"], "reason": "标签"}
        second = await maker.post("traceability/recalls", other, key="recall-2")
        await maker.post(f"traceability/recalls/{second['id']}/close", {"reason": "已更正"})
        await visitor.until_quiet()


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
    assert (await inspect(five.urls.__getitem__)).gaps == 0


async def test_alerts_that_has_lost_its_watches_watches_the_same_again(five: Five) -> None:
    tables = ("order_lines", "receipts", "recalled_lots", "organisations", "remedies")
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
    assert chain.told_unpaid == len(before)  # what was paid is nobody's but settlement's: it is said, not made up


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
    tables = ("line_payments", "shipment_lines", "institutions", "enterprises", "listings")
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
