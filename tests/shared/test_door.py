"""Nobody keeps the others out: a body is read for a proven token alone, in its own time and bytes, and before it is counted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message

from shared.db import Database
from shared.http import create_app
from shared.service import Service
from shared.settings import Limits
from tests.house import House
from tests.toy import let_in, toy

let_in()

Caller = Callable[..., dict[str, str]]
JSON = {"content-type": "application/json"}
HOSPITAL = ("hospital", "H33010200059")


class Sockets:
    """The toy as raw requests meet it: what is sent, and when, is in the hand of the test."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def ask(self, method: str, path: str, headers: dict[str, str], *pieces: bytes, stall: bool = False) -> Any:
        """Status and headers of the answer; `stall`: the last piece never comes."""
        told = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": told, "query_string": b"", "root_path": ""}
        waiting = list(pieces)
        answered: list[Message] = []

        async def receive() -> Message:
            if waiting:
                piece = waiting.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(waiting) or stall}
            return await asyncio.Future()

        async def send(message: Message) -> None:
            answered.append(message)

        await self.app({**scope, "http_version": "1.1", "scheme": "http", "server": ("toy", 80)}, receive, send)
        return answered[0]["status"], {name.decode(): value.decode() for name, value in answered[0]["headers"]}


Behind = Callable[..., AbstractAsyncContextManager[Sockets]]


@pytest.fixture
def service() -> Service:
    return toy


@pytest.fixture
def behind(house: House, database: Database) -> Behind:
    """`async with behind(body_seconds=1) as sockets`: the toy with these limits."""

    @asynccontextmanager
    async def made(**limits: Any) -> AsyncIterator[Sockets]:
        app = create_app(toy, house.settings(toy).model_copy(update={"limits": Limits(**limits)}))
        async with app.router.lifespan_context(app):
            yield Sockets(app)

    return made


async def test_without_a_token_no_byte_of_a_body_is_waited_for(behind: Behind) -> None:
    async with behind(concurrent_requests=1) as sockets, asyncio.timeout(5):
        for authorization in ({}, {"authorization": "Bearer nonsense"}):
            for how in ({"content-length": "100"}, {"transfer-encoding": "chunked"}):
                status, _ = await sockets.ask("POST", "/things", {**JSON, **how, **authorization}, stall=True)
                assert status == 401


async def test_requests_whose_bodies_do_not_come_keep_nobody_out(behind: Behind, caller: Caller) -> None:
    mine = caller(*HOSPITAL)
    async with behind(concurrent_requests=1, body_seconds=30) as sockets, asyncio.timeout(20):
        headers = {**mine, **JSON, "content-length": "100"}
        slow = [asyncio.create_task(sockets.ask("POST", "/things", headers, b"{", stall=True)) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert (await sockets.ask("GET", "/things", mine))[0] == 200
        assert (await sockets.ask("GET", "/health/ready", {}))[0] == 200
        for one in slow:
            one.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_a_body_that_does_not_come_in_its_time_is_given_up(behind: Behind, caller: Caller) -> None:
    headers = {**caller(*HOSPITAL), **JSON, "content-length": "100"}
    async with behind(body_seconds=0.1) as sockets, asyncio.timeout(20):
        status, told = await sockets.ask("POST", "/things", headers, b"{", stall=True)
        assert (status, told["connection"]) == (408, "close")
        assert (await sockets.ask("POST", "/things", headers, b'{"name"', b':"chair"}'))[0] == 201


async def test_only_an_upload_is_not_bounded_as_a_body_whatever_is_named_in_the_path(
    behind: Behind, caller: Caller
) -> None:
    headers = {**caller("operator", "OPS"), **JSON, "transfer-encoding": "chunked"}
    async with behind(body_bytes=100) as sockets, asyncio.timeout(20):
        for named in ("1", "imports"):
            status, _ = await sockets.ask("POST", f"/dead-letters/{named}/drop", headers, *[b" " * 60] * 2)
            assert status == 413, named


async def test_bodies_under_way_hold_no_more_bytes_in_all_than_the_limit(behind: Behind, caller: Caller) -> None:
    headers = {**caller(*HOSPITAL), **JSON, "content-length": "17"}
    body = b'{"name": "chair"}'
    async with behind(bodies_bytes=17 + 10, body_seconds=30) as sockets, asyncio.timeout(20):
        slow = asyncio.create_task(sockets.ask("POST", "/things", headers, b" " * 11, stall=True))
        await asyncio.sleep(0.05)
        status, told = await sockets.ask("POST", "/things", headers, body)
        assert (status, told["retry-after"]) == (503, "1")
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        for _ in range(3):
            assert (await sockets.ask("POST", "/things", headers, body))[0] == 201


async def test_health_is_answered_when_the_service_is_full(behind: Behind, caller: Caller, database: Database) -> None:
    async with behind(concurrent_requests=1) as sockets, asyncio.timeout(20):
        async with database.pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE things IN ACCESS EXCLUSIVE MODE")
            headers = {**caller(*HOSPITAL), **JSON, "content-length": "17"}
            going = asyncio.create_task(sockets.ask("POST", "/things", headers, b'{"name": "chair"}'))
            await asyncio.sleep(0.1)
            assert (await sockets.ask("GET", "/things", caller(*HOSPITAL)))[0] == 503
            assert (await sockets.ask("GET", "/health/live", {}))[0] == 200
            assert (await sockets.ask("GET", "/health/ready", {}))[0] == 200
        assert (await going)[0] == 201
