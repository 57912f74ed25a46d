"""Orders over HTTP: placed at the listed price or refused with every fault, cancelled, found again by their number."""

import asyncio
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.events.orders import LineClosed, OrderCancelled, OrderPlaced
from tests.house import WorkerInHand
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import (
    ASPIRIN,
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    OTHER_DISTRIBUTOR,
    OTHER_HOSPITAL,
    OTHER_MAKER,
    PROVISIONAL,
    STATIN,
    UNKNOWN,
    enterprise,
    goods,
    institution,
    listed,
    order,
    relation,
    relation_ended,
    repriced,
    suspended,
    wanted,
)


async def test_an_order_is_placed_at_the_listed_price_and_said(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(ASPIRIN, 3), wanted(STATIN, 10), delivery_point="河坊街院区"))
    assert [line["unit_price_yuan"] for line in placed["lines"]] == ["12.3450", "8.7600"]
    assert [line["amount_yuan"] for line in placed["lines"]] == ["37.04", "87.60"]  # 37.035 is rounded half up
    assert (placed["state"], placed["amount_yuan"], placed["delivery_point"]) == ("placed", "124.64", "河坊街院区")
    assert placed["placed_at"] == "2026-03-02T01:00:00Z"
    assert placed["confirm_by"] == "2026-03-03T01:00:00Z"
    (said,) = await worker.said()
    assert isinstance(said, OrderPlaced)
    assert [line.amount_yuan for line in said.lines] == [Decimal("37.04"), Decimal("87.60")]
    assert str(said.order_id) == placed["id"]
    assert await hand.see(f"/orders/{placed['id']}") == placed
    assert await hand.see("/orders/by-number/CG-1") == placed


async def test_every_fault_of_every_line_is_reported_at_once(hand: Hand, worker: WorkerInHand) -> None:
    await worker.deliver(suspended(listed(STATIN)), sequence=2)
    lines = [
        wanted(UNKNOWN, 1),
        wanted(STATIN, 1),
        wanted(ASPIRIN, 0),
        wanted(ASPIRIN, 1.5),
        wanted(ASPIRIN, 5, OTHER_DISTRIBUTOR),
        wanted(ASPIRIN, 5, "91330100MA00000000"),
        wanted(ASPIRIN, 5, PROVISIONAL),
        wanted(ASPIRIN, 5, unit_price_yuan="12.0000"),
        wanted(ASPIRIN, 5, unit_price_yuan="12.345"),
    ]
    refused = await hand.place(order("CG-1", *lines, delivery_point="nowhere"), 422)
    assert [(error["pointer"], error["code"]) for error in refused["errors"]] == [
        ("/delivery_point", "unknown_delivery_point"),
        ("/lines/0/product_code", "unlisted"),
        ("/lines/1/product_code", "suspended"),
        ("/lines/2/quantity", "quantity"),
        ("/lines/3/quantity", "quantity"),
        ("/lines/4/distributor_code", "no_distribution"),
        ("/lines/5/distributor_code", "unknown_distributor"),
        ("/lines/6/distributor_code", "distributor_provisional"),
        ("/lines/7/unit_price_yuan", "price_differs"),
    ]
    assert refused["code"] == "order_refused"
    assert "12.3450" in refused["errors"][-1]["rule"]
    assert "12.0000" in refused["errors"][-1]["rule"]
    assert await worker.said() == []


async def test_a_uscc_that_became_known_later_is_answered_with_the_code_its_enterprise_trades_under(
    hand: Hand, worker: WorkerInHand
) -> None:
    uscc = "91330100MA2QHXY019"
    await worker.deliver(enterprise(PROVISIONAL, uscc=uscc), sequence=2)
    await worker.deliver(relation(ASPIRIN, PROVISIONAL))
    refused = await hand.place(order("CG-1", wanted(ASPIRIN, 5, uscc)), 422)
    (fault,) = refused["errors"]
    assert (fault["pointer"], fault["code"]) == ("/lines/0/distributor_code", "trades_under_other_code")
    assert (fault["given"], fault["allowed"]) == (f'"{uscc}"', PROVISIONAL)
    assert PROVISIONAL in fault["rule"]
    placed = await hand.place(order("CG-1", wanted(ASPIRIN, 5, fault["allowed"])))
    assert placed["lines"][0]["distributor_code"] == PROVISIONAL


async def test_an_institution_that_is_unknown_or_inactive_cannot_order(hand: Hand, worker: WorkerInHand) -> None:
    refused = await hand.place(order(), 422, who="H33010200077")
    assert [error["code"] for error in refused["errors"]] == ["unknown"]
    await worker.deliver(institution(active=False), enterprise(active=False), sequence=2)
    refused = await hand.place(order(), 422)
    assert [error["code"] for error in refused["errors"]] == ["inactive", "distributor_inactive"]


async def test_the_price_and_relation_are_those_of_the_moment(hand: Hand, worker: WorkerInHand) -> None:
    await worker.deliver(repriced(listed(ASPIRIN, "9.9900")), sequence=2)
    placed = await hand.place()
    assert placed["lines"][0]["unit_price_yuan"] == "9.9900"
    await worker.deliver(relation_ended(relation(), date(2026, 3, 3)), sequence=2)
    await hand.place(order("CG-2"))
    await worker.deliver(relation_ended(relation(), date(2026, 3, 2)), sequence=3)
    refused = await hand.place(order("CG-3"), 422)
    assert [error["code"] for error in refused["errors"]] == ["no_distribution"]


async def test_the_same_number_with_the_same_content_is_one_order(hand: Hand, worker: WorkerInHand) -> None:
    first = await hand.place(order("CG-1", wanted(), wanted()))
    assert await hand.place(order("CG-1", wanted(unit_price_yuan="12.3450"), wanted())) == first
    assert len(await worker.said()) == 1
    other = await hand.place(order("CG-1", wanted(quantity=99), wanted(), delivery_point="河坊街院区"), 409)
    assert other["code"] == "order_number_used"
    assert "of 2026-03-02 09:00 (Shanghai) stands with other content" in other["detail"]
    assert [error["pointer"] for error in other["errors"]] == ["/delivery_point", "/lines/0/quantity"]
    assert (other["errors"][1]["given"], other["errors"][1]["allowed"]) == ("99", "100")
    fewer = await hand.place(order("CG-1", wanted()), 409)
    assert fewer["errors"][0]["allowed"] == "2 lines"


@pytest.mark.parametrize("unseen", ["\u200b", "\u034f", "\u3164", "\ufdd0", "\ufeff", "\U0001ffff"])
async def test_two_numbers_that_look_alike_are_not_two_numbers(hand: Hand, unseen: str) -> None:
    refused = await hand.place(order(f"CG-1{unseen}"), 422)
    assert (refused["errors"][0]["pointer"], refused["errors"][0]["code"]) == ("/order_number", "unseen")
    assert f"U+{ord(unseen):04X}" in refused["errors"][0]["rule"]
    assert (await hand.place(order("采购-1")))["order_number"] == "采购-1"


async def test_two_hospitals_may_use_the_same_number(hand: Hand) -> None:
    first, second = await hand.place(), await hand.place(who=OTHER_HOSPITAL)
    assert first["id"] != second["id"]


async def test_twenty_equal_orders_at_once_make_one(hand: Hand, worker: WorkerInHand) -> None:
    answers = await asyncio.gather(*(hand.ask("hospital", HOSPITAL, "POST", "/orders", order()) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(await worker.said()) == 1


async def test_an_idempotency_key_replays_the_answer(hand: Hand) -> None:
    key = {"idempotency-key": "k1"}
    first = await hand.ask("hospital", HOSPITAL, "POST", "/orders", order(), headers=key)
    again = await hand.ask("hospital", HOSPITAL, "POST", "/orders", order(), headers=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())


async def test_orders_in_bulk_are_answered_each_by_itself(hand: Hand, worker: WorkerInHand) -> None:
    bulk = [order("CG-1"), order("CG-2", wanted(UNKNOWN), wanted(quantity=-1)), order("CG-3"), order("CG-1")]
    answered = await hand.say("hospital", HOSPITAL, "/orders/bulk", bulk)
    assert [item["status"] for item in answered["items"]] == [201, 422, 201, 201]
    assert (answered["succeeded"], answered["refused"]) == (3, 1)
    assert answered["items"][0]["item"] == answered["items"][3]["item"]
    assert [error["code"] for error in answered["items"][1]["problem"]["errors"]] == ["unlisted", "quantity"]
    assert len(await worker.said()) == 2


async def test_the_operator_names_the_institution_it_acts_for(hand: Hand) -> None:
    bulk = [order("CG-1", institution_code=HOSPITAL), order("CG-1", institution_code=OTHER_HOSPITAL), order("CG-2")]
    answered = await hand.say("operator", "OPERATOR", "/orders/bulk", bulk)
    assert [item["status"] for item in answered["items"]] == [201, 201, 422]
    seen = await hand.see("/orders/by-number/CG-1", "operator", "OPERATOR", params={"institution_code": HOSPITAL})
    assert seen["institution_code"] == HOSPITAL


async def test_a_hospital_cannot_order_for_another(hand: Hand) -> None:
    refused = await hand.place(order(institution_code=OTHER_HOSPITAL), 403)
    assert refused["code"] == "not_your_organisation"
    assert (await hand.place(order(institution_code=HOSPITAL)))["institution_code"] == HOSPITAL


async def test_each_party_sees_an_order_with_its_own_lines(hand: Hand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN, 5, OTHER_DISTRIBUTOR)))
    path = f"/orders/{placed['id']}"
    for role, who, numbers in (
        ("hospital", HOSPITAL, [1, 2]),
        ("distributor", DISTRIBUTOR, [1]),
        ("distributor", OTHER_DISTRIBUTOR, [2]),
        ("manufacturer", placed["lines"][0]["manufacturer_code"], [1]),
        ("agency", "AGENCY", [1, 2]),
        ("authority", "AUTHORITY", [1, 2]),
        ("operator", "OPERATOR", [1, 2]),
    ):
        seen = await hand.see(path, role, who)
        assert [line["line_number"] for line in seen["lines"]] == numbers, role
        listed_orders = await hand.see("/orders", role, who)
        for shown in (seen, *listed_orders["items"]):
            assert (shown["line_count"], shown["lines_pending"]) == (len(numbers), len(numbers)), role
        assert [one["id"] for one in listed_orders["items"]] == [placed["id"]], role
        listed_lines = await hand.see("/lines", role, who)
        assert [one["line_number"] for one in listed_lines["items"]] == numbers, role
    await hand.see(path, "hospital", OTHER_HOSPITAL, 404)
    await hand.see(path, "distributor", PROVISIONAL, 404)
    await hand.see(path, "agency", "AGENCY", 404, region="320000")
    await hand.see(f"{path}/timeline", "hospital", OTHER_HOSPITAL, 404)
    assert (await hand.see("/orders", "authority", "AUTHORITY", region="320000"))["items"] == []


async def test_orders_are_listed_by_state_product_and_day(hand: Hand, driven_clock: Any) -> None:
    first = await hand.place(order("CG-1"))
    driven_clock(datetime.fromisoformat("2026-03-03T16:00:00+00:00"))  # already the 4th in Shanghai
    second = await hand.place(order("CG-2", wanted(STATIN)))
    await hand.confirm(second["id"], (1, 100))
    third = await hand.place(order("CG-3", wanted(STATIN)))
    await hand.say("hospital", HOSPITAL, f"/orders/{third['id']}/cancellation", {"reason": "doubled"})

    async def numbers(**params: Any) -> list[str]:
        return [one["order_number"] for one in (await hand.see("/orders", params=params))["items"]]

    assert await numbers() == ["CG-3", "CG-2", "CG-1"]
    assert await numbers(state="placed") == ["CG-1"]
    assert await numbers(state="confirmed") == ["CG-2"]
    assert await numbers(state="cancelled") == ["CG-3"]
    assert await numbers(state="closed") == []
    assert await numbers(product_code=ASPIRIN) == ["CG-1"]
    assert await numbers(placed_to="2026-03-03") == ["CG-1"]
    assert await numbers(placed_from="2026-03-04") == ["CG-3", "CG-2"]
    backwards = {"placed_from": "2026-03-04", "placed_to": "2026-03-03"}
    (fault,) = (await hand.see("/orders", status=422, params=backwards))["errors"]
    assert (fault["pointer"], fault["given"], fault["allowed"]) == (
        "query/placed_to",
        "2026-03-03",
        "2026-03-04 or later",
    )
    page = await hand.see("/orders", params={"limit": 2})
    rest = await hand.see("/orders", params={"limit": 2, "after": page["next"]})
    assert [one["id"] for one in rest["items"]] == [first["id"]]
    assert rest["next"] is None


async def test_what_is_not_confirmed_can_be_cancelled(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN)))
    await hand.confirm(placed["id"], (1, 100))
    path = f"/orders/{placed['id']}/cancellation"
    cancelled = await hand.say("hospital", HOSPITAL, path, {"reason": "not needed"})
    assert [line["state"] for line in cancelled["lines"]] == ["confirmed", "cancelled"]
    assert cancelled["state"] == "confirmed"
    refused = await hand.say("hospital", HOSPITAL, path, {"reason": "not needed"}, 409)
    assert refused["code"] == "nothing_to_cancel"
    said = (await worker.said())[-1]
    assert isinstance(said, OrderCancelled)
    assert [str(line_id) for line_id in said.line_ids] == [placed["lines"][1]["id"]]
    late = await hand.confirm(placed["id"], (2, 100), status=409)
    assert late["code"] == "line_decided"


async def test_a_cancelled_order_may_be_cancelled_again(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place()
    path = f"/orders/{placed['id']}/cancellation"
    first = await hand.say("hospital", HOSPITAL, path, {"reason": "doubled"})
    assert first["state"] == "cancelled"
    assert await hand.say("hospital", HOSPITAL, path, {"reason": "doubled"}) == first
    assert len(await worker.said()) == 2


async def test_the_remainder_of_a_line_is_closed_when_nothing_is_on_the_way(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place()
    path = f"/orders/{placed['id']}/lines/1/closure"
    early = await hand.say("hospital", HOSPITAL, path, {"reason": "late"}, 409)
    assert early["code"] == "line_not_open"
    await hand.confirm(placed["id"], (1, 80, "short"))
    shipment = await hand.ship(placed["id"], "PS-1", goods(quantity=30))
    closing = (await hand.say("hospital", HOSPITAL, path, {"reason": "late"}))["lines"][0]
    assert (closing["state"], closing["quantity_closed"], closing["on_the_way"]) == ("closing", 50, 30)
    assert not [fact for fact in await worker.said() if isinstance(fact, LineClosed)]
    await hand.accept(shipment, (20, 10, "wet"))
    (said,) = [fact for fact in await worker.said() if isinstance(fact, LineClosed)]
    assert (said.quantity_accepted, said.quantity_unfulfilled, said.reason) == (20, 80, "late")
    closed = await hand.say("hospital", HOSPITAL, path, {"reason": "late"})
    assert (closed["state"], closed["lines"][0]["state"], closed["lines"][0]["quantity_closed"]) == (
        "closed",
        "closed",
        60,
    )
    await hand.say("hospital", HOSPITAL, f"/orders/{placed['id']}/lines/2/closure", {"reason": "late"}, 404)


async def test_the_timeline_says_what_happened_and_who_acts_next(hand: Hand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN, 5, OTHER_DISTRIBUTOR)))
    await hand.confirm(placed["id"], (2, 0, "out of stock"), who=OTHER_DISTRIBUTOR)
    timeline = await hand.see(f"/orders/{placed['id']}/timeline")
    assert [deed["action"] for deed in timeline["deeds"]] == ["placed", "placed", "refused"]
    assert timeline["deeds"][2]["detail"]["lines"][0]["reason"] == "out of stock"
    assert timeline["next"] == [
        {
            "who": {
                "role": "distributor",
                "code": DISTRIBUTOR,
                "name": f"医药公司 {DISTRIBUTOR[-4:]}",
                "region": None,
            },
            "what": "confirm or refuse line 1",
            "by": "2026-03-03T01:00:00Z",
        }
    ]
    own = await hand.see(f"/orders/{placed['id']}/timeline", "distributor", DISTRIBUTOR)
    assert [deed["action"] for deed in own["deeds"]] == ["placed"]
    await hand.confirm(placed["id"], (1, 100))
    acts = (await hand.see(f"/orders/{placed['id']}/timeline"))["next"]
    assert [(act["what"], act["by"]) for act in acts] == [("ship 100 盒 of line 1", "2026-03-05T01:00:00Z")]
    await hand.ship(placed["id"])
    acts = (await hand.see(f"/orders/{placed['id']}/timeline"))["next"]
    assert [act["what"] for act in acts] == ["accept or reject 100 盒 of line 1, on the way"]


async def test_who_acts_next_is_told_in_the_language_of_who_asks(hand: Hand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN, 5, OTHER_DISTRIBUTOR)))
    await hand.confirm(placed["id"], (1, 100))
    chinese = {"accept-language": "zh-CN"}
    timeline = await hand.see(f"/orders/{placed['id']}/timeline", headers=chinese)
    assert [step["what"] for step in timeline["next"]] == ["发运第 1 行的 100 盒", "确认或拒绝第 2 行"]
    await hand.ship(placed["id"])
    line = await hand.see(f"/orders/{placed['id']}/lines/1/timeline", headers=chinese)
    assert [step["what"] for step in line["next"]] == ["验收或拒收在途的第 1 行的 100 盒"]


async def test_an_answer_that_comes_again_is_in_the_language_of_the_first_and_says_so(hand: Hand) -> None:
    asked = {**hand.caller("hospital", HOSPITAL), "idempotency-key": "k"}
    body = [order("CG-1"), {**order("CG-2"), "lines": []}]
    first = await hand.client.post("/orders/bulk", json=body, headers={**asked, "accept-language": "zh"})
    assert first.headers["content-language"] == "zh"
    again = await hand.client.post("/orders/bulk", json=body, headers={**asked, "accept-language": "en"})
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers.get_list("content-language") == ["zh"]
    assert "vary" not in again.headers


async def test_a_maker_sees_what_became_of_the_lines_of_its_products_and_of_no_others(
    hand: Hand, worker: WorkerInHand
) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN, 5), wanted(STATIN, 7, OTHER_DISTRIBUTOR)))
    await hand.confirm(placed["id"], (1, 100), (2, 0, "缺货"))
    shipment = await hand.ship(placed["id"])
    await hand.accept(shipment, (90, 10, "破损"))
    await hand.say("hospital", HOSPITAL, f"/orders/{placed['id']}/cancellation", {"reason": "不再需要"})
    path = f"/orders/{placed['id']}/timeline"
    told = await hand.see(path, "manufacturer", MAKER)
    assert [deed["action"] for deed in told["deeds"]] == ["placed", "confirmed", "dispatched", "accepted"]
    assert [deed["detail"]["lines"] for deed in told["deeds"][:1]] == [[1]]
    assert told["deeds"][0]["detail"]["amount_yuan"] == placed["lines"][0]["amount_yuan"]
    assert {line["line_number"] for deed in told["deeds"][1:] for line in deed["detail"]["lines"]} == {1}
    assert [(step["who"]["role"], step["what"]) for step in told["next"]] == [("distributor", "ship 10 盒 of line 1")]
    other = await hand.see(path, "manufacturer", OTHER_MAKER)
    assert [deed["action"] for deed in other["deeds"]] == ["placed", "placed", "refused", "cancelled"]
    assert other["deeds"][2]["detail"]["lines"][0]["reason"] == "缺货"
    named = [line for deed in other["deeds"] for line in deed["detail"]["lines"]]
    assert {line if isinstance(line, int) else line["line_number"] for line in named} == {2, 3}
    assert other["next"] == []
    await hand.see(path, "manufacturer", "91350200MA31E00000", 404)
    line = await hand.see(f"/orders/{placed['id']}/lines/1/timeline", "manufacturer", MAKER)
    assert (line["id"], line["state"]) == (placed["lines"][0]["id"], "confirmed")
    assert (line["deeds"], line["next"]) == (told["deeds"], told["next"])
    await hand.see(f"/orders/{placed['id']}/lines/2/timeline", "manufacturer", MAKER, 404)


async def test_a_line_tells_its_own_life(hand: Hand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN, 5)))
    await hand.confirm(placed["id"], (1, 100), (2, 0, "缺货"))
    await hand.accept(await hand.ship(placed["id"]), (90, 10, "破损"))
    path = f"/orders/{placed['id']}/lines"
    told = {number: await hand.see(f"{path}/{number}/timeline") for number in (1, 2)}
    deeds = {number: [deed["action"] for deed in one["deeds"]] for number, one in told.items()}
    assert deeds == {1: ["placed", "confirmed", "dispatched", "accepted"], 2: ["placed", "refused"]}
    assert {number: one["state"] for number, one in told.items()} == {1: "confirmed", 2: "refused"}
    assert [[step["what"] for step in one["next"]] for one in told.values()] == [["ship 10 盒 of line 1"], []]
    missing = await hand.see(f"{path}/3/timeline", status=404)
    assert missing["code"] == "line_not_found"


@pytest.mark.parametrize("role", ["manufacturer", "distributor", "agency", "authority"])
async def test_only_hospitals_and_the_operator_place_orders(hand: Hand, role: str) -> None:
    refused = await hand.ask(role, DISTRIBUTOR, "POST", "/orders", order())
    assert (refused.status_code, refused.json()["code"]) == (403, "role_may_not")


async def test_each_deed_tells_of_its_lines_from_and_to(hand: Hand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN)))
    path = f"/orders/{placed['id']}"
    await hand.confirm(placed["id"], (1, 50, "产能"))
    await hand.say("hospital", HOSPITAL, f"{path}/cancellation", {"reason": "not needed"})
    deeds = {deed["action"]: deed["detail"] for deed in (await hand.see(f"{path}/timeline"))["deeds"]}
    assert deeds["confirmed"]["changes"]["1"]["state"] == ["pending", "confirmed"]
    assert deeds["confirmed"]["changes"]["1"]["quantity_confirmed"] == [0, 50]
    assert deeds["cancelled"]["changes"]["2"]["state"] == ["pending", "cancelled"]
    assert deeds["cancelled"]["lines"] == [2]
