"""The desk of these tests: the API, with the two products of the scenes listed and their boxes' codes known."""

from collections.abc import Callable

import httpx
import pytest

from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    IDENT,
    OTHER_IDENT,
    OTHER_MAKER,
    OTHER_PRODUCT,
    Desk,
    Line,
    listed,
)


@pytest.fixture
async def desk(client: httpx.AsyncClient, caller: Callable[..., dict[str, str]], worker: WorkerInHand) -> Desk:
    """Everybody at one desk; two products are listed and the codes of their boxes are known."""
    await worker.deliver(listed(), listed(OTHER_PRODUCT, OTHER_MAKER))
    made = Desk(client, caller)
    await made.codes(IDENT)
    await made.codes(OTHER_IDENT, OTHER_PRODUCT, who=OTHER_MAKER)
    return made


@pytest.fixture
async def line(desk: Desk, worker: WorkerInHand) -> Line:
    """Ten boxes, shipped and accepted."""
    made = Line(10)
    await worker.deliver(made.dispatched(), made.accepted())
    return made
