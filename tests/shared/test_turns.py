"""No organisation takes every connection: it waits in a queue of its own, and whoever has the fewest comes first."""

import asyncio

import pytest

from shared.errors import Unavailable
from shared.http.turns import OrganisationBusy, Turns
from shared.settings import Limits

NOISY, OTHER, QUIET = "H33010200059", "H33010200060", "H33010200061"


def turns(**limits: float) -> Turns:
    told = {"pool_connections": 4, "organisation_connections": 2, "pool_wait_seconds": 5} | limits
    return Turns(Limits(**told))  # type: ignore[arg-type]


class Desk:
    """Requests that hold their connection until the test lets them go."""

    def __init__(self, of: Turns) -> None:
        self.of = of
        self.connected: list[str] = []
        self.ends: list[asyncio.Event] = []

    def begin(self, organisation: str) -> "asyncio.Task[None]":
        async def request() -> None:
            with self.of.under_way(organisation):
                async with self.of.connection(organisation):
                    self.connected.append(organisation)
                    end = asyncio.Event()
                    self.ends.append(end)
                    await end.wait()

        return asyncio.create_task(request())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def finish(desk: Desk, *tasks: "asyncio.Task[None]") -> None:
    while not all(task.done() for task in tasks):
        for end in desk.ends:
            end.set()
        await settle()
    await asyncio.gather(*tasks)


async def test_a_quiet_organisation_finds_a_connection_while_a_noisy_one_waits() -> None:
    desk = Desk(turns())
    noisy = [desk.begin(NOISY) for _ in range(50)]
    await settle()
    assert desk.connected == [NOISY] * 3, "alone it may hold all but one"
    quiet = desk.begin(QUIET)
    await settle()
    assert desk.connected == [NOISY, NOISY, NOISY, QUIET]
    for end in desk.ends[:3]:
        end.set()
    await settle()
    assert desk.connected == [NOISY, NOISY, NOISY, QUIET, NOISY, NOISY], "in company it holds two"
    await finish(desk, quiet, *noisy)
    assert len(desk.connected) == 51


async def test_a_connection_that_comes_free_goes_to_who_has_the_fewest() -> None:
    desk = Desk(turns(pool_connections=2))
    noisy = [desk.begin(NOISY) for _ in range(10)]
    other = desk.begin(OTHER)
    await settle()
    quiet = desk.begin(QUIET)
    await settle()
    assert desk.connected == [NOISY, OTHER]
    desk.ends[1].set()
    await settle()
    assert desk.connected == [NOISY, OTHER, QUIET]
    await finish(desk, quiet, other, *noisy)


async def test_one_s_own_requests_come_in_the_order_they_were_sent() -> None:
    of = turns(pool_connections=1)
    order: list[int] = []

    async def request(number: int) -> None:
        with of.under_way(NOISY):
            async with of.connection(NOISY):
                await asyncio.sleep(0)
                order.append(number)

    await asyncio.gather(*map(request, range(20)))
    assert order == list(range(20))


@pytest.mark.parametrize("granted", [False, True])
async def test_who_leaves_while_it_waits_takes_no_connection_along(granted: bool) -> None:
    desk = Desk(turns(pool_connections=1))
    first, leaver = desk.begin(NOISY), desk.begin(NOISY)
    await settle()
    if granted:
        desk.ends[0].set()
        while not first.done():  # noqa: ASYNC110  the moment between two steps is what is tried
            await asyncio.sleep(0)
    leaver.cancel()
    last = desk.begin(QUIET)
    desk.ends[0].set()
    await settle()
    assert leaver.cancelled()
    await finish(desk, first, last)
    assert desk.connected[-1] == QUIET


async def test_who_waits_too_long_is_told_to_come_again_and_leaves_the_queue() -> None:
    desk = Desk(turns(pool_connections=1, pool_wait_seconds=0.05))
    first, second = desk.begin(NOISY), desk.begin(NOISY)
    with pytest.raises(Unavailable) as late:
        await second
    assert late.value.headers["Retry-After"] == "2"
    third = desk.begin(QUIET)
    await finish(desk, first, third)
    assert desk.connected == [NOISY, QUIET]


async def test_of_more_requests_of_one_organisation_than_the_limit_the_last_are_refused() -> None:
    desk = Desk(turns(organisation_requests=3))
    going = [desk.begin(NOISY) for _ in range(3)]
    await settle()
    with pytest.raises(OrganisationBusy, match="has 3 requests") as refused:
        await desk.begin(NOISY)
    assert refused.value.headers["Retry-After"] == "1"
    quiet = desk.begin(QUIET)
    await finish(desk, quiet, *going)
    again = desk.begin(NOISY)
    await finish(desk, again)


async def test_turns_taken_and_left_in_any_order_leave_every_connection_free() -> None:
    for seed in range(20):
        of = turns(pool_connections=3, organisation_connections=2)
        held = most = 0

        async def request(number: int, of: Turns = of) -> None:
            nonlocal held, most
            with of.under_way(organisation := (NOISY, OTHER, QUIET)[number % 3]):
                async with of.connection(organisation):
                    held += 1
                    most = max(most, held)
                    try:
                        for _ in range(number * 7 % 5):
                            await asyncio.sleep(0)
                    finally:
                        held -= 1

        going = [asyncio.create_task(request(number)) for number in range(40)]
        for turn in range(30):
            await asyncio.sleep(0)
            going[(turn * 11 + seed) % 40].cancel()
        await asyncio.gather(*going, return_exceptions=True)
        assert (held, most) == (0, 3)
        desk = Desk(of)
        after = [desk.begin(one) for one in (NOISY, NOISY, QUIET)]
        await settle()
        assert len(desk.connected) == 3
        await finish(desk, *after)
