"""The five apps with a world behind them, so that questions meet rows and not only emptiness."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from deploy.services import load_all
from deploy.story.cast import load
from shared import clock
from tests.access.worlds import World, play
from tests.house import House


@pytest.fixture(scope="module")
async def world(house: House, _apps: Callable[[Any], Any], token: Callable[..., str]) -> AsyncIterator[World]:
    """One story, played to its end in the five databases."""
    clock.release()
    clock.allow_driving(True)
    (played,) = await play(house, {one.name: await _apps(one) for one in load_all()}, token, [load()])
    yield played
    clock.release()
    for service in load_all():
        await house.empty(service)
