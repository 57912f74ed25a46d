"""What two services do not say the same of is named, each thing by itself; and by `jicai audit`, wherever the databases are."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.chain import SERVICES
from deploy.cli import app
from deploy.differences import COMPARISONS, differences
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from shared import republish
from tests.deploy.said_again import Five

RENAMED = """
INSERT INTO enterprises (id, code, uscc, name, aliases, name_keys, kinds, provisional, region, active, version)
VALUES (gen_random_uuid(), 'PROV-1', '91330000MA2QHXY99X', '甲', '{}', '{}', '{agent}', false, '330000', true, 1)
"""
TAKEN_BACK = """
UPDATE shipment_lines SET quantity_accepted = 9, quantity_rejected = 1, reason = '破损'
WHERE (quantity_accepted, quantity_rejected) = (10, 0) RETURNING id
"""
TAKEN = "UPDATE shipment_lines SET quantity_accepted = 10, quantity_rejected = 0, reason = NULL WHERE id = $1"
UNSENT = "UPDATE outbox SET sent_at = NULL WHERE id = (SELECT max(id) FROM outbox)"
SENT = "UPDATE outbox SET sent_at = now() WHERE sent_at IS NULL"
READER = "CREATE ROLE reader LOGIN NOINHERIT PASSWORD 'reads'"


async def named(five: Five) -> list[str]:
    return await differences(five.urls.__getitem__)


@pytest.mark.parametrize("name", sorted({one.second for one in COMPARISONS}))
async def test_whatever_a_service_has_lost_is_named_in_each_comparison(five: Five, name: str) -> None:
    await five.databases["listing"].pool.execute(RENAMED)
    await five.say_again("listing")
    await five.carry()
    assert await named(five) == []
    await five.empty(name)
    found = await named(five)
    for one in COMPARISONS:
        if one.second == name:
            assert [said for said in found if said.startswith(one.about) and f"{one.first} has" in said], one.about
    assert all(said.endswith(f"{name} has nothing") or f"{name} has nothing, " in said for said in found)


@pytest.mark.parametrize("lost", [["11.11"], ["11.12", "11.11"]], ids=["the same version", "an older version"])
async def test_a_price_set_after_listing_was_restored_is_named_until_the_market_is_filled_anew(
    five: Five, lost: list[str]
) -> None:
    """It comes under a version that the lost hour had used: orders has that one, or a newer one, already."""
    prices = five.databases["listing"].pool
    before = await prices.fetchrow("SELECT id, price_yuan, version FROM listings WHERE state = 'listed' ORDER BY id")
    assert before is not None

    async def priced(yuan: str) -> None:
        sets = "UPDATE listings SET price_yuan = $2, version = version + 1 WHERE id = $1"
        await prices.execute(sets, before["id"], Decimal(yuan))
        await five.say_again("listing")

    for yuan in lost:
        await priced(yuan)
    await five.carry()
    assert await named(five) == []
    await prices.execute("UPDATE listings SET price_yuan = $2, version = $3 WHERE id = $1", *before)
    await priced("10.50")
    await five.carry()
    (said,) = await named(five)
    assert said.startswith(f"listing {before['id']} (product ")
    assert "): listing has listed at 10.5000 yuan from " in said
    assert ", orders has listed at 11.1100 yuan from " in said
    await republish.empty(five.databases["orders"], load("orders").projections["market"])
    await five.say_again("listing")
    await five.carry()
    assert await named(five) == []


async def test_sheets_and_accounts_that_settlement_has_no_more_are_named(five: Five) -> None:
    paid = await five.databases["orders"].pool.fetch("SELECT sheet_id FROM sheets WHERE paid_at IS NOT NULL")
    accounts = await five.databases["orders"].pool.fetch("SELECT account_id FROM accounts WHERE state = 'confirmed'")
    assert paid
    assert accounts
    await five.empty("settlement")
    await five.say_again("orders", "traceability")
    await five.carry()
    found = " ".join(await named(five))
    for kind, rows, state in (("sheet", paid, "paid"), ("account", accounts, "confirmed")):
        for (key,) in rows:
            for listener in ("orders", "alerts"):
                said = f"): settlement has nothing, {listener} has it as {state}"
                assert f"{kind} {key} (" in found
                assert said in found


def audited(url_of: Callable[[str], str]) -> tuple[int, str]:
    variables = {f"{name.upper()}_DATABASE_URL": url_of(name) for name in SERVICES}
    result = CliRunner().invoke(app, ["audit"], env=variables)
    return result.exit_code, result.output


async def test_the_audit_finds_each_database_by_its_variable_and_reads_it_as_the_worker(
    played: EmbeddedPostgres,
) -> None:
    """Copies under other names than the shipped ones, and a user who is nothing but a member of the workers' roles."""
    owner = await asyncpg.connect(played.url("postgres"))
    try:
        roles = ", ".join(f"jicai_{name}_worker" for name in SERVICES)
        await owner.execute(f"{READER}; GRANT {roles} TO reader")
        superuser = played.url("").partition("://")[2].partition("@")[0]

        def url_of(name: str) -> str:
            return played.url(f"told_{name}").replace(superuser, "reader:reads")

        status, said = await asyncio.to_thread(audited, url_of)
        assert status == 0, said
        orders = await asyncpg.connect(played.url("told_orders"))
        line = await orders.fetchval(TAKEN_BACK)
        await orders.execute(UNSENT)
        try:
            status, said = await asyncio.to_thread(audited, url_of)
        finally:
            await orders.execute(TAKEN, line)
            await orders.execute(SENT)
            await orders.close()
        assert status == 1
        assert "\norders: events that are not sent: 1\n" in said
        assert "\npayables of settlement for another quantity or amount than orders has accepted: 1\n" in said
        assert f"accepted line {line} (order CG-0003, line 1, lot L2): orders has 9 accepted for " in said
        assert "Chain(" not in said
    finally:
        await owner.execute("DROP OWNED BY reader; DROP ROLE reader")
        await owner.close()
