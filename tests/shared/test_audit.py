"""The chain of history: every change or cut from outside is found, and named."""

from collections.abc import Callable

import asyncpg
import pytest

from shared import audit, history
from shared.db import Database
from shared.history import BY_ITSELF, Parties
from shared.service import Service
from tests.toy import let_in, toy

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


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE history SET detail = '{\"by\": \"another\"}' WHERE action = 'made' AND about = 'chair'",
        "UPDATE history SET person = 'somebody' WHERE action = 'broken' AND about = 'chair'",
        "UPDATE history SET at = at + interval '1 microsecond' WHERE about = 'table'",
        "DELETE FROM history WHERE action = 'sold'",
        "DELETE FROM history WHERE action = 'made' AND about = 'chair'",
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
    await owner.execute("SELECT jicai_head_of_history(current_date)")
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
