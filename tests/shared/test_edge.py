"""The way through the door, on the toy: commit before answer, once, limits with an answer, refusals that help."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import httpx
import pytest
from fastapi.routing import APIRoute
from uuid_utils.compat import uuid7

from deploy.commands import access
from shared import outbox
from shared.db import Database
from shared.envelope import unseal
from shared.http import create_app
from shared.http.edge import Edge
from shared.http.paths import routes_of
from shared.http.rates import RateExceeded, Rates
from shared.ids import TRACE
from shared.service import Service
from shared.settings import Limits
from tests.house import House
from tests.toy import ThingNamed, let_in, toy

let_in()

Caller = Callable[..., dict[str, str]]
CHAIR = {"name": "chair"}


@pytest.fixture
def service() -> Service:
    return toy


@pytest.fixture
async def narrow(house: House, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The toy behind a narrow door."""
    limits = Limits(body_bytes=200, requests_burst=3, requests_per_second=1)
    app = create_app(toy, house.settings(toy).model_copy(update={"limits": limits}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://toy") as made:
            yield made


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, answer.json()["code"]


async def test_a_commit_that_fails_is_not_answered_with_success(
    client: httpx.AsyncClient, caller: Caller, house: House, database: Database
) -> None:
    async with house.refusing_commits(toy, "things"):
        refused = await client.post("/things", json=CHAIR, headers=caller("hospital", "H33010200059"))
    assert problem(refused) == (500, "internal")
    assert await database.pool.fetchval("SELECT count(*) FROM things") == 0
    assert await database.pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_five_hundred_at_once_with_one_key_are_one_thing_and_equal_answers(
    client: httpx.AsyncClient, caller: Caller, database: Database
) -> None:
    headers = {**caller("hospital", "H33010200059"), "idempotency-key": "k1"}

    async def until_answered() -> bytes:
        while True:
            answer = await client.post("/things", json=CHAIR, headers=headers)
            if answer.status_code not in (409, 503):  # 503: too many wait for a connection; it says when to come again
                assert answer.status_code == 201, answer.text
                return answer.content
            assert int(answer.headers["retry-after"]) >= 1
            await asyncio.sleep(0.05)

    answers = await asyncio.gather(*(until_answered() for _ in range(500)))
    assert len(set(answers)) == 1
    assert await database.pool.fetchval("SELECT count(*) FROM things") == 1


async def test_a_key_serves_one_body_one_organisation_and_no_refusal(client: httpx.AsyncClient, caller: Caller) -> None:
    mine = {**caller("hospital", "H33010200059"), "idempotency-key": "k"}
    other = {**caller("hospital", "H33010200060"), "idempotency-key": "k"}
    refused = await client.post("/things", json={"name": 3}, headers=mine)
    assert problem(refused) == (422, "invalid_request")
    first = await client.post("/things", json=CHAIR, headers=mine)
    assert first.status_code == 201
    again = await client.post("/things", json=CHAIR, headers=mine)
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert problem(await client.post("/things", json={"name": "table"}, headers=mine)) == (422, "key_reused")
    assert (await client.post("/things", json=CHAIR, headers=other)).json()["id"] != first.json()["id"]
    empty = await client.post("/things", json=CHAIR, headers={**mine, "idempotency-key": ""})
    assert problem(empty) == (400, "key_empty")
    too_long = await client.post("/things", json=CHAIR, headers={**mine, "idempotency-key": "x" * 256})
    assert problem(too_long) == (400, "key_too_long")


async def test_of_two_keys_none_is_taken(client: httpx.AsyncClient, caller: Caller, database: Database) -> None:
    for second in ("other", "k", ""):
        keys = [*caller("hospital", "H33010200059").items(), ("idempotency-key", "k"), ("idempotency-key", second)]
        refused = await client.post("/things", json=CHAIR, headers=keys)
        assert problem(refused) == (400, "key_repeated")
    assert await database.pool.fetchval("SELECT count(*) FROM things") == 0


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"content": b"x" * 201}, (413, "body_too_large")),
        ({"content": b'{"name": "x"}', "headers": {"content-encoding": "gzip"}}, (415, "encoded_body")),
        ({"content": b'{"name": "x"}'}, (415, "not_json")),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, (400, "unreadable_body")),
        ({"content": b"[" * 150, "headers": {"content-type": "application/json"}}, (400, "unreadable_body")),
        ({"json": {"name": "x", "colour": "red"}}, (422, "invalid_request")),
        ({"json": CHAIR, "params": {"nam": "x"}}, (400, "unknown_parameter")),
        ({"content": b"{}", "headers": {"content-type": "application/json; charset=gb18030"}}, (415, "not_json")),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_a_code(
    narrow: httpx.AsyncClient, caller: Caller, sent: dict[str, object], expected: tuple[int, str]
) -> None:
    headers = {**caller("hospital", "H33010200059"), **sent.pop("headers", {})}  # type: ignore[dict-item]
    assert problem(await narrow.post("/things", headers=headers, **sent)) == expected  # type: ignore[arg-type]


async def test_a_body_sent_in_pieces_is_bounded_too(narrow: httpx.AsyncClient, caller: Caller) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 50

    headers = {**caller("hospital", "H33010200059"), "content-type": "application/json"}
    assert problem(await narrow.post("/things", content=pieces(), headers=headers)) == (413, "body_too_large")


async def test_a_noisy_organisation_is_told_to_wait_and_the_others_are_not(
    narrow: httpx.AsyncClient, caller: Caller
) -> None:
    noisy, quiet = caller("hospital", "H33010200059"), caller("hospital", "H33010200060")
    answers = [await narrow.get("/things", headers=noisy) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert problem(answers[-1]) == (429, "rate_exceeded")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert (await narrow.get("/things", headers=quiet)).status_code == 200


def test_a_bucket_is_forgotten_only_in_favour_of_the_caller() -> None:
    rates = Rates(per_second=0.001, burst=1)
    rates.take("a", "x")
    with pytest.raises(RateExceeded, match="1 times at once"):
        rates.take("a", "x")
    rates.take("a", "y")


async def test_a_router_s_own_refusals_are_problems_too(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/nowhere")) == (404, "no_such_path")
    assert problem(await client.delete("/things")) == (405, "method_not_allowed")
    assert problem(await client.get("/things")) == (401, "no_token")


async def test_a_token_beside_another_is_refused_and_neither_is_taken(
    client: httpx.AsyncClient, caller: Caller
) -> None:
    mine = caller("hospital", "H33010200059")["authorization"]
    for other in (mine, "Bearer nonsense"):
        both = [("authorization", mine), ("authorization", other)]
        for method, path in (("GET", "/things"), ("POST", "/things"), ("GET", "/metrics")):
            answer = await client.request(method, path, headers=both, json=CHAIR if method == "POST" else None)
            assert problem(answer) == (401, "token_refused")
            assert "`Authorization` stands more than once" in answer.json()["detail"]


@pytest.mark.parametrize("given", ["' or 1=1 --<b>", "a b", "{}", "x" * 101, ""])
async def test_an_id_that_could_be_anything_else_is_not_taken_over(client: httpx.AsyncClient, given: str) -> None:
    answer = await client.get("/things", headers={"x-request-id": given})
    assert UUID(answer.headers["x-request-id"]).version == 7
    kept = await client.get("/things", headers={"x-request-id": "Erp-7:2026.03_02"})
    assert kept.headers["x-request-id"] == "Erp-7:2026.03_02"


async def test_health_is_told_to_who_asks_for_the_head_alone(client: httpx.AsyncClient) -> None:
    for path in ("/health/live", "/health/ready"):
        assert (await client.head(path)).status_code == 200


async def test_the_page_of_the_contract_may_load_what_stands_beside_it_and_no_more(client: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc"):
        allowed = (await client.get(path)).headers["content-security-policy"]
        assert allowed.startswith("default-src 'self' 'unsafe-inline';")


async def test_the_matrix_as_printed_names_what_operations_ask_for(house: House) -> None:
    app = create_app(toy, house.settings(toy))
    asked = [
        f"{method} {route.path}"
        for route in routes_of([app.router])
        if isinstance(route, APIRoute) and not isinstance(route, Edge) and route.include_in_schema
        for method in route.methods or ()
    ]
    assert "PUT /clock" in asked
    assert [one for one in asked if one not in access.HEAD] == []


async def test_every_answer_says_that_it_is_nobody_s_to_keep(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/live")
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_what_no_column_could_hold_is_refused_in_the_address_too(
    client: httpx.AsyncClient, caller: Caller
) -> None:
    operator = caller("operator", "jicai-operator")
    for address in ("/audit?about=%00", "/audit?organisation=%E2%80%AE", "/dead-letters/99999999999999999999999"):
        assert problem(await client.get(address, headers=operator)) == (422, "value_not_storable")


@pytest.mark.parametrize(
    "kind", ["application/json", 'application/json; charset="UTF-8"', "Application/JSON;charset=utf8"]
)
async def test_json_in_utf_8_is_read_however_that_is_said(client: httpx.AsyncClient, caller: Caller, kind: str) -> None:
    headers = {**caller("hospital", "H33010200059"), "content-type": kind}
    assert (await client.post("/things", content=b'{"name": "chair"}', headers=headers)).status_code == 201


async def test_a_parameter_given_twice_is_refused_by_its_name(client: httpx.AsyncClient, caller: Caller) -> None:
    operator = caller("operator", "OPS")
    answer = await client.get("/audit?limit=2&limit=3", headers=operator)
    assert problem(answer) == (400, "unknown_parameter")
    (fault,) = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("query/limit", "repeated_parameter")


async def test_a_slash_too_many_is_no_path_and_leads_nowhere_else(client: httpx.AsyncClient, caller: Caller) -> None:
    headers = {**caller("hospital", "H33010200059"), "host": "evil.example"}
    answer = await client.get("/things/", headers=headers)
    assert problem(answer) == (404, "no_such_path")
    assert "did you mean /things?" in answer.json()["detail"]
    assert "location" not in answer.headers


async def test_a_cursor_is_good_for_the_filters_it_was_given_for(client: httpx.AsyncClient, caller: Caller) -> None:
    for _ in range(3):
        await client.post("/things", json=CHAIR, headers=caller("hospital", "H33010200059"))
    operator = caller("operator", "OPS")
    asked = {"limit": "1", "action": "named"}
    after = (await client.get("/audit", params=asked, headers=operator)).json()["next"]
    assert (
        await client.get("/audit", params={**asked, "limit": "2", "after": after}, headers=operator)
    ).status_code == 200
    other = await client.get("/audit", params={"limit": "1", "after": after}, headers=operator)
    assert problem(other) == (400, "cursor_refused")


async def test_an_api_whose_database_was_not_migrated_says_so(house: House, caller: Caller) -> None:
    house.url(toy)  # for its roles, which the server has for all databases
    empty = house.postgres.ensure_database("not_migrated")
    app = create_app(toy, house.settings(toy).model_copy(update={"database_url": empty}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://toy") as client:
            who = caller("hospital", "H33010200059")
            for refused in (
                await client.post("/things", json=CHAIR, headers={**who, "idempotency-key": "once"}),
                await client.get("/things", headers=who),
            ):
                assert problem(refused) == (503, "unavailable"), refused.text
                assert "not migrated" in refused.json()["detail"]
                assert refused.headers["retry-after"]
            unready = await client.get("/health/ready")
            assert unready.status_code == 503
            assert unready.json()["reasons"] == ["the database is not migrated; run `jicai migrate`"]


async def test_an_event_is_of_the_trace_of_its_request_and_of_a_new_one_where_it_names_none(
    client: httpx.AsyncClient, caller: Caller, database: Database
) -> None:
    known = f"00-{'1' * 32}-{'2' * 16}-01"
    for given in ({"traceparent": known}, {"traceparent": "garbage"}, {"traceparent": known.replace("1", "0")}, {}):
        made = await client.post("/things", json=CHAIR, headers=caller("hospital", "H33010200059") | given)
        assert made.status_code == 201, made.text
    async with database.transaction() as tx:
        outbox.record(tx, ThingNamed(thing_id=uuid7(), name="by itself"), 1)
    sealed = await database.pool.fetch("SELECT payload FROM outbox ORDER BY id")
    first, *begun = [unseal(row["payload"]).traceparent for row in sealed]
    assert first == known
    assert all(TRACE.fullmatch(str(one)) for one in begun)
    assert len({known, *begun}) == 5
