"""A case counts for what lies in it, whenever its map comes."""

import asyncio

import pytest

from services.traceability.handlers.packings import upload_packings
from services.traceability.schemas.packings import UploadPacking
from shared.identity import Caller
from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    CASE_IDENT,
    HOSPITAL,
    MAKER,
    OTHER_IDENT,
    Desk,
    Line,
    box,
    boxes,
    reasons,
)


@pytest.fixture
async def case(desk: Desk) -> str:
    """A case of four boxes whose map is known."""
    await desk.codes(CASE_IDENT, level=3, packs=4)
    code = box(1, CASE_IDENT)
    packed = await desk.post(MAKER, "/packings/bulk", [{"parent": code, "children": boxes(4)}])
    assert packed.json()["succeeded"] == 1, packed.text
    return code


async def test_a_case_is_received_as_the_boxes_in_it(desk: Desk, line: Line, case: str) -> None:
    (answer,) = await desk.capture(line.bill([case, box(2)]))
    assert (answer["accepted"], answer["packs"]) == (4, 4)
    life = (await desk.get(HOSPITAL, f"/codes/{box(3)}")).json()
    assert (life["lies_in"], life["received"]["bill_number"]) == ([case], "B1")


async def test_a_box_received_before_its_case_counts_once(desk: Desk, line: Line, case: str) -> None:
    await desk.capture(line.bill([box(2)], "B0"))
    (answer,) = await desk.capture(line.bill([case]))
    assert (answer["accepted"], reasons(answer)) == (3, {box(2): "already_received"})
    assert (await desk.receipt(line))["packs_captured"] == 4


async def test_a_case_without_a_map_counts_by_its_size_until_the_map_comes(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    code = box(9, CASE_IDENT)
    (answer,) = await desk.capture(line.bill([code]))
    assert (answer["accepted"], answer["packs"]) == (1, 4)
    await worker.meet_deadlines()
    assert (await desk.get(HOSPITAL, f"/codes/{code}")).json()["received"]["packs"] == 4
    await desk.post(MAKER, "/packings/bulk", [{"parent": code, "children": boxes(3)}])
    await worker.meet_deadlines()
    assert (await desk.receipt(line))["packs_captured"] == 3
    (again,) = await desk.capture(line.bill([box(1)], "B2"))
    assert reasons(again) == {box(1): "already_received"}


async def test_a_box_in_a_box_in_a_case_is_found(desk: Desk, line: Line) -> None:
    middle = "8385795"
    await desk.codes(CASE_IDENT, level=3, packs=6)
    await desk.codes(middle, level=2, packs=3)
    case, inner = box(1, CASE_IDENT), [box(1, middle), box(2, middle)]
    await desk.post(
        MAKER,
        "/packings/bulk",
        [{"parent": case, "children": inner}, {"parent": inner[0], "children": boxes(3)}],
    )
    (answer,) = await desk.capture(line.bill([case]))
    assert (answer["accepted"], answer["packs"]) == (4, 6)


async def test_a_case_of_several_products_must_be_opened(desk: Desk, line: Line) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=2)
    case = box(1, CASE_IDENT)
    await desk.post("operator", "/packings/bulk", [{"parent": case, "children": [box(1), box(1, OTHER_IDENT)]}])
    (answer,) = await desk.capture(line.bill([case]))
    assert reasons(answer) == {case: "mixed_case"}


async def test_one_box_packed_into_two_cases_at_once_lies_in_one(desk: Desk) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    answers = await asyncio.gather(
        *(
            desk.post(MAKER, "/packings/bulk", [{"parent": box(number, CASE_IDENT), "children": boxes(3)}])
            for number in range(3)
        )
    )
    items = [answer.json()["items"][0] for answer in answers]
    assert sorted(item["status"] for item in items) == [201, 409, 409]


async def test_packings_cost_as_many_statements_for_many_as_for_one(desk: Desk, worker: WorkerInHand) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    caller = Caller(MAKER, frozenset({"manufacturer"}), "350200", "tester")
    costs = []
    for first, count in ((1, 1), (100, 100)):
        packings = [
            UploadPacking(parent=box(first + number, CASE_IDENT), children=boxes(4, first * 10 + 4 * number))
            for number in range(count)
        ]
        async with worker.database.transaction() as tx:
            await upload_packings(tx, caller, packings)
            await tx.flush()
        costs.append(tx.statements)
    assert costs[0] == costs[1] <= 6
