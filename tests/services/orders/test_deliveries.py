"""From the distributor's answer to the hospital's acceptance, over HTTP: nothing over-shipped, nothing accepted twice."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.events.orders import (
    DeliveryAccepted,
    DeliveryRejected,
    LineClosed,
    LineConfirmed,
    LineRefused,
    ShipmentCancelled,
    ShipmentDispatched,
)
from tests.house import WorkerInHand
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import (
    DISTRIBUTOR,
    HOSPITAL,
    NOW,
    OTHER_DISTRIBUTOR,
    OTHER_HOSPITAL,
    STATIN,
    TODAY,
    goods,
    order,
    wanted,
)


def codes(problem: Any) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in problem["errors"]]


async def outbox(worker: WorkerInHand) -> list[tuple[str, int]]:
    """Subject and sequence of everything said, in order."""
    rows = await worker.database.pool.fetch("SELECT subject, sequence FROM outbox ORDER BY id")
    return [(row["subject"], row["sequence"]) for row in rows]


async def shipped(hand: Hand, quantity: int = 100, **more: Any) -> tuple[Any, Any]:
    """An order of 100, all confirmed, and a shipment of it."""
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    return placed, await hand.ship(placed["id"], "PS-1", goods(quantity=quantity, **more))


async def test_the_whole_way_of_an_order(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN, 10)))
    confirmed = await hand.confirm(placed["id"], (1, 60, "short"), (2, 0, "discontinued"))
    assert [(line["state"], line["quantity_confirmed"], line["quantity_refused"]) for line in confirmed["lines"]] == [
        ("confirmed", 60, 40),
        ("refused", 0, 10),
    ]
    assert confirmed["lines"][0]["deliver_by"] == "2026-03-05T01:00:00Z"
    first = await hand.ship(placed["id"], "PS-1", goods(quantity=20, lot="A1"), goods(quantity=10, lot="A2"))
    second = await hand.ship(placed["id"], "PS-2", goods(quantity=30, lot="A3"))
    received = await hand.accept(first, (18, 2, "wet"), (10, 0))
    assert (received["state"], received["lines"][0]["quantity_rejected"]) == ("received", 2)
    await hand.accept(second)
    third = await hand.ship(placed["id"], "PS-3", goods(quantity=2, lot="A4"))  # the rejected may be shipped again
    await hand.accept(third)
    done = await hand.see(f"/orders/{placed['id']}")
    assert (done["state"], done["lines"][0]["state"]) == ("closed", "fulfilled")
    assert [type(fact).__name__ for fact in await worker.said()] == [
        "OrderPlaced", "LineConfirmed", "LineRefused", "LineRefused", "ShipmentDispatched", "ShipmentDispatched",
        "DeliveryAccepted", "DeliveryRejected", "DeliveryAccepted", "ShipmentDispatched", "LineClosed",
        "DeliveryAccepted",
    ]  # fmt: skip
    (closed,) = [fact for fact in await worker.said() if isinstance(fact, LineClosed)]
    assert (closed.reason, closed.quantity_accepted, closed.quantity_unfulfilled) == ("fulfilled", 60, 40)


async def test_sequences_have_no_gaps(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN, 10)))
    await hand.confirm(placed["id"], (1, 60, "short"), (2, 10))
    shipment = await hand.ship(placed["id"], "PS-1", goods(1, 60), goods(2, 10))
    await hand.accept(shipment, (60, 0))
    await hand.accept({**shipment, "lines": shipment["lines"][1:]}, (9, 1, "wet"))
    await hand.say("hospital", HOSPITAL, f"/orders/{placed['id']}/lines/2/closure", {"reason": "enough"})
    said = await outbox(worker)
    assert [sequence for subject, sequence in said if subject == placed["id"]] == [1, 2, 3, 4, 5, 6]
    assert [sequence for subject, sequence in said if subject == shipment["id"]] == [1, 2, 3, 4]


async def test_a_confirmation_reports_every_fault_and_changes_nothing(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(), wanted(STATIN, 5, OTHER_DISTRIBUTOR)))
    refused = await hand.confirm(
        placed["id"], (1, 101), (2, 99), (3, 5), (4, 1), (2, 100), status=422
    )  # 3 is another distributor's
    assert codes(refused) == [
        ("/lines/0/quantity", "over_confirmed"),
        ("/lines/1/reason", "missing_reason"),
        ("/lines/2/line_number", "unknown_line"),
        ("/lines/3/line_number", "unknown_line"),
        ("/lines/4/line_number", "repeated"),
    ]
    assert len(await worker.said()) == 1


async def test_the_same_answer_again_changes_nothing_and_another_is_refused(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted()))
    first = await hand.confirm(placed["id"], (1, 60, "short"), (2, 0, "none"))
    assert await hand.confirm(placed["id"], (1, 60, "short"), (2, 0, "none")) == first
    assert len(await worker.said()) == 4
    other = await hand.confirm(placed["id"], (1, 100), (2, 0, "none"), status=409)
    assert (other["code"], codes(other)) == ("line_decided", [("/lines/0/quantity", "line_decided")])
    assert "60 confirmed, 40 refused" in other["errors"][0]["rule"]


async def test_the_events_of_a_confirmation_carry_quantities_and_the_delivery_date(
    hand: Hand, worker: WorkerInHand
) -> None:
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 60, "short"))
    _, confirmed, refused = await worker.said()
    assert isinstance(confirmed, LineConfirmed)
    assert isinstance(refused, LineRefused)
    assert (confirmed.quantity_ordered, confirmed.quantity_confirmed) == (100, 60)
    assert confirmed.deliver_by == NOW + timedelta(hours=72)
    assert (refused.quantity_refused, refused.reason) == (40, "short")


async def test_the_inbox_of_a_distributor_holds_its_pending_lines(hand: Hand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN), wanted(STATIN, 5, OTHER_DISTRIBUTOR)))
    await hand.confirm(placed["id"], (1, 100))
    inbox = await hand.see("/lines", "distributor", DISTRIBUTOR, params={"state": "pending"})
    assert [(line["line_number"], line["order_number"]) for line in inbox["items"]] == [(2, "CG-1")]
    page = await hand.see("/lines", "hospital", HOSPITAL, params={"limit": 1, "product_code": STATIN})
    rest = await hand.see("/lines", "hospital", HOSPITAL, params={"after": page["next"], "product_code": STATIN})
    assert [line["line_number"] for line in [*page["items"], *rest["items"]]] == [2, 3]


@pytest.mark.parametrize(
    ("quantities", "code"),
    [([100], None), ([101], "over_shipped"), ([60, 40], None), ([60, 41], "over_shipped")],
)
async def test_nothing_is_shipped_over_what_was_confirmed(hand: Hand, quantities: list[int], code: str | None) -> None:
    placed = await hand.place(order("CG-1", wanted(quantity=120)))
    await hand.confirm(placed["id"], (1, 100, "short"))
    lines = [goods(quantity=quantity) for quantity in quantities]
    answer = await hand.ship(placed["id"], "PS-1", *lines, status=422 if code else 201)
    if code:
        assert codes(answer) == [(f"/lines/{len(quantities) - 1}/quantity", code)]


@pytest.mark.parametrize(
    ("produced", "expires", "code"),
    [
        (TODAY, TODAY + timedelta(days=1), None),
        (TODAY + timedelta(days=1), TODAY + timedelta(days=9), "not_produced_yet"),
        (TODAY - timedelta(days=9), TODAY, "expired"),
        (TODAY - timedelta(days=9), TODAY + timedelta(days=1), None),
        (TODAY, TODAY + timedelta(days=7305), None),
        (TODAY, TODAY + timedelta(days=7306), "shelf_life"),
    ],
)
async def test_goods_leave_between_production_and_expiry(hand: Hand, produced: Any, expires: Any, code: Any) -> None:
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    line = goods(produced_on=str(produced), expires_on=str(expires))
    answer = await hand.ship(placed["id"], "PS-1", line, status=422 if code else 201)
    if code:
        assert [error["code"] for error in answer["errors"]] == [code]


async def test_every_fault_of_a_shipment_is_reported_at_once(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted(STATIN), wanted(STATIN, 5, OTHER_DISTRIBUTOR)))
    await hand.confirm(placed["id"], (1, 100))
    said = len(await worker.said())
    refused = await hand.ship(
        placed["id"],
        "PS-1",
        goods(1, 101, expires_on="2026-03-01"),
        goods(2, 1),
        goods(3, 1),
        goods(9, 1, produced_on="2027-01-01", expires_on="2027-01-01"),
        status=422,
    )
    assert codes(refused) == [
        ("/lines/0/quantity", "over_shipped"),
        ("/lines/0/expires_on", "expired"),
        ("/lines/1/line_number", "line_not_open"),
        ("/lines/2/line_number", "unknown_line"),
        ("/lines/3/line_number", "unknown_line"),
        ("/lines/3/produced_on", "not_produced_yet"),
        ("/lines/3/expires_on", "dates"),
    ]
    assert len(await worker.said()) == said


async def test_the_same_shipment_again_is_one_shipment(hand: Hand, worker: WorkerInHand) -> None:
    placed, first = await shipped(hand, 40)
    assert await hand.ship(placed["id"], "PS-1", goods(quantity=40)) == first
    assert len([fact for fact in await worker.said() if isinstance(fact, ShipmentDispatched)]) == 1
    other = await hand.ship(placed["id"], "PS-1", goods(quantity=41, lot="B"), status=409)
    assert (other["code"], codes(other)) == (
        "shipment_number_used",
        [("/lines/0/lot_number", "differs"), ("/lines/0/quantity", "differs")],
    )
    assert await hand.see("/shipments/by-number/PS-1", "distributor", DISTRIBUTOR) == first
    seen = await hand.see("/shipments/by-number/PS-1", params={"distributor_code": DISTRIBUTOR})
    assert seen == first
    await hand.see("/shipments/by-number/PS-2", "distributor", DISTRIBUTOR, 404)


async def test_a_shipment_of_which_nothing_was_received_can_be_called_back(hand: Hand, worker: WorkerInHand) -> None:
    placed, shipment = await shipped(hand)
    path = f"/shipments/{shipment['id']}/cancellation"
    cancelled = await hand.say("distributor", DISTRIBUTOR, path, {"reason": "lorry broke down"})
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "lorry broke down")
    assert await hand.say("distributor", DISTRIBUTOR, path, {"reason": "again"}) == cancelled
    said = (await worker.said())[-1]
    assert isinstance(said, ShipmentCancelled)
    assert [str(line_id) for line_id in said.shipment_line_ids] == [shipment["lines"][0]["id"]]
    refused = await hand.accept(shipment, status=409)
    assert refused["code"] == "shipment_not_open"
    again = await hand.ship(placed["id"], "PS-2")
    await hand.accept(again)
    late = await hand.say("distributor", DISTRIBUTOR, f"/shipments/{again['id']}/cancellation", {"reason": "x"}, 409)
    assert late["code"] == "shipment_not_open"


async def test_calling_back_the_last_goods_of_a_closing_line_ends_it(hand: Hand, worker: WorkerInHand) -> None:
    placed, shipment = await shipped(hand, 30)
    await hand.say("hospital", HOSPITAL, f"/orders/{placed['id']}/lines/1/closure", {"reason": "late"})
    path = f"/shipments/{shipment['id']}/cancellation"
    await hand.say("distributor", DISTRIBUTOR, path, {"reason": "not needed"})
    line = (await hand.see(f"/orders/{placed['id']}"))["lines"][0]
    assert (line["state"], line["quantity_closed"]) == ("closed", 100)
    assert [type(fact) for fact in await worker.said()][-2:] == [LineClosed, ShipmentCancelled]


async def test_each_line_is_received_once(hand: Hand, worker: WorkerInHand) -> None:
    _, shipment = await shipped(hand)
    first = await hand.accept(shipment, (90, 10, "wet"))
    said = len(await worker.said())
    assert await hand.accept(shipment, (90, 10, "wet")) == first
    other = await hand.accept(shipment, (100, 0), status=409)
    assert (other["code"], other["errors"][0]["allowed"]) == ("already_received", "accepted 90, rejected 10")
    assert len(await worker.said()) == said


async def test_an_acceptance_reports_every_fault_and_changes_nothing(hand: Hand, worker: WorkerInHand) -> None:
    placed = await hand.place(order("CG-1", wanted(), wanted()))
    await hand.confirm(placed["id"], (1, 100), (2, 100))
    shipment = await hand.ship(placed["id"], "PS-1", goods(1, 10), goods(2, 20))
    said = len(await worker.said())
    foreign = {"id": str(uuid4()), "quantity": 1}
    asked = {**shipment, "lines": [*shipment["lines"], foreign, shipment["lines"][1]]}
    refused = await hand.accept(asked, (9, 0), (18, 2), (1, 0), (20, 0), status=422)
    assert codes(refused) == [
        ("/lines/0", "sum"),
        ("/lines/1/reason", "missing_reason"),
        ("/lines/2/shipment_line_id", "unknown_line"),
        ("/lines/3/shipment_line_id", "repeated"),
    ]
    assert "accepted 9 + rejected 0 = 9, shipped were 10" in refused["errors"][0]["rule"]
    assert len(await worker.said()) == said


async def test_goods_that_expired_on_the_way_can_only_be_rejected(hand: Hand, driven_clock: Any) -> None:
    _, shipment = await shipped(hand, expires_on=str(TODAY + timedelta(days=2)))
    driven_clock(NOW + timedelta(days=1))
    driven_clock(NOW + timedelta(days=2))
    refused = await hand.accept(shipment, status=422)
    assert codes(refused) == [("/lines/0/accepted", "expired")]
    received = await hand.accept(shipment, (0, 100, "expired"))
    assert received["state"] == "received"


async def test_goods_are_accepted_until_the_day_before_they_expire(hand: Hand, driven_clock: Any) -> None:
    _, shipment = await shipped(hand, expires_on=str(TODAY + timedelta(days=2)))
    driven_clock(NOW + timedelta(days=1))
    assert (await hand.accept(shipment))["state"] == "received"


async def test_an_accepted_delivery_says_what_is_to_be_paid(hand: Hand, worker: WorkerInHand) -> None:
    _, shipment = await shipped(hand)
    await hand.accept(shipment, (90, 10, "wet"))
    accepted, rejected = (await worker.said())[-2:]
    assert isinstance(accepted, DeliveryAccepted)
    assert isinstance(rejected, DeliveryRejected)
    (taken,), (left,) = accepted.lines, rejected.lines
    assert (taken.quantity_accepted, str(taken.unit_price_yuan), taken.lot_number) == (90, "12.3450", "A1")
    assert (left.quantity_rejected, left.reason, left.shipment_line_id) == (10, "wet", taken.shipment_line_id)


async def test_foreign_parties_see_and_change_nothing(hand: Hand) -> None:
    placed, shipment = await shipped(hand)
    path = f"/shipments/{shipment['id']}"
    await hand.see(path, "hospital", OTHER_HOSPITAL, 404)
    await hand.see(path, "distributor", OTHER_DISTRIBUTOR, 404)
    await hand.see(f"{path}/timeline", "distributor", OTHER_DISTRIBUTOR, 404)
    await hand.see(path, "authority", "AUTHORITY", 404, region="110000")
    await hand.accept(shipment, status=404, who=OTHER_HOSPITAL)
    await hand.confirm(placed["id"], (1, 100), status=404, who=OTHER_DISTRIBUTOR)
    await hand.ship(placed["id"], "PS-9", status=404, who=OTHER_DISTRIBUTOR)
    await hand.say("distributor", OTHER_DISTRIBUTOR, f"{path}/cancellation", {"reason": "x"}, 404)
    await hand.say("hospital", OTHER_HOSPITAL, f"/orders/{placed['id']}/cancellation", {"reason": "x"}, 404)
    await hand.say("hospital", OTHER_HOSPITAL, f"/orders/{placed['id']}/lines/1/closure", {"reason": "x"}, 404)


async def test_a_shipment_is_shown_to_its_parties_with_its_timeline(hand: Hand) -> None:
    _, shipment = await shipped(hand)
    for role, who in (("hospital", HOSPITAL), ("distributor", DISTRIBUTOR), ("authority", "A"), ("operator", "O")):
        assert await hand.see(f"/shipments/{shipment['id']}", role, who) == shipment
        page = await hand.see("/shipments", role, who, params={"state": "dispatched"})
        assert [one["id"] for one in page["items"]] == [shipment["id"]]
        timeline = await hand.see(f"/shipments/{shipment['id']}/timeline", role, who)
        assert [deed["action"] for deed in timeline["deeds"]] == ["dispatched"]
        assert [act["what"] for act in timeline["next"]] == ["accept or reject 100 units on the way"]
    assert (await hand.see("/shipments", params={"state": "received"}))["items"] == []
    page = await hand.see("/shipments", params={"order_id": shipment["order_id"]})
    assert len(page["items"]) == 1


async def test_confirm_ship_and_accept_in_bulk_are_answered_each_by_itself(hand: Hand) -> None:
    await hand.say("hospital", HOSPITAL, "/orders/bulk", [order("CG-1"), order("CG-2")])
    named = {"institution_code": HOSPITAL}
    confirmed = await hand.say(
        "distributor",
        DISTRIBUTOR,
        "/confirmations/bulk",
        [
            {**named, "order_number": "CG-1", "lines": [{"line_number": 1, "quantity": 100}]},
            {**named, "order_number": "CG-9", "lines": [{"line_number": 1, "quantity": 100}]},
            {**named, "order_number": "CG-2", "lines": [{"line_number": 1, "quantity": 200}]},
            {**named, "order_number": "CG-2", "lines": [{"line_number": 1, "quantity": 100}]},
        ],
    )
    assert [item["status"] for item in confirmed["items"]] == [200, 404, 422, 200]
    sent = await hand.say(
        "distributor",
        DISTRIBUTOR,
        "/shipments/bulk",
        [
            {**named, "order_number": "CG-1", "shipment_number": "PS-1", "lines": [goods(quantity=60)]},
            {**named, "order_number": "CG-1", "shipment_number": "PS-2", "lines": [goods(quantity=41)]},
            {**named, "order_number": "CG-1", "shipment_number": "PS-3", "lines": [goods(quantity=40)]},
            {**named, "order_number": "CG-2", "shipment_number": "PS-1", "lines": [goods(quantity=60)]},
            {**named, "order_number": "CG-9", "shipment_number": "PS-4", "lines": [goods(quantity=60)]},
        ],
    )
    assert [item["status"] for item in sent["items"]] == [201, 422, 201, 409, 404]
    shipments = [item["item"] for item in sent["items"] if item["status"] == 201]
    arrivals = [
        {
            "shipment_id": one["id"],
            "lines": [{"shipment_line_id": one["lines"][0]["id"], "accepted": one["lines"][0]["quantity"]}],
        }
        for one in shipments
    ]
    accepted = await hand.say(
        "hospital", HOSPITAL, "/acceptances/bulk", [*arrivals, {**arrivals[0], "shipment_id": str(uuid4())}]
    )
    assert [item["status"] for item in accepted["items"]] == [200, 200, 404]
    assert (await hand.see("/orders/by-number/CG-1"))["state"] == "closed"


async def test_the_operator_acts_for_a_distributor_and_a_hospital(hand: Hand) -> None:
    placed = await hand.place()
    bulk = [{"order_id": placed["id"], "lines": [{"line_number": 1, "quantity": 100}], "distributor_code": DISTRIBUTOR}]
    answered = await hand.say("operator", "OPERATOR", "/confirmations/bulk", bulk)
    assert answered["succeeded"] == 1, answered
    body = {"order_id": placed["id"], "shipment_number": "PS-1", "lines": [goods()], "distributor_code": DISTRIBUTOR}
    shipment = await hand.say("operator", "OPERATOR", "/shipments", body, 201)
    line = {"shipment_line_id": shipment["lines"][0]["id"], "accepted": 100}
    await hand.say("operator", "OPERATOR", f"/shipments/{shipment['id']}/acceptance", {"lines": [line]})
    foreign = {**body, "distributor_code": OTHER_DISTRIBUTOR}
    await hand.say("distributor", DISTRIBUTOR, "/shipments", foreign, 403)
