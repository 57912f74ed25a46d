"""The platform's story, told once and run against one process and against ten: it ends the same."""

import asyncio
import signal
from collections.abc import Callable
from decimal import Decimal

import httpx
import psutil
import pytest

from deploy import story
from deploy.chain import inspect
from deploy.environment import database_name
from deploy.postgres import server_url
from deploy.story import Told
from tests.journeys.conftest import Running

EXPECTED = Told(
    ordered_yuan=Decimal("4151.00"),
    accepted_lines=4,
    payables=4,
    receipts=4,
    released_yuan=Decimal("3608.04"),
    paid_yuan=Decimal("3608.04"),
    ledger_sum_yuan=Decimal("0.00"),
    differences=(),
    line_states=("closed", "fulfilled", "fulfilled"),
    refusals=("order_refused", "mismatch", "same_person"),
    alert="resolved",
    problem="closed",
)
POSTGRESQL_IS_BACK = "PostgreSQL has ended by itself; it is started again.\nPostgreSQL answers again"


def url_of(running: Running) -> Callable[[str], str]:
    """The owner's URLs of the databases of a running platform."""
    server = server_url(running.folder)
    return lambda service: f"{server}/{database_name(service)}"


@pytest.mark.parametrize("command", ["run", "up"])
async def test_the_story_ends_the_same_in_one_process_and_in_ten(start: Callable[..., Running], command: str) -> None:
    running = start(command, "--no-story")
    told = await story.tell(running.addresses, running.token_for)
    assert told == EXPECTED
    chain = await inspect(url_of(running))
    assert chain.accepted == EXPECTED.accepted_lines
    assert chain.whole, chain
    assert running.end(signal.SIGTERM) == 0


async def test_a_postgresql_that_dies_is_started_again_and_the_console_says_so(start: Callable[..., Running]) -> None:
    running = start("run", "--no-story")
    await _kill_postgresql(running)
    assert running.end(signal.SIGTERM) == 0
    assert POSTGRESQL_IS_BACK in running.farewell


async def test_servers_that_are_killed_under_ten_processes_are_started_again_and_the_story_goes_on(
    start: Callable[..., Running],
) -> None:
    running = start("up", "--no-story")
    await _kill_postgresql(running)
    telling = asyncio.create_task(story.tell(running.addresses, running.token_for))
    await _until_accepted(running, telling)
    (broker,) = (one for one in psutil.Process(running.child.pid).children() if "kafka.Kafka" in one.cmdline())
    broker.kill()
    assert await telling == EXPECTED
    assert (await inspect(url_of(running))).whole
    assert running.end(signal.SIGTERM) == 0
    assert POSTGRESQL_IS_BACK in running.farewell
    assert "Kafka has ended by itself; it is started again.\nKafka answers again" in running.farewell


async def _kill_postgresql(running: Running) -> None:
    """Ends it at once, and returns when orders answers again."""
    postmaster = int((running.folder / "postgres" / "postmaster.pid").read_text().partition("\n")[0])
    psutil.Process(postmaster).kill()
    api = running.addresses["orders"].api
    token = running.token_for("hospital", "H33010200059", "330102")
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client, asyncio.timeout(120):

        async def answers() -> bool:
            headers = {"authorization": f"Bearer {token}"}
            return (await client.get(f"{api}/orders", headers=headers)).status_code == 200

        while psutil.pid_exists(postmaster) or not await answers():  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def _until_accepted(running: Running, telling: asyncio.Task[Told]) -> None:
    """Waits for the middle of the story: a delivery is accepted, and nothing that follows from it is done for certain."""
    async with asyncio.timeout(120):
        while (await inspect(url_of(running))).accepted == 0 and not telling.done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_the_first_start_tells_the_story_and_the_second_keeps_what_came_of_it(
    start: Callable[..., Running],
) -> None:
    first = start("run")
    assert "In sum: 4 accepted lines = 4 payables = 4 receipts" in first.said
    assert first.said.splitlines()[-1].startswith("ready: http://127.0.0.1:")
    assert first.end(signal.SIGINT) == 0
    second = start("run")
    assert len(second.said.splitlines()) == 1
    assert (await inspect(url_of(second))).accepted == EXPECTED.accepted_lines


async def test_killed_in_the_middle_the_story_can_be_told_on_and_the_sums_hold(start: Callable[..., Running]) -> None:
    first = start("run", "--no-story")
    telling = asyncio.create_task(story.tell(first.addresses, first.token_for))
    await _until_accepted(first, telling)
    first.end(signal.SIGKILL)
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    second = start("run", "--no-story")
    await _quiet(second)
    chain = await inspect(url_of(second))
    assert chain.accepted > 0
    assert chain.whole, chain


async def _quiet(running: Running) -> None:
    async with story.Visitor(running.addresses, running.token_for) as visitor:
        await visitor.until_quiet()
