"""Listings over HTTP: drafted, reviewed, noticed, listed by themselves, suspended, delisted, found."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.events.listing import (
    ProductAnnounced,
    ProductDelisted,
    ProductListed,
    ProductResumed,
    ProductRetracted,
    ProductSuspended,
)
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
    announced, listed = [fact for fact in await worker.said() if isinstance(fact, ProductAnnounced | ProductListed)]
    assert (type(announced), str(announced.notice_until)) == (ProductAnnounced, "2026-03-09")
    assert (type(listed), str(listed.listing.price_yuan)) == (ProductListed, "12.3400")
    timeline = (await desk.get(MAKER, f"{path}/timeline")).json()
    assert [deed["action"] for deed in timeline["deeds"]] == ["proposed", "submitted", "accepted", "listed"]


async def test_catalogue_lists_and_the_same_item_twice_changes_nothing(desk: Desk, worker: WorkerInHand) -> None:
    first = await desk.listed()
    again = (await desk.put(AUTHORITY, "/catalogue", [{**PRODUCT, **TERMS}])).json()["items"][0]["item"]
    assert again == first


async def test_only_the_parties_and_the_authority_see_a_draft_and_to_others_it_is_not_there(desk: Desk) -> None:
    listing = await draft(desk)
    path = f"/listings/{listing['id']}"
    for who in (MAKER, AUTHORITY):
        assert (await desk.get(who, path)).status_code == 200
    for who in (HOSPITAL, DISTRIBUTOR, OTHER_MAKER, OTHER_AUTHORITY):
        assert (await desk.get(who, path)).status_code == 404
        assert (await desk.get(who, "/listings")).json()["items"] == []
        assert (await desk.get(who, "/changes")).json()["items"] == []
    for who, step in ((OTHER_MAKER, "submit"), (OTHER_AUTHORITY, "accept")):
        assert (await desk.post(who, f"{path}/{step}")).status_code == 404


async def test_a_returned_draft_is_revised_under_its_etag_and_submitted_again(desk: Desk) -> None:
    listing = await draft(desk)
    path = f"/listings/{listing['id']}"
    await desk.post(MAKER, f"{path}/submit")
    returned = await desk.post(AUTHORITY, f"{path}/return", {"reason": "第三省价格缺失"})
    assert (returned.json()["state"], returned.json()["reason"]) == ("returned", "第三省价格缺失")
    timeline = (await desk.get(MAKER, f"{path}/timeline")).json()
    assert timeline["next"][0]["who"]["role"] == "manufacturer"
    assert "第三省价格缺失" in timeline["next"][0]["what"]
    terms = {"price_yuan": "11.5", "category": "direct", "valid_from": "2026-01-01"}
    assert (await desk.put(MAKER, path, terms)).status_code == 428
    assert (await desk.put(MAKER, path, terms, **{"if-match": '"1"'})).status_code == 412
    revised = await desk.put(MAKER, path, terms, **{"if-match": returned.headers["etag"]})
    assert (revised.status_code, revised.json()["price_yuan"]) == (200, "11.5000")
    assert (await desk.post(MAKER, f"{path}/submit")).json()["state"] == "submitted"
    assert (await desk.put(MAKER, path, terms, **{"if-match": "*"})).json()["code"] == "listing_not_open"


async def test_an_objection_ends_a_public_notice_and_the_deadline_then_does_nothing(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    driven_clock(datetime(2026, 3, 2, 2, tzinfo=UTC))
    listing = await desk.listed()
    assert listing["state"] == "public_notice"
    path = f"/listings/{listing['id']}"
    rejected = await desk.post(AUTHORITY, f"{path}/reject", {"reason": "异议成立"})
    assert rejected.json()["state"] == "rejected"
    driven_clock(datetime(2026, 3, 20, tzinfo=UTC))
    await worker.meet_deadlines()
    assert (await desk.get(AUTHORITY, path)).json()["state"] == "rejected"
    facts = [fact for fact in await worker.said() if hasattr(fact, "listing")]
    assert [type(fact) for fact in facts] == [ProductAnnounced, ProductRetracted]


async def test_what_is_no_public_matter_is_not_said(desk: Desk, worker: WorkerInHand) -> None:
    path = f"/listings/{(await draft(desk))['id']}"
    await desk.post(MAKER, f"{path}/submit")
    await desk.post(AUTHORITY, f"{path}/return", {"reason": "第三省价格缺失"})
    await desk.post(MAKER, f"{path}/withdraw", {"reason": "不再申报"})
    assert (await desk.get(MAKER, path)).json()["state"] == "withdrawn"
    assert not [fact for fact in await worker.said() if hasattr(fact, "listing")]


async def traded(desk: Desk, worker: WorkerInHand, drive: Drive, **terms: object) -> str:
    """A listed product; the path of its listing."""
    drive(datetime(2026, 3, 2, 2, tzinfo=UTC))
    listing = await desk.listed(**terms)
    drive(datetime(2026, 3, 20, tzinfo=UTC))
    assert await worker.meet_deadlines() == 1
    return f"/listings/{listing['id']}"


async def test_suspended_resumed_and_delisted_are_said_with_the_whole_state_and_without_gaps(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    path = await traded(desk, worker, driven_clock)
    suspended = await desk.post(AUTHORITY, f"{path}/suspend", {"reason_kind": "supply", "reason": "未配送"})
    assert (suspended.json()["state"], suspended.json()["reason"]) == ("suspended", "supply: 未配送")
    assert (await desk.post(AUTHORITY, f"{path}/suspend", {"reason_kind": "supply", "reason": "x"})).status_code == 409
    await desk.post(AUTHORITY, f"{path}/resume", {"reason": "恢复供应"})
    gone = await desk.post(MAKER, f"{path}/delist", {"reason_kind": "voluntary", "reason": "停产"})
    assert gone.json()["state"] == "delisted"
    facts = [fact for fact in await worker.said() if hasattr(fact, "listing")]
    life = [ProductAnnounced, ProductListed, ProductSuspended, ProductResumed, ProductDelisted]
    assert [type(fact) for fact in facts] == life
    rows = await worker.database.pool.fetch("SELECT sequence FROM outbox WHERE subject = $1 ORDER BY id", path[10:])
    assert [row["sequence"] for row in rows] == [1, 2, 3, 4, 5]
    again = await desk.post(AUTHORITY, f"{path}/resume", {"reason": "x"})
    assert again.json()["code"] == "listing_not_open"
    listed_anew = await desk.put(AUTHORITY, "/catalogue", [{**PRODUCT, **TERMS}])
    assert listed_anew.json()["items"][0]["item"]["id"] != path[10:]


@pytest.mark.parametrize("category", ["national_vbp", "alliance_vbp", "provincial_vbp"])
async def test_a_selected_product_leaves_only_for_the_three_reasons(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive, category: str
) -> None:
    path = await traded(desk, worker, driven_clock, category=category, batch_code="GY-YD2026-1")
    refused = await desk.post(AUTHORITY, f"{path}/delist", {"reason_kind": "quality", "reason": "x"})
    assert (refused.status_code, refused.json()["code"]) == (422, "selected_stays")
    assert refused.json()["errors"][0]["allowed"] == "certificate_cancelled, contract_ended, authority_order"
    maker = await desk.post(MAKER, f"{path}/delist", {"reason_kind": "certificate_cancelled", "reason": "x"})
    assert maker.json()["code"] == "selected_stays"
    left = await desk.post(AUTHORITY, f"{path}/delist", {"reason_kind": "contract_ended", "reason": "到期"})
    assert left.json()["state"] == "delisted"


async def test_many_are_delisted_at_once_and_each_is_answered_by_itself(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    path = await traded(desk, worker, driven_clock)
    reason = {"reason_kind": "credit", "reason": "拒不履约"}
    gone = [{"listing_id": path[10:], **reason}] * 2 + [
        {"listing_id": "01990000-0000-7000-8000-000000000001", **reason}
    ]
    answer = (await desk.post(AUTHORITY, "/listings/delist", gone)).json()
    assert [item["status"] for item in answer["items"]] == [200, 409, 404]


async def test_two_drafts_of_one_product_in_one_region_at_once_make_one(desk: Desk) -> None:
    await desk.enterprises()
    await desk.post(MAKER, "/products", PRODUCT)
    answers = await asyncio.gather(*(desk.post(MAKER, "/listings", PROPOSAL) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"listing_exists"}


async def test_two_who_decide_on_one_application_at_once_decide_it_once(desk: Desk) -> None:
    listing = await draft(desk)
    path = f"/listings/{listing['id']}"
    await desk.post(MAKER, f"{path}/submit")
    answers = await asyncio.gather(
        desk.post(AUTHORITY, f"{path}/accept"),
        desk.post(AUTHORITY, f"{path}/return", {"reason": "x"}),
        desk.post(MAKER, f"{path}/withdraw", {"reason": "x"}),
    )
    assert sorted(answer.status_code for answer in answers)[0] == 200
    final = (await desk.get(MAKER, path)).json()
    assert final["revision"] == 2 + sum(answer.status_code == 200 for answer in answers)


async def test_a_maker_that_is_provisional_does_not_list_where_the_policy_says_so(desk: Desk) -> None:
    made = await desk.post(
        AUTHORITY, "/enterprises", {"name": "未知制药", "kinds": ["manufacturer"], "region": "330000"}
    )
    item = {**PRODUCT, **TERMS, "manufacturer_code": made.json()["code"]}
    refused = (await desk.put(AUTHORITY, "/catalogue", [item])).json()["items"][0]
    assert refused["status"] == 422
    assert "provisional" in refused["problem"]["detail"]
    assert (await desk.get(AUTHORITY, "/products")).json()["items"] == []
    identified = await desk.post(AUTHORITY, f"/enterprises/{made.json()['id']}/uscc", {"uscc": "91350200MA2YJ1XR9G"})
    assert identified.json()["provisional"] is False
    assert (await desk.put(AUTHORITY, "/catalogue", [item])).json()["succeeded"] == 1


async def test_search_finds_by_code_by_part_of_a_name_by_maker_state_and_region(desk: Desk) -> None:
    await desk.enterprises()
    items = [
        {**PRODUCT, **TERMS, "code": product_code(number), "generic_name": name, "trade_name": trade}
        for number, (name, trade) in enumerate(
            [("盐酸二甲双胍片", None), ("盐酸氨基葡萄糖片", "九力"), ("左氧氟沙星注射液", "ＬＥＶＯ　Ｘ")]
        )
    ]
    assert (await desk.put(AUTHORITY, "/catalogue", items)).json()["succeeded"] == 3

    async def found(**asked: str) -> list[str]:
        page = await desk.get(HOSPITAL, "/listings", **asked)
        assert page.status_code == 200, page.text
        return [item["product_code"] for item in page.json()["items"]]

    codes = [product_code(number) for number in range(3)]
    assert await found() == codes
    assert await found(code=codes[1]) == [codes[1]]
    assert await found(name="盐酸") == codes[:2]
    assert await found(name="片") == codes[:2]
    assert await found(name="九力") == [codes[1]]
    assert await found(name="levox") == [codes[2]]
    assert await found(name="酸盐") == []
    assert await found(name="%") == []
    assert await found(manufacturer="青禾") == codes
    assert await found(manufacturer="南桥") == []
    assert await found(state="public_notice", region="330000") == codes
    assert await found(state="listed") == []
    assert await found(region="350000") == []
    first = (await desk.get(HOSPITAL, "/listings", limit=2)).json()
    rest = (await desk.get(HOSPITAL, "/listings", limit=2, after=first["next"])).json()
    assert [item["product_code"] for item in [*first["items"], *rest["items"]]] == codes
    assert rest["next"] is None


async def test_a_listing_whose_term_has_not_begun_or_is_over_says_that_it_is_not_in_force_and_who_acts(
    desk: Desk, worker: WorkerInHand, driven_clock: Drive
) -> None:
    driven_clock(datetime(2026, 2, 2, 2, tzinfo=UTC))
    await desk.enterprises()
    term = {"valid_from": "2026-03-01", "valid_to": "2026-03-31"}
    (put,) = (await desk.put(AUTHORITY, "/catalogue", [{**PRODUCT, **TERMS, **term}])).json()["items"]
    path = f"/listings/{put['item']['id']}"

    async def shown() -> list[object]:
        one = (await desk.get(HOSPITAL, path)).json()
        asked = ({"in_force": True}, {"in_force": False}, {"state": "listed"})
        found = [len((await desk.get(HOSPITAL, "/listings", **query)).json()["items"]) for query in asked]
        (fed,) = (await desk.get(HOSPITAL, "/changes")).json()["items"]
        assert fed["in_force"] is one["in_force"]
        return [one["state"], one["in_force"], *found]

    driven_clock(datetime(2026, 2, 28, 15, 59, tzinfo=UTC))
    assert await worker.meet_deadlines() == 1
    assert await shown() == ["listed", False, 0, 1, 1]
    driven_clock(datetime(2026, 2, 28, 16, tzinfo=UTC))
    assert await shown() == ["listed", True, 1, 0, 1]
    driven_clock(datetime(2026, 3, 31, 15, 59, tzinfo=UTC))
    assert await shown() == ["listed", True, 1, 0, 1]
    assert (await desk.get(AUTHORITY, f"{path}/timeline")).json()["next"] == []
    driven_clock(datetime(2026, 3, 31, 16, tzinfo=UTC))
    assert await shown() == ["listed", False, 0, 1, 1]
    (step,) = (await desk.get(AUTHORITY, f"{path}/timeline")).json()["next"]
    assert (step["who"]["role"], step["what"]) == (
        "authority",
        "its last day was 2026-03-31: set a later one, or delist it",
    )
    later = {**PRODUCT, **TERMS, **term, "valid_to": "2026-12-31"}
    await desk.put(AUTHORITY, "/catalogue", [later])
    assert await shown() == ["listed", True, 1, 0, 1]


async def test_changes_are_told_once_each_in_the_order_of_their_commits(desk: Desk) -> None:
    await desk.enterprises()
    items = [{**PRODUCT, **TERMS, "code": product_code(number)} for number in range(5)]
    await desk.put(AUTHORITY, "/catalogue", items)
    first = (await desk.get(HOSPITAL, "/changes", limit=2)).json()
    assert ([item["change_number"] for item in first["items"]], first["more"]) == ([1, 2], True)
    await desk.put(AUTHORITY, "/catalogue", [{**items[0], "price_yuan": "1"}, items[1]])
    rest = (await desk.get(HOSPITAL, "/changes", after=first["next"])).json()
    assert [item["product_code"] for item in rest["items"]] == [product_code(number) for number in (2, 3, 4, 0)]
    assert rest["items"][-1]["price_yuan"] == "1.0000"
    assert (await desk.get(HOSPITAL, "/changes", after=rest["next"])).json() == {
        "items": [],
        "next": rest["next"],
        "more": False,
    }


async def test_a_change_that_is_open_is_never_passed_over_by_the_feed(desk: Desk) -> None:
    await desk.enterprises()

    async def lists(number: int) -> None:
        done = await desk.put(AUTHORITY, "/catalogue", [{**PRODUCT, **TERMS, "code": product_code(number)}])
        assert done.json()["succeeded"] == 1

    seen: list[int] = []
    after = 0
    writers = asyncio.gather(*(lists(number) for number in range(12)))
    going = True
    while going:  # and once more when all have written
        going = not writers.done()
        page = (await desk.get(HOSPITAL, "/changes", after=after)).json()
        seen += [item["change_number"] for item in page["items"]]
        after = page["next"]
    await writers
    assert seen == list(range(1, 13))
