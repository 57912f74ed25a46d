"""A list costs as many statements as one item; what is placed is written by one statement."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.orders.handlers.acceptances import accept_shipments
from services.orders.handlers.confirmations import confirm_lines
from services.orders.handlers.orders import Cancelling, Closing, cancel_orders, close_lines, place_orders
from services.orders.handlers.receipts import on_coverage, on_payment
from services.orders.handlers.shipments import CallingBack, cancel_shipments, dispatch_shipments
from services.orders.schemas.lines import ConfirmLinesOf
from services.orders.schemas.orders import PlaceOrder
from services.orders.schemas.shipments import AcceptShipmentOf, DispatchShipment
from shared.db import Database, Record, Scope, Tx
from shared.errors import ServiceError
from shared.identity import Caller
from shared.service import Service
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import DISTRIBUTOR, HOSPITAL, goods, order, received, wanted
from tests.services.orders.test_receipts import coverage, payment

BUYER = Caller(HOSPITAL, frozenset({"hospital"}), "330100", "tester")
SELLER = Caller(DISTRIBUTOR, frozenset({"distributor"}), "330100", "tester")
Begin = Callable[..., AbstractAsyncContextManager[Tx]]
ASIDE = ("AS answers", "pg_notify", "typeinfo_tree", "'jit'")


async def cost(tx: Tx, doing: Awaitable[Any]) -> tuple[int, Any]:
    """Statements from the first read to the last write, BEGIN and COMMIT apart."""
    before = tx.statements
    done = await doing
    await tx.flush()
    if isinstance(done, list):
        assert not [one for one in done if isinstance(one, ServiceError)]
    return tx.statements - before, done


@pytest.mark.parametrize("count", [1, 50])
async def test_placing_reads_once_and_writes_once(hand: Hand, begin: Begin, count: int) -> None:
    commands = [PlaceOrder(**order(f"CG-{number}", wanted(), wanted(), wanted())) for number in range(count)]
    async with begin(Scope("own", HOSPITAL)) as tx:
        statements, placed = await cost(tx, place_orders(tx, BUYER, commands))
        assert (statements, len(placed)) == (2, count)
        again, same = await cost(tx, place_orders(tx, BUYER, commands))
        assert (again, [book.order.id for book in same]) == (2, [book.order.id for book in placed])


async def costs_of_calls(database: Database, count: int) -> dict[str, int]:
    """What each call of many costs, from placing to the end of what was placed."""
    costs = {}
    own, seller = Scope("own", HOSPITAL), Scope("own", DISTRIBUTOR)

    async def does(name: str, scope: Scope, handler: Any, who: Caller, commands: Any) -> Any:
        async with database.transaction(scope) as tx:
            costs[name], done = await cost(tx, handler(tx, who, commands))
            return done

    placing = [PlaceOrder(**order(f"CG-{number}", wanted(), wanted())) for number in range(count)]
    books = await does("place", own, place_orders, BUYER, placing)
    ids = [book.order.id for book in books]
    answer = [{"line_number": 1, "quantity": 60, "reason": "short"}]
    confirming = [ConfirmLinesOf(order_id=order_id, lines=answer) for order_id in ids]  # type: ignore[arg-type]
    await does("confirm", seller, confirm_lines, SELLER, confirming)
    sending = [
        DispatchShipment(order_id=order_id, shipment_number=f"PS-{order_id}-{part}", lines=[goods(quantity=20)])  # type: ignore[arg-type]
        for order_id in ids
        for part in range(2)
    ]
    loads = await does("ship", seller, dispatch_shipments, SELLER, sending)
    calling = [CallingBack(load.shipment.id, "x") for load in loads[::2]]
    await does("call back", seller, cancel_shipments, SELLER, calling)
    accepting = [
        AcceptShipmentOf(
            shipment_id=load.shipment.id,
            lines=[{"shipment_line_id": load.lines[0].id, "accepted": 19, "rejected": 1, "reason": "wet"}],  # type: ignore[list-item]
        )
        for load in loads[1::2]
    ]
    await does("accept", own, accept_shipments, BUYER, accepting)
    await does("close", own, close_lines, BUYER, [Closing(order_id, 1, "x") for order_id in ids])
    await does("cancel", own, cancel_orders, BUYER, [Cancelling(order_id, "x") for order_id in ids])
    return costs


@pytest.mark.parametrize("count", [1, 20])
async def test_each_call_costs_the_same_for_one_and_for_many(hand: Hand, database: Database, count: int) -> None:
    expected = {"place": 2, "confirm": 4, "ship": 6, "call back": 6, "accept": 7, "close": 4, "cancel": 4}
    assert await costs_of_calls(database, count) == expected


async def test_no_call_of_many_reads_a_table_from_end_to_end_also_when_it_was_empty_at_first(
    hand: Hand, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, tuple[Any, ...]] = {}
    sql = Tx.sql

    async def heard(tx: Tx, text: str, *values: Any) -> list[Record]:
        asked[text] = values
        return await sql(tx, text, *values)

    monkeypatch.setattr(Tx, "sql", heard)
    await costs_of_calls(database, 2)
    async with database.transaction() as tx:
        plans = {text: await sql(tx, f"EXPLAIN {text}", *values) for text, values in asked.items()}
    assert len(plans) > 5
    assert [text for text, plan in plans.items() if any("Seq Scan" in line[0] for line in plan)] == []


@pytest.mark.parametrize("count", [1, 20])
async def test_what_others_say_costs_the_same_for_one_and_for_many(hand: Hand, tx: Tx, count: int) -> None:
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    shipment = await hand.accept(await hand.ship(placed["id"], "PS-1", *[goods(quantity=2)] * count))

    covered = [received(coverage(line, shipment, 1), place) for place, line in enumerate(shipment["lines"], 1)]
    assert (await cost(tx, on_coverage(tx, covered)))[0] == 4
    paid = [received(payment(shipment, {place: "1.00"}), 1) for place in range(count)]
    assert (await cost(tx, on_payment(tx, paid)))[0] == 4


@pytest.fixture
async def queries(
    client: httpx.AsyncClient, service: Service, _apps: Callable[[Service], Awaitable[FastAPI]]
) -> AsyncIterator[list[str]]:
    """Every query of the API, BEGIN and COMMIT too; ASIDE are the ring to the relay, and what asyncpg asks once of a type."""
    database: Database = (await _apps(service)).state.runtime.database
    pool = database.pool
    heard: list[str] = []

    def hear(said: Any) -> None:
        if not any(word in said.query for word in ASIDE):
            heard.append(said.query)

    async def each(act: str) -> None:
        while kept := database._at_hand.take():
            await pool.release(kept)
        async with AsyncExitStack() as stack:
            for _ in range(pool.get_max_size()):
                getattr(await stack.enter_async_context(pool.acquire()), act)(hear)

    await each("add_query_logger")
    yield heard
    await each("remove_query_logger")


@pytest.mark.parametrize("count", [1, 30])
async def test_a_request_asks_the_database_as_often_for_one_and_for_many(
    hand: Hand, queries: list[str], count: int
) -> None:
    asked = {}

    async def costs(name: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        queries.clear()
        answer = await hand.ask("hospital", HOSPITAL, method, path, body, headers=headers)
        assert answer.status_code < 300, answer.text
        await asyncio.sleep(0.01)  # a query is heard a turn of the loop after its end
        asked[name] = len(queries)
        return answer.json()

    many = [order(f"CG-{number}", *[wanted()] * 3) for number in range(count)]
    await costs("bulk", "POST", "/orders/bulk", many, **{"idempotency-key": "many"})
    placed = await costs("place", "POST", "/orders", order("CG-ONE", *[wanted()] * count), **{"idempotency-key": "one"})
    await costs("read", "GET", f"/orders/{placed['id']}")
    await costs("page", "GET", "/orders")
    await costs("again", "POST", "/orders", order("CG-ONE", *[wanted()] * count), **{"idempotency-key": "one"})
    assert asked == {
        "place": 4,  # BEGIN with the claim of the key, the market, all that is written, COMMIT
        "bulk": 4,
        "read": 1,
        "page": 1,
        "again": 5,  # a key that was used is not settled in company: BEGIN, ROLLBACK, BEGIN, the first answer, COMMIT
    }
