"""Nobody learns of foreign rows: whatever is asked, the answer is the same as if they were not there.

Every route, from OpenAPI; every role, from the matrix; ids, filters and bodies that name foreign rows. First all is asked
with the foreign rows in place, then they are removed and it is asked again. Any difference is a leak, be it a row, a
count, a page, a deed, an ETag, or the words of a refusal.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import asyncpg
import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from deploy.services import NAMES, load
from shared import clock
from shared.access import Access
from shared.codes import region_prefix
from tests.access.asking import MOST_VALUES, UUID, Ask, asks
from tests.access.conftest import Apps, tables_of
from tests.access.sheets import Back, refused_of
from tests.access.worlds import World
from tests.house import House, WorkerInHand

Who = tuple[str, str, str]
Answers = dict[tuple[str, Who, str], str]
"""By service, caller and request: status, ETag and body, without what differs from one request to the next."""

PUBLIC = {"listings": "state IN ('public_notice', 'listed', 'suspended', 'delisted')", "distributions": "version > 0"}
"""What everybody may see stays when the foreign rows are removed."""

NAMED = {"payment_runs": "run_id"}
"""What an id is called in paths, where the table is called otherwise."""
NEVER_SHOWN = {"get_dead_letter", "get_refused", "get_job", "get_recall", "get_recall_timeline"}
"""Of which the worlds have none in some or all services: dead letters, jobs, recalls."""


@dataclass
class Learnt:
    """What was answered with the foreign rows in place, and without them."""

    reads: dict[str, Answers] = field(default_factory=dict)
    writes: dict[str, Answers] = field(default_factory=dict)
    reads_without: Answers = field(default_factory=dict)
    writes_without: dict[str, Answers] = field(default_factory=dict)
    sheets: list[Back] = field(default_factory=list)
    shown_to_owners: set[tuple[str, str]] = field(default_factory=set)
    readable: set[tuple[str, str]] = field(default_factory=set)

    def leaks(self, wall: str) -> list[str]:
        """Every request whose answer the foreign rows have changed."""
        pairs = ((self.reads[wall], self.reads_without), (self.writes.get(wall, {}), self.writes_without.get(wall, {})))
        return [
            f"{service}: {who[0]} {who[1]} {ask}\n  with: {answer[:300]}\n  without: {without[key][:300]}"
            for with_, without in pairs
            for key, answer in with_.items()
            for service, who, ask in [key]
            if answer != without[key]
        ]


BOTH = {"queries": True, "database": True}
WALLS = {
    "queries": {"queries": True, "database": False},
    "database": {"queries": False, "database": True},
    "none": {"queries": False, "database": False},
}


@pytest.fixture(scope="module")
async def learnt(
    house: House,
    apps: Apps,
    worlds: tuple[World, World],
    token: Callable[..., str],
    _apps: Callable[[Any], Any],
) -> Learnt:
    """Asks everything behind each wall, removes the foreign rows, and asks again."""
    foreign, own = worlds
    known = Learnt()
    listing = await _apps(load("listing"))
    worker = WorkerInHand(load("listing"), await house.database(load("listing")))
    known.sheets.append(await refused_of(listing, worker, token, own, foreign, 1))
    pools = {name: (await pool(house, name, foreign), await pool(house, name, own)) for name in NAMES}
    known_ids = {value for pair in pools.values() for one in pair for values in one.values() for value in values}
    asking = Asking(token, known_ids, pools, callers(own, foreign))
    now = clock.wall_seconds()
    with (
        pytest.MonkeyPatch.context() as held
    ):  # what is refused by its age must not differ by how long the asking takes
        held.setattr(clock, "wall_seconds", lambda: now)
        for wall, standing in WALLS.items():
            known.reads[wall] = await asking.answers(await apps.behind(**standing), writes=False)
            if wall != "none":
                known.writes[wall] = await asking.answers(await apps.behind(**standing), writes=True)
        await _owners_look(known, asking, await apps.behind(**BOTH), foreign)
        for name in NAMES:
            await remove(house, name, foreign)
        known.reads_without = await asking.answers(await apps.behind(**BOTH), writes=False)
        for wall in ("queries", "database"):
            known.writes_without[wall] = await asking.answers(await apps.behind(**WALLS[wall]), writes=True)
    known.sheets.append(await refused_of(listing, worker, token, own, foreign, 2))
    return known


def callers(own: World, foreign: World) -> list[Who]:
    """The parties of another city, and strangers next door to the foreign hospital."""
    region = foreign.people["hospital"][2]
    strangers = [
        ("hospital", "H33010200999", region),
        ("distributor", "91330100MA2QHXY991", region),
        ("agency", "11330100MB1QHXY992", region),
    ]
    return [*own.people.values(), *strangers]


class Asking:
    """Asks as each caller everything that its role may ask and that must not reach the foreign rows."""

    def __init__(
        self,
        token: Callable[..., str],
        known: set[str],
        pools: Mapping[str, tuple[dict[str, list[str]], dict[str, list[str]]]],
        who: Sequence[Who],
    ) -> None:
        self._token = lru_cache(token)
        self._known = known
        self._clients: dict[int, httpx.AsyncClient] = {}
        self.pools = pools
        self._who = who

    async def answers(self, apps: Mapping[str, FastAPI], *, writes: bool) -> Answers:
        found: Answers = {}
        for name, app in apps.items():
            foreign, own = self.pools[name]
            wanted = {
                str(ask): ask
                for named in (foreign, {**foreign, **{key: own[key] for key in own if key.endswith("_id")}})
                for ask in asks(app.openapi(), named, writes=writes)
            }
            matrix = Access.of(name).matrix
            for who in self._who:
                for shown, ask in wanted.items():
                    if ask.operation in matrix and self._must_not_reach(matrix[ask.operation].get(who[0]), who):
                        found[name, who, shown] = await self.ask(app, who, ask)
        return found

    @staticmethod
    def _must_not_reach(reach: str | None, who: Who) -> bool:
        return reach == "own" or (reach == "region" and not "330102".startswith(region_prefix(who[2])))

    async def ask(self, app: FastAPI, who: Who, ask: Ask) -> str:
        """The answer as text; ids made just now are left out."""
        headers = {"authorization": f"Bearer {self._token(*who)}"}
        if ask.method != "GET":
            headers |= {"if-match": "*", "idempotency-key": "walls"}
        if ask.content is not None:
            headers["content-type"] = "text/csv"
        client = self._clients.get(id(app))
        if client is None:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = self._clients[id(app)] = httpx.AsyncClient(transport=transport, base_url="http://walls")
        answer = await client.request(
            ask.method, ask.path, params=ask.params, json=ask.json, content=ask.content, headers=headers
        )
        scoped = app.state.runtime.database.scoped  # without it row-level security refuses what no handler has refused
        assert answer.status_code < 500 or not scoped, f"{who} {ask}: {answer.text}"
        return self._normal(answer)

    def _normal(self, answer: httpx.Response) -> str:
        text = answer.text
        if "json" in answer.headers.get("content-type", ""):
            text = json.dumps(_without_request(answer.json()), ensure_ascii=False)
        if answer.status_code == 500 or '"code": "busy"' in text:  # docs/decisions/walls.md: what uniqueness tells
            return "refused by the database"
        text = UUID.sub(lambda found: found[0] if found[0] in self._known else "new", text)
        return f"{answer.status_code} {answer.headers.get('etag', '')} {text}"


def _without_request(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_request(inner) for name, inner in value.items() if name != "request_id"}
    return [_without_request(inner) for inner in value] if isinstance(value, list) else value


async def _owners_look(known: Learnt, asking: Asking, apps: Mapping[str, FastAPI], foreign: World) -> None:
    """Whether there is something to be seen behind each route, by those who may."""
    for name, app in apps.items():
        matrix = Access.of(name).matrix
        for ask in asks(app.openapi(), asking.pools[name][0], writes=False):
            if ask.operation not in matrix or ask.params:
                continue
            known.readable.add((name, ask.operation))
            for who in (*foreign.people.values(), ("operator", "OPS", "000000")):
                if who[0] in matrix[ask.operation] and (await asking.ask(app, who, ask)).startswith("200"):
                    known.shown_to_owners.add((name, ask.operation))


async def pool(house: House, name: str, world: World) -> dict[str, list[str]]:
    """The values by which the private rows of a world can be named."""
    found: dict[str, list[str]] = {"any_id": []}
    connection = await asyncpg.connect(house.url(load(name)))
    try:
        for table in tables_of(load(name)):
            where = belongs(table, world.codes)
            if where is None:
                continue
            for row in await connection.fetch(
                f'SELECT * FROM "{table.name}" WHERE {where} ORDER BY 1', list(world.codes)
            ):
                for key, value in _names(table, row):
                    values = found.setdefault(key, [])
                    if str(value) not in values and len(values) < MOST_VALUES.get(key, 1):
                        values.append(str(value))
    finally:
        await connection.close()
    return found


def _names(table: sa.Table, row: Any) -> Iterable[tuple[str, Any]]:
    for column, value in row.items():
        named = column.endswith(("_id", "_number", "_code")) or column == "code"
        if value is not None and named:
            yield column, value
    if "id" in row and isinstance(table.c.id.type, sa.Uuid):
        yield NAMED.get(table.name, f"{table.name.removesuffix('s').replace('anomalie', 'anomaly')}_id"), row["id"]
        yield "any_id", row["id"]


def belongs(table: sa.Table, _: Sequence[str]) -> str | None:
    """SQL: the row belongs to a world of these codes ($1); None for a table of nobody's rows."""
    private = table.info.get("private")
    if private is None or not private["own"]:
        return None
    own = [
        f'"{name}" && $1::text[]' if isinstance(table.c[name].type, sa.ARRAY) else f'"{name}" = ANY($1::text[])'
        for name in private["own"]
    ]
    if table.name in PUBLIC:
        return f"({' OR '.join(own)}) AND NOT ({PUBLIC[table.name]})"
    return " OR ".join(own)


async def remove(house: House, name: str, world: World) -> None:
    """Takes every private row of a world away, as if it had never been."""
    connection = await asyncpg.connect(house.url(load(name)))
    try:
        await connection.execute("SET session_replication_role = replica")
        for table in tables_of(load(name)):
            if (where := belongs(table, world.codes)) is not None:
                await connection.execute(f'DELETE FROM "{table.name}" WHERE {where}', list(world.codes))
    finally:
        await connection.close()


@pytest.mark.parametrize("wall", ["queries", "database"])
async def test_behind_either_wall_alone_the_answers_are_the_same_as_if_foreign_rows_were_not_there(
    learnt: Learnt, wall: str
) -> None:
    leaks = learnt.leaks(wall)
    assert not leaks, f"{len(leaks)} leaks:\n" + "\n".join(leaks[:20])


async def test_a_supplier_s_sheet_that_names_foreign_rows_comes_back_as_if_they_were_not_there(learnt: Learnt) -> None:
    with_, without = learnt.sheets
    assert with_ == without
    assert {kind for kind, rows in with_.items() if rows} == {"products", "distributions", "enterprises"}


async def test_without_both_walls_every_service_leaks(learnt: Learnt) -> None:
    leaking = {leak.partition(":")[0] for leak in learnt.leaks("none")}
    assert leaking == set(NAMES)


async def test_there_is_something_to_be_seen_behind_every_route(learnt: Learnt) -> None:
    unseen = learnt.readable - learnt.shown_to_owners
    assert {operation for _, operation in unseen} <= NEVER_SHOWN, unseen


@pytest.mark.parametrize("name", NAMES)
async def test_without_a_token_every_route_says_the_same(
    apps: Apps, worlds: tuple[World, World], house: House, name: str
) -> None:
    app = (await apps.behind(**BOTH))[name]
    named = await pool(house, name, worlds[1])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://walls") as client:
        for ask in [*asks(app.openapi(), named, writes=False), *asks(app.openapi(), named, writes=True)]:
            if ask.operation in Access.of(name).matrix:
                answer = await client.request(ask.method, ask.path, params=ask.params, json=ask.json)
                assert (answer.status_code, answer.json()["code"]) == (401, "no_token"), ask


@pytest.mark.parametrize("name", NAMES)
async def test_a_role_that_is_not_named_may_not(
    apps: Apps, token: Callable[..., str], name: str, worlds: tuple[World, World], house: House
) -> None:
    app = (await apps.behind(**BOTH))[name]
    matrix = Access.of(name).matrix
    named = await pool(house, name, worlds[1])
    people = [*worlds[1].people.values(), ("operator", "OPS", "000000")]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://walls") as client:
        for ask in [*asks(app.openapi(), named, writes=False), *asks(app.openapi(), named, writes=True)]:
            for who in people:
                if ask.operation in matrix and who[0] not in matrix[ask.operation]:
                    headers = {"authorization": f"Bearer {token(*who)}"}
                    answer = await client.request(ask.method, ask.path, headers=headers, json=ask.json)
                    assert (answer.status_code, answer.json()["code"]) == (403, "role_may_not"), (who, ask)


async def test_an_idempotency_key_of_another_organisation_answers_nothing(
    worlds: tuple[World, World],
    _apps: Callable[[Any], Any],  # noqa: PT019  the app that commits
    token: Callable[..., str],
) -> None:
    app = await _apps(load("alerts"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    body = {"kind": "short_ship", "region": "330302", "text": "缺货", "occurred_at": "2026-01-01T00:00:00Z"}
    async with httpx.AsyncClient(transport=transport, base_url="http://walls") as client:
        answers = [
            await client.post(
                "/problems", json=body, headers={"authorization": f"Bearer {token(*who)}", "idempotency-key": "same"}
            )
            for who in (worlds[1].people["hospital"], ("hospital", "H33010200999", "330302"))
        ]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert "idempotency-replayed" not in answers[1].headers
