"""Recalled lots are refused, and whoever holds them is found."""

import asyncio

from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    HOSPITAL,
    MAKER,
    OTHER_HOSPITAL,
    Desk,
    Line,
    boxes,
    flagged,
    reasons,
    recall,
)


async def test_recalled_lots_are_refused_until_the_recall_is_closed(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    opened = (await desk.post(MAKER, "/recalls", recall())).json()
    (refused,) = await desk.capture(line.bill(boxes(3)))
    assert set(reasons(refused).values()) == {"recalled"}
    assert [kind for kind, _ in await flagged(worker)] == ["recalled"]
    closed = await desk.post(MAKER, f"/recalls/{opened['id']}/close", {"reason": "all back"})
    assert closed.json()["state"] == "closed"
    (landed,) = await desk.capture(line.bill(boxes(3), "B2"))
    assert landed["accepted"] == 3
    again = await desk.post(MAKER, f"/recalls/{opened['id']}/close", {"reason": "all back"})
    assert again.json()["code"] == "recall_not_open"
    names = [type(fact).__name__ for fact in await worker.said()]
    assert names.count("RecallOpened") == names.count("RecallClosed") == 1


async def test_the_timeline_of_a_receipt_tells_the_recall_of_its_lot_and_who_decides(desk: Desk, line: Line) -> None:
    path = f"/receipts/{(await desk.receipt(line))['id']}/timeline"
    opened = (await desk.post(MAKER, "/recalls", recall())).json()
    await desk.post(MAKER, "/recalls", recall("999999"))
    await desk.capture(line.bill(boxes(3)))
    shown = (await desk.get(HOSPITAL, path)).json()
    told = [deed for deed in shown["deeds"] if deed["action"] == "recall_opened"]
    assert [deed["detail"]["recall_id"] for deed in told] == [opened["id"]]
    assert "codes_refused" in [deed["action"] for deed in shown["deeds"]]
    waits = [(step["who"]["role"], step["who"]["code"]) for step in shown["next"]]
    assert {("hospital", HOSPITAL), ("manufacturer", opened["opened_by"])} <= set(waits)
    await desk.post(MAKER, f"/recalls/{opened['id']}/close", {"reason": "all back"})
    shown = (await desk.get(HOSPITAL, path)).json()
    assert "recall_closed" in [deed["action"] for deed in shown["deeds"]]
    assert not [step for step in shown["next"] if "recall is closed" in step["what"]]


async def test_holders_are_found_at_the_opening_and_later_and_shown_by_scope(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    opened = (await desk.post(MAKER, "/recalls", recall())).json()
    await worker.meet_deadlines()
    later = Line(4, hospital=OTHER_HOSPITAL)
    await worker.deliver(later.dispatched(), later.accepted())
    await worker.meet_deadlines()
    path = f"/recalls/{opened['id']}"

    async def held(who: str) -> dict[str, int]:
        shown = (await desk.get(who, path)).json()
        return {one["institution_code"]: one["packs"] for one in shown["held_by"]}

    assert await held(MAKER) == {HOSPITAL: 10, OTHER_HOSPITAL: 4}
    assert await held("authority") == {HOSPITAL: 10, OTHER_HOSPITAL: 4}
    assert await held(HOSPITAL) == {HOSPITAL: 10}
    assert await held("far authority") == {}


async def test_goods_of_another_lot_are_not_touched(desk: Desk, line: Line, worker: WorkerInHand) -> None:
    await desk.post(MAKER, "/recalls", recall("999999"))
    (answer,) = await desk.capture(line.bill(boxes(3)))
    assert answer["accepted"] == 3


async def test_a_recall_closed_twice_at_once_is_closed_once(desk: Desk) -> None:
    opened = (await desk.post(MAKER, "/recalls", recall())).json()
    path = f"/recalls/{opened['id']}/close"
    answers = await asyncio.gather(*(desk.post(MAKER, path, {"reason": "all back"}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
