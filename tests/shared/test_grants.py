"""What each role may do with the tables that every service has, as PostgreSQL itself says it; and that it means it."""

from collections.abc import Callable

import asyncpg
import pytest

from shared.db import EVERYTHING, PLATFORM, Scope
from shared.service import Service
from tests.house import House
from tests.toy import toy

DEED = (
    "about,action,at,detail,institution_code,operation,organisation,person,region,request_id,supplier_code,third_code"
)
MAY = {
    # table: what the API may, what the worker may
    "outbox": ("INSERT SELECT(id,recorded_at,sent_at)", "DELETE INSERT SELECT UPDATE(sent_at)"),
    "inbox": ("", "INSERT SELECT"),
    "dead_letters": ("SELECT", "INSERT SELECT UPDATE(note,reason,settled_at,state)"),
    "deadlines": ("DELETE INSERT SELECT UPDATE(due_at)", "DELETE INSERT SELECT UPDATE(due_at)"),
    "jobs": ("INSERT SELECT UPDATE(natural_key)", "INSERT SELECT UPDATE"),
    "job_files": ("INSERT SELECT", "DELETE INSERT SELECT"),
    "idempotency_keys": ("INSERT SELECT", "DELETE SELECT"),
    "history": (f"INSERT({DEED}) SELECT", f"INSERT({DEED}) SELECT"),
    "history_heads": ("SELECT", "SELECT"),
}

WHOLE = "SELECT privilege_type FROM information_schema.role_table_grants WHERE table_name = $1 AND grantee = $2"
IN_PART = """
SELECT privilege_type || '(' || string_agg(column_name, ',' ORDER BY column_name) || ')'
FROM information_schema.role_column_grants c WHERE table_name = $1 AND grantee = $2 AND NOT EXISTS (
  SELECT FROM information_schema.role_table_grants t
  WHERE t.table_name = $1 AND t.grantee = $2 AND t.privilege_type = c.privilege_type)
GROUP BY privilege_type
"""
SEQUENCES = """
SELECT sequencename FROM pg_sequences
WHERE has_sequence_privilege($1, format('%I.%I', schemaname, sequencename), 'USAGE, SELECT, UPDATE')
"""


@pytest.fixture
def service() -> Service:
    return toy


@pytest.fixture
async def owner(database_url: Callable[[Service], str]) -> asyncpg.Connection:
    connection = await asyncpg.connect(database_url(toy))
    yield connection
    await connection.close()


def test_every_table_that_every_service_has_is_in_the_list() -> None:
    assert set(MAY) == {table.name for table in PLATFORM.sorted_tables}


@pytest.mark.parametrize("table", MAY)
async def test_each_role_may_what_the_list_says_and_nothing_more(owner: asyncpg.Connection, table: str) -> None:
    found = []
    for role in ("jicai_toy_api", "jicai_toy_worker"):
        granted = [row[0] for query in (WHOLE, IN_PART) for row in await owner.fetch(query, table, role)]
        found.append(" ".join(sorted(granted)))
    assert tuple(found) == MAY[table]


@pytest.mark.parametrize("role", ["jicai_toy_api", "jicai_toy_worker"])
async def test_no_role_may_turn_a_sequence(owner: asyncpg.Connection, role: str) -> None:
    assert await owner.fetch(SEQUENCES, role) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT payload FROM outbox",
        "SELECT subject FROM outbox",
        "UPDATE outbox SET sent_at = now()",
        "DELETE FROM outbox",
        "SELECT event_id FROM inbox",
        "INSERT INTO inbox (event_id) VALUES (gen_random_uuid())",
        "UPDATE dead_letters SET state = 'dropped'",
        "DELETE FROM dead_letters",
        "UPDATE jobs SET state = 'done'",
        "DELETE FROM idempotency_keys",
        "INSERT INTO history_heads (day, rows, last_id, digest) VALUES (current_date, 0, 0, '')",
        "DELETE FROM history_heads",
    ],
)
async def test_the_api_is_refused_what_only_the_worker_or_nobody_does(house: House, statement: str) -> None:
    async with house.rolled_back(toy, EVERYTHING) as tx:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.sql(statement)


@pytest.mark.parametrize(("scope", "seen"), [(EVERYTHING, 1), (Scope("region", "A", "33"), 0), (Scope("own", "A"), 0)])
async def test_dead_letters_are_for_who_sees_everything(
    house: House, owner: asyncpg.Connection, scope: Scope, seen: int
) -> None:
    await owner.execute(
        "INSERT INTO dead_letters (topic, subject, digest, reason, payload, headers, state)"
        " VALUES ('t', 's', 'd', 'r', '', '{}', 'dead')"
    )
    try:
        async with house.rolled_back(toy, scope) as tx:
            assert len(await tx.sql("SELECT id FROM dead_letters")) == seen
    finally:
        await owner.execute("TRUNCATE dead_letters RESTART IDENTITY")
