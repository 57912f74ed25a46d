"""Statements as the text and the arguments that asyncpg takes; no text holds a value, so that each is prepared once."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

WALL_SETTINGS = ("app.reach", "app.org", "app.region")
"""What the policies of row-level security read (`shared/migrations/walls.py`); they last as long as a transaction."""

SHAPES = 1_000
"""Shapes of statements remembered at most; the longest known is forgotten first."""

_dialect = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]
_compiled: WeakKeyDictionary[sa.Executable, "Compiled"] = WeakKeyDictionary()
_shapes: dict[Any, tuple["Compiled", tuple[str, ...]]] = {}


@dataclasses.dataclass(frozen=True, slots=True)
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


def _array_literal(values: Iterable[str] | None) -> str | None:
    if values is None:
        return None
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


def insert(
    table: sa.Table, rows: Sequence[Mapping[str, Any]], first: int, *, skip_repeated: bool
) -> tuple[str, list[Any]]:
    """The text that inserts rows, all with the same columns, and its arguments from $first on.

    One row travels as values, for an array a column costs both sides several times as much; many travel as arrays.
    """
    names = tuple(rows[0])
    if len(rows) == 1:
        return _insert(table, names, first, skip_repeated), list(rows[0].values())
    return _insert_many(table, names, first, skip_repeated), columns(table, names, rows)


@lru_cache(maxsize=512)
def _insert(table: sa.Table, names: tuple[str, ...], first: int, skip_repeated: bool) -> str:  # noqa: FBT001
    """INSERT … VALUES ($n::type, …)."""
    values = ", ".join(
        f"${place}::{table.c[name].type.compile(dialect=_dialect)}" for place, name in enumerate(names, first)
    )
    return f"INSERT INTO {_into(table, names)} VALUES ({values}){_TAILS[skip_repeated]}"  # noqa: S608  names are declared


@lru_cache(maxsize=512)
def _insert_many(table: sa.Table, names: tuple[str, ...], first: int, skip_repeated: bool) -> str:  # noqa: FBT001
    """INSERT … SELECT … FROM unnest($n::type[], …); array columns travel as text, for unnest flattens."""
    kinds = [table.c[name].type for name in names]
    shown = [kind.compile(dialect=_dialect) for kind in kinds]
    carried = ["TEXT" if isinstance(kind, sa.ARRAY) else text for kind, text in zip(kinds, shown, strict=True)]
    arrays = ", ".join(f"${first + place}::{text}[]" for place, text in enumerate(carried))
    picked = ", ".join(
        f'u."{name}"::{text}' if isinstance(kind, sa.ARRAY) else f'u."{name}"'
        for name, kind, text in zip(names, kinds, shown, strict=True)
    )
    columns = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {_into(table, names)} SELECT {picked} FROM unnest({arrays}) AS u({columns}){_TAILS[skip_repeated]}"  # noqa: S608  names are declared


_TAILS = {False: "", True: " ON CONFLICT DO NOTHING"}


def _into(table: sa.Table, names: tuple[str, ...]) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    return f'"{table.name}" ({columns})'


@lru_cache(maxsize=512)
def update(table: sa.Table, names: tuple[str, ...]) -> str:
    """UPDATE … FROM unnest($n::type[], …) by `id`; array columns travel as text, as in `_insert_many`."""
    kinds = {name: table.c[name].type for name in names}
    shown = {name: kind.compile(dialect=_dialect) for name, kind in kinds.items()}
    arrays = ", ".join(
        f"${place}::{'TEXT' if isinstance(kinds[name], sa.ARRAY) else shown[name]}[]"
        for place, name in enumerate(names, 1)
    )
    sets = ", ".join(f'"{name}" = u."{name}"::{shown[name]}' for name in names if name != "id")
    columns = ", ".join(f'"{name}"' for name in names)
    return f'UPDATE "{table.name}" AS t SET {sets} FROM unnest({arrays}) AS u({columns}) WHERE t.id = u.id'  # noqa: S608  names are declared


def columns(table: sa.Table, names: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """What many rows are inserted or updated with: one array a column."""
    lists = _lists(table)
    return [
        [_array_literal(row[name]) for row in rows] if name in lists else [row[name] for row in rows] for name in names
    ]


@lru_cache(maxsize=512)
def _lists(table: sa.Table) -> frozenset[str]:
    """The names of its array columns."""
    return frozenset(column.name for column in table.c if isinstance(column.type, sa.ARRAY))
