"""Frozen values: what does not change once it is made, such as a row of a table or what a rule decides.

The type checker lets nobody change one. Python is not asked to watch as well: a `__init__` that gets around its guard takes nine
times as long, and a call of 1,000 orders makes 10,000 values; `docs/decisions/request-path.md` tells what that is worth.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """A dataclass whose instances are equal, and hashed, by their fields, and are changed by `dataclasses.replace` only."""
    return dataclass(slots=True, unsafe_hash=True)(kind)


def names_of(kind: type) -> tuple[str, ...]:
    """The fields of a frozen value, in the order in which it takes them; what is made by name alone has none."""
    names: tuple[str, ...] = getattr(kind, "__match_args__", ())
    return names
