"""Recalled lots are refused, and whoever holds them is found."""

import asyncio
from typing import Any

import pytest

from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    OTHER_HOSPITAL,
    OTHER_IDENT,
    Desk,
    Line,
    bill,
    box,
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


async def recalled(desk: Desk, code: str, who: str = HOSPITAL) -> list[dict[str, Any]]:
    """The recalls that the life of a code tells of, in Chinese."""
    answer = await desk.client.get(f"/codes/{code}", headers={**desk.as_(who), "accept-language": "zh"})
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()["recalls"]
    return told


@pytest.fixture
async def scattered(desk: Desk, line: Line) -> Line:
    """Of six boxes one is sold, one destroyed, one went back; a seventh was scanned for another product's code."""
    witness = {"name": "王", "id_number": "330102199001011234"}
    await desk.capture(line.bill(boxes(6), "X1", "201"), who=DISTRIBUTOR)
    await desk.capture(
        line.bill([*boxes(5), box(1, OTHER_IDENT)]),
        bill([box(2)], "S1"),
        bill([box(3)], "W1", "205", executor=witness, supervisor={**witness, "name": "李"}),
        bill([box(4)], "T1", "202", reason_code="3", reason="damaged carton"),
    )
    return line


@pytest.mark.parametrize(
    ("code", "who", "what"),
    [
        (box(1), HOSPITAL, "将此药品封存,不得使用或销售,并退回(202)或销毁(205)"),
        (box(2), HOSPITAL, "查明此药品发给了谁,并收回(103、116)"),
        (box(3), HOSPITAL, "无须再处理:此药品已销毁或抽检"),
        (box(4), HOSPITAL, "此药品不得入库、使用或销售;持有者应予封存并退回"),
        *((box(1), who, "此药品不得入库、使用或销售;持有者应予封存并退回") for who in (MAKER, DISTRIBUTOR)),
        (box(6), DISTRIBUTOR, "此药品不得入库、使用或销售;持有者应予封存并退回"),
        (box(1), "authority", "将此药品封存,不得使用或销售,并退回(202)或销毁(205)"),
    ],
)
async def test_the_life_of_a_code_tells_the_recall_of_its_lot_and_what_to_do(
    desk: Desk, scattered: Line, code: str, who: str, what: str
) -> None:
    opened = (await desk.post(MAKER, "/recalls", recall("240101", "240102"))).json()
    await desk.post(MAKER, "/recalls", recall("999999"))
    (told,) = await recalled(desk, code, who)
    named = {name: opened[name] for name in ("id", "reason", "state", "opened_by", "opened_at", "closed_at")}
    assert told == {**named, "lot_numbers": ["240101"], "what": what}
    await desk.post(MAKER, f"/recalls/{opened['id']}/close", {"reason": "all back"})
    (told,) = await recalled(desk, code, who)
    assert (told["state"], told["what"]) == ("closed", None)


async def test_a_code_that_was_refused_as_recalled_tells_the_recall_and_one_of_another_product_does_not(
    desk: Desk, scattered: Line
) -> None:
    await desk.post(MAKER, "/recalls", recall())
    await desk.capture(scattered.bill([box(7)], "B2"))
    assert [one["lot_numbers"] for one in await recalled(desk, box(7))] == [["240101"]]
    assert await recalled(desk, box(1, OTHER_IDENT)) == []
