"""Brings the databases of the embedded default to their newest version; one that is there already costs one query."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence

import asyncpg

from deploy.embedded import CannotStart
from shared import migrations
from shared.db import PLATFORM, lock_number
from shared.migrations import walls
from shared.service import Service

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
_TRY_ALONE = "SELECT pg_try_advisory_lock($1)"
_ALONE = lock_number("migrate")
_MARK = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"


class NoVersions(CannotStart):
    """A service whose tables have no migration yet."""


def mark_of(service: Service) -> str:
    """What a database at the newest version is marked with: a hash of the versions and of the walls."""
    digest = hashlib.sha256()
    versions = sorted(migrations.versions_of(service).glob("*.py"))
    if not versions:
        raise NoVersions(
            f'{service.name} has no migrations yet; run `jicai new-version {service.name} "first tables"`.'
        )
    for file in versions:
        digest.update(file.read_bytes())
    for statement in walls.statements(service.name, [PLATFORM, service.metadata]):
        digest.update(statement.encode())
    return f"jicai {digest.hexdigest()}"


async def bring_to_head(services: Sequence[Service], owner_urls: Mapping[str, str]) -> None:
    """Migrates those that need it, one after the other, because alembic knows only one migration at a time; who comes to a
    database while another migrates it waits, and then has nothing to do."""
    for service in services:
        url = owner_urls[service.name]
        mark = mark_of(service)
        connection = await asyncpg.connect(url)
        try:
            await _alone(connection)
            if await connection.fetchval(_MARK) == mark:
                continue
            await migrations.migrate(service, url)
            name = await connection.fetchval("SELECT quote_ident(current_database())")
            await connection.execute(f"COMMENT ON DATABASE {name} IS '{mark}'")
        finally:
            await connection.close()


async def _alone(connection: asyncpg.Connection) -> None:
    """Returns when nobody else migrates this database; holds others off until the connection is closed.

    Asked again and again instead of waited for: an index that is made CONCURRENTLY waits for every statement under way.
    """
    while not await connection.fetchval(_TRY_ALONE, _ALONE):
        log.warning("another migrates this database, it is waited for")
        await asyncio.sleep(PAUSE_SECONDS)
