"""What was received is sold once, comes back as what it was, and leaves as a whole."""

import asyncio
from typing import Any

import pytest

from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    HOSPITAL,
    MAKER,
    OTHER_HOSPITAL,
    Desk,
    Line,
    bill,
    box,
    boxes,
    reasons,
    recall,
)


@pytest.fixture
async def stock(desk: Desk, line: Line) -> list[str]:
    codes = boxes(5)
    await desk.capture(line.bill(codes, "IN"))
    return codes


async def test_a_box_is_sold_once(desk: Desk, stock: list[str], worker: WorkerInHand) -> None:
    (first,) = await desk.capture(bill(stock[:2], "S1"))
    (again,) = await desk.capture(bill(stock[:1], "S2"))
    assert (first["accepted"], reasons(again)) == (2, {stock[0]: "already_sold"})
    anomaly = (await desk.get(HOSPITAL, "/anomalies", kind="already_sold")).json()["items"][0]
    assert (anomaly["severity"], anomaly["code"]) == ("medium", stock[0])


async def test_a_box_sold_elsewhere_weighs_more(desk: Desk, stock: list[str]) -> None:
    await desk.capture(bill(stock[:1], "S1"))
    (again,) = await desk.capture(bill(stock[:2], "S1"), who=OTHER_HOSPITAL)
    assert reasons(again) == {stock[0]: "already_sold", stock[1]: "no_inbound"}
    found = (await desk.get(OTHER_HOSPITAL, "/anomalies")).json()["items"]
    assert {(one["kind"], one["severity"]) for one in found} == {("already_sold", "high"), ("no_inbound", "high")}
    assert HOSPITAL not in str(found) + str(again)


async def test_a_pack_is_sold_in_parts_up_to_what_it_holds(desk: Desk, stock: list[str]) -> None:
    def split(number: str, quantity: int) -> dict[str, Any]:
        return bill([], number, splits=[{"code": stock[0], "quantity": quantity}])

    parts = [await desk.capture(split(f"S{place}", quantity)) for place, quantity in enumerate((20, 4, 1))]
    assert [answer["accepted"] for (answer,) in parts] == [1, 1, 0]
    assert reasons(parts[2][0]) == {stock[0]: "already_sold"}
    (whole,) = await desk.capture(bill(stock[:1], "S9"))
    assert reasons(whole) == {stock[0]: "already_sold"}
    back = {"reason_code": "1", "reason": "not needed"}
    (returned,) = await desk.capture(bill([], "R1", "116", splits=[{"code": stock[0], "quantity": 24}], **back))
    (over,) = await desk.capture(bill([], "R2", "116", splits=[{"code": stock[0], "quantity": 1}], **back))
    assert (returned["accepted"], reasons(over)) == (1, {stock[0]: "not_sold"})
    (whole,) = await desk.capture(bill(stock[:1], "S10"))
    assert whole["accepted"] == 1


async def test_a_return_lets_a_box_be_sold_again(desk: Desk, stock: list[str]) -> None:
    await desk.capture(bill(stock[:1], "S1"))
    (back,) = await desk.capture(bill(stock[:2], "R1", "103", reason_code="1", reason="ward"))
    (again,) = await desk.capture(bill(stock[:1], "S2"))
    assert (back["accepted"], reasons(back), again["accepted"]) == (1, {stock[1]: "not_sold"}, 1)
    life = (await desk.get(HOSPITAL, f"/codes/{stock[0]}")).json()
    assert [move["move"] for move in life["movements"]] == ["sell", "take_back", "sell"]
    assert life["received"]["state"] == "O"


async def test_placeholders_are_counted_without_a_check(desk: Desk, stock: list[str]) -> None:
    (answer,) = await desk.capture(bill(["9" * 20, "9" * 20, stock[0]], "S1"))
    assert (answer["placeholders"], answer["accepted"], answer["refused"]) == (2, 1, [])


async def test_selling_as_another_product_is_a_mismatch(desk: Desk, stock: list[str]) -> None:
    (answer,) = await desk.capture(bill(stock[:1], "S1", product_code="XA02BCP073A001010100484"))
    assert reasons(answer) == {stock[0]: "mismatch"}


async def test_what_goes_back_to_the_distributor_no_longer_covers_and_may_be_received_elsewhere(
    desk: Desk, stock: list[str], line: Line, worker: WorkerInHand
) -> None:
    why = {"reason_code": "3", "reason": "damaged carton"}
    (back,) = await desk.capture(bill(stock[:2], "R1", "202", **why))
    assert back["accepted"] == 2
    assert (await desk.receipt(line))["packs_captured"] == 3
    elsewhere = Line(10, hospital=OTHER_HOSPITAL)
    await worker.deliver(elsewhere.dispatched())
    (landed,) = await desk.capture(elsewhere.bill(stock[:2]), who=OTHER_HOSPITAL)
    assert landed["accepted"] == 2
    life = (await desk.get(HOSPITAL, f"/codes/{stock[0]}")).json()
    assert (life["received"], [move["move"] for move in life["movements"]]) == (None, ["send_back"])
    (move,) = life["movements"]
    came = (move["received_bill_number"], move["shipment_line_id"], move["lot_number"], move["bill_number"])
    assert came == ("IN", str(line.id), "240101", "R1")
    assert (move["received_at"] < move["captured_at"], len(life["coverage"])) == (True, 1)
    assert (life["coverage"][0]["shipment_line_id"], life["coverage"][0]["packs_captured"]) == (str(line.id), 3)


async def test_each_bill_that_changes_a_line_is_a_deed_of_its_own_and_no_other_bill_is(
    desk: Desk, stock: list[str], line: Line
) -> None:
    path = f"/receipts/{(await desk.receipt(line))['id']}/timeline"
    why = {"reason_code": "3", "reason": "recalled"}
    await desk.capture(line.bill([box(6)], "B2"), bill(stock[:2], "R1", "202", **why), bill(stock[2:3], "S1"))
    await desk.post(MAKER, "/recalls", recall())
    await desk.capture(line.bill([box(7)], "B3"), bill(stock[3:4], "R2", "202", **why))
    await desk.capture(bill(stock[4:5], "R3", "202", **why))
    deeds = (await desk.get(HOSPITAL, path)).json()["deeds"]
    told = [
        (deed["action"], deed["detail"]["bill_number"], deed["detail"].get("changes", {}).get("packs_captured"))
        for deed in deeds
        if "codes_" in deed["action"]
    ]
    assert told == [
        ("codes_captured", "IN", [0, 5]),
        ("codes_captured", "B2", [5, 6]),
        ("codes_sent_back", "R1", [6, 4]),
        ("codes_refused", "B3", None),
        ("codes_sent_back", "R2", [4, 3]),
        ("codes_sent_back", "R3", [3, 2]),
    ]


async def test_what_is_passed_on_still_covers(desk: Desk, stock: list[str], line: Line) -> None:
    await desk.capture(bill(stock[:2], "P1", "209"))
    (landed,) = await desk.capture(bill(stock[:2], "P1", "107"), who=OTHER_HOSPITAL)
    assert landed["accepted"] == 2
    assert (await desk.receipt(line))["packs_captured"] == 5


async def test_what_was_destroyed_is_never_sold(desk: Desk, stock: list[str]) -> None:
    witness = {"name": "王", "id_number": "330102199001011234"}
    (destroyed,) = await desk.capture(
        bill(stock[:1], "W1", "205", executor=witness, supervisor={**witness, "name": "李"})
    )
    (sold,) = await desk.capture(bill(stock[:1], "S1"))
    assert (destroyed["accepted"], reasons(sold)) == (1, {stock[0]: "written_off"})


async def test_two_sales_of_one_box_at_once_are_one(desk: Desk, stock: list[str]) -> None:
    answers = await asyncio.gather(*(desk.capture(bill(stock, f"S{number}")) for number in range(3)))
    assert sum(answer["accepted"] for (answer,) in answers) == len(stock)


async def test_recalled_and_expired_goods_are_not_sold(desk: Desk, stock: list[str], worker: WorkerInHand) -> None:
    await desk.post(MAKER, "/recalls", recall())
    (sold,) = await desk.capture(bill(stock, "S1"))
    assert set(reasons(sold).values()) == {"recalled"}


async def test_several_bills_of_one_call_see_what_the_ones_before_did(desk: Desk, stock: list[str]) -> None:
    first, second, third = await desk.capture(
        bill(stock[:1], "S1"),
        bill(stock[:1], "R1", "116", reason_code="1", reason="x"),
        bill(stock[:2], "S2"),
    )
    assert [first["accepted"], second["accepted"], third["accepted"]] == [1, 1, 2]
