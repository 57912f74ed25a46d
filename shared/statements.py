"""Statements as the text and the arguments that asyncpg takes, and what it answers as frozen values; no text holds a value, so
that each is prepared once."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import asyncpg
import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

from shared.values import frozen, names_of

T = TypeVar("T")

WALL_SETTINGS = ("app.reach", "app.org", "app.region")
"""What the policies of row-level security read (`shared/migrations/walls.py`); they last as long as a transaction."""

SHAPES = 1_000
"""Shapes of statements remembered at most; the longest known is forgotten first."""

_dialect = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]
_compiled: WeakKeyDictionary[sa.Executable, "Compiled"] = WeakKeyDictionary()
_shapes: dict[Any, tuple["Compiled", tuple[str, ...]]] = {}


@frozen
class Compiled:
    """A statement as text with $n in it, and which parameter goes where."""

    text: str
    order: tuple[str, ...]
    defaults: Mapping[str, Any]
    own: Mapping[str, str]
    """The parameters that have a value of their own, each with its key in the statement."""

    def arguments(self, given: Mapping[str, Any]) -> list[Any]:
        """Values in the order of $1, $2, …; raises KeyError for one that is missing."""
        return [given[name] if name in given else self.defaults[name] for name in self.order]


def compiled(statement: sa.Executable) -> Compiled:
    """Compiles a Core statement for asyncpg: one of a module once, one that is built anew once for each shape of it."""
    known = _compiled.get(statement)
    if known is None:
        shape = statement._generate_cache_key()  # type: ignore[attr-defined]
        known = _compiled[statement] = _compile(statement) if shape is None else _of_shape(statement, shape)
    return known


def _of_shape(statement: sa.Executable, shape: Any) -> Compiled:
    """The text of another statement of the same shape, with this one's values: a fraction of the cost of compiling."""
    values = {bind.key: bind for bind in shape.bindparams}
    if shape.key not in _shapes:
        built = _compile(statement)
        if not values.keys() >= set(built.own.values()):
            return built  # a value that the shape does not tell
        if len(_shapes) >= SHAPES:
            _shapes.pop(next(iter(_shapes)))
        _shapes[shape.key] = built, tuple(values)
    built, places = _shapes[shape.key]
    here = dict(zip(places, values.values(), strict=True))
    defaults = {name: here[key].effective_value for name, key in built.own.items()}
    return dataclasses.replace(built, defaults=defaults)


def _compile(statement: sa.Executable) -> Compiled:
    built = statement.compile(dialect=_dialect)  # type: ignore[attr-defined]
    if built.post_compile_params:
        raise TypeError("in_() of a list has another text for each length; write `column == sa.any_(parameter)`")
    order = tuple(built.positiontup or ())
    own = {name: built.binds[name].key for name in order if not built.binds[name].required}
    return Compiled(built.string, order, {name: built.params[name] for name in own}, own)


@lru_cache(maxsize=SHAPES)
def walled(text: str, given: int) -> str:
    """A query of `given` parameters as a whole transaction: the three after them are what row-level security reads.

    PostgreSQL evaluates a condition on no row at all before it touches the first one (a gating Result above all scans), and
    the policies read the settings at the first row; the settings end with the statement.
    """
    settings = " AND ".join(
        f"set_config('{name}', ${place}::text, true) IS NOT NULL" for place, name in enumerate(WALL_SETTINGS, given + 1)
    )
    return f"SELECT q.* FROM ({text}) AS q WHERE (SELECT {settings})"  # noqa: S608  text of the project itself


def insert(
    table: sa.Table, rows: Sequence[Mapping[str, Any]], first: int, *, skip_repeated: bool
) -> tuple[str, list[Any]]:
    """The text that inserts rows, all with the same columns, and its arguments from $first on.

    One row travels as values, for JSON costs both sides several times as much; many travel together.
    """
    names = tuple(rows[0])
    if len(rows) == 1:
        return _insert(table, names, first, skip_repeated), list(rows[0].values())
    return _insert_many(table, names, first, skip_repeated), _together(table, names, rows)


def update(table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    """The text that sets columns of rows, each found by its `id`, and its arguments; all rows with the same columns."""
    names = tuple(rows[0])
    return _update(table, names), _together(table, names, rows)


@lru_cache(maxsize=512)
def _insert(table: sa.Table, names: tuple[str, ...], first: int, skip_repeated: bool) -> str:  # noqa: FBT001
    """INSERT … VALUES ($n::type, …)."""
    values = ", ".join(f"${place}::{_type(table, name)}" for place, name in enumerate(names, first))
    return f"INSERT INTO {_into(table, names)} VALUES ({values}){_TAILS[skip_repeated]}"  # noqa: S608  names are declared


@lru_cache(maxsize=512)
def _insert_many(table: sa.Table, names: tuple[str, ...], first: int, skip_repeated: bool) -> str:  # noqa: FBT001
    """INSERT … SELECT … FROM the rows that travel together."""
    picked = ", ".join(f'u."{name}"' for name in names)
    return f"INSERT INTO {_into(table, names)} SELECT {picked} FROM {_rows(table, names, first)}{_TAILS[skip_repeated]}"  # noqa: S608  names are declared


@lru_cache(maxsize=512)
def _update(table: sa.Table, names: tuple[str, ...]) -> str:
    """UPDATE … FROM the rows that travel together, by `id`."""
    sets = ", ".join(f'"{name}" = u."{name}"' for name in names if name != "id")
    return f'UPDATE "{table.name}" AS t SET {sets} FROM {_rows(table, names, 1)} WHERE t.id = u.id'  # noqa: S608  names are declared


_TAILS = {False: "", True: " ON CONFLICT DO NOTHING"}


def _into(table: sa.Table, names: tuple[str, ...]) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    return f'"{table.name}" ({columns})'


def _rows(table: sa.Table, names: tuple[str, ...], first: int) -> str:
    """The table `u` of the rows in `_together`, whose arguments begin at $first."""
    binary = [name for name in names if name in _binary(table)]
    plain = [name for name in names if name not in binary]
    columns = ", ".join(f'"{name}" {_type(table, name)}' for name in plain)
    arrays = "".join(f", unnest(${place}::BYTEA[])" for place, _ in enumerate(binary, first + 1))
    named = ", ".join(f'"{name}"' for name in (*plain, *binary))
    return f"ROWS FROM (json_to_recordset(${first}::json) AS ({columns}){arrays}) AS u({named})"


def _together(table: sa.Table, names: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Many rows as arguments: all in one JSON, and what JSON has no form for as an array a column.

    An array for every column took three times as long here, and not less at the server: its driver looks at each value twice.
    """
    binary = [[row[name] for row in rows] for name in names if name in _binary(table)]
    # A column's name is a kind of str, which orjson takes for no str.
    return [orjson.dumps(rows, default=_as_json, option=orjson.OPT_NON_STR_KEYS).decode(), *binary]


def _as_json(value: Any) -> Any:
    """What JSON has no form for as PostgreSQL reads it: exact decimals, spans of time, ids of another kind."""
    return None if isinstance(value, bytes) else str(value)


def _type(table: sa.Table, name: str) -> str:
    return table.c[name].type.compile(dialect=_dialect)


@lru_cache(maxsize=512)
def _binary(table: sa.Table) -> frozenset[str]:
    """The names of its columns of bytes."""
    return frozenset(column.name for column in table.c if isinstance(column.type, sa.LargeBinary))


def values_of(into: type[T], records: Sequence[asyncpg.Record]) -> list[T]:
    """Records as frozen values; what the database calls an array is a tuple, so that values stay frozen all through."""
    if not records:
        return []
    names = tuple(records[0].keys())
    rows: Iterable[Iterable[Any]] = records
    if arrays := {place for place, first in enumerate(records[0]) if _is_array(first, place, records)}:
        rows = (
            [tuple(value) if place in arrays and value is not None else value for place, value in enumerate(row)]
            for row in records
        )
    if names == names_of(into)[: len(names)]:
        return [into(*row) for row in rows]
    return [into(**dict(zip(names, row, strict=True))) for row in rows]


def _is_array(first: Any, place: int, records: Sequence[asyncpg.Record]) -> bool:
    """Whether a column holds arrays: by its first value, and where that is NULL by the others."""
    return isinstance(first, list) or (first is None and any(isinstance(record[place], list) for record in records))
