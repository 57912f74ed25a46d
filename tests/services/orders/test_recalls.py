"""Lots under recall neither leave nor are accepted, whatever is heard first; what arrives of them is rejected."""

from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.events.orders import DeliveryAccepted, DeliveryRejected
from shared.events.traceability import RecallClosed, RecallOpened
from tests.house import WorkerInHand
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import ASPIRIN, DISTRIBUTOR, HOSPITAL, MAKER, NOW, STATIN, TODAY, goods, order, wanted

BAD, GOOD = "A1", "A2"


def opened(recall_id: UUID, *lots: str, product: str = ASPIRIN, by: str = MAKER) -> RecallOpened:
    return RecallOpened(
        recall_id=recall_id,
        product_code=product,
        lot_numbers=lots or (BAD,),
        reason="含量不符",
        opened_at=NOW - timedelta(hours=1),
        opened_by=by,
        opened_by_name="青禾制药有限公司",
        manufacturer_code=MAKER,
    )


def closed(recall_id: UUID, *lots: str, product: str = ASPIRIN) -> RecallClosed:
    return RecallClosed(recall_id=recall_id, product_code=product, lot_numbers=lots or (BAD,), closed_at=NOW)


async def confirmed(hand: Hand, number: str = "CG-1") -> Any:
    placed = await hand.place(order(number))
    return await hand.confirm(placed["id"], (1, 100))


def rule(recall_id: UUID) -> str:
    return f"lot A1 is recalled since {TODAY} by 青禾制药有限公司: 含量不符 (recall {recall_id})"


async def test_a_lot_of_a_recall_does_not_leave_and_another_does(hand: Hand, worker: WorkerInHand) -> None:
    placed, recall = await confirmed(hand), uuid4()
    await worker.deliver(opened(recall))
    parts = goods(quantity=60), goods(quantity=40, lot=GOOD)
    refused = await hand.ship(placed["id"], "PS-1", *parts, status=422)
    assert refused["errors"] == [
        {
            "pointer": "/lines/0/lot_number",
            "given": f'"{BAD}"',
            "rule": rule(recall),
            "allowed": "goods of another lot, or of this one when the recall is closed",
            "code": "recalled",
        }
    ]
    assert await hand.see("/shipments") == {"items": [], "next": None}
    await hand.ship(placed["id"], "PS-1", goods(lot=GOOD))


async def test_the_refusal_is_told_in_chinese_too(hand: Hand, worker: WorkerInHand) -> None:
    placed, recall = await confirmed(hand), uuid4()
    await worker.deliver(opened(recall))
    body = {"shipment_number": "PS-1", "order_id": placed["id"], "lines": [goods()]}
    chinese = {"accept-language": "zh"}
    answer = await hand.ask("distributor", DISTRIBUTOR, "POST", "/shipments", body, headers=chinese)
    (fault,) = answer.json()["errors"]
    assert fault["rule"] == f"批号 A1 自 {TODAY} 起由 青禾制药有限公司 召回:含量不符(召回 {recall})"
    assert fault["allowed"] == "其他批号的货物,或召回关闭后的本批号货物"


@pytest.mark.parametrize("end_first", [False, True])
async def test_a_recall_that_is_over_keeps_nothing_back_whichever_is_heard_first(
    hand: Hand, worker: WorkerInHand, end_first: bool
) -> None:
    placed, recall = await confirmed(hand), uuid4()
    facts: list[tuple[Any, int]] = [(opened(recall), 1), (closed(recall), 2)]
    for fact, sequence in reversed(facts) if end_first else facts:
        await worker.redeliver(await worker.deliver(fact, sequence=sequence))
    await hand.accept(await hand.ship(placed["id"]))


@pytest.mark.parametrize("facts", list(permutations(range(3))), ids=str)
async def test_of_two_recalls_the_open_one_bars_the_lot_in_every_order(
    hand: Hand, worker: WorkerInHand, facts: tuple[int, ...]
) -> None:
    placed, first, second = await confirmed(hand), uuid4(), uuid4()
    told: list[Any] = [opened(first), closed(first), opened(second, by="AUTH-330000")]
    for place in facts:
        await worker.deliver(told[place])
    refused = await hand.ship(placed["id"], status=422)
    assert [fault["rule"] for fault in refused["errors"]] == [rule(second)]


async def test_the_same_number_of_another_product_is_not_barred(hand: Hand, worker: WorkerInHand) -> None:
    placed = await confirmed(hand)
    await worker.deliver(opened(uuid4(), product=STATIN))
    await hand.accept(await hand.ship(placed["id"]))


async def test_goods_that_arrive_after_the_recall_are_rejected_and_never_accepted(
    hand: Hand, worker: WorkerInHand
) -> None:
    placed, recall = await confirmed(hand), uuid4()
    shipment = await hand.ship(placed["id"], "PS-1", goods(quantity=60), goods(quantity=40, lot=GOOD))
    await worker.deliver(opened(recall))
    refused = await hand.accept(shipment, (59, 1, "wet"), (40, 0), status=422)
    assert [(fault["pointer"], fault["rule"], fault["allowed"], fault["code"]) for fault in refused["errors"]] == [
        ("/lines/0/accepted", rule(recall), "accepted 0, rejected 60", "recalled")
    ]
    received = await hand.accept(shipment, (0, 60, "召回"), (40, 0))
    assert received["state"] == "received"
    taken, left = [fact for fact in await worker.said() if isinstance(fact, DeliveryAccepted | DeliveryRejected)]
    assert isinstance(taken, DeliveryAccepted)
    assert isinstance(left, DeliveryRejected)
    assert [(one.lot_number, one.quantity_accepted) for one in taken.lines] == [(GOOD, 40)]
    assert [(one.lot_number, one.quantity_rejected, one.reason) for one in left.lines] == [(BAD, 60, "召回")]
    (line,) = (await hand.see(f"/orders/{placed['id']}"))["lines"]
    assert (line["quantity_accepted"], line["shippable"]) == (40, 60)
    await hand.ship(placed["id"], "PS-2", goods(quantity=60, lot=GOOD))


async def test_what_was_accepted_before_the_recall_is_answered_the_same_again(hand: Hand, worker: WorkerInHand) -> None:
    placed = await confirmed(hand)
    shipment = await hand.ship(placed["id"])
    accepted = await hand.accept(shipment)
    await worker.deliver(opened(uuid4()))
    assert await hand.accept(shipment) == accepted
    assert (await hand.ship(placed["id"]))["id"] == shipment["id"]


async def test_of_many_only_those_of_the_lot_are_refused(hand: Hand, worker: WorkerInHand) -> None:
    orders = [await confirmed(hand, f"CG-{number}") for number in range(3)]
    await worker.deliver(opened(uuid4()))
    lots = (GOOD, BAD, GOOD)
    bodies = [
        {"shipment_number": f"PS-{one['order_number']}", "order_id": one["id"], "lines": [goods(lot=lot)]}
        for one, lot in zip(orders, lots, strict=True)
    ]
    told = await hand.say("distributor", DISTRIBUTOR, "/shipments/bulk", bodies)
    assert [answer["status"] for answer in told["items"]] == [201, 422, 201]
    recall = uuid4()
    await worker.deliver(opened(recall, GOOD))
    decisions = [
        {
            "shipment_id": answer["item"]["id"],
            "lines": [{"shipment_line_id": answer["item"]["lines"][0]["id"], **figures}],
        }
        for answer, figures in zip(
            told["items"][::2], ({"accepted": 100}, {"accepted": 0, "rejected": 100, "reason": "召回"}), strict=True
        )
    ]
    told = await hand.say("hospital", HOSPITAL, "/acceptances/bulk", decisions)
    assert [answer["status"] for answer in told["items"]] == [422, 200]
    assert told["items"][0]["problem"]["errors"][0]["code"] == "recalled"


async def test_shipment_line_and_order_say_the_recall_and_whom_they_wait_for(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN)))
    await hand.confirm(placed["id"], (1, 100), (2, 100))
    shipment = await hand.ship(placed["id"], "PS-1", goods(quantity=100), goods(2, 100))
    recall = uuid4()
    await worker.deliver(opened(recall), opened(uuid4(), "ELSEWHERE", product=STATIN))
    unit = shipment["lines"][0]["unit"]
    reject = f"reject 100 {unit} of line 1, on the way, or wait for the end of the recall: lot A1 is recalled: 含量不符"
    reject += f" (recall {recall})"
    seen = await hand.see(f"/shipments/{shipment['id']}/timeline")
    assert [step["what"] for step in seen["next"]] == ["accept or reject 100 units on the way", reject]
    told = {"recall_id": str(recall), "lot_number": BAD, "reason": "含量不符", "opened_by": MAKER, "lines": [1]}
    assert [one["detail"] for one in seen["deeds"] if one["action"] == "recall_opened"] == [told]
    whole = await hand.see(f"/orders/{placed['id']}/timeline")
    assert [step["what"] for step in whole["next"]] == [reject, f"accept or reject 100 {unit} of line 2, on the way"]
    first, second = [await hand.see(f"/orders/{placed['id']}/lines/{number}/timeline") for number in (1, 2)]
    assert [one["detail"] for one in first["deeds"] if one["action"] == "recall_opened"] == [told]
    assert [one["action"] for one in second["deeds"] if one["action"].startswith("recall")] == []
    await worker.deliver(closed(recall))
    seen = await hand.see(f"/shipments/{shipment['id']}/timeline")
    assert [step["what"] for step in seen["next"]] == ["accept or reject 200 units on the way"]
    assert {"recall_opened", "recall_closed"} <= {one["action"] for one in seen["deeds"]}


async def test_goods_that_were_called_back_are_not_to_be_rejected(hand: Hand, worker: WorkerInHand) -> None:
    placed = await confirmed(hand)
    shipment = await hand.ship(placed["id"])
    await worker.deliver(opened(uuid4()))
    await hand.say("distributor", DISTRIBUTOR, f"/shipments/{shipment['id']}/cancellation", {"reason": "召回"})
    steps = (await hand.see(f"/orders/{placed['id']}/timeline"))["next"]
    assert [(step["who"]["role"], step["what"].split()[0]) for step in steps] == [("distributor", "ship")]
