"""A short talk with each of the five services, the same every time; `make fuzz` talks for longer."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from deploy.services import NAMES, load
from shared.access import Access
from tests.access.worlds import World
from tests.fuzz.asking import asking_of
from tests.house import House

SEED = 20261122
EXAMPLES = 2
STORIES, STEPS = 2, 8
SHARED = sorted(set.intersection(*(set(Access.of(name).matrix) for name in NAMES)))
"""Operations that are the same code in all five: one service answers for them here."""


@pytest.mark.parametrize("name", NAMES)
async def test_whatever_is_asked_the_answer_is_one_that_openapi_names(
    name: str,
    house: House,
    world: World,
    _apps: Callable[[Any], Any],  # noqa: PT019  the app that commits
    token: Callable[..., str],
) -> None:
    asking = await asking_of(name, await _apps(load(name)), world, token, house)
    leave_out = SHARED if name != NAMES[0] else ()
    await asyncio.to_thread(asking.operations, EXAMPLES, SEED, leave_out)
    await asyncio.to_thread(asking.stories, STORIES, STEPS, SEED)
    assert sum(asking.asked.answers.values()) > 0
    assert not asking.asked.findings, "\n\n".join(
        f"{operation}: {fault}\n{words}" for (operation, fault), words in asking.asked.findings.items()
    )
