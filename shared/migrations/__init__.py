"""How a service's database gets its tables: alembic, one chain of versions per service, then walls and grants.

Versions stand in `services/<name>/migrations/`; the walls (roles, grants, row-level security) are derived from the
declared tables each time, so they cannot fall behind them. Processes go on meanwhile: each version, and the walls of each
table, is a transaction of its own that gives up rather than let everybody wait behind it, and is tried again.
"""

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from shared.db import PLATFORM
from shared.migrations import upkeep, walls
from shared.service import Service

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
LOCK_SECONDS = 2
"""So long a change of a table waits for those who use it, and everybody who comes later waits behind it."""
TRIES, PAUSE_SECONDS = 60, 1


def versions_of(service: Service) -> Path:
    """The folder of a service's versions."""
    return ROOT / "services" / service.name / "migrations"


def _config(service: Service, connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(versions_of(service)))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    config.attributes["include_name"] = declared
    config.attributes["metadata"] = [PLATFORM, service.metadata]
    return config


def declared(name: str | None, kind: str, _: Any) -> bool:
    """Partitions are made by upkeep, not by versions."""
    return not (kind == "table" and name is not None and name.startswith(upkeep.PARTITION))


async def migrate(service: Service, owner_url: str) -> None:
    """Brings a database to the newest version, as the owner of its tables; safe to repeat, and under load.

    Raises what asyncpg does, LockNotAvailableError when somebody holds a table all the while.
    """
    for work in (_upgrade, _wall_in):
        await _when_free(owner_url, partial(work, service))


async def _when_free(owner_url: str, work: Any) -> None:
    """Does what changes tables; again, from where it stands, while one of them is in use."""
    for left in reversed(range(TRIES)):
        try:
            await _with_connection(owner_url, work)
            break
        except DBAPIError as refused:
            reason = refused.orig and refused.orig.__cause__
            if not isinstance(reason, asyncpg.PostgresError):
                raise
            if not left or not isinstance(reason, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError):
                raise reason from refused
            log.warning("a table is in use, its change is tried again", extra={"reason": str(reason)})
            await asyncio.sleep(PAUSE_SECONDS)


async def new_version(service: Service, owner_url: str, message: str, number: str) -> None:
    """Writes the next version from what the tables declare and the newest version lacks, on a database of no worth."""
    await _with_connection(owner_url, lambda connection: _revise(service, connection, message, number))


async def differences(service: Service, owner_url: str) -> list[Any]:
    """What the declared tables and the migrated database disagree on; empty when all is well."""
    found: list[Any] = []

    def compare(connection: sa.Connection) -> None:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": declared})
        found.extend(compare_metadata(context, [PLATFORM, service.metadata]))  # type: ignore[arg-type]

    await _with_connection(owner_url, compare)
    return found


def _upgrade(service: Service, connection: sa.Connection) -> None:
    command.upgrade(_config(service, connection), "head")


def _wall_in(service: Service, connection: sa.Connection) -> None:
    for step in walls.steps(service.name, [PLATFORM, service.metadata]):
        with connection.begin():
            for statement in step:
                connection.exec_driver_sql(statement)


def _revise(service: Service, connection: sa.Connection, message: str, number: str) -> None:
    config = _config(service, connection)
    command.upgrade(config, "head")
    command.revision(config, message, autogenerate=True, rev_id=number)


async def _with_connection(owner_url: str, work: Any) -> None:
    engine = create_async_engine(
        owner_url.replace("postgresql://", "postgresql+asyncpg://", 1),
        connect_args={"server_settings": {"lock_timeout": f"{LOCK_SECONDS}s"}},
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(work)
    finally:
        await engine.dispose()
