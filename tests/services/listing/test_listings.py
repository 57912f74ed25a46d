"""Listings over HTTP: drafted, reviewed, noticed, listed by themselves, suspended, delisted, found."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.events.listing import ProductDelisted, ProductListed, ProductResumed, ProductSuspended
from tests.house import WorkerInHand
from tests.services.listing.people import (
    AUTHORITY,
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    OTHER_AUTHORITY,
    OTHER_MAKER,
    PRODUCT,
    TERMS,
    Desk,
    product_code,
)

Drive = Callable[[datetime], None]
PROPOSAL = {"product_code": PRODUCT["code"], **TERMS}


async def draft(desk: Desk) -> dict[str, object]:
    await desk.enterprises()
    made = await desk.post(MAKER, "/products", PRODUCT)
    assert made.status_code == 201, made.text
    made = await desk.post(MAKER, "/listings", PROPOSAL)
    assert made.status_code == 201, made.text
    shown: dict[str, object] = made.json()
    return shown


async def test_a_draft_becomes_listed_by_itself_when_its_public_notice_is_over(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    driven_clock(datetime(2026, 3, 2, 2, tzinfo=UTC))  # a Monday in Shanghai
    listing = await draft(desk)
    path = f"/listings/{listing['id']}"
    assert (await desk.post(MAKER, f"{path}/submit")).json()["state"] == "submitted"
    noticed = (await desk.post(AUTHORITY, f"{path}/accept")).json()
    assert (noticed["state"], noticed["notice_until"]) == ("public_notice", "2026-03-09")
    assert await worker.meet_deadlines() == 0
    driven_clock(datetime(2026, 3, 9, 15, 59, tzinfo=UTC))
    assert await worker.meet_deadlines() == 0
    driven_clock(datetime(2026, 3, 9, 16, 0, tzinfo=UTC))
    assert await worker.meet_deadlines() == 1
    assert (await desk.get(HOSPITAL, path)).json()["state"] == "listed"
    (said,) = [fact for fact in await worker.said() if isinstance(fact, ProductListed)]
    assert str(said.listing.price_yuan) == "12.3400"
    timeline = (await desk.get(MAKER, f"{path}/timeline")).json()
    assert [deed["action"] for deed in timeline["deeds"]] == ["proposed", "submit", "accept", "listed"]


async def test_catalogue_lists_and_the_same_item_twice_changes_nothing(desk: Desk, worker: WorkerInHand) -> None:
    first = await desk.listed()
    again = (await desk.put(AUTHORITY, "/catalogue", [{**PRODUCT, **TERMS}])).json()["items"][0]["item"]
    assert again == first
