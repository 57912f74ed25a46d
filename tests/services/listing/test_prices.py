"""Prices over HTTP: set by the authority, lowered by the maker, asked for and decided."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime

from shared.events.listing import ProductAnnounced, ProductListed, ProductPriceChanged
from tests.house import WorkerInHand
from tests.services.listing.people import AUTHORITY, HOSPITAL, MAKER, OTHER_AUTHORITY, OTHER_MAKER, Desk

Drive = Callable[[datetime], None]


async def traded(desk: Desk, worker: WorkerInHand, drive: Drive) -> str:
    drive(datetime(2026, 3, 2, 2, tzinfo=UTC))
    listing = await desk.listed()
    drive(datetime(2026, 3, 20, tzinfo=UTC))
    assert await worker.meet_deadlines() == 1
    return f"/listings/{listing['id']}"


def priced(yuan: str) -> dict[str, str]:
    return {"price_yuan": yuan, "reason": "联动"}


async def test_a_maker_lowers_at_once_and_asks_for_more(desk: Desk, worker: WorkerInHand, driven_clock: Drive) -> None:
    path = await traded(desk, worker, driven_clock)
    lower = (await desk.post(MAKER, f"{path}/price", priced("12.3399"))).json()
    assert (lower["price_yuan"], lower["wanted_price_yuan"]) == ("12.3399", None)
    higher = (await desk.post(MAKER, f"{path}/price", priced("12.34"))).json()
    assert (higher["price_yuan"], higher["wanted_price_yuan"]) == ("12.3399", "12.3400")
    timeline = (await desk.get(MAKER, f"{path}/timeline")).json()
    assert "12.3400" in timeline["next"][0]["what"]
    assert (await desk.post(MAKER, f"{path}/price/grant", {"reason": "x"})).status_code == 403
    assert (await desk.post(OTHER_AUTHORITY, f"{path}/price/grant", {"reason": "x"})).status_code == 403
    granted = (await desk.post(AUTHORITY, f"{path}/price/grant", {"reason": "依据充分"})).json()
    assert (granted["price_yuan"], granted["wanted_price_yuan"]) == ("12.3400", None)
    none_left = await desk.post(AUTHORITY, f"{path}/price/deny", {"reason": "x"})
    assert (none_left.status_code, none_left.json()["code"]) == (409, "no_price_asked")
    facts = [fact for fact in await worker.said() if hasattr(fact, "listing")]
    life = [ProductAnnounced, ProductListed, ProductPriceChanged, ProductPriceChanged]
    assert [type(fact) for fact in facts] == life


async def test_a_denied_price_leaves_the_old_one_and_nobody_hears_of_it(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    path = await traded(desk, worker, driven_clock)
    await desk.post(MAKER, f"{path}/price", priced("99"))
    denied = (await desk.post(AUTHORITY, f"{path}/price/deny", {"reason": "无依据"})).json()
    assert (denied["price_yuan"], denied["wanted_price_yuan"]) == ("12.3400", None)
    deeds = (await desk.get(MAKER, f"{path}/timeline")).json()["deeds"]
    assert [deed["action"] for deed in deeds[-2:]] == ["price_asked", "price_denied"]
    assert not [fact for fact in await worker.said() if isinstance(fact, ProductPriceChanged)]


async def test_the_same_price_changes_nothing_and_a_draft_has_none_to_change(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    path = await traded(desk, worker, driven_clock)
    same = await desk.post(AUTHORITY, f"{path}/price", priced("12.34"))
    assert same.json()["revision"] == (await desk.get(HOSPITAL, path)).json()["revision"]
    await desk.post(AUTHORITY, f"{path}/delist", {"reason_kind": "price", "reason": "x"})
    assert (await desk.post(AUTHORITY, f"{path}/price", priced("1"))).json()["code"] == "listing_not_open"
    assert (await desk.post(OTHER_MAKER, f"{path}/price", priced("1"))).status_code == 403


async def test_many_prices_at_once_and_two_at_once_make_no_gap(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    path = await traded(desk, worker, driven_clock)
    bulk = [{"listing_id": path[10:], **priced(str(yuan))} for yuan in (5, 4)]
    assert (await desk.post(MAKER, "/listings/prices", bulk)).json()["succeeded"] == 2
    await asyncio.gather(*(desk.post(AUTHORITY, f"{path}/price", priced(str(yuan))) for yuan in (1, 2, 3)))
    facts = [fact for fact in await worker.said() if isinstance(fact, ProductPriceChanged)]
    assert len(facts) == 5
    for before, after in itertools.pairwise(facts):
        assert after.previous_price_yuan == before.listing.price_yuan
    rows = await worker.database.pool.fetch("SELECT sequence FROM outbox WHERE subject = $1 ORDER BY id", path[10:])
    assert [row["sequence"] for row in rows] == list(range(1, 8))
