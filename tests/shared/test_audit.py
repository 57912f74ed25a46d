"""The chain of history: every change or cut from outside is found, and named."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from shared import audit, clock, deadlines, heads, history, telemetry
from shared.db import Database, Tx
from shared.deadlines import Deadline
from shared.history import BY_ITSELF, Parties
from shared.inbox import Received
from shared.service import Service
from tests.house import WorkerInHand
from tests.toy import ThingNamed, let_in, toy

let_in()


@pytest.fixture
def service() -> Service:
    return toy


@pytest.fixture
async def filled(database: Database) -> Database:
    """Three deeds about a chair in two transactions, one about a table."""
    for actions in (["made", "sold"], ["broken"]):
        async with database.transaction() as tx:
            for action in actions:
                history.note(tx, BY_ITSELF, "chair", action, Parties(region="330100"), {"by": action})
            history.note(tx, BY_ITSELF, "table", actions[0], Parties())
    return database


@pytest.fixture
async def owner(filled: Database, database_url: Callable[[Service], str]) -> asyncpg.Connection:
    connection = await asyncpg.connect(database_url(toy))
    yield connection
    await connection.close()


async def test_what_nobody_touched_is_whole(filled: Database) -> None:
    finding = await audit.check(filled)
    assert (finding.rows, finding.whole) == (5, True)


async def test_of_two_deeds_at_the_same_moment_about_one_thing_the_second_comes_again(
    filled: Database, owner: asyncpg.Connection
) -> None:
    written, go_on = asyncio.Event(), asyncio.Event()

    async def mend() -> None:
        async with filled.transaction() as tx:
            history.note(tx, BY_ITSELF, "chair", "mended", Parties(), {})
            await tx.flush()
            written.set()
            await go_on.wait()

    async def paint() -> None:
        async with filled.transaction() as tx:
            history.note(tx, BY_ITSELF, "chair", "painted", Parties(), {})

    mending = asyncio.create_task(mend())
    await written.wait()
    painting = asyncio.create_task(paint())
    while not await owner.fetch("SELECT FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    go_on.set()
    await mending
    with pytest.raises(asyncpg.SerializationError):
        await painting
    await paint()
    assert (await audit.check(filled)).whole


async def test_rows_of_before_that_follow_the_same_one_are_whole_as_long_as_nobody_touches_them(
    filled: Database, owner: asyncpg.Connection
) -> None:
    """Before history could not fork, it did when two wrote at the same moment."""
    await owner.execute(
        "ALTER TABLE history DISABLE TRIGGER history_chain;"
        "UPDATE history SET follows = NULL;"
        "UPDATE history AS h SET hash = jicai_history_hash(b.hash, h) FROM history AS b"
        " WHERE (h.action, b.action) = ('broken', 'made') AND (h.about, b.about) = ('chair', 'chair');"
        "ALTER TABLE history ENABLE TRIGGER history_chain"
    )
    async with filled.transaction() as tx:
        history.note(tx, BY_ITSELF, "chair", "mended", Parties(), {})
    assert (await audit.check(filled)).whole
    await owner.execute("UPDATE history SET person = 'somebody' WHERE action = 'broken' AND about = 'chair'")
    assert not (await audit.check(filled)).whole


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE history SET detail = '{\"by\": \"another\"}' WHERE action = 'made' AND about = 'chair'",
        "UPDATE history SET person = 'somebody' WHERE action = 'broken' AND about = 'chair'",
        "UPDATE history SET at = at + interval '1 microsecond' WHERE about = 'table'",
        "DELETE FROM history WHERE action = 'sold'",
        "DELETE FROM history WHERE action = 'made' AND about = 'chair'",
        # the deeds of two rows, and the numbers of two rows, each in the other's place
        "UPDATE history AS h SET action = o.action, detail = o.detail FROM history AS o"
        " WHERE (h.action, o.action) IN (('sold', 'broken'), ('broken', 'sold')) AND o.about = h.about",
        "UPDATE history SET id = -id; UPDATE history SET id = CASE id WHEN -1 THEN 2 WHEN -2 THEN 1 ELSE -id END",
        # a row that the trigger did not see
        "ALTER TABLE history DISABLE TRIGGER history_chain;"
        " INSERT INTO history (about, action, detail, at, organisation, person, hash)"
        " SELECT about, 'forged', '{}', at, organisation, person, hash FROM history WHERE action = 'sold';"
        " ALTER TABLE history ENABLE TRIGGER history_chain",
    ],
)
async def test_a_change_from_outside_is_found_and_the_first_broken_row_named(
    filled: Database, owner: asyncpg.Connection, change: str
) -> None:
    await owner.execute(change)
    finding = await audit.check(filled)
    assert finding.broken is not None
    assert "is not what was written" in finding.broken


async def test_rows_cut_off_the_end_are_found_by_the_head_of_the_day(
    filled: Database, owner: asyncpg.Connection
) -> None:
    await owner.execute("SELECT jicai_head_history_until(current_date)")
    assert (await audit.check(filled)).whole
    await owner.execute("DELETE FROM history WHERE id = (SELECT max(id) FROM history)")
    finding = await audit.check(filled)
    assert finding.broken is None
    assert finding.cut is not None
    assert "had 5 rows when its head was written, now 4" in finding.cut


@pytest.mark.parametrize("change", ["UPDATE history SET person = 'x'", "DELETE FROM history"])
async def test_no_role_of_a_service_may_change_history(filled: Database, change: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with filled.transaction() as tx:
            await tx.sql(change)


@pytest.mark.parametrize(
    "change", ["id = id + 1000", "recorded_at = recorded_at - interval '1 hour'", "operation = 'x'"]
)
async def test_number_instant_of_recording_and_operation_are_under_the_hash(
    filled: Database, owner: asyncpg.Connection, change: str
) -> None:
    await owner.execute(f"UPDATE history SET {change} WHERE action = 'broken' AND about = 'chair'")
    assert (await audit.check(filled)).broken is not None


MADE_ANEW = """
DO $$ DECLARE row history; before bytea; BEGIN
  FOR row IN SELECT * FROM history WHERE about = 'chair' ORDER BY id LOOP
    UPDATE history SET hash = jicai_history_hash(before, row) WHERE id = row.id RETURNING hash INTO before;
  END LOOP;
END $$
"""
YESTERDAY = "(now() AT TIME ZONE 'UTC')::date - 1"


async def three_days(owner: asyncpg.Connection) -> None:
    """The rows as if chair's were written three days ago and table's yesterday, every day with its head."""
    await owner.execute(
        "UPDATE history SET recorded_at = recorded_at - CASE about WHEN 'chair' THEN interval '3 days' ELSE '1 day' END"
    )
    await owner.execute(MADE_ANEW)
    await owner.execute(MADE_ANEW.replace("'chair'", "'table'"))
    await owner.execute(f"SELECT jicai_head_history_until({YESTERDAY})")


async def test_every_day_gets_its_head_also_those_without_a_row_or_a_worker(
    filled: Database, owner: asyncpg.Connection
) -> None:
    await three_days(owner)
    assert [row["rows"] for row in await owner.fetch("SELECT rows FROM history_heads ORDER BY day")] == [3, 0, 2]
    assert await filled.pool.fetch("SELECT * FROM jicai_head_history()") == []
    assert (await audit.check(filled)).whole


async def test_a_stream_made_anew_with_its_own_hashes_is_found_by_the_head_of_its_day(
    filled: Database, owner: asyncpg.Connection
) -> None:
    await three_days(owner)
    await owner.execute("UPDATE history SET person = 'somebody' WHERE about = 'chair' AND action = 'made'")
    await owner.execute(MADE_ANEW)
    finding = await audit.check(filled)
    assert finding.broken is None
    assert "3 rows when its head was written, now 3, or they are others" in str(finding.cut)


REMADE_HEAD = """
UPDATE history_heads h SET digest = jicai_head_hash(NULL, h.day, h.rows, h.last_id, (jicai_day_of_history(h.day)).hashes)
WHERE day = (SELECT min(day) FROM history_heads)
"""
ALL_HEADS_ANEW = f"DELETE FROM history_heads; SELECT jicai_head_history_until({YESTERDAY})"


async def test_a_head_made_anew_does_not_fit_under_the_next(filled: Database, owner: asyncpg.Connection) -> None:
    await three_days(owner)
    await owner.execute("DELETE FROM history WHERE about = 'chair' AND action = 'made'")
    await owner.execute(MADE_ANEW)
    await owner.execute("UPDATE history_heads SET rows = 2 WHERE rows = 3")
    await owner.execute(REMADE_HEAD)
    finding = await audit.check(filled)
    assert "the head before it is gone or another" in str(finding.cut)
    assert "had 0 rows" in str(finding.cut), "the first day fits again, the second does not"


@pytest.mark.parametrize("gone", ["min(day)", "min(day) + 1"])
async def test_a_head_that_is_gone_is_missed_by_the_next(
    filled: Database, owner: asyncpg.Connection, gone: str
) -> None:
    await three_days(owner)
    await owner.execute(f"DELETE FROM history_heads WHERE day = (SELECT {gone} FROM history_heads)")
    assert (await audit.check(filled)).cut is not None


@pytest.mark.parametrize(
    "attack",
    [
        f"UPDATE history SET person = 'somebody' WHERE about = 'chair'; {MADE_ANEW}; {ALL_HEADS_ANEW}",
        f"DELETE FROM history WHERE about = 'chair'; {ALL_HEADS_ANEW}",
        "DELETE FROM history_heads WHERE day = (SELECT max(day) FROM history_heads); DELETE FROM history WHERE about = 'table'",
    ],
)
async def test_history_and_all_heads_made_anew_are_found_only_by_heads_kept_outside(
    filled: Database, owner: asyncpg.Connection, tmp_path: Path, attack: str
) -> None:
    await three_days(owner)
    file = tmp_path / "heads" / "toy.jsonl"
    await heads.publish(filled.pool, "toy", file)
    assert await heads.differs(filled, heads.kept(file)) is None
    await owner.execute(attack)
    assert (await audit.check(filled)).whole, "the database agrees with itself"
    assert "was kept outside as" in str(await heads.differs(filled, heads.kept(file)))


async def test_rows_of_today_are_under_no_head_yet(filled: Database, owner: asyncpg.Connection) -> None:
    """What docs/decisions/audit.md says openly: until the day is over the newest rows of a stream can be cut unseen."""
    await owner.execute("DELETE FROM history WHERE about = 'table'")
    assert (await audit.check(filled)).whole


FORGED = (
    "INSERT INTO history (about, action, detail, at, organisation, person, recorded_at)"
    " SELECT 'chair', 'forged', '{{}}', now(), 'platform', 'somebody', {instant}"
)


async def test_a_row_that_is_slipped_into_a_day_that_has_its_head_is_found_by_it(
    filled: Database, owner: asyncpg.Connection
) -> None:
    await three_days(owner)
    await owner.execute(FORGED.format(instant="now() - interval '1 day'"))
    finding = await audit.check(filled)
    assert (finding.broken, finding.cut is None) == (None, False)


async def test_a_row_that_the_owner_adds_today_is_a_deed_like_any_other(
    filled: Database, owner: asyncpg.Connection
) -> None:
    """What docs/decisions/audit.md says openly: who owns the database can add what was never done, from now on."""
    await three_days(owner)
    await owner.execute(FORGED.format(instant="now()"))
    assert (await audit.check(filled)).whole


async def test_each_head_is_kept_outside_once_and_shown_as_over_http(
    filled: Database, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    await three_days(owner)
    file = tmp_path / "toy.jsonl"
    await heads.publish(filled.pool, "toy", file)
    first = file.read_bytes()
    await heads.publish(filled.pool, "toy", file)
    assert file.read_bytes() == first
    file.write_bytes(b"".join(first.splitlines(keepends=True)[:1]))
    await heads.publish(filled.pool, "toy", file)
    assert file.read_bytes() == first
    rows = await owner.fetch("SELECT day, rows, last_id, digest FROM history_heads ORDER BY day")
    assert [{"service": "toy", **{name: row[name] for name in ("rows", "last_id")}, "day": row["day"].isoformat(),
             "digest": row["digest"].hex()} for row in rows] == [json.loads(line) for line in first.splitlines()]  # fmt: skip


async def test_a_file_that_cannot_be_used_holds_nothing_up(
    filled: Database, owner: asyncpg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await three_days(owner)
    (tmp_path / "torn.jsonl").write_text('{"day": "2026-')
    for file in (tmp_path, tmp_path / "torn.jsonl"):
        await heads.publish(filled.pool, "toy", file)
    assert [record.message for record in caplog.records] == ["heads of history are not kept outside"] * 2


async def test_no_role_of_a_service_may_write_a_head_before_its_day_is_over(filled: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await filled.pool.fetch("SELECT jicai_head_history_until(current_date)")


async def test_a_deed_tells_the_operation_it_was_part_of(filled: Database) -> None:
    with telemetry.doing("name_thing"):
        async with filled.transaction() as tx:
            history.note(tx, BY_ITSELF, "lamp", "made", Parties())
    rows = await filled.pool.fetch("SELECT about, operation FROM history ORDER BY id")
    assert [row["operation"] for row in rows] == [None] * 5 + ["name_thing"]


async def test_the_audit_is_filtered_by_operation_person_action_and_request(
    client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]
) -> None:
    for number, person in enumerate(("wang", "li")):
        headers = caller("hospital", "H33010200059", "330100", person) | {"x-request-id": f"request-{number}"}
        assert (await client.post("/things", json={"name": person}, headers=headers)).status_code == 201
    operator = caller("operator", "OPS", "000000")

    async def people(**asked: str) -> list[str]:
        answer = await client.get("/audit", params=asked, headers=operator)
        assert answer.status_code == 200, answer.text
        return [deed["person"] for deed in answer.json()["items"]]

    assert await people(operation="name_thing") == ["wang", "li"]
    assert await people(operation="name_things") == []
    assert await people(person="li") == ["li"]
    assert await people(action="named", person="wang") == ["wang"]
    assert await people(action="renamed") == []
    ids = [deed["request_id"] for deed in (await client.get("/audit", headers=operator)).json()["items"]]
    assert await people(request_id=ids[1]) == ["li"]
    backwards = {"since": "2026-03-02T00:00:00Z", "until": "2026-03-02T07:59:59+08:00"}
    empty = await client.get("/audit", params=backwards, headers=operator)
    assert (empty.status_code, empty.json()["errors"][0]["pointer"]) == (422, "query/until")
    refused = await client.get("/audit", params={"operations": "name_thing"}, headers=operator)
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_parameter")


async def test_what_happens_by_itself_tells_the_event_or_the_deadline_it_came_from(
    database: Database,
) -> None:
    async def on_named(tx: Tx, events: Sequence[Received[Any]]) -> None:
        history.note(tx, BY_ITSELF, "chair", "heard", Parties())

    async def when_due(tx: Tx, due: Sequence[Deadline]) -> None:
        history.note(tx, BY_ITSELF, "chair", "late", Parties())

    hears = replace(toy, handlers={ThingNamed: on_named}, deadlines={"forget": when_due})
    in_hand = WorkerInHand(hears, database)
    await in_hand.deliver(ThingNamed(thing_id=uuid7(), name="chair"))
    async with database.transaction() as tx:
        await deadlines.put(tx, [Deadline("forget", "chair", clock.now())])
    assert await in_hand.meet_deadlines() == 1
    rows = await database.pool.fetch("SELECT action, operation FROM history ORDER BY id")
    assert [tuple(row) for row in rows] == [("heard", ThingNamed.TYPE), ("late", "forget")]
