"""Connections kept at hand: used again at once, never when they were lost, and never all that there are."""

import asyncio

import asyncpg
import pytest

from shared import telemetry
from shared.db import Database
from shared.faults import TRANSIENT, cause_of
from shared.policy import Policy
from shared.sessions import AtHand, _connect, _is_idle
from shared.settings import Limits
from tests.house import House
from tests.toy import toy


async def database(house: House, **limits: int) -> Database:
    return await Database.open(house.url(toy), policy=Policy([]), limits=Limits(**limits))


async def backend(of: Database) -> int:
    async with of.transaction() as tx:
        return int((await tx.sql("SELECT pg_backend_pid() AS pid"))[0]["pid"])


async def test_the_next_one_has_the_connection_of_the_last(house: House) -> None:
    here = await database(house)
    assert await backend(here) == await backend(here)
    assert here.pool.get_idle_size() == 0  # it waits at hand, not in the pool
    await here.close()


async def test_a_connection_that_is_made_in_the_moment_in_which_it_is_given_up_is_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, made = asyncpg.connect, []

    async def made_too_late(url: str) -> asyncpg.Connection:
        made.append(await connect(url))
        asyncio.get_running_loop().call_soon(waiting.cancel)
        return made[0]

    monkeypatch.setattr(asyncpg, "connect", made_too_late)
    waiting = asyncio.create_task(_connect(house.url(toy)))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)  # what is done when a task has ended is done in the next turn
    assert made[0].is_closed()


async def test_a_connection_that_was_lost_meanwhile_is_not_used_again(house: House) -> None:
    here = await database(house)
    lost = await backend(here)
    other = await asyncpg.connect(house.url(toy))
    await other.fetch("SELECT pg_terminate_backend($1, 5000)", lost)
    await other.close()
    while _is_idle(here._at_hand._kept[0]):  # noqa: ASYNC110  until this process has heard of it
        await asyncio.sleep(0.01)
    assert await backend(here) != lost
    await here.close()


async def test_of_a_connection_that_was_lost_in_hand_the_loss_is_told_and_not_what_the_pool_makes_of_it(
    house: House,
) -> None:
    here = await database(house)
    async with here.pool.acquire() as lost:
        other = await asyncpg.connect(house.url(toy))
        await other.fetch("SELECT pg_terminate_backend($1, 5000)", lost.get_server_pid())
        await other.close()
        while _is_idle(lost):  # noqa: ASYNC110  until this process has heard of it
            await asyncio.sleep(0.01)
        with pytest.raises(asyncpg.InterfaceError, match="released back to the pool") as complaint:
            await lost.execute("SELECT 1")
    assert cause_of(complaint.value) == "the connection to the database was lost while nothing was asked of it"
    await here.close()


async def test_what_a_connection_says_belongs_to_no_request_for_which_it_was_made(house: House) -> None:
    here = await database(house)
    heard: list[str | None] = []

    def hear(*_: object) -> None:
        heard.append(telemetry.request_id.get())

    await here.pool.expire_connections()  # so that the next is made for whoever asks
    with telemetry.belonging_to("made", None):
        async with here.pool.acquire() as connection:
            connection.add_log_listener(hear)
            await connection.execute("DO $$ BEGIN RAISE WARNING 'later'; END $$")
            await asyncio.sleep(0)
            connection.remove_log_listener(hear)
    assert heard == [None]
    await here.close()


async def test_while_a_database_refuses_the_pool_does_not_try_by_itself(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    here = await database(house)
    name = await here.pool.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(house.url(toy).replace(f"/{name}", "/postgres"))
    try:
        await owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await owner.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'jicai'",
            name,
        )
        while here.pool.get_size():  # noqa: ASYNC110  until this process has heard of it
            await asyncio.sleep(0.01)
        with pytest.raises((*TRANSIENT, asyncpg.PostgresError)):
            await here.pool.acquire(timeout=5)
        await asyncio.sleep(0.2)
    finally:
        await owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await owner.close()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("asyncpg")] == []
    await here.close()


async def test_more_than_are_kept_go_back_to_the_pool(house: House) -> None:
    here = await database(house, pool_connections=5)
    once = asyncio.Barrier(5)

    async def meet() -> None:
        async with here.transaction() as tx:
            await tx.sql("SELECT 1")
            await once.wait()

    await asyncio.gather(*(meet() for _ in range(5)))
    assert here.pool.get_idle_size() == 5 - AtHand.KEPT
    await here.close()


async def test_the_only_connection_stays_in_the_pool_for_who_asks_whether_it_answers(house: House) -> None:
    here = await database(house, pool_connections=1)
    await backend(here)
    async with asyncio.timeout(5):
        assert await here.trouble() is None
    await here.close()


async def test_who_closes_waits_for_a_connection_in_use_and_no_longer(house: House) -> None:
    here = await database(house)
    begun = asyncio.Event()

    async def meanwhile() -> None:
        async with here.transaction() as tx:
            begun.set()
            await tx.sql("SELECT pg_sleep(0.3)")

    using = asyncio.create_task(meanwhile())
    await begun.wait()
    async with asyncio.timeout(20):
        await here.close()
    await using


async def test_what_a_failed_transaction_leaves_is_clean(house: House) -> None:
    here = await database(house)
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with here.transaction() as tx:
            await tx.sql("SELECT 1 / 0")
    assert await backend(here) == await backend(here)
    await here.close()
