"""What happens at the same time: for each lock two that want the same, and one of them gets it."""

import asyncio

from shared.events.orders import DeliveryAccepted, ShipmentCancelled
from tests.house import WorkerInHand
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import DISTRIBUTOR, HOSPITAL, goods


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
