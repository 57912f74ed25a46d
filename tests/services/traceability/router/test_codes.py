"""A code's whole life is told to whoever takes part in it: scanned, refused, packed, sold, found; and to its maker."""

import pytest

from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    CASE_IDENT,
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    OTHER_DISTRIBUTOR,
    OTHER_HOSPITAL,
    OTHER_IDENT,
    OTHER_MAKER,
    OTHER_PRODUCT,
    PRODUCT,
    Desk,
    Line,
    bill,
    box,
    boxes,
    listed,
)

CASE = box(1, CASE_IDENT)


async def life(desk: Desk, code: str, who: str = HOSPITAL) -> dict[str, object]:
    answer = await desk.get(who, f"/codes/{code}")
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


@pytest.fixture
async def opened(desk: Desk, line: Line, worker: WorkerInHand) -> str:
    """A case of four that was received, then mapped and opened; one box of it is sold."""
    await desk.codes(CASE_IDENT, level=3, packs=4)
    await desk.capture(line.bill([CASE]))
    answered = await desk.post(MAKER, "/packings/bulk", [{"parent": CASE, "children": boxes(4)}])
    assert answered.json()["succeeded"] == 1
    await worker.meet_deadlines()
    await desk.capture(bill([box(2)], "S1"))
    return CASE


async def test_a_case_that_was_opened_tells_what_came_of_it(desk: Desk, line: Line, opened: str) -> None:
    told = await life(desk, opened)
    (content,) = told["contents"]  # type: ignore[misc]
    assert (content["bill_number"], content["shipment_line_id"]) == ("B1", str(line.id))
    assert [content[name] for name in ("codes", "packs", "held", "sold", "written_off")] == [4, 4, 3, 1, 0]
    assert (told["received"], told["holds"], told["product_code"], told["level"]) == (None, 4, PRODUCT, 3)
    (coverage,) = told["coverage"]  # type: ignore[misc]
    assert (coverage["quantity_covered"], coverage["quantity_accepted"], coverage["state"]) == (4, 10, "short")


async def test_a_box_tells_that_it_came_in_its_case_and_was_sold(desk: Desk, opened: str) -> None:
    told = await life(desk, box(2))
    assert told["lies_in"] == [opened]
    assert (told["received"]["came_in"], told["received"]["state"]) == (opened, "O")  # type: ignore[index]
    assert [(move["move"], move["code"]) for move in told["movements"]] == [("sell", box(2))]  # type: ignore[attr-defined]
    assert told["coverage"][0]["quantity_covered"] == 4  # type: ignore[index]


async def test_a_box_in_a_case_nobody_has_opened_yet_tells_of_the_case(desk: Desk, line: Line) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    await desk.capture(line.bill([CASE]))
    await desk.post(MAKER, "/packings/bulk", [{"parent": CASE, "children": boxes(4)}])
    told = await life(desk, box(2))
    assert (told["received"]["came_in"], told["received"]["packs"]) == (CASE, 4)  # type: ignore[index]


async def test_a_case_scanned_with_its_map_known_tells_the_same(desk: Desk, line: Line) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    await desk.post(MAKER, "/packings/bulk", [{"parent": CASE, "children": boxes(4)}])
    await desk.capture(line.bill([CASE]))
    assert (await life(desk, CASE))["contents"][0]["codes"] == 4  # type: ignore[index]
    assert (await life(desk, box(1)))["received"]["came_in"] == CASE  # type: ignore[index]


async def test_a_code_that_was_only_ever_refused_tells_why(desk: Desk, line: Line) -> None:
    strange = box(1, OTHER_IDENT)
    await desk.capture(line.bill([strange]), bill([box(7)], "S1"))
    told = await life(desk, strange)
    (refused,) = told["refused"]  # type: ignore[misc]
    assert (refused["reason"], refused["bill_number"], refused["shipment_line_id"]) == ("mismatch", "B1", str(line.id))
    assert [one["kind"] for one in told["anomalies"]] == ["mismatch"]  # type: ignore[attr-defined]
    assert (await life(desk, box(7)))["refused"][0]["reason"] == "no_inbound"  # type: ignore[index]


async def test_a_refused_scan_is_told_to_whom_it_concerns_alone(desk: Desk, line: Line, worker: WorkerInHand) -> None:
    elsewhere = Line(10, hospital=OTHER_HOSPITAL)
    await worker.deliver(elsewhere.dispatched(), elsewhere.accepted())
    await desk.capture(line.bill([box(1)]))
    await desk.capture(elsewhere.bill([box(1)], "E1"), who=OTHER_HOSPITAL)
    mine, theirs = await life(desk, box(1)), await life(desk, box(1), OTHER_HOSPITAL)
    assert (mine["refused"], mine["anomalies"]) == ([], [])
    assert [one["reason"] for one in theirs["refused"]] == ["received_elsewhere"]  # type: ignore[attr-defined]
    assert (theirs["received"], theirs["coverage"]) == (None, [])
    assert HOSPITAL not in str(theirs)
    both = await life(desk, box(1), "authority")
    assert len(both["refused"]) == 1  # type: ignore[arg-type]
    assert both["received"]["institution_code"] == HOSPITAL  # type: ignore[index]


HIDDEN = ("received", "contents", "coverage", "refused", "anomalies")
"""Of a code's life, what is the hospital's alone or the line's."""


def arrived(told: dict[str, object]) -> list[tuple[object, ...]]:
    names = ("institution_code", "bill_number", "lot_number", "codes", "packs")
    return [tuple(one[name] for name in names) for one in told["arrivals"]]  # type: ignore[attr-defined]


async def test_a_maker_sees_where_its_codes_are_and_nothing_of_what_was_used(
    desk: Desk, line: Line, opened: str
) -> None:
    told = await life(desk, box(2), MAKER)
    assert (told["product_code"], told["manufacturer_code"], told["lies_in"]) == (PRODUCT, MAKER, [opened])
    assert arrived(told) == [(HOSPITAL, "B1", "240101", 1, 1)]
    assert (told["arrivals"][0]["shipment_line_id"], told["movements"]) == (str(line.id), [])  # type: ignore[index]
    assert not any(told[name] for name in HIDDEN)
    whole = await life(desk, opened, MAKER)
    assert (whole["holds"], arrived(whole), whole["movements"]) == (4, [(HOSPITAL, "B1", "240101", 4, 4)], [])
    assert not any(whole[name] for name in HIDDEN)
    assert "321" not in str(whole) + str(told)  # the sale


async def test_a_maker_sees_the_way_that_its_code_went(desk: Desk, line: Line, worker: WorkerInHand) -> None:
    elsewhere = Line(10, hospital=OTHER_HOSPITAL)
    await worker.deliver(elsewhere.dispatched(), elsewhere.accepted())
    await desk.capture(line.bill([box(1)], "X1", "201"), who=DISTRIBUTOR)
    await desk.capture(
        line.bill([box(1)]), bill([box(1)], "S1"), bill([box(1)], "T1", "116", reason_code="1", reason="退药")
    )
    await desk.capture(bill([box(1)], "D1", "209"))
    await desk.capture(elsewhere.bill([box(1)], "E1"), who=OTHER_HOSPITAL)
    told = await life(desk, box(1), MAKER)
    assert [(move["move"], move["bill_number"]) for move in told["movements"]] == [("ship", "X1"), ("pass_on", "D1")]  # type: ignore[attr-defined]
    assert arrived(told) == [(OTHER_HOSPITAL, "E1", "240101", 1, 1)]
    assert [move["move"] for move in (await life(desk, box(1)))["movements"]] == ["sell", "take_back", "pass_on"]  # type: ignore[attr-defined]


async def test_of_a_case_with_boxes_of_two_makers_each_sees_its_own_boxes_and_their_agent_both(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    agent = "91330100MA2QHXY019"
    desk.roles[agent] = ("manufacturer", agent, "330100")
    theirs = Line(10, product_code=OTHER_PRODUCT)
    await worker.deliver(listed(agent_code=agent), listed(OTHER_PRODUCT, OTHER_MAKER, agent_code=agent))
    await worker.deliver(theirs.dispatched(), theirs.accepted())
    await desk.codes(CASE_IDENT, level=3, packs=2)
    packed = await desk.post(agent, "/packings/bulk", [{"parent": CASE, "children": [box(1), box(1, OTHER_IDENT)]}])
    assert packed.json()["succeeded"] == 1
    await desk.capture(line.bill([box(1)]), theirs.bill([box(1, OTHER_IDENT)], "B2"))
    assert arrived(await life(desk, CASE, MAKER)) == [(HOSPITAL, "B1", "240101", 1, 1)]
    assert len(arrived(await life(desk, CASE, agent))) == 2


async def test_who_says_that_a_strange_code_is_its_own_does_not_see_where_it_came_for_another_s_line(
    desk: Desk, line: Line
) -> None:
    unknown = "8100000"
    await desk.capture(line.bill([box(1, unknown)]))
    await desk.codes(unknown, OTHER_PRODUCT, who=OTHER_MAKER)
    assert (await life(desk, box(1, unknown), OTHER_MAKER))["arrivals"] == []


@pytest.mark.parametrize("code", [box(2), CASE], ids=["box", "case"])
async def test_a_distributor_sees_the_line_its_code_came_for_and_not_what_became_of_it_there(
    desk: Desk, line: Line, opened: str, code: str
) -> None:
    told = await life(desk, code, DISTRIBUTOR)
    assert [(one["shipment_line_id"], one["quantity_covered"]) for one in told["coverage"]] == [(str(line.id), 4)]  # type: ignore[attr-defined]
    packs = 1 if code == box(2) else 4
    assert arrived(told) == [(HOSPITAL, "B1", "240101", packs, packs)]
    assert (told["product_code"], told["received"], told["contents"], told["movements"]) == (PRODUCT, None, [], [])


async def test_a_distributor_sees_why_scans_for_its_line_were_refused_and_no_others(desk: Desk, line: Line) -> None:
    await desk.capture(line.bill([box(1, OTHER_IDENT)]), bill([box(7)], "S1"))
    told = await life(desk, box(1, OTHER_IDENT), DISTRIBUTOR)
    assert [one["reason"] for one in told["refused"]] == ["mismatch"]  # type: ignore[attr-defined]
    assert (told["anomalies"], told["coverage"]) == ([], [])
    assert (await desk.get(DISTRIBUTOR, f"/codes/{box(7)}")).status_code == 404


async def test_the_placeholder_of_split_packs_is_told_for_what_it_is(desk: Desk, line: Line) -> None:
    await desk.capture(line.bill(["9" * 20]))
    for who in (HOSPITAL, DISTRIBUTOR, OTHER_HOSPITAL):
        answer = await desk.get(who, f"/codes/{'9' * 20}")
        assert (answer.status_code, answer.json()["code"]) == (422, "code_unreadable")
        (fault,) = answer.json()["errors"]
        assert fault["code"] == "placeholder"
        assert "stands for no package" in fault["rule"]


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (OTHER_MAKER, box(2)),
        (MAKER, box(1, OTHER_IDENT)),
        (MAKER, box(1, "8100000")),
        (OTHER_HOSPITAL, box(2)),
        (OTHER_HOSPITAL, CASE),
        (OTHER_DISTRIBUTOR, box(2)),
        ("far authority", CASE),
        ("operator", box(1, "8100000")),
    ],
)
async def test_to_others_a_code_is_not_there(desk: Desk, opened: str, who: str, code: str) -> None:
    answer = await desk.get(who, f"/codes/{code}")
    assert (answer.status_code, answer.json()["code"]) == (404, "code_not_found")


async def test_a_timeline_of_a_line_tells_refused_scans_anomalies_coverage_and_recalls(desk: Desk, line: Line) -> None:
    await desk.capture(line.bill([*boxes(11), box(1), box(1, OTHER_IDENT)]))
    opened = await desk.post(MAKER, "/recalls", {"product_code": PRODUCT, "lot_numbers": ["240101"], "reason": "glass"})
    await desk.post(MAKER, f"/recalls/{opened.json()['id']}/close", {"reason": "all back"})
    receipt = await desk.receipt(line)
    deeds = (await desk.get(HOSPITAL, f"/receipts/{receipt['id']}/timeline")).json()["deeds"]
    told = {deed["action"]: deed["detail"] for deed in deeds}
    assert told["codes_refused"]["reasons"] == {"repeated": 1, "mismatch": 1}
    captured = told["codes_captured"]
    assert (captured["changes"]["quantity_covered"], captured["bill_number"]) == ([0, 10], "B1")
    found = [deed["detail"]["kind"] for deed in deeds if deed["action"] == "anomaly_found"]
    assert sorted(found) == ["mismatch", "surplus"]
    assert [deed["action"] for deed in deeds][-2:] == ["recall_opened", "recall_closed"]
    assert told["recall_opened"]["reason"] == "glass"


async def test_what_becomes_of_an_anomaly_stands_in_the_timeline_of_its_line(desk: Desk, line: Line) -> None:
    await desk.capture(line.bill([box(1, OTHER_IDENT)]))
    anomaly = (await desk.get(HOSPITAL, "/anomalies")).json()["items"][0]
    path = f"/anomalies/{anomaly['id']}"
    await desk.post(HOSPITAL, f"{path}/explanation", {"explanation": "the wrong shelf"}, if_match='"1"')
    await desk.post("authority", f"{path}/close", {"finding": "fine"}, if_match='"2"')
    receipt = await desk.receipt(line)
    deeds = (await desk.get("authority", f"/receipts/{receipt['id']}/timeline")).json()["deeds"]
    told = [(deed["action"], deed["detail"].get("words")) for deed in deeds if "anomaly" in deed["action"]]
    assert told == [("anomaly_found", None), ("anomaly_explained", "the wrong shelf"), ("anomaly_closed", "fine")]
    to_the_distributor = (await desk.get(DISTRIBUTOR, f"/receipts/{receipt['id']}/timeline")).json()["deeds"]
    assert not [deed for deed in to_the_distributor if "anomaly" in deed["action"]]


async def test_a_bill_tells_what_became_of_its_codes_and_who_sees_to_the_others(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    answers = await desk.capture(
        line.bill([box(1), box(1, OTHER_IDENT), "9" * 20]),
        line.bill([box(2)], "B2"),
        bill([box(1)], "T1", "116", reason_code="1", reason="退药"),
    )
    path = f"/documents/{answers[0]['id']}/timeline"
    told = (await desk.get(HOSPITAL, path)).json()
    assert (told["state"], [deed["action"] for deed in told["deeds"]]) == ("partly_refused", ["captured"])
    assert [(step["who"]["role"], step["what"]) for step in told["next"]] == [
        ("hospital", f"explain a code of another product ({box(1, OTHER_IDENT)}), with delivery note and invoice")
    ]
    landed = (await desk.get(HOSPITAL, f"/documents/{answers[1]['id']}/timeline")).json()
    assert (landed["state"], landed["next"]) == ("landed", [])
    refused = (await desk.get("authority", f"/documents/{answers[2]['id']}/timeline")).json()
    assert (refused["state"], refused["next"]) == ("refused", [])
    assert (await desk.get(OTHER_HOSPITAL, path)).status_code == 404
    seen = (await desk.get(DISTRIBUTOR, path)).json()
    assert (seen["state"], seen["deeds"], seen["next"]) == ("partly_refused", [], [])
    assert (await desk.get(DISTRIBUTOR, f"/documents/{answers[2]['id']}")).status_code == 404
