"""A fresh issuer for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.shared.identity.oidc import Oidc


@pytest.fixture
async def oidc() -> AsyncIterator[Oidc]:
    made = Oidc()
    await made.start()
    yield made
    await made.stop()
