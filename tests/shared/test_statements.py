"""Statements of one shape share a text and never a value."""

import pytest
import sqlalchemy as sa

from shared.statements import _compile, compiled

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
