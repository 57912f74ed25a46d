"""Two who edit one listing or relation: revising demands the version that was read, other steps heed it when it is said."""

import asyncio
from typing import Any

import pytest

from tests.services.listing.people import AUTHORITY, DISTRIBUTOR, MAKER, PRODUCT, Desk
from tests.services.listing.test_distributions import proposed
from tests.services.listing.test_listings import PROPOSAL

TERMS = {"price_yuan": "11.5", "category": "direct", "valid_from": "2026-01-01"}
WHY = {"reason": "价格有误"}
STEPS: list[tuple[str, tuple[str, str, str], Any]] = [
    ("submit", MAKER, None),
    ("withdraw", MAKER, WHY),
    ("accept", AUTHORITY, None),
    ("return", AUTHORITY, WHY),
    ("reject", AUTHORITY, WHY),
    ("suspend", AUTHORITY, WHY | {"reason_kind": "quality"}),
    ("resume", AUTHORITY, WHY),
    ("delist", AUTHORITY, WHY | {"reason_kind": "authority_order"}),
    ("price", MAKER, WHY | {"price_yuan": "10"}),
    ("price/grant", AUTHORITY, WHY),
    ("price/deny", AUTHORITY, WHY),
]
WALKED = {"submit", "accept", "return", "reject"}
"""What an application goes through; the others are refused by its state."""


async def submitted(desk: Desk) -> tuple[str, str]:
    """A submitted listing, its path and its entity tag."""
    await desk.enterprises()
    await desk.post(MAKER, "/products", PRODUCT)
    made = await desk.post(MAKER, "/listings", PROPOSAL)
    path = f"/listings/{made.json()['id']}"
    return path, (await desk.post(MAKER, f"{path}/submit")).headers["etag"]


async def answered(desk: Desk, who: tuple[str, str, str], path: str, body: Any, tag: str | None) -> int:
    headers = desk.caller(*who) | ({} if tag is None else {"if-match": tag})
    return (await desk.client.post(path, json=body, headers=headers)).status_code


@pytest.mark.parametrize(("step", "who", "body"), STEPS, ids=[step for step, _, _ in STEPS])
async def test_a_step_heeds_the_version_that_is_said(
    desk: Desk, step: str, who: tuple[str, str, str], body: Any
) -> None:
    path, tag = await submitted(desk)
    assert await answered(desk, who, f"{path}/{step}", body, '"1"') == 412
    assert (await desk.get(MAKER, path)).headers["etag"] == tag
    fresh = await answered(desk, who, f"{path}/{step}", body, tag)
    assert fresh not in (412, 428, 422)
    assert (fresh == 200) == (step in WALKED - {"submit"} | {"withdraw"})


async def test_a_step_without_a_version_is_guarded_by_the_state_alone(desk: Desk) -> None:
    path, _ = await submitted(desk)
    assert await answered(desk, AUTHORITY, f"{path}/accept", None, None) == 200
    assert await answered(desk, AUTHORITY, f"{path}/accept", None, None) == 409


async def test_two_who_revise_one_draft_at_once_lose_nothing(desk: Desk) -> None:
    path, tag = await submitted(desk)
    returned = await desk.post(AUTHORITY, f"{path}/return", WHY)
    assert (await desk.put(MAKER, path, TERMS)).status_code == 428
    assert (await desk.put(MAKER, path, TERMS, **{"if-match": tag})).status_code == 412
    match = {"if-match": returned.headers["etag"]}
    answers = await asyncio.gather(
        *(desk.put(MAKER, path, TERMS | {"price_yuan": f"11.{number}"}, **match) for number in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]


@pytest.mark.parametrize(("step", "body"), [("accept", None), ("reject", WHY), ("end", WHY)])
async def test_a_step_with_a_relation_heeds_the_version_that_is_said(desk: Desk, step: str, body: Any) -> None:
    path = await proposed(desk)
    tag = (await desk.get(DISTRIBUTOR, path)).headers["etag"]
    assert await answered(desk, DISTRIBUTOR, f"{path}/{step}", body, '"7"') == 412
    assert await answered(desk, DISTRIBUTOR, f"{path}/{step}", body, tag) == 200
