"""What the tests of the checker count in: empty books, and the five databases."""

from collections.abc import AsyncIterator, Callable

import pytest

from deploy.services import load
from tests.echo import echo
from tests.faults.books import Books, opened
from tests.faults.checker import SERVICES
from tests.house import House


@pytest.fixture
async def books(house: House) -> AsyncIterator[Books]:
    async with opened(house.url(echo)) as books:
        yield books


@pytest.fixture
async def houses(house: House) -> AsyncIterator[Callable[[str], str]]:
    """The five databases, by the names of their services, empty again afterwards."""
    services = {name: load(name) for name in SERVICES}
    yield lambda name: house.url(services[name])
    for service in services.values():
        await house.empty(service)
