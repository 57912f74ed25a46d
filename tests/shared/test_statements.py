"""Statements of one shape share a text and never a value; rows come to the tables as they are, one or many."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateTable
from uuid_utils.compat import uuid7

from shared.clock import SHANGHAI
from shared.db import MUCH, Database, Tx
from shared.service import Service
from shared.statements import _compile, compiled
from tests.house import House
from tests.toy import things as toy_things
from tests.toy import toy

things = sa.table("things", sa.column("id", sa.Integer), sa.column("name", sa.Text))


def page(least: int, name: str | None, rows: int) -> sa.Select[tuple[int]]:
    wanted = sa.select(things.c.id).where(things.c.id > least, things.c.id < sa.bindparam("most")).limit(rows)
    return wanted if name is None else wanted.where(things.c.name == name)


def test_statements_of_one_shape_have_one_text_and_each_its_own_values() -> None:
    first, second = compiled(page(1, "a", 10)), compiled(page(2, "b", 20))
    assert first.text == second.text == _compile(page(2, "b", 20)).text
    assert first.arguments({"most": 9}) == [1, 9, "a", 10]
    assert second.arguments({"most": 8}) == [2, 8, "b", 20]


def test_another_shape_has_another_text() -> None:
    assert compiled(page(1, None, 10)).text != compiled(page(1, "a", 10)).text
    assert compiled(page(3, None, 10)).arguments({"most": 9}) == [3, 9, 10]


def test_a_parameter_without_a_value_is_missed() -> None:
    with pytest.raises(KeyError, match="most"):
        compiled(page(1, "a", 10)).arguments({})


def test_a_list_in_a_statement_is_refused_every_time() -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match="any_"):
            compiled(sa.select(things.c.id).where(things.c.id.in_([1, 2])))


kept = sa.Table(
    "kept",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.Uuid),
    sa.Column("words", sa.Text),
    sa.Column("first", sa.LargeBinary),
    sa.Column("list", sa.ARRAY(sa.Text)),
    sa.Column("price", sa.Numeric(18, 4)),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("day", sa.Date),
    sa.Column("true", sa.Boolean),
    sa.Column("detail", JSONB),
    sa.Column("second", sa.LargeBinary),
)
NOTHING = dict.fromkeys(kept.c.keys())
ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "key": UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
        "words": "阿莫西林 \"0.25g\" \\ {a,b} 'c'\n\t\x01\U0001f48a",
        "first": b"\x00\xff\\x",
        "list": ("", 'say "no"', "a,b", "{}", "NULL", "\\", "串换"),
        "price": Decimal("99999999999999.9999"),
        "at": datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=SHANGHAI),
        "day": date(2026, 2, 28),
        "true": False,
        "detail": {"from": [Decimal("1.10"), None], "name": "x", "on": date(2026, 1, 1), "count": 2**53},
        "second": b"",
    },
    {**NOTHING, "id": 2},
    {
        **NOTHING,
        "id": 3,
        "key": uuid7(),
        "words": "",
        "list": [],
        "price": Decimal("0.0000"),
        "at": datetime(2026, 3, 2, tzinfo=UTC),
        "detail": {},
        "second": b"2",
    },
]
TOLD = {
    **ROWS[0],
    "list": list(ROWS[0]["list"]),
    "detail": {**ROWS[0]["detail"], "from": ["1.10", None], "on": "2026-01-01"},
}
"""As the first is read again."""


async def made(tx: Tx) -> None:
    columns = str(CreateTable(kept).compile(dialect=postgresql.dialect()))
    await tx.sql(columns.replace("CREATE TABLE", "CREATE TEMP TABLE"))


async def all_of(tx: Tx) -> list[Mapping[str, Any]]:
    return [dict(row) for row in await tx.rows(sa.select(kept).order_by(kept.c.id))]


@pytest.mark.parametrize("together", [True, False], ids=["many", "one by one"])
async def test_rows_are_kept_as_they_are(house: House, *, together: bool) -> None:
    async with house.rolled_back(toy, None) as tx:
        await made(tx)
        for rows in [ROWS] if together else [[row] for row in ROWS]:
            tx.add(kept, *rows)
            await tx.flush()
        assert await all_of(tx) == [TOLD, *ROWS[1:]]


async def test_many_rows_are_changed_to_what_is_said(house: House) -> None:
    async with house.rolled_back(toy, None) as tx:
        await made(tx)
        tx.add(kept, *({**NOTHING, "id": row["id"]} for row in ROWS))
        await tx.change(kept, ROWS)
        assert await all_of(tx) == [TOLD, *ROWS[1:]]


@pytest.mark.parametrize("bad", [{"words": "a\0b"}, {"id": 2**31}, {"price": Decimal("1e14")}], ids=str)
async def test_a_value_that_no_column_takes_is_refused_among_many_rows_too(house: House, bad: dict[str, Any]) -> None:
    async with house.rolled_back(toy, None) as tx:
        await made(tx)
        tx.add(kept, ROWS[1], {**ROWS[1], **bad})
        with pytest.raises(asyncpg.DataError):
            await tx.flush()


def many(first: int, *, name: str = "thing") -> list[dict[str, Any]]:
    return [{"id": UUID(int=first + place), "name": name, "owner": "A"} for place in range(MUCH)]


COUNT = "SELECT count(*) FROM things"


@pytest.fixture
def service() -> Service:
    return toy


async def test_what_is_written_ahead_is_written_once_with_what_comes_after_it(database: Database) -> None:
    before = await database.pool.fetchval(COUNT)
    async with database.transaction() as tx:
        tx.add(toy_things, *many(1))
        await tx.write_ahead()
        tx.add(toy_things, *many(10_001))
        await tx.write_ahead()
        tx.add(toy_things, {"id": UUID(int=1_000_000), "name": "last", "owner": "A"})
    assert await database.pool.fetchval(COUNT) == before + 2 * MUCH + 1


@pytest.mark.parametrize("at", ["in it", "after it"])
async def test_of_what_was_written_ahead_nothing_stays_when_something_fails(database: Database, at: str) -> None:
    before = await database.pool.fetchval(COUNT)

    async def fail() -> None:
        async with database.transaction() as tx:
            tx.add(toy_things, *many(1, name="" if at == "in it" else "thing"))
            await tx.write_ahead()
            if at == "after it":
                raise LookupError

    with pytest.raises(LookupError if at == "after it" else asyncpg.CheckViolationError):
        await fail()
    assert await database.pool.fetchval(COUNT) == before
    async with database.transaction() as tx:
        assert len(await tx.sql("SELECT 1")) == 1
