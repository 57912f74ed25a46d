"""A key holds for one organisation and one operation, for a set time, and is kept with the effect or not at all."""

from collections.abc import Callable

import httpx
import pytest

from shared import crash, idempotency
from shared.db import Database
from shared.service import Service
from tests.toy import let_in, toy

let_in()

Caller = Callable[..., dict[str, str]]
CHAIR = {"name": "chair"}
HOSPITAL = "H33010200059"


@pytest.fixture
def service() -> Service:
    return toy


class PowerCut(BaseException):
    pass


@pytest.mark.parametrize(("step", "kept"), [("request: before commit", 0), ("request: before answer", 1)])
async def test_a_crash_leaves_the_effect_and_its_answer_or_neither(
    client: httpx.AsyncClient, caller: Caller, database: Database, monkeypatch: pytest.MonkeyPatch, step: str, kept: int
) -> None:
    def cut(now: str) -> None:
        if now == step:
            raise PowerCut

    headers = {**caller("hospital", HOSPITAL), "idempotency-key": "k"}
    with monkeypatch.context() as armed:
        armed.setattr(crash, "at", cut)
        with pytest.raises(PowerCut):
            await client.post("/things", json=CHAIR, headers=headers)
    for table in ("things", "idempotency_keys", "outbox"):
        assert await database.pool.fetchval(f"SELECT count(*) FROM {table}") == kept, table
    again = await client.post("/things", json=CHAIR, headers=headers)
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, bool(kept))
    assert await database.pool.fetchval("SELECT count(*) FROM things") == 1


async def test_a_key_of_one_operation_is_free_for_another(
    client: httpx.AsyncClient, caller: Caller, database: Database
) -> None:
    key = {"idempotency-key": "k"}
    assert (await client.post("/things", json=CHAIR, headers=caller("hospital", HOSPITAL) | key)).status_code == 201
    other = await client.post("/dead-letters/7/replay", headers=caller("operator", HOSPITAL) | key)
    assert (other.status_code, other.json()["code"]) == (404, "dead_letter_not_found")


async def test_a_key_is_forgotten_after_its_days_and_not_before(
    client: httpx.AsyncClient, caller: Caller, database: Database
) -> None:
    headers = {**caller("hospital", HOSPITAL), "idempotency-key": "k"}
    first = await client.post("/things", json=CHAIR, headers=headers)
    async with database.pool.acquire() as connection:
        await idempotency.prune(connection, keep_days=1)
    assert (await client.post("/things", json=CHAIR, headers=headers)).json() == first.json()
    async with database.pool.acquire() as connection:
        await idempotency.prune(connection, keep_days=0)
    assert (await client.post("/things", json=CHAIR, headers=headers)).json()["id"] != first.json()["id"]
