"""Frozen values: what does not change once it is made, such as a row of a table or what a rule decides.

The type checker lets nobody change one. Python is not asked to watch as well: a `__init__` that gets around its guard takes nine
times as long, and a call of 1,000 orders makes 10,000 values; `docs/decisions/request-path.md` tells what that is worth.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

import asyncpg

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """A dataclass whose instances are equal, and hashed, by their fields, and are changed by `dataclasses.replace` only."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


def names_of(kind: type) -> tuple[str, ...]:
    """The fields of a frozen value, in the order in which it takes them; what is made by name alone has none."""
    names: tuple[str, ...] = getattr(kind, "__match_args__", ())
    return names


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
