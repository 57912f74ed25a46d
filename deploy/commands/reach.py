"""Where a command finds the database of a service: where its variables point, else on the embedded default of a data folder."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg

from deploy.embedded import CannotStart
from deploy.environment import Embedded, database_name
from deploy.postgres import server_url
from deploy.wiring import told
from shared.db import Database
from shared.errors import Unavailable
from shared.faults import NOT_MIGRATED, TRANSIENT
from shared.policy import Policy
from shared.service import Service
from shared.settings import ServiceSettings


class DatabaseAway(CannotStart):
    """The database of a service cannot be used now."""


class DatabaseNotMigrated(CannotStart):
    """The database of a service has not what this version needs."""


def settings_of(service: Service, data: Path) -> ServiceSettings:
    """What the service is told, by its own variables or by the data folder; raises CannotStart where neither says it."""
    if f"{service.name}_database_url".upper() in os.environ:
        return told(service.settings)
    folder = data.expanduser().resolve()
    return Embedded(folder, {service.name: f"{server_url(folder)}/{database_name(service.name)}"}).settings(service)


def worker_url(settings: ServiceSettings) -> str:
    """The URL of a service's database for a session as its worker, which sees every row."""
    return f"{settings.database_url}{'&' if '?' in settings.database_url else '?'}role={settings.worker_role}"


@asynccontextmanager
async def database_of(service: Service, data: Path, purpose: str) -> AsyncIterator[Database]:
    """The database of a service, as its worker sees it; raises DatabaseAway and DatabaseNotMigrated, also inside the block."""
    settings = settings_of(service, data)
    with in_words(f"The database of {service.name}"):
        database = await Database.open(
            settings.database_url,
            role=settings.worker_role,
            policy=Policy.load(settings.policy_files),
            limits=settings.limits,
            name=f"{service.name} {purpose}",
        )
        try:
            yield database
        finally:
            await database.close()


@contextmanager
def in_words(whose: str) -> Iterator[None]:
    """What a database says instead of an answer, as DatabaseAway or DatabaseNotMigrated."""
    try:
        yield
    except (*TRANSIENT, Unavailable) as error:
        raise DatabaseAway(f"{whose} cannot be used now; is the platform running? ({error})") from error
    except (*NOT_MIGRATED, asyncpg.InvalidParameterValueError) as error:  # the latter: it knows no such role
        raise DatabaseNotMigrated(
            f"{whose} is not migrated to what is needed here; run `jicai migrate`. ({error})"
        ) from error
