"""Bulk calls: one answer per item, each as if the item had come alone; a refused item changes nothing for the others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.errors import ServiceError
from shared.http.problems import problem_of
from shared.http.schemas import BulkAnswer, ItemAnswer

R = TypeVar("R")
V = TypeVar("V")


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
            problem = problem_of(outcome).model_dump(exclude_none=True)
            items.append(ItemAnswer(index=index, status=outcome.status, problem=problem))
        else:
            items.append(ItemAnswer(index=index, status=success, item=show(outcome)))
    refused = sum(item.problem is not None for item in items)
    return BulkAnswer(succeeded=len(items) - refused, refused=refused, items=items)
