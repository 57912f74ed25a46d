"""Nobody runs without the second wall unseen: a role that row-level security does not bind is refused, in words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from shared.bus import LocalBus
from shared.db import Database, Scope
from shared.http import create_app
from shared.policy import Policy
from shared.service import Service
from shared.sessions import WallBypassed
from shared.settings import EMBEDDED_ISSUER, Limits, ServiceSettings
from shared.worker import Worker
from tests.house import House
from tests.toy import ToySettings, let_in, toy

let_in()

SUPER, BYPASSING, OWNING, HEIR = "wall_super", "wall_bypassing", "wall_owning", "wall_heir"
REASONS = {
    SUPER: "is a superuser",
    BYPASSING: "has BYPASSRLS",
    OWNING: "owns private tables",
    HEIR: "owns private tables",
}


@pytest.fixture
def service() -> Service:
    return toy


@pytest.fixture
async def roles(house: House) -> AsyncIterator[dict[str, str]]:
    """Four roles that get past row-level security, each for a reason of its own."""
    owner = await asyncpg.connect(house.url(toy))
    (before,) = await owner.fetchrow("SELECT tableowner FROM pg_tables WHERE tablename = 'things'")
    await owner.execute(
        f"CREATE ROLE {SUPER} SUPERUSER NOLOGIN; CREATE ROLE {BYPASSING} BYPASSRLS NOLOGIN;"
        f"CREATE ROLE {OWNING} NOLOGIN; CREATE ROLE {HEIR} NOLOGIN; GRANT {OWNING} TO {HEIR};"
        f"ALTER TABLE things OWNER TO {OWNING}"
    )
    yield REASONS
    await owner.execute(f'ALTER TABLE things OWNER TO "{before}"')
    await owner.execute(f"DROP OWNED BY {OWNING}; DROP ROLE {SUPER}, {BYPASSING}, {HEIR}, {OWNING}")
    await owner.close()


def told(house: House, **said: Any) -> ServiceSettings:
    """What operations say, as variables would: address and issuer, and no role unless a test names one."""
    return ToySettings(
        database_url=house.url(toy), issuer=EMBEDDED_ISSUER, jwks=str(house.settings(toy).jwks), embedded=True, **said
    )


@asynccontextmanager
async def asked(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://toy") as client,
    ):
        yield client


async def test_without_a_word_both_run_as_roles_that_the_wall_binds(house: House) -> None:
    settings = told(house)
    assert (settings.api_role, settings.worker_role) == ("jicai_toy_api", "jicai_toy_worker")
    app = create_app(toy, settings)
    async with asked(app) as client:
        assert (await client.get("/health/ready")).json() == {"status": "ready", "reasons": []}
        database: Database = app.state.runtime.database
        assert await database.pool.fetchval("SELECT current_user") == "jicai_toy_api"


@pytest.mark.parametrize(("said", "role"), [("", "jicai_toy_api"), ("None", "None"), ("other", "other")])
def test_no_variable_takes_the_wall_away(house: House, monkeypatch: pytest.MonkeyPatch, said: str, role: str) -> None:
    monkeypatch.setenv("TOY_API_ROLE", said)
    assert told(house).api_role == role


@pytest.mark.parametrize("role", REASONS)
async def test_the_api_does_not_start_as_a_role_that_gets_past_the_wall(
    house: House, roles: dict[str, str], role: str
) -> None:
    app = create_app(toy, told(house, api_role=role))
    with pytest.raises(WallBypassed, match=f"{role}, because it {roles[role]}"):
        async with asked(app):
            raise AssertionError("it started")


async def test_an_api_that_waited_for_its_database_stays_unready_and_answers_nothing(
    house: House, roles: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = asyncpg.connect, 0

    async def away(*where: Any, **how: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ConnectionRefusedError("nobody listens")
        return await real(*where, **how)

    monkeypatch.setattr(asyncpg, "connect", away)
    app = create_app(toy, told(house, api_role=SUPER))
    async with asked(app) as client:
        unready = await client.get("/health/ready")
        assert (unready.status_code, unready.json()["status"]) == (503, "unready")
        assert f"{SUPER}, because it is a superuser" in unready.json()["reasons"][0]
        with pytest.raises(Exception, match="does not answer now"):
            async with app.state.runtime.database.transaction():
                raise AssertionError("it began")


@pytest.mark.parametrize("role", REASONS)
async def test_a_worker_waits_unready_and_does_nothing_until_its_role_is_mended(
    house: House, roles: dict[str, str], role: str
) -> None:
    settings = told(house, worker_role=role).model_copy(update={"limits": Limits(poll_seconds=0.05)})
    worker = Worker(toy, settings, LocalBus([toy.name]))
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        async with asyncio.timeout(20):
            while roles[role] not in ((await worker.troubles())[0] or ""):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert worker.database is None
    finally:
        stop.set()
        await asyncio.wait_for(running, 40)


async def test_a_role_that_was_not_made_is_named(house: House) -> None:
    with pytest.raises(asyncpg.PostgresError, match="jicai_nobody_api"):
        await Database.open(house.url(toy), role="jicai_nobody_api", policy=Policy([]), may_wait=True)


async def test_who_takes_the_wall_away_says_so_in_code(house: House) -> None:
    app = create_app(toy, told(house).model_copy(update={"api_role": None}))
    async with asked(app) as client:
        assert (await client.get("/health/ready")).status_code == 200


async def test_a_query_alone_carries_its_walls_and_leaves_none_of_them_behind(house: House) -> None:
    database = await Database.open(
        house.url(toy), role="jicai_toy_api", policy=Policy([]), limits=Limits(pool_connections=1)
    )
    names = "SELECT name FROM things ORDER BY name"
    async with database.transaction(Scope(reach="all")) as tx:
        await tx.sql(
            "INSERT INTO things (id, owner, name) SELECT gen_random_uuid(), o, o FROM unnest($1::text[]) o", ["A", "B"]
        )
    seen = {}
    for organisation in ("A", "B", "C"):
        async with database.reading(Scope("own", organisation)) as tx:
            seen[organisation] = [row["name"] for row in await tx.sql(names)]
    assert seen == {"A": ["A"], "B": ["B"], "C": []}
    assert await database.pool.fetch(names) == []
    with pytest.raises(asyncpg.PostgresSyntaxError):
        async with database.reading(Scope(reach="all")) as tx:
            await tx.sql("DELETE FROM things")
    await database.close()
    await house.empty(toy)
