"""How many items one bulk call takes."""

from typing import Annotated, TypeVar

from pydantic import Field

T = TypeVar("T")

MOST_ITEMS = 1_000

Many = Annotated[list[T], Field(min_length=1, max_length=MOST_ITEMS)]
"""The items of a bulk call; each is answered at its place."""
