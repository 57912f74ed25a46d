"""Whoever changes, as the owner, what settlement says of money is found: another row or a deed says what it was."""

from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from deploy.differences import differences
from deploy.money import disagreements
from deploy.services import load
from tests.access.worlds import World
from tests.house import House


@pytest.fixture(scope="module")
def url_of(house: House) -> Callable[[str], str]:
    return lambda name: house.url(load(name))


@pytest.fixture
async def owner(worlds: tuple[World, World], url_of: Callable[[str], str]) -> AsyncIterator[asyncpg.Connection]:
    """The owner of settlement's database in a transaction that is taken back, its constraints and triggers in place."""
    assert worlds
    connection = await asyncpg.connect(url_of("settlement"))
    async with connection.transaction():
        yield connection
        await connection.execute("ROLLBACK")
    await connection.close()


PAID = "(SELECT id FROM payments WHERE state = 'paid' ORDER BY id LIMIT 1)"
ITS_RUN = f"(SELECT run_id FROM payments WHERE id = {PAID})"
ITS_SHEET = f"(SELECT sheet_id FROM payments WHERE id = {PAID})"
ITS_ACCOUNT = f"(SELECT account_id FROM payments WHERE id = {PAID})"
ONE = "(SELECT id FROM payables ORDER BY id LIMIT 1)"
ON_A_SHEET = "(SELECT min(payable_id::text)::uuid FROM sheet_lines WHERE disputed_at IS NULL)"
CHANGES = {
    f"UPDATE payments SET account_number = '6222000000000000000' WHERE id = {PAID}": "payments to an account that is not",
    f"UPDATE payments SET holder_name = 'Another' WHERE id = {PAID}": "payments to an account that is not",
    f"UPDATE payments SET amount_yuan = amount_yuan + 1000 WHERE id = {PAID}": "amount_yuan of",
    f"UPDATE payments SET distributor_code = 'D9' WHERE id = {PAID}": "payments to another supplier",
    f"UPDATE payments SET state = 'failed', reason = 'x' WHERE id = {PAID}": "payments that the ledger has otherwise",
    f"UPDATE payments SET account_id = NULL, holder_name = NULL, bank_name = NULL, cnaps_code = NULL,"
    f" account_number = NULL WHERE id = {PAID}": "account_id of",
    f"UPDATE accounts SET account_number = '6222000000000000000' WHERE id = {ITS_ACCOUNT}": "is not as it was named",
    f"UPDATE accounts SET bank_name = 'Another' WHERE id = {ITS_ACCOUNT};"
    f" UPDATE payments SET bank_name = 'Another' WHERE account_id = {ITS_ACCOUNT}": "is not as it was named",
    f"UPDATE accounts SET state = 'refused', reason = 'x' WHERE id = {ITS_ACCOUNT}": "state of",
    f"UPDATE sheets SET amount_yuan = amount_yuan + 1000 WHERE id = {ITS_SHEET}": "sheets of another amount",
    f"UPDATE sheets SET due_on = due_on - 60 WHERE id = {ITS_SHEET}": "due_on of",
    f"UPDATE sheets SET distributor_code = 'D9' WHERE id = {ITS_SHEET}": "distributor_code of",
    f"UPDATE sheet_lines SET amount_yuan = amount_yuan + 1 WHERE payable_id = {ON_A_SHEET}": "is on sheets than their lines",
    f"UPDATE payables SET due_on = due_on + 90 WHERE id = {ONE}": "due_on of",
    f"UPDATE payables SET distributor_code = 'D9' WHERE id = {ONE}": "distributor_code of",
    f"UPDATE payables SET codes_required = NOT codes_required WHERE id = {ONE}": "codes_required of",
    f"UPDATE payment_runs SET amount_yuan = amount_yuan + 1 WHERE id = {ITS_RUN}": "payment runs of another amount",
    f"UPDATE transfers SET payment_id = NULL WHERE payment_id = {PAID}": "postings of the ledger for payments",
    # sheet, line, payment and run together: the deeds tell what they were
    f"UPDATE sheets SET amount_yuan = amount_yuan + 1 WHERE id = {ITS_SHEET};"
    f" UPDATE sheet_lines SET amount_yuan = amount_yuan + 1 WHERE (sheet_id, payable_id) = (SELECT sheet_id, payable_id"
    f" FROM sheet_lines WHERE sheet_id = {ITS_SHEET} AND disputed_at IS NULL LIMIT 1);"
    f" UPDATE payment_runs SET amount_yuan = amount_yuan + 1 WHERE id = {ITS_RUN};"
    f" UPDATE payments SET amount_yuan = amount_yuan + 1 WHERE id = {PAID}": "its deeds say",
}
"""What the owner does, and what the audit says of it."""


async def test_what_the_platform_did_with_money_agrees(owner: asyncpg.Connection) -> None:
    assert await owner.fetchval(f"SELECT count(*) FROM payments WHERE id = {PAID} AND account_id IS NOT NULL") == 1
    assert await disagreements(owner) == []


@pytest.mark.parametrize("change", CHANGES)
async def test_money_that_was_changed_from_outside_is_named(owner: asyncpg.Connection, change: str) -> None:
    await owner.execute(change)
    found = await disagreements(owner)
    assert any(CHANGES[change] in sentence for sentence in found), found


@pytest.mark.parametrize("change", ["distributor_code = 'D9'", "institution_code = 'H9'"])
async def test_a_payable_to_another_than_orders_accepted_from_is_named(
    worlds: tuple[World, World], url_of: Callable[[str], str], change: str
) -> None:
    assert worlds
    before = await differences(url_of)
    owner = await asyncpg.connect(url_of("settlement"))
    try:
        (was,) = await owner.fetch(
            f"SELECT id, shipment_line_id, distributor_code, institution_code FROM payables WHERE id = {ONE}"
        )
        await owner.execute(f"UPDATE payables SET {change} WHERE id = $1", was["id"])
        found = set(await differences(url_of)) - set(before)
        await owner.execute(
            "UPDATE payables SET distributor_code = $2, institution_code = $3 WHERE id = $1",
            was["id"],
            was["distributor_code"],
            was["institution_code"],
        )
    finally:
        await owner.close()
    assert any(str(was["shipment_line_id"]) in sentence and "9" in sentence for sentence in found), found
