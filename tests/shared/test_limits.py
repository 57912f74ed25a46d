"""Every limit of the edge at its boundary: what just fits is taken, what is one more is refused with a code that helps."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from fastapi import Request
from pydantic import ValidationError

from shared.db import Database
from shared.http import create_app
from shared.http.body import TooManyItems, UnreadableBody, bounded, parsed
from shared.http.rates import RateExceeded, Rates
from shared.http.uploads import UploadTooLarge, received
from shared.service import Service
from shared.settings import Limits
from tests.house import House
from tests.toy import let_in, toy

let_in()

Caller = Callable[..., dict[str, str]]
Behind = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
JSON = {"content-type": "application/json"}
HOSPITAL = ("hospital", "H33010200059")
PAGE = "default-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src blob:; frame-ancestors 'none'"
"""What the page of the contract may load."""


@pytest.fixture
def service() -> Service:
    return toy


@pytest.fixture
def behind(house: House, database: Database) -> Behind:
    """`async with behind(body_bytes=200) as client`: the toy with these limits."""

    @asynccontextmanager
    async def made(origins: tuple[str, ...] = (), **limits: Any) -> AsyncIterator[httpx.AsyncClient]:
        told = {"limits": Limits(**limits), "allowed_origins": origins}
        app = create_app(toy, house.settings(toy).model_copy(update=told))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://toy") as client:
                yield client

    return made


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def in_pieces(whole: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(whole), 7):
        yield whole[start : start + 7]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_just_the_bytes_is_taken_and_one_byte_more_is_not(
    behind: Behind, caller: Caller, chunked: bool
) -> None:
    headers = {**caller(*HOSPITAL), **JSON}
    async with behind(body_bytes=40) as client:
        for spare, expected in ((0, 201), (1, 413)):
            body = b'{"name":"chair"}'.ljust(40 + spare)
            sent = in_pieces(body) if chunked else body
            answer = await client.post("/things", content=sent, headers=headers)
            assert answer.status_code == expected, answer.text
        assert code(answer) == (413, "body_too_large")


def test_a_body_of_just_the_depth_is_read_and_one_deeper_is_not() -> None:
    limits = Limits(json_depth=5)
    for nested in (b"[" * 5 + b"]" * 5, b'{"a":' * 5 + b"1" + b"}" * 5, b'[{"a":[{"a":[1]}]}, 2]'):
        assert bounded(parsed(nested), limits) == orjson.loads(nested)
        with pytest.raises(UnreadableBody, match="more than 5"):
            bounded(parsed(b"[" + nested + b"]"), limits)


def test_a_body_of_just_the_lists_and_objects_is_read_and_of_one_more_is_not() -> None:
    limits = Limits(json_nodes=5)
    assert bounded([{"lines": [{}]}, {}], limits)
    with pytest.raises(TooManyItems, match="more than 5"):
        bounded([{"lines": [{}, {}]}, {}], limits)


@pytest.mark.parametrize("depth", [33, 253, 300, 700, 950, 990, 100_000])
@pytest.mark.parametrize(("opened", "closed"), [(b"[", b"]"), (b'{"name":', b"}")])
async def test_whatever_the_depth_the_answer_is_a_refusal(
    client: httpx.AsyncClient, caller: Caller, depth: int, opened: bytes, closed: bytes
) -> None:
    body = opened * depth + b"1" + closed * depth
    answer = await client.post("/things", content=body, headers={**caller(*HOSPITAL), **JSON})
    assert code(answer) == (400, "unreadable_body")


def test_a_list_of_just_the_items_is_read() -> None:
    limits = Limits(bulk_items=3)
    assert bounded([1, 2, 3], limits) == [1, 2, 3]


async def test_a_list_of_one_item_more_is_refused_before_it_is_looked_at(behind: Behind, caller: Caller) -> None:
    async with behind(bulk_items=3) as client:
        answer = await client.post("/things", json=[1, 2, 3, 4], headers=caller(*HOSPITAL))
        assert code(answer) == (413, "too_many_items")
        assert code(await client.post("/things", json=[1, 2, 3], headers=caller(*HOSPITAL))) == (422, "invalid_request")


async def test_a_page_of_just_the_rows_is_shown_and_of_one_more_is_not(behind: Behind, caller: Caller) -> None:
    operator = caller("operator", "OPS")
    async with behind(page_rows=20) as client:
        assert (await client.get("/audit?limit=20", headers=operator)).status_code == 200
        assert code(await client.get("/audit?limit=21", headers=operator)) == (422, "page_too_long")


async def test_a_page_is_never_longer_than_the_rows_allowed_and_too_long_a_one_is_refused_in_one_way(
    behind: Behind, caller: Caller
) -> None:
    operator = caller("operator", "OPS")
    async with behind(page_rows=2) as client:
        for name in ("chair", "table", "lamp"):
            assert (await client.post("/things", json={"name": name}, headers=caller(*HOSPITAL))).status_code == 201
        page = (await client.get("/audit", headers=operator)).json()
        assert (len(page["items"]), page["next"] is None) == (2, False)
    for rows in (2, 500):
        async with behind(page_rows=rows) as client:
            for limit in (rows + 1, 501, 10**20):
                answer = await client.get(f"/audit?limit={limit}", headers=operator)
                assert code(answer) == (422, "page_too_long")
                (fault,) = answer.json()["errors"]
                assert (fault["pointer"], fault["allowed"]) == ("query/limit", f"{rows} or less")


@pytest.mark.parametrize("limit", ["bulk_items", "page_rows"])
def test_a_setting_cannot_promise_more_than_the_contract(limit: str) -> None:
    with pytest.raises(ValidationError):
        Limits(**{limit: 1_001})


@pytest.mark.parametrize("name", ['"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"', '"a\\u202eb"'])
async def test_text_that_no_column_could_hold_is_refused(client: httpx.AsyncClient, caller: Caller, name: str) -> None:
    body = f'{{"reason": {name}}}'.encode()
    operator = {**caller("operator", "OPS"), **JSON, "idempotency-key": "k"}
    answer = await client.post("/dead-letters/1/drop", content=body, headers=operator)
    assert answer.status_code == 422, answer.text


async def test_a_request_that_takes_too_long_is_given_up(behind: Behind, caller: Caller, database: Database) -> None:
    async with behind(request_seconds=0.3) as client, _locked(database):
        answer = await client.post("/things", json={"name": "x"}, headers=caller(*HOSPITAL))
        assert code(answer) == (503, "took_too_long")
        assert int(answer.headers["retry-after"]) >= 1
    assert await database.pool.fetchval("SELECT count(*) FROM things") == 0


async def test_a_statement_that_takes_too_long_is_given_up(behind: Behind, caller: Caller, database: Database) -> None:
    async with behind(statement_seconds=0.2) as client, _locked(database):
        answer = await client.post("/things", json={"name": "x"}, headers=caller(*HOSPITAL))
        assert code(answer) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1


@asynccontextmanager
async def _locked(database: Database) -> AsyncIterator[None]:
    """Nobody can write a thing meanwhile."""
    async with database.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE things IN ACCESS EXCLUSIVE MODE")
        yield


async def test_whoever_waits_too_long_for_a_connection_is_told_to_come_again(
    behind: Behind, caller: Caller, database: Database
) -> None:
    async with behind(pool_connections=1, pool_wait_seconds=0.2) as client:
        async with _locked(database):
            first = asyncio.create_task(client.post("/things", json={"name": "x"}, headers=caller(*HOSPITAL)))
            await asyncio.sleep(0.1)
            second = await client.post("/things", json={"name": "y"}, headers=caller(*HOSPITAL))
        assert (await first).status_code == 201
        assert code(second) == (503, "unavailable")
        assert int(second.headers["retry-after"]) >= 1
        assert (await client.get("/things", headers=caller(*HOSPITAL))).status_code == 200


async def test_of_more_requests_at_once_than_the_limit_the_last_are_refused(
    behind: Behind, caller: Caller, database: Database
) -> None:
    async with behind(concurrent_requests=2) as client:
        async with _locked(database):
            going = [
                asyncio.create_task(client.post("/things", json={"name": "x"}, headers=caller(*HOSPITAL)))
                for _ in range(2)
            ]
            await asyncio.sleep(0.1)
            refused = await client.get("/things", headers=caller(*HOSPITAL))
        assert [answer.status_code for answer in await asyncio.gather(*going)] == [201, 201]
        assert code(refused) == (503, "too_crowded")
        assert refused.headers["retry-after"] == "1"
        assert (await client.get("/things", headers=caller(*HOSPITAL))).status_code == 200


def test_the_bucket_tells_what_is_allowed_and_when_to_come_again() -> None:
    rates = Rates(per_second=0.5, burst=2)
    rates.take("H1", "list_things")
    rates.take("H1", "list_things")
    with pytest.raises(RateExceeded) as refused:
        rates.take("H1", "list_things")
    headers = refused.value.headers
    assert headers["RateLimit-Policy"] == '"list_things";q=2;w=4'
    assert headers["RateLimit"] == f'"list_things";r=0;t={headers["Retry-After"]}'
    assert headers["Retry-After"] in {"2", "3"}
    rates.take("H1", "another")
    rates.take("H2", "list_things")


async def test_pages_of_other_origins_are_answered_nothing_unless_the_settings_name_them(
    behind: Behind, caller: Caller
) -> None:
    portal = {"origin": "https://portal.example"}
    asks = {**portal, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with behind() as client:
        closed = await client.options("/things", headers=asks)
        assert code(closed) == (405, "method_not_allowed")
        answer = await client.get("/things", headers={**portal, **caller(*HOSPITAL)})
        assert not [name for name in (*closed.headers, *answer.headers) if name.startswith("access-control")]


async def test_pages_of_a_named_origin_may_ask_and_read_refusals_too(behind: Behind, caller: Caller) -> None:
    portal = {"origin": "https://portal.example"}
    asks = {**portal, "access-control-request-method": "POST", "access-control-request-headers": "idempotency-key"}
    async with behind(origins=("https://portal.example",), body_bytes=100) as client:
        allowed = await client.options("/things", headers=asks)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://portal.example"
        assert "access-control-allow-credentials" not in allowed.headers
        for sent, status in (({"name": "x"}, 201), ({"name": "x" * 100}, 413)):
            answer = await client.post("/things", json=sent, headers={**portal, **caller(*HOSPITAL)})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == "https://portal.example"
        for refused in ({"origin": "https://elsewhere.example"}, {"access-control-request-headers": "x-secret"}):
            assert code(await client.options("/things", headers={**asks, **refused})) == (403, "origin_refused")


async def test_to_pages_an_answer_names_both_the_origin_and_the_language_it_was_made_for(behind: Behind) -> None:
    reader = {"accept-language": "zh", "access-control-request-method": "PATCH"}
    async with behind(origins=("https://portal.example",)) as client:
        for origin in ({"origin": "https://portal.example"}, {"origin": "https://elsewhere.example"}, {}):
            refusal = await client.get("/things", headers={**reader, **origin})
            assert (refusal.headers["content-language"], refusal.headers["vary"]) == ("zh", "Accept-Language, Origin")
        preflight = await client.options("/things", headers={**reader, "origin": "https://portal.example"})
        assert (preflight.json()["detail"], preflight.headers["content-language"]) == (
            "本服务的设置不允许:方法(method)。",
            "zh",
        )
        assert {"Origin", "Accept-Language"} < set(preflight.headers["vary"].split(", "))


async def test_every_answer_carries_the_headers_of_safety(behind: Behind, caller: Caller, database: Database) -> None:
    expected = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }
    preflight = {"origin": "https://a.example", "access-control-request-method": "GET"}
    async with behind(origins=("https://a.example",), body_bytes=100, requests_burst=2, requests_per_second=0.01) as it:
        answers = [
            await it.options("/things", headers=preflight),
            await it.get("/nowhere"),
            await it.delete("/things"),
            await it.get("/things"),
            await it.get("/openapi.json"),
            await it.get("/docs"),
            await it.post("/things", content=b"x" * 101, headers=caller(*HOSPITAL)),
            await it.post("/things", json={}, headers=caller(*HOSPITAL)),
            await it.post("/things", json={"name": ""}, headers=caller(*HOSPITAL)),
            await it.post("/things", json={"name": "x"}, headers=caller(*HOSPITAL)),
        ]
    assert {answer.status_code for answer in answers} >= {200, 401, 404, 405, 413, 422, 429}
    for answer in answers:
        page = {"content-security-policy": PAGE} if answer.request.url.path == "/docs" else {}
        assert {name: answer.headers.get(name) for name in expected} == expected | page, answer.request.url


async def test_an_upload_of_just_the_bytes_is_taken_and_one_byte_more_is_not() -> None:
    pieces = [b"x" * 50, b"x" * 50]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    assert b"".join([piece async for piece in received(request, 100)]) == b"x" * 100
    pieces = [b"x" * 50, b"x" * 51]
    with pytest.raises(UploadTooLarge, match="more than 100"):
        _ = [piece async for piece in received(Request({"type": "http", "headers": []}, receive), 100)]
