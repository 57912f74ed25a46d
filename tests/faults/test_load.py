"""The load ends, and says so, when the platform never takes what it is given."""

import asyncio

import pytest

from deploy.addresses import Address
from deploy.embedded import LOOPBACK, free_port
from deploy.story.cast import assemble
from deploy.story.cast import load as sample
from deploy.visitor import Visitor
from tests.faults import client
from tests.faults.load import HOSPITALS, Load
from tests.faults.progress import Progress


async def test_a_load_that_nobody_answers_gives_up_and_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "GIVES_UP_SECONDS", 0.2)
    nobody = Address(api=f"http://{LOOPBACK}:{free_port()}", ops="")
    stop = asyncio.Event()
    async with Visitor({"orders": nobody}, lambda *_: "token") as visitor:
        playing = Load(visitor, assemble(sample(), visitor), 1, Progress(1, 1))
        await playing.play(stop)
    assert stop.is_set()
    assert playing.answered.never_taken == ["orders/orders/bulk was never answered"] * HOSPITALS
