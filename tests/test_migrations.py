"""Migrations make exactly what the tables declare: columns, and also what alembic does not compare."""

import asyncio
import re
import sys
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from deploy import databases
from deploy.postgres import EmbeddedPostgres
from deploy.services import NAMES, load
from shared.migrations import differences, migrate
from tests.house import House

ROOT = Path(__file__).parents[1]

CATALOGUE = """
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
    AND conrelid::regclass::text <> 'alembic_version'
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc AS p
    WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
UNION ALL SELECT 'policy ' || tablename || ' ' || policyname || ' ' || roles::text || coalesce(qual, '')
    FROM pg_policies
UNION ALL SELECT 'column ' || table_name || ' ' || column_name || ' ' || coalesce(column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
ORDER BY 1
"""


def catalogue(postgres: EmbeddedPostgres, database: str) -> list[str]:
    """What stands in a database, one line a thing."""
    lines = postgres.psql(CATALOGUE, database)
    return re.split(r"\n(?=index |constraint |trigger |function |policy |column )", lines)


@pytest.mark.parametrize("name", NAMES)
async def test_migrations_make_what_the_tables_declare(name: str, house: House, postgres: EmbeddedPostgres) -> None:
    if not list((ROOT / "services" / name / "migrations").glob("*.py")):
        pytest.skip(f"{name} has no migrations yet")
    service = load(name)
    database = f"migrated_{name}"
    url = postgres.ensure_database(database)
    await migrate(service, url)
    await migrate(service, url)
    assert await differences(service, url) == []
    house.url(service)
    declared, migrated = catalogue(postgres, f"jicai_{name}"), catalogue(postgres, database)
    assert sorted(set(migrated) - set(declared)) == [], "only in the migrations"
    assert sorted(set(declared) - set(migrated)) == [], "only in the tables"


FOUND = """
INSERT INTO anomalies (id, kind, severity, code, codes, document_id, institution_code, region, detail, state, finding, found_at,
    version)
VALUES ($1, 'no_inbound', 'high', $2, 1, gen_random_uuid(), $3, '330102', 'x', $4, CASE $4 WHEN 'closed' THEN 'x' END, now(), 1)
"""


async def test_of_anomalies_of_one_code_the_earliest_that_is_not_closed_stays(postgres: EmbeddedPostgres) -> None:
    url = postgres.ensure_database("migrated_anomalies")
    await migrate(load("traceability"), url)
    version = import_module("services.traceability.migrations.0002_anomalies_by_code")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("DROP INDEX uq_anomalies_code")
        rows = [
            ("1", "H1", "closed"),
            ("1", "H1", "open"),
            ("1", "H1", "open"),
            ("1", "H2", "open"),
            ("2", "H1", "open"),
        ]
        for row in rows:
            await connection.execute(FOUND, uuid7(), *row)
        await connection.execute(version.CLOSE_REPEATED)
        states = [row["state"] for row in await connection.fetch("SELECT state FROM anomalies ORDER BY id")]
        assert states == ["closed", "open", "closed", "open", "open"]
    finally:
        await connection.close()


async def test_a_table_in_use_is_changed_when_it_is_free_and_nobody_waits_behind_the_change_for_long(
    postgres: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    service = load("settlement")
    url = postgres.ensure_database("migrated_in_use")
    await migrate(service, url)
    reader, writer = await asyncpg.connect(url), await asyncpg.connect(url, command_timeout=60)
    try:
        await reader.execute("BEGIN; LOCK TABLE payables IN ACCESS SHARE MODE")
        migrating = asyncio.create_task(migrate(service, url))
        while not any("in use" in record.message for record in caplog.records):
            assert not migrating.done()
            await writer.execute("SELECT FROM payables")  # waits behind the change, and gets through
            await asyncio.sleep(0.05)
        await reader.execute("COMMIT")
        await migrating
    finally:
        await reader.close()
        await writer.close()


TAKE, GIVE_BACK = "SELECT pg_advisory_lock($1)", "SELECT pg_advisory_unlock($1)"


async def test_two_that_migrate_one_database_at_once_do_it_one_after_the_other(postgres: EmbeddedPostgres) -> None:
    """Both wait for a third, so that they go on at the same moment; without the wait one of them finds half of the tables."""
    url = postgres.ensure_database("migrated_twice")
    third = await asyncpg.connect(url)
    command = [sys.executable, "-m", "deploy.cli", "migrate", "alerts", "--database-url", url]
    try:
        await third.execute(TAKE, databases._ALONE)
        both = [
            await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            for _ in range(2)
        ]
        for one in both:
            assert one.stderr is not None
            assert b"another migrates this database" in await one.stderr.readline()
        await third.execute(GIVE_BACK, databases._ALONE)
        said = [await one.communicate() for one in both]
        assert [one.returncode for one in both] == [0, 0], said
        assert await differences(load("alerts"), url) == []
    finally:
        await third.close()
