"""Every thing that has a life has its first deed, and every later deed says what it changed, from and to."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from deploy.deeds import LIVES, without_deeds
from deploy.services import load
from tests.access.worlds import World
from tests.house import House


@pytest.fixture(scope="module")
def url_of(house: House) -> Callable[[str], str]:
    return lambda name: house.url(load(name))


CHANGES_NOTHING = {
    "codes_refused": "codes that were refused leave the line as it is",
    "anomaly_found": "the anomaly is a thing of its own",
    "payment_failed": "of an order: what is paid of it stays",
    "contradicted": "an answer that does not fit changes nothing",
    "packed": "each adds what is in the packing",
}


async def test_every_deed_makes_a_thing_or_says_what_it_changed_from_and_to(
    worlds: tuple[World, World], url_of: Callable[[str], str]
) -> None:
    assert worlds
    told: set[tuple[str, str]] = set()
    for service in LIVES:
        owner = await asyncpg.connect(url_of(service))
        try:
            rows = await owner.fetch("SELECT about, action, operation, detail FROM history ORDER BY id")
        finally:
            await owner.close()
        first: dict[str, str] = {}
        for row in rows:
            about, action, detail = row["about"], row["action"], json.loads(row["detail"])
            if action not in (
                first.setdefault(about, action),
                *CHANGES_NOTHING,
            ):  # made once, told to each of its parties
                assert detail.get("changes"), f"{service}: {action} by {row['operation']}: {detail}"
                told.add((service, action))
            for name, pair in _pairs(detail.get("changes", {})):
                before, after = pair
                assert before != after, (service, action, name)
    assert len(told) > 25, sorted(told)


def _pairs(changes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What changed, by its name; of an order's lines by number and name."""
    for name, one in changes.items():
        yield from _pairs(one) if isinstance(one, dict) else [(name, one)]


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
