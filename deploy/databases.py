"""Brings the databases of the embedded default to their newest version; one that is there already costs one query."""

import hashlib
from collections.abc import Mapping, Sequence

import asyncpg

from deploy.embedded import CannotStart
from shared import migrations
from shared.db import PLATFORM
from shared.migrations import walls
from shared.service import Service

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
    """Migrates those that need it, one after the other, because alembic knows only one migration at a time."""
    for service in services:
        url = owner_urls[service.name]
        mark = mark_of(service)
        connection = await asyncpg.connect(url)
        try:
            if await connection.fetchval(_MARK) == mark:
                continue
            await migrations.migrate(service, url)
            name = await connection.fetchval("SELECT quote_ident(current_database())")
            await connection.execute(f"COMMENT ON DATABASE {name} IS '{mark}'")
        finally:
            await connection.close()
