"""Dead letters over HTTP, on the toy: seen by the operator alone, settled by the worker, kept in history."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from shared import jobs, settling
from shared.db import Database, Tx
from shared.errors import Unprocessable
from shared.inbox import Consumer
from shared.service import Service
from tests.house import WorkerInHand
from tests.toy import ThingNamed, let_in, on_thing_named, toy

let_in()
Caller = Callable[..., dict[str, str]]
OPERATOR = ("operator", "91330100000000001C", "000000")


class TooStrange(Unprocessable):
    title = "Too strange a name"


class Taste:
    """Whether strange names are taken."""

    strange = False


async def on_named(tx: Tx, events: Any) -> None:
    if not Taste.strange and any(event.data.name == "strange" for event in events):
        raise TooStrange("a strange name")
    await on_thing_named(tx, events)


@pytest.fixture
def service() -> Service:
    return toy


@pytest.fixture
async def letters(database: Database) -> Consumer:
    """One dead letter, and one that waits behind it."""
    Taste.strange = False
    picky = replace(toy, handlers={ThingNamed: on_named})
    thing = uuid7()
    strange, plain = (ThingNamed(thing_id=thing, name=name) for name in ("strange", "plain"))
    await WorkerInHand(picky, database).deliver(strange, plain)
    return Consumer("toy", database, picky.handlers)


async def do_jobs(consumer: Consumer) -> None:
    while await jobs.run_next(consumer.database, settling.jobs_of(consumer)):
        pass


async def test_the_operator_sees_what_is_dead_and_why(
    letters: Consumer, client: httpx.AsyncClient, caller: Caller
) -> None:
    page = (await client.get("/dead-letters", headers=caller(*OPERATOR))).json()
    assert [(one["id"], one["state"]) for one in page["items"]] == [(1, "dead"), (2, "waiting")]
    assert page["items"][0]["reason"] == "too_strange: a strange name"
    whole = (await client.get("/dead-letters/1", headers=caller(*OPERATOR))).json()
    assert '"name":"strange"' in whole["payload"]
    assert whole["headers"] == {"content-type": "application/cloudevents+json; charset=utf-8"}
    missing = await client.get("/dead-letters/9", headers=caller(*OPERATOR))
    assert (missing.status_code, missing.json()["code"]) == (404, "dead_letter_not_found")


async def test_letters_are_listed_page_by_page(letters: Consumer, client: httpx.AsyncClient, caller: Caller) -> None:
    first = (await client.get("/dead-letters?limit=1", headers=caller(*OPERATOR))).json()
    assert [one["id"] for one in first["items"]] == [1]
    second = await client.get(f"/dead-letters?limit=1&after={first['next']}", headers=caller(*OPERATOR))
    assert [one["id"] for one in second.json()["items"]] == [2]


@pytest.mark.parametrize("role", ["hospital", "manufacturer", "distributor", "agency", "authority"])
async def test_nobody_else_does(letters: Consumer, client: httpx.AsyncClient, caller: Caller, role: str) -> None:
    who = caller(role, "H33010200059", "330100")
    assert (await client.get("/dead-letters", headers=who)).status_code == 403
    assert (await client.post("/dead-letters/1/replay", headers=who)).status_code == 403
    assert (await client.post("/dead-letters/1/drop", json={"reason": "x"}, headers=who)).status_code == 403


async def test_a_replay_is_a_job_that_applies_it_and_what_waited(
    letters: Consumer, client: httpx.AsyncClient, caller: Caller, database: Database
) -> None:
    Taste.strange = True
    asked = await client.post("/dead-letters/1/replay", headers=caller(*OPERATOR))
    assert asked.status_code == 202, asked.text
    await do_jobs(letters)
    job = (await client.get(f"/jobs/{asked.json()['id']}", headers=caller(*OPERATOR))).json()
    assert (job["state"], job["result"]) == ("done", {"applied": 2, "stays": None})
    assert (await client.get("/dead-letters", headers=caller(*OPERATOR))).json()["items"] == []
    assert await database.pool.fetchval("SELECT count(*) FROM inbox") == 2


async def test_a_replay_that_fails_says_which_letter_stays_and_why(
    letters: Consumer, client: httpx.AsyncClient, caller: Caller
) -> None:
    asked = await client.post("/dead-letters/2/replay", headers=caller(*OPERATOR))
    await do_jobs(letters)
    job = (await client.get(f"/jobs/{asked.json()['id']}", headers=caller(*OPERATOR))).json()
    stays = {"letter_id": 1, "reason": "too_strange: a strange name"}
    assert job["result"] == {"applied": 0, "stays": stays}


async def test_a_settled_letter_is_neither_replayed_nor_dropped_again(
    letters: Consumer, client: httpx.AsyncClient, caller: Caller
) -> None:
    who = caller(*OPERATOR)
    asked = [
        (await client.post("/dead-letters/1/drop", json={"reason": reason}, headers=who)).json()["id"]
        for reason in ("sent by mistake", "sent by mistake", "for another reason")
    ]
    await do_jobs(letters)
    ended = [(await client.get(f"/jobs/{job}", headers=who)).json() for job in asked]
    assert [job["state"] for job in ended] == ["done", "done", "failed"]
    assert ended[-1]["result"]["code"] == "dead_letter_settled"
    for verb, body in (("replay", None), ("drop", {"reason": "for another reason"})):
        refused = await client.post(f"/dead-letters/1/{verb}", json=body, headers=who)
        assert (refused.status_code, refused.json()["code"]) == (409, "dead_letter_settled")
        assert refused.json()["detail"] == "Dead letter 1 is settled already: dropped by tester: sent by mistake."


async def test_settled_letters_are_listed_when_they_are_asked_for(
    letters: Consumer, client: httpx.AsyncClient, caller: Caller
) -> None:
    await client.post("/dead-letters/1/drop", json={"reason": "sent by mistake"}, headers=caller(*OPERATOR))
    await do_jobs(letters)
    for query, ids in (("state=dropped", [1]), ("state=replayed&topic=toy", [2]), ("state=replayed&topic=x", [])):
        page = (await client.get(f"/dead-letters?{query}", headers=caller(*OPERATOR))).json()
        assert [one["id"] for one in page["items"]] == ids
    refused = await client.get("/dead-letters?state=buried", headers=caller(*OPERATOR))
    assert refused.status_code == 422


async def test_a_drop_asks_for_a_reason_and_is_kept_in_history_under_its_request(
    letters: Consumer, client: httpx.AsyncClient, caller: Caller, database: Database
) -> None:
    who = caller(*OPERATOR)
    assert (await client.post("/dead-letters/1/drop", json={"reason": ""}, headers=who)).status_code == 422
    from_here = who | {"x-request-id": "dropped-by-hand"}
    asked = await client.post("/dead-letters/1/drop", json={"reason": "sent by mistake"}, headers=from_here)
    assert asked.status_code == 202, asked.text
    await do_jobs(letters)
    letter = (await client.get("/dead-letters/1", headers=who)).json()
    assert (letter["state"], letter["note"]) == ("dropped", "dropped by tester: sent by mistake")
    async with database.transaction() as tx:
        deeds = await tx.sql("SELECT about, action, person, request_id, detail FROM history ORDER BY id")
    assert [(deed["about"], deed["action"], deed["person"], deed["request_id"]) for deed in deeds] == [
        ("dead_letter/1", "dead_letter_dropped", "tester", "dropped-by-hand"),
        ("dead_letter/2", "dead_letter_replayed", "tester", "dropped-by-hand"),
    ]
    assert deeds[0]["detail"]["reason"] == "sent by mistake"
