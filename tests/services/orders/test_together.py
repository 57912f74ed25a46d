"""Orders of one hospital that come at once share a transaction, and each is answered and told of as if it had come alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from shared.db import Database
from shared.envelope import unseal
from shared.http import together
from shared.http.edge import Runtime
from shared.http.turns import Turns
from shared.service import Service
from tests.house import House
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import HOSPITAL, OTHER_HOSPITAL, order, wanted

MANY = 20
TRACE = "00-{:032x}-00f067aa0ba902b7-01"


async def at_once(hand: Hand, *bodies: Any, keys: bool = True) -> list[httpx.Response]:
    """Each under a key, an id and a trace of its own."""
    return await asyncio.gather(
        *(
            hand.ask(
                "hospital",
                HOSPITAL,
                "POST",
                "/orders",
                body,
                headers={"x-request-id": f"r-{number}", "traceparent": TRACE.format(number + 1)}
                | ({"idempotency-key": f"k-{number}"} if keys else {}),
            )
            for number, body in enumerate(bodies)
        )
    )


async def transactions(database: Database) -> int:
    """How many placed the orders that stand."""
    count: int = await database.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM orders")
    return count


async def count(database: Database, table: str) -> int:
    found: int = await database.pool.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def test_they_share_transactions_and_each_is_told_of_under_its_own_id(hand: Hand, database: Database) -> None:
    answers = await at_once(hand, *(order(f"CG-{number}") for number in range(MANY)))
    assert [answer.status_code for answer in answers] == [201] * MANY
    assert [answer.json()["order_number"] for answer in answers] == [f"CG-{number}" for number in range(MANY)]
    assert await transactions(database) < MANY / 2
    deeds = await database.pool.fetch("SELECT about, request_id, operation FROM history WHERE action = 'placed'")
    told = {(deed["about"], deed["request_id"], deed["operation"]) for deed in deeds}
    assert told == {(answer.json()["id"], f"r-{number}", "place_order") for number, answer in enumerate(answers)}
    rows = await database.pool.fetch("SELECT subject, payload FROM outbox")
    events = {row["subject"]: unseal(bytes(row["payload"])) for row in rows}
    for number, answer in enumerate(answers):
        event = events[answer.json()["id"]]
        assert (event.requestid, event.traceparent) == (f"r-{number}", TRACE.format(number + 1))


async def test_an_answer_is_kept_under_each_key(hand: Hand, database: Database) -> None:
    bodies = [order(f"CG-{number}") for number in range(MANY)]
    first = await at_once(hand, *bodies)
    again = await at_once(hand, *bodies, order("CG-NEW"))
    assert [answer.content for answer in again[:-1]] == [answer.content for answer in first]
    assert {answer.headers["idempotency-replayed"] for answer in again[:-1]} == {"true"}
    assert again[-1].status_code == 201
    assert await count(database, "orders") == await count(database, "idempotency_keys") == MANY + 1


async def test_a_refused_one_leaves_nothing_and_hinders_nobody(hand: Hand, database: Database) -> None:
    bodies = [order(f"CG-{number}", wanted(quantity=0 if number % 2 else 10)) for number in range(MANY)]
    answers = await at_once(hand, *bodies)
    assert [answer.status_code for answer in answers] == [201, 422] * (MANY // 2)
    assert {answer.json()["code"] for answer in answers[1::2]} == {"order_refused"}
    assert [answer.json()["request_id"] for answer in answers[1::2]] == [f"r-{n}" for n in range(1, MANY, 2)]
    assert await count(database, "orders") == await count(database, "idempotency_keys") == MANY // 2
    assert await transactions(database) < MANY / 2


async def test_one_number_at_once_is_one_order(hand: Hand, database: Database) -> None:
    answers = await at_once(hand, *([order("CG-SAME")] * MANY), *(order(f"CG-{number}") for number in range(MANY)))
    assert {answer.status_code for answer in answers} <= {201, 409}  # who met others three times is told to come again
    assert len({answer.json()["id"] for answer in answers[:MANY] if answer.status_code == 201}) == 1
    assert await count(database, "orders") == MANY + 1


async def test_a_number_that_stands_is_answered_under_each_new_key(hand: Hand, database: Database) -> None:
    """It is looked up alone, when the company that has claimed the key is over."""
    first = await hand.place(order("CG-SAME"))
    answers = [(await at_once(hand, order("CG-SAME"), keys=False))[0] for _ in range(5)]
    answers += await at_once(hand, *([order("CG-SAME")] * MANY), *(order(f"CG-{number}") for number in range(MANY)))
    assert [answer.status_code for answer in answers] == [201] * (5 + 2 * MANY)
    assert {answer.json()["id"] for answer in answers[: 5 + MANY]} == {first["id"]}
    assert await count(database, "orders") == 1 + MANY
    assert await transactions(database) < MANY / 2  # those that were new shared one all the same


async def test_a_refused_one_may_be_corrected_under_its_key_at_once(hand: Hand) -> None:
    async def corrected(number: int) -> httpx.Response:
        asked = {**hand.caller("hospital", HOSPITAL), "idempotency-key": f"k-{number}"}
        wrong = await hand.client.post("/orders", json=order(f"CG-{number}", wanted(quantity=0)), headers=asked)
        assert wrong.status_code == 422
        return await hand.client.post("/orders", json=order(f"CG-{number}"), headers=asked)

    answers = await asyncio.gather(*(corrected(number) for number in range(MANY)))
    assert [answer.status_code for answer in answers] == [201] * MANY


async def test_one_key_with_two_bodies_is_of_the_first(hand: Hand, database: Database) -> None:
    async def under_one_key(number: int) -> httpx.Response:
        asked = {**hand.caller("hospital", HOSPITAL), "idempotency-key": "k"}
        return await hand.client.post("/orders", json=order(f"CG-{number}"), headers=asked)

    answers = await asyncio.gather(*(under_one_key(number) for number in range(MANY)))
    told = sorted({answer.json().get("code", "placed") for answer in answers})
    assert told in (["placed", "still_running"], ["key_reused", "placed"], ["key_reused", "placed", "still_running"])
    assert [answer.status_code for answer in answers].count(201) == await count(database, "orders") == 1


async def test_what_the_database_refuses_is_answered_to_the_one_it_concerns(
    hand: Hand, database: Database, house: House, service: Service
) -> None:
    async with house.refusing_commits(service, "orders", "NEW.order_number = 'CG-3'"):
        answers = await at_once(hand, *(order(f"CG-{number}") for number in range(MANY)))
    assert [number for number, answer in enumerate(answers) if answer.status_code != 201] == [3]
    assert answers[3].status_code == 500
    assert await count(database, "orders") == await count(database, "outbox") == MANY - 1


@pytest.mark.parametrize("turns_of_the_loop", [5, 20, 40, 80])
async def test_who_goes_away_takes_nobody_along(hand: Hand, database: Database, turns_of_the_loop: int) -> None:
    asking = [asyncio.create_task(hand.place(order(f"CG-{number}"))) for number in range(MANY)]
    for _ in range(turns_of_the_loop):
        await asyncio.sleep(0)
    for one in asking[::2]:
        one.cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [answer["order_number"] for answer in answers[1::2]] == [f"CG-{n}" for n in range(1, MANY, 2)]  # type: ignore[index]
    assert await count(database, "orders") == await count(database, "outbox")
    assert (await hand.place(order("CG-LAST")))["order_number"] == "CG-LAST"


async def test_more_than_one_transaction_takes_are_all_placed(
    hand: Hand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "MOST", 3)
    answers = await at_once(hand, *(order(f"CG-{number}") for number in range(MANY)))
    assert {answer.status_code for answer in answers} == {201}
    largest = "SELECT max(placed) FROM (SELECT count(*) AS placed FROM orders GROUP BY xmin::text) AS each"
    assert await database.pool.fetchval(largest) == 3


async def test_two_hospitals_share_none(hand: Hand, database: Database) -> None:
    await asyncio.gather(
        *(hand.place(order(f"CG-{n}"), who=who) for n in range(MANY) for who in (HOSPITAL, OTHER_HOSPITAL))
    )
    shared = await database.pool.fetch(
        "SELECT FROM orders GROUP BY xmin::text HAVING count(DISTINCT institution_code) > 1"
    )
    assert (len(shared), await count(database, "orders")) == (0, 2 * MANY)


@pytest.fixture
async def turns(client: httpx.AsyncClient, service: Service, _apps: Callable[[Service], Awaitable[FastAPI]]) -> Turns:
    runtime: Runtime = (await _apps(service)).state.runtime
    return runtime.turns


async def test_where_no_connection_comes_free_each_is_told_so_and_the_next_are_placed(
    hand: Hand, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as others:
        others.setattr(turns, "_limits", turns._limits.model_copy(update={"pool_wait_seconds": 0.05}))
        others.setattr(turns, "_free", 0)
        answers = await at_once(hand, *(order(f"CG-{number}") for number in range(3)))
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "unavailable")] * 3
    assert {answer.headers["retry-after"] for answer in answers} == {"2"}
    assert (await hand.place(order("CG-0")))["order_number"] == "CG-0"


async def test_where_the_database_breaks_off_each_is_told_so_and_the_next_are_placed(
    hand: Hand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = asyncpg.Connection.execute

    async def broken(connection: Any, query: str, *values: Any, **how: Any) -> Any:
        if query == "COMMIT":
            connection.terminate()
        return await execute(connection, query, *values, **how)

    with monkeypatch.context() as breaking:
        breaking.setattr(asyncpg.Connection, "execute", broken)
        answers = await at_once(hand, *(order(f"CG-{number}") for number in range(MANY)))
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "unavailable")}
    assert all(
        "may or may not have been done" in answer.json()["detail"] for answer in answers
    )  # as nobody can know it
    assert all(int(answer.headers["retry-after"]) for answer in answers)
    assert await count(database, "orders") == 0
    while {answer.status_code for answer in answers} != {201}:  # the server may not have seen yet that we are gone
        await asyncio.sleep(0.1)
        answers = await at_once(hand, *(order(f"CG-{number}") for number in range(MANY)))
    assert await count(database, "orders") == MANY
