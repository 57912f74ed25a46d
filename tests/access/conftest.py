"""The two worlds, and the five apps with any of the walls away."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI

from deploy.services import load_all
from shared import clock
from shared.db import EVERYTHING, PLATFORM, Database, Scope, Tx
from shared.http import create_app
from tests.access.worlds import World, play, samples
from tests.house import House


class Tried(Database):
    """Runs everything and keeps nothing, so that each request meets the same rows; knows no reach if told so."""

    scoped = True

    @asynccontextmanager
    async def transaction(self, scope: Scope = EVERYTHING, ask: str = "") -> AsyncIterator[Tx]:
        async with self.pool.acquire() as connection:
            tx = Tx(connection, self.policy, scope)
            await tx.begin(ask, self.limits.answer_seconds)
            tx.scope = scope if self.scoped else EVERYTHING
            try:
                yield tx
                await tx.flush()
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            finally:
                await connection.execute("ROLLBACK")

    @asynccontextmanager
    async def reading(self, scope: Scope) -> AsyncIterator[Tx]:
        async with super().reading(scope) as tx:
            tx.scope = scope if self.scoped else EVERYTHING
            yield tx


class Apps:
    """`await apps.behind(queries=…, database=…)`: the five apps behind one wall, both or none."""

    def __init__(self, house: House, stack: AsyncExitStack) -> None:
        self._house = house
        self._stack = stack
        self._made: dict[tuple[bool, bool], dict[str, FastAPI]] = {}

    async def behind(self, *, queries: bool, database: bool) -> dict[str, FastAPI]:
        """`queries`: the first wall stands. `database`: the second."""
        if (queries, database) not in self._made:
            self._made[queries, database] = {
                service.name: await self._app(service, queries, database) for service in load_all()
            }
        return self._made[queries, database]

    async def _app(self, service: Any, queries: bool, database: bool) -> FastAPI:
        settings = self._house.settings(service)
        limits = settings.limits.model_copy(update={"pool_connections": 2, "requests_burst": 1_000_000})
        role = settings.api_role if database else None
        app = create_app(service, settings.model_copy(update={"limits": limits, "api_role": role}))
        await self._stack.enter_async_context(app.router.lifespan_context(app))
        runtime = app.state.runtime
        opened: Database = runtime.database
        runtime.database = Tried(opened.pool, opened.silence, opened.policy, opened.limits)
        runtime.database.scoped = queries
        return app


@pytest.fixture(scope="module")
async def apps(house: House) -> AsyncIterator[Apps]:
    async with AsyncExitStack() as stack:
        yield Apps(house, stack)


@pytest.fixture(scope="module")
async def worlds(
    house: House, _apps: Callable[[Any], Any], token: Callable[..., str]
) -> AsyncIterator[tuple[World, World]]:
    """The foreign world and the callers' own, in the five databases."""
    clock.release()
    clock.allow_driving(True)
    foreign, own = await play(house, {one.name: await _apps(one) for one in load_all()}, token, samples())
    yield foreign, own
    clock.release()
    for service in load_all():
        await house.empty(service)


def tables_of(service: Any) -> list[Any]:
    """Every table of a service's database."""
    return [table for collection in (PLATFORM, service.metadata) for table in collection.sorted_tables]
