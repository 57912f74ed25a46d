"""The desk that listing's tests talk to."""

from collections.abc import Callable

import httpx
import pytest

from tests.services.listing.people import Desk


@pytest.fixture
def desk(client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]) -> Desk:
    return Desk(client, caller)
