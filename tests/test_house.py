"""The fixtures themselves, on the toy: each test starts empty, roles see what they may, migrations equal the tables."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from shared import clock
from shared.db import Database, Scope, Tx
from shared.service import Service
from tests.house import WorkerInHand
from tests.toy import LIST, ThingNamed, let_in, things, toy

let_in()


@pytest.fixture
def service() -> Service:
    return toy


def thing(owner: str = "H1", name: str = "chair") -> dict[str, Any]:
    return {"id": uuid7(), "name": name, "owner": owner}


@pytest.mark.parametrize("time", ["first", "second"])
async def test_what_tx_writes_is_rolled_back(tx: Tx, time: str) -> None:
    assert await tx.rows(LIST) == []
    tx.add(things, thing())
    assert len(await tx.rows(LIST)) == 1


@pytest.mark.parametrize("time", ["first", "second"])
async def test_what_a_test_commits_is_gone_in_the_next(database: Database, time: str) -> None:
    async with database.transaction() as tx:
        assert await tx.rows(LIST) == []
        tx.add(things, thing())


async def test_a_scope_sees_its_own_rows_alone(begin: Callable[..., AbstractAsyncContextManager[Tx]]) -> None:
    async with begin(Scope("own", "H1")) as tx:
        tx.add(things, thing("H1"))
        assert len(await tx.rows(LIST)) == 1
    async with begin(Scope("own", "H1")) as tx:
        tx.add(things, thing("H2"))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.flush()


async def test_a_row_that_no_constraint_allows_fails_the_test_that_added_it(
    begin: Callable[..., AbstractAsyncContextManager[Tx]],
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        async with begin() as tx:
            tx.add(things, thing(name=""))


async def test_the_client_is_who_its_token_says(
    client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]
) -> None:
    made = await client.post("/things", json={"name": "chair"}, headers=caller("hospital", "H33010200059"))
    assert made.status_code == 201, made.text
    own = await client.get("/things", headers=caller("hospital", "H33010200059"))
    assert [one["name"] for one in own.json()] == ["chair"]
    assert (await client.get("/things", headers=caller("hospital", "H33010200060"))).json() == []
    assert (await client.get("/things", headers=caller("agency", "A1"))).status_code == 403
    assert (await client.get("/things")).status_code == 401


async def test_a_message_that_comes_twice_is_applied_once(worker: WorkerInHand) -> None:
    row = thing()
    async with worker.database.transaction() as tx:
        tx.add(things, row)
    messages = await worker.deliver(ThingNamed(thing_id=row["id"], name="chair"))
    await worker.redeliver(messages)
    async with worker.database.transaction() as tx:
        assert [one["heard"] for one in await tx.rows(LIST)] == [1]


async def test_the_worker_in_hand_meets_what_is_due_and_tells_what_was_said(
    client: httpx.AsyncClient,
    caller: Callable[..., dict[str, str]],
    worker: WorkerInHand,
    driven_clock: Callable[[datetime], None],
) -> None:
    driven_clock(datetime(2026, 3, 1, tzinfo=UTC))
    await client.post("/things", json={"name": "chair"}, headers=caller("hospital", "H1"))
    assert [fact.name for fact in await worker.said() if isinstance(fact, ThingNamed)] == ["chair"]
    assert await worker.meet_deadlines() == 1
    shown = await client.get("/things", headers=caller("operator", "O1"))
    assert shown.json()[0]["name"] == "forgotten"


def test_a_driven_clock_goes_on_from_where_it_was_put(driven_clock: Callable[[datetime], None]) -> None:
    instant = datetime(2022, 1, 1, tzinfo=UTC)
    driven_clock(instant)
    assert clock.now() == instant
    driven_clock(instant + timedelta(days=31))
    with pytest.raises(ValueError, match="never goes back"):
        driven_clock(instant)


@pytest.mark.parametrize("time", ["later"])
def test_the_clock_runs_again_after_a_test_that_drove_it(time: str) -> None:
    assert not clock.driven()
