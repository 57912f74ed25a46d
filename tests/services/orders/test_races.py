"""What happens at the same time: for each lock two that want the same, and one of them gets it."""

import asyncio

from shared import audit
from shared.events.orders import DeliveryAccepted, ShipmentCancelled
from tests.house import WorkerInHand
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import DISTRIBUTOR, HOSPITAL, goods
from tests.services.orders.test_receipts import coverage, payment


async def test_two_shipments_at_once_never_take_more_than_was_confirmed(hand: Hand) -> None:
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    bodies = [{"order_id": placed["id"], "shipment_number": f"PS-{n}", "lines": [goods(quantity=30)]} for n in range(8)]
    answers = await asyncio.gather(
        *(hand.ask("distributor", DISTRIBUTOR, "POST", "/shipments", body) for body in bodies)
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [422] * 5
    assert (await hand.see(f"/orders/{placed['id']}"))["lines"][0]["quantity_shipped"] == 90


async def test_accepting_and_calling_back_at_once_leaves_one_of_them(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    shipment = await hand.ship(placed["id"])
    line = {"shipment_line_id": shipment["lines"][0]["id"], "accepted": 100}
    path = f"/shipments/{shipment['id']}"
    answers = await asyncio.gather(
        hand.ask("hospital", HOSPITAL, "POST", f"{path}/acceptance", {"lines": [line]}),
        hand.ask("distributor", DISTRIBUTOR, "POST", f"{path}/cancellation", {"reason": "x"}),
        hand.ask("hospital", HOSPITAL, "POST", f"{path}/acceptance", {"lines": [line]}),
    )
    assert sorted(answer.status_code for answer in answers) in ([200, 200, 409], [200, 409, 409])
    last = [fact for fact in await worker.said() if isinstance(fact, DeliveryAccepted | ShipmentCancelled)]
    assert len(last) == 1


async def test_confirming_and_cancelling_at_once_leaves_one_of_them(hand: Hand) -> None:
    placed = await hand.place()
    answers = await asyncio.gather(
        hand.ask(
            "distributor",
            DISTRIBUTOR,
            "POST",
            f"/orders/{placed['id']}/confirmation",
            {"lines": [{"line_number": 1, "quantity": 100}]},
        ),
        hand.ask("hospital", HOSPITAL, "POST", f"/orders/{placed['id']}/cancellation", {"reason": "x"}),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    state = (await hand.see(f"/orders/{placed['id']}"))["lines"][0]["state"]
    assert state == ("confirmed" if answers[0].status_code == 200 else "cancelled")


async def test_what_is_heard_of_one_order_by_several_partitions_at_once_is_one_history(
    hand: Hand, worker: WorkerInHand
) -> None:
    """Its goods' codes and payments come on partitions of their own, while the hospital accepts more of it."""
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    shipments = [await hand.ship(placed["id"], f"PS-{n}", goods(quantity=10)) for n in range(8)]
    accepted = [await hand.accept(shipment) for shipment in shipments[:6]]
    await asyncio.gather(
        *(worker.deliver(coverage(shipment["lines"][0], shipment, 10), sequence=1) for shipment in accepted),
        *(worker.deliver(payment(shipment, {0: "12.34"}), sequence=1) for shipment in accepted),
        *(hand.accept(shipment) for shipment in shipments[6:]),
    )
    deeds = (await hand.see(f"/orders/{placed['id']}/timeline"))["deeds"]
    assert sorted(deed["action"] for deed in deeds[-14:]) == ["accepted"] * 2 + ["paid"] * 6 + ["traced"] * 6
    finding = await audit.check(worker.database)
    assert finding.whole, finding.broken
