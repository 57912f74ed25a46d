"""Bulk calls: one answer per item, each as if the item had come alone; a refused item changes nothing for the others.

An item of the wrong form is refused at its place too, with pointers that begin at the item. Only what is wrong with the
list itself (no list, empty, too long) refuses the call.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from shared.errors import ServiceError
from shared.http.invalid import InvalidRequest
from shared.http.problems import problem_of
from shared.http.schemas import BulkAnswer, ItemAnswer

T = TypeVar("T")
R = TypeVar("R")
V = TypeVar("V")

MOST_ITEMS = 1_000
RETRY_AFTER = "Retry-After"
"""A header of a refusal; an item has no headers of its own, so its problem says it."""


class Items(Generic[T]):
    """The items of a bulk call as they were sent; OpenAPI shows a list of T, 1 to MOST_ITEMS of them."""

    def __init__(self, read: Sequence[T | ServiceError]) -> None:
        self._read = read  # in the order sent: the item, or why it is none

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (item,) = get_args(source)
        whole = handler.generate_schema(Annotated[list[item], Field(min_length=1, max_length=MOST_ITEMS)])  # type: ignore[valid-type]
        return core_schema.no_info_wrap_validator_function(cls._of, whole)

    @classmethod
    def _of(cls, given: Any, check: Callable[[Any], list[T]]) -> "Items[T]":
        """All at once, and one by one only when something is wrong; raises what is wrong with the list itself."""
        try:
            return cls(check(given))
        except ValidationError:
            if not isinstance(given, list) or not 1 <= len(given) <= MOST_ITEMS:
                raise
        return cls([_alone(one, check) for one in given])

    async def each(self, act: Callable[[list[T]], Awaitable[Sequence[R | ServiceError]]]) -> list[R | ServiceError]:
        """What became of each item in the order sent: `act` takes those that could be read, all in one call."""
        good = [one for one in self._read if not isinstance(one, ServiceError)]
        outcomes = iter(await act(good) if good else ())
        return [one if isinstance(one, ServiceError) else next(outcomes) for one in self._read]


def _alone(given: Any, check: Callable[[Any], list[Any]]) -> Any:
    """The item, or its refusal."""
    try:
        (item,) = check([given])
    except ValidationError as error:
        return InvalidRequest.of([{**found, "loc": ("body", *found["loc"][1:])} for found in error.errors()])
    return item


def only(outcomes: Sequence[R | ServiceError]) -> R:
    """The outcome of a call of one item; raises its refusal."""
    (outcome,) = outcomes
    if isinstance(outcome, ServiceError):
        raise outcome
    return outcome


def answers(outcomes: Sequence[R | ServiceError], show: Callable[[R], V], success: int = 200) -> BulkAnswer[V]:
    """Shows what became of each item, in the order sent."""
    items: list[ItemAnswer[V]] = []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, ServiceError):
            problem = problem_of(outcome).model_dump()
            if RETRY_AFTER in outcome.headers:
                problem["retry_after_seconds"] = int(outcome.headers[RETRY_AFTER])
            items.append(ItemAnswer(index=index, status=outcome.status, problem=problem))
        else:
            items.append(ItemAnswer(index=index, status=success, item=show(outcome)))
    refused = sum(item.problem is not None for item in items)
    return BulkAnswer(succeeded=len(items) - refused, refused=refused, items=items)
