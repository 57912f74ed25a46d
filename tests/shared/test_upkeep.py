"""What is not needed any more goes, in bounded pieces; what still is, stays; nothing is forgotten before Kafka forgets it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from pydantic import ValidationError
from uuid_utils.compat import uuid7

from deploy.wiring import SettingsRefused, told
from services.orders.settings import OrdersSettings
from shared import outbox
from shared.migrations import upkeep
from shared.settings import Limits
from tests.echo import source
from tests.house import House

SENT = """
INSERT INTO outbox (event_id, type, subject, sequence, payload, sent_at)
SELECT gen_random_uuid(), $1, 's', n, '', now() - $2::interval FROM generate_series(1, $3) AS n
"""
UNSENT = (
    "INSERT INTO outbox (event_id, type, subject, sequence, payload) VALUES (gen_random_uuid(), 'unsent', 's', 1, '')"
)
OLD_DAY = """
CREATE TABLE inbox_20200101 PARTITION OF inbox
FOR VALUES FROM ('016f5e66-e800-0000-0000-000000000000') TO ('016f638d-4400-0000-0000-000000000000')
"""
OF_THAT_DAY = "016f5e66-e801-7000-8000-000000000001"


@pytest.fixture
async def owner(house: House) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(house.url(source))
    yield connection
    await connection.close()
    await house.empty(source)


async def test_tables_whose_rows_come_and_go_are_vacuumed_after_a_hundredth_of_them(
    owner: asyncpg.Connection,
) -> None:
    found = await owner.fetch(
        "SELECT relname FROM pg_class WHERE 'autovacuum_vacuum_scale_factor=0.01' = ANY(reloptions)"
    )
    assert {row["relname"] for row in found} == {"outbox", "deadlines", "idempotency_keys"}


async def test_sent_events_are_pruned_piece_by_piece_and_unsent_ones_never(
    house: House, owner: asyncpg.Connection
) -> None:
    await owner.execute(SENT.replace("$1", "'old'").replace("$2", "'8 days'").replace("$3", "5"))
    await owner.execute(SENT.replace("$1", "'young'").replace("$2", "'6 days'").replace("$3", "1"))
    await owner.execute(UNSENT)
    database = await house.database(source)
    async with database.pool.acquire() as connection:
        assert [await outbox.prune(connection, 7, rows=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [row["type"] for row in await owner.fetch("SELECT type FROM outbox ORDER BY type")] == ["unsent", "young"]


async def test_the_inbox_forgets_by_the_day_what_is_older_than_it_shall_remember(
    house: House, owner: asyncpg.Connection
) -> None:
    today = str(uuid7())
    await owner.execute(OLD_DAY)
    await owner.execute("INSERT INTO inbox (event_id) SELECT unnest($1::uuid[])", [OF_THAT_DAY, today])
    database = await house.database(source)
    await database.pool.execute("SELECT jicai_upkeep_inbox(15)")
    assert [str(row["event_id"]) for row in await owner.fetch("SELECT event_id FROM inbox")] == [today]
    assert await owner.fetchval("SELECT to_regclass('inbox_20200101')") is None


async def test_a_migration_forgets_nothing_whatever_is_kept(owner: asyncpg.Connection) -> None:
    await owner.execute(OLD_DAY)
    await owner.execute("INSERT INTO inbox (event_id) VALUES ($1)", OF_THAT_DAY)
    for statement in upkeep.statements("CURRENT_USER"):
        await owner.execute(statement)
    assert str(await owner.fetchval("SELECT event_id FROM inbox")) == OF_THAT_DAY


def test_an_inbox_that_forgets_before_kafka_does_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Limits(inbox_days=10, kafka_days=7).inbox_days == 10
    with pytest.raises(
        ValidationError, match="inbox_days is 9, it must be kafka_days, which is 7, and 3 more at least"
    ):
        Limits(inbox_days=9, kafka_days=7)
    monkeypatch.setenv("ORDERS_DATABASE_URL", "postgresql://nobody@127.0.0.1/nothing")
    monkeypatch.setenv("JICAI_LIMIT_INBOX_DAYS", "3")
    with pytest.raises(SettingsRefused, match="inbox_days is 3, it must be kafka_days, which is 7, and 3 more"):
        told(OrdersSettings)
