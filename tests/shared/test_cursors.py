"""A cursor holds in every process of a service, because they share what it is signed with; none starts without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from shared.db import Database
from shared.http import create_app
from shared.service import Service
from shared.settings import CursorSecretMissing
from tests.house import House
from tests.toy import let_in, toy

let_in()


@pytest.fixture
def service() -> Service:
    return toy


@asynccontextmanager
async def process(house: House, **told: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An API of the toy as a process of its own would make it."""
    app = create_app(toy, house.settings(toy).model_copy(update=told))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://toy") as client,
    ):
        yield client


@pytest.mark.parametrize("told", [{}, {"cursor_secret": SecretStr("s" * 32)}], ids=["of the password", "told"])
async def test_a_cursor_of_one_process_is_good_in_another(
    house: House, database: Database, caller: Any, told: dict[str, Any]
) -> None:
    operator = caller("operator", "OPS")
    async with process(house, **told) as one, process(house, **told) as other:
        for name in ("chair", "table"):
            hospital = caller("hospital", "H33010200059")
            assert (await one.post("/things", json={"name": name}, headers=hospital)).status_code == 201
        first = (await one.get("/audit?limit=1", headers=operator)).json()
        second = await other.get("/audit", params={"limit": "1", "after": first["next"]}, headers=operator)
        assert second.status_code == 200, second.text
        assert second.json()["items"][0]["id"] > first["items"][0]["id"]
    async with process(house, cursor_secret=SecretStr("t" * 32)) as stranger:
        refused = await stranger.get("/audit", params={"limit": "1", "after": first["next"]}, headers=operator)
        assert (refused.status_code, refused.json()["code"]) == (400, "cursor_refused")


async def test_an_empty_cursor_is_refused_and_not_taken_for_the_first_page(
    client: httpx.AsyncClient, caller: Any
) -> None:
    refused = await client.get("/audit", params={"after": ""}, headers=caller("operator", "OPS"))
    assert (refused.status_code, refused.json()["code"]) == (400, "cursor_refused")


async def test_an_api_that_shares_nothing_to_sign_with_does_not_start_and_says_what_to_set(house: House) -> None:
    parts = urlsplit(house.settings(toy).database_url)
    bare = parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port}").geturl()
    with pytest.raises(CursorSecretMissing, match="set TOY_CURSOR_SECRET, 32 characters or more"):
        async with process(house, database_url=bare):
            raise AssertionError("it started")
