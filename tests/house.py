"""What the fixtures of conftest.py are made of: databases with tables and walls, a worker in hand, an issuer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from deploy.environment import Embedded, database_name
from deploy.postgres import EmbeddedPostgres
from shared import clock, deadlines, jobs
from shared.bus import Message
from shared.db import EVERYTHING, PLATFORM, Database, Scope, Tx
from shared.envelope import seal, unseal
from shared.events import EVENTS, Event, read, source_of, subject_of, topic_of
from shared.inbox import Consumer
from shared.migrations import walls
from shared.policy import Policy
from shared.service import Service
from shared.settings import ServiceSettings

DIALECT = sa.create_mock_engine("postgresql+asyncpg://", print).dialect


def declared(service: Service) -> list[sa.MetaData]:
    """The tables a service's database holds: the platform's and its own."""
    return [PLATFORM, service.metadata]


def table_statements(service: Service) -> list[str]:
    """Every statement that makes the declared tables, what hangs on them (DDL events) and the walls."""
    found: list[str] = []
    engine = sa.create_mock_engine(
        "postgresql+asyncpg://", lambda made, *_: found.append(str(made.compile(dialect=DIALECT)))
    )
    for collection in declared(service):
        collection.create_all(engine, checkfirst=False)
    return [*found, *walls.statements(service.name, declared(service))]


class House:
    """The session's server: one database a service, made of the declared tables when it is first asked for."""

    def __init__(self, postgres: EmbeddedPostgres, data_dir: Path) -> None:
        self.postgres = postgres
        self.data_dir = data_dir
        self._urls: dict[str, str] = {}
        self._databases: dict[tuple[str, str], Database] = {}
        self._owners: dict[str, asyncpg.Connection] = {}

    def url(self, service: Service) -> str:
        """The owner's URL of a service's database."""
        if service.name not in self._urls:
            url = self.postgres.ensure_database(database_name(service.name))
            self.postgres.psql(";\n".join(table_statements(service)), database_name(service.name))
            self._urls[service.name] = url
        return self._urls[service.name]

    def settings(self, service: Service) -> ServiceSettings:
        """What the service is told in tests."""
        return Embedded(self.data_dir, {service.name: self.url(service)}).settings(service)

    async def database(self, service: Service, kind: str = "worker") -> Database:
        """A pool as the role of the `worker` or the `api`, kept for the session."""
        known = self._databases.get((service.name, kind))
        if known is None:
            told = self.settings(service)
            known = self._databases[service.name, kind] = await Database.open(
                told.database_url,
                role=told.api_role if kind == "api" else told.worker_role,
                policy=Policy.load(told.policy_files),
                limits=told.limits,
                name=f"test {service.name} {kind}",
            )
        return known

    @asynccontextmanager
    async def refusing_commits(self, service: Service, table: str, when: str = "true") -> AsyncIterator[None]:
        """In this block a COMMIT fails that has added a row of which `when` (SQL about NEW) is true."""
        owner = await asyncpg.connect(self.url(service))
        await owner.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;"
            f" CREATE CONSTRAINT TRIGGER late AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
            f" FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION fail()"
        )
        try:
            yield
        finally:
            await owner.execute(f"DROP TRIGGER late ON {table}; DROP FUNCTION fail()")
            await owner.close()

    @asynccontextmanager
    async def rolled_back(self, service: Service, scope: Scope | None) -> AsyncIterator[Tx]:
        """A transaction that never commits; what it added is written and deferred constraints are checked at its end."""
        database = await self.database(service, "worker" if scope is None else "api")
        async with database.pool.acquire() as connection:
            await connection.execute((scope or EVERYTHING).opening())
            tx = Tx(connection, database.policy, scope or EVERYTHING)
            try:
                yield tx
                with suppress(asyncpg.InFailedSQLTransactionError):  # the test has seen a refusal and looked at it
                    await tx.flush()
                    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            finally:
                await connection.execute("ROLLBACK")

    async def empty(self, service: Service) -> None:
        """Removes every row of a service's database, and counts from 1 again; most tables have none, which is soon asked.

        Few rows are sooner deleted than their tables truncated, after which every session would also plan anew. Who still
        writes is waited for; as a replica, neither the order of the tables nor a trigger is asked.
        """
        owner = self._owners.get(service.name)
        if owner is None:
            owner = self._owners[service.name] = await asyncpg.connect(self.url(service))
        names = [table.name for collection in declared(service) for table in collection.sorted_tables]
        asked = " UNION ALL ".join(f"SELECT '{name}' AS name WHERE EXISTS (SELECT FROM \"{name}\")" for name in names)
        filled = [f'"{name}"' for (name,) in await owner.fetch(asked)]
        if filled:
            removed = "; ".join(f"DELETE FROM {name}" for name in filled)
            await owner.execute(  # one transaction
                f"LOCK TABLE {', '.join(filled)} IN EXCLUSIVE MODE; SET LOCAL session_replication_role = replica; {removed}"
            )
        await owner.execute("SELECT setval(seqrelid::regclass, 1, false) FROM pg_sequence")

    async def close(self) -> None:
        for owner in self._owners.values():
            await owner.close()
        for database in self._databases.values():
            await database.close()


class WorkerInHand:
    """The worker of a service, one move at a time and committing for real: events in, deadlines, jobs, events out."""

    def __init__(self, service: Service, database: Database) -> None:
        self.service = service
        self.database = database
        self._sequence = 0

    async def deliver(self, *facts: Event, sequence: int | None = None, at: datetime | None = None) -> list[Message]:
        """Hands these facts, which came true `at` an instant or now, to the service in one batch, as the bus would; returns the
        messages, to send them again."""
        messages = [self._message(fact, sequence, at) for fact in facts]
        await self.redeliver(messages)
        return messages

    async def redeliver(self, messages: Sequence[Message]) -> None:
        """Hands messages in once more."""
        await Consumer(self.service.name, self.database, self.service.handlers).apply(messages)

    def _message(self, fact: Event, sequence: int | None, at: datetime | None = None) -> Message:
        self._sequence += 1
        payload = seal(
            event_id=uuid7(),
            source=source_of(fact),
            event_type=fact.TYPE,
            subject=subject_of(fact),
            time=at or clock.now(),
            sequence=self._sequence if sequence is None else sequence,
            data=fact,
        )
        return Message(topic_of(type(fact)), subject_of(fact), payload)

    async def meet_deadlines(self) -> int:
        """Lets every deadline that is due now act; returns how many did."""
        return sum(
            [await deadlines.meet(self.database, kind, due, 500) for kind, due in self.service.deadlines.items()]
        )

    async def do_jobs(self) -> None:
        """Does every job that is queued."""
        while await jobs.run_next(self.database, self.service.jobs):
            pass

    async def said(self) -> list[Event]:
        """Every event this service has recorded, in order."""
        rows = await self.database.pool.fetch("SELECT type, payload FROM outbox ORDER BY id")
        known = {kind.TYPE: kind for kind in self.service.handlers} | EVENTS
        return [read(known[row["type"]], unseal(row["payload"]).data) for row in rows]

    async def dead_letters(self) -> list[dict[str, Any]]:
        """What could not be applied, with its reason."""
        return [dict(row) for row in await self.database.pool.fetch("SELECT * FROM dead_letters")]
