"""A connection is bounded before any request of it is known: in the bytes and the time of a head, and in how many there are."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from deploy.server import reserved, serve
from shared.settings import Limits

LONGEST_SECONDS = 20
"""Far below what uvicorn would wait by itself."""
Talk = Callable[[], AbstractAsyncContextManager[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
Served = Callable[..., AbstractAsyncContextManager[Talk]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without a look at the body, except at /whole."""
    if scope["path"] == "/whole":
        while (message := await receive())["type"] == "http.request" and message.get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def served(**limits: Any) -> AsyncIterator[Talk]:
    """`async with served(head_bytes=100) as talk, talk() as (reader, writer)`."""
    stop, ready = asyncio.Event(), asyncio.Event()

    async def when_ready() -> None:
        ready.set()

    with reserved(0) as bound:
        port = bound.getsockname()[1]
        serving = asyncio.create_task(serve(app, bound, stop, limits=Limits(**limits), when_ready=when_ready))
        await ready.wait()

        @asynccontextmanager
        async def talk() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    yield reader, writer
            finally:
                writer.close()

        try:
            yield talk
        finally:
            stop.set()
            await serving


def head(bytes_of_it: int, path: str = "/") -> bytes:
    """A request of just so many bytes as `head_bytes` counts them, in lines of a hundred at most."""
    lines: list[bytes] = []
    left = bytes_of_it - len(path)
    while left:
        now = left if left <= 100 else min(100, left - 6)
        lines.append(b"x: ".ljust(now - 2, b"v"))
        left -= now
    return b"\r\n".join([f"GET {path} HTTP/1.1".encode(), *lines, b"", b""])


async def refusal(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and code of the last answer of a connection that ends with it."""
    told, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in told
    assert b"connection: close" in told
    assert b"x-request-id: " in told
    assert (b"retry-after: " in told) == told.startswith(b"HTTP/1.1 503")
    assert b"x-content-type-options: nosniff" in told
    return int(told.split()[1]), orjson.loads(body)["code"]


async def answered(reader: asyncio.StreamReader) -> bool:
    return (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/", "/" + "long" * 50])
async def test_a_head_of_just_the_bytes_is_read_and_of_one_more_is_refused(path: str) -> None:
    async with served(head_bytes=1_000) as talk, talk() as (reader, writer):
        for _ in range(2):  # each request of a connection counts anew
            writer.write(head(1_000, path))
            assert await answered(reader)
        writer.write(head(1_001, path))
        assert await refusal(reader) == (431, "head_too_large")


@pytest.mark.parametrize(
    "begun", [b"GET / HTTP/1.1\r\nx: ", b"GET /", b"", b"POST /whole HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0;"]
)
async def test_a_line_or_an_address_without_end_is_refused_as_soon_as_it_is_too_long(begun: bytes) -> None:
    async with served(head_bytes=1_000) as talk, talk() as (reader, writer):
        writer.write(begun)
        gone = asyncio.create_task(reader.read())
        while not gone.done():
            writer.write((b"\r\n" if not begun else b"vv") * 200)
            await asyncio.sleep(0.01)
        with suppress(ConnectionResetError):  # it ends while we go on sending
            assert gone.result()[:12] in {b"HTTP/1.1 431", b""}  # nothing, in the middle of a request that is under way


async def test_what_is_no_request_and_too_long_is_answered_once() -> None:
    async with served(head_bytes=1_000) as talk, talk() as (reader, writer):
        writer.write(b"\x00" * 2_000)
        answer = await reader.read()
        assert (answer[:12], answer.count(b"HTTP/1.1 ")) == (b"HTTP/1.1 400", 1)


async def test_the_trailer_of_a_body_counts_too() -> None:
    async with served(head_bytes=1_000) as talk, talk() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
        assert await answered(reader)
        writer.write(b"x: v\r\n" * 300)
        assert await refusal(reader) == (431, "head_too_large")


async def test_a_body_is_no_part_of_the_head() -> None:
    async with served(head_bytes=1_000) as talk, talk() as (reader, writer):
        writer.write(b"POST /whole HTTP/1.1\r\ncontent-length: 300000\r\n\r\n" + b"b" * 300_000 + head(1_000))
        assert await answered(reader)
        assert await answered(reader)


async def test_a_refused_head_is_answered_in_its_language_and_under_its_id_as_far_as_it_was_read() -> None:
    async with served(head_bytes=1_000) as talk, talk() as (reader, writer):
        writer.write(
            b"GET / HTTP/1.1\r\naccept-language: zh\r\nx-request-id: mine-1\r\nx: " + b"v" * 1_000 + b"\r\n\r\n"
        )
        told, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b"x-request-id: mine-1" in told
        assert b"\r\ncontent-language: zh\r\nvary: Accept-Language\r\n" in told
        problem = orjson.loads(body)
        assert (problem["title"], problem["request_id"]) == ("请求头过大", "mine-1")
        assert problem["detail"] == "请求地址与请求头合计超过 1000 字节。"


async def test_a_head_that_does_not_end_in_its_time_is_given_up() -> None:
    async with served(head_seconds=0.3) as talk, talk() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        gone = asyncio.create_task(refusal(reader))
        while not gone.done():  # a line now and then gains no time
            writer.write(b"x: v\r\n")
            await asyncio.sleep(0.05)
        assert gone.result() == (408, "head_too_slow")


async def test_the_second_head_of_a_connection_has_its_time_too() -> None:
    async with served(head_seconds=0.3) as talk, talk() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await answered(reader)
        writer.write(b"GET / HTTP/1.1\r\n")
        assert await refusal(reader) == (408, "head_too_slow")


async def test_what_is_still_sent_of_a_body_that_nobody_reads_ends_in_the_time_of_a_request() -> None:
    async with served(request_seconds=0.3) as talk, talk() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\ncontent-length: 300000\r\n\r\n")
        assert await answered(reader)
        gone = asyncio.create_task(reader.read())
        while not gone.done():
            writer.write(b"b")
            await asyncio.sleep(0.05)
        assert gone.result() == b""


async def test_of_more_connections_than_the_limit_the_last_are_turned_away() -> None:
    async with served(connections=2) as talk:
        async with talk() as (first, asking), talk() as (second, asking_too):
            for reader, writer in ((first, asking), (second, asking_too)):
                writer.write(head(100))
                assert await answered(reader)
            async with talk() as (last, _):
                assert await refusal(last) == (503, "too_crowded")
            asking.write(head(100))
            assert await answered(first)
        again = b""
        while not again.startswith(b"HTTP/1.1 200"):  # soon the two are known to have left
            async with talk() as (reader, writer):
                writer.write(head(100))
                again = await reader.readuntil(b"\r\n\r\n")


async def test_what_is_no_http_is_told_so_as_a_problem() -> None:
    async with served() as talk, talk() as (reader, writer):
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert await refusal(reader) == (400, "head_unreadable")
