"""Every thing that has a life has its first deed, so that a life that was cut out of history whole is missed."""

from collections.abc import Callable

import asyncpg
import pytest

from deploy.deeds import LIVES, without_deeds
from deploy.services import load
from tests.access.worlds import World
from tests.house import House


@pytest.fixture(scope="module")
def url_of(house: House) -> Callable[[str], str]:
    return lambda name: house.url(load(name))


async def test_a_life_that_was_cut_out_whole_is_named(
    worlds: tuple[World, World], url_of: Callable[[str], str]
) -> None:
    assert worlds
    assert await without_deeds(url_of) == []
    cut = 0
    for service, tables in LIVES.items():
        owner = await asyncpg.connect(url_of(service))
        try:
            for table in tables:
                row = await owner.fetchrow(f'SELECT id::text AS id FROM "{table}" ORDER BY id LIMIT 1')
                if row is None:
                    continue
                await owner.execute("DELETE FROM history WHERE about = $1", row["id"])
                cut += 1
                assert f"{service}: history knows no deed of 1 {table}, {row['id']} first" in (
                    await without_deeds(url_of)
                )
        finally:
            await owner.close()
    assert cut >= len(LIVES)
