"""A case counts for what lies in it, whenever its map comes."""

import asyncio
from itertools import permutations
from typing import Any

import pytest

from services.traceability.handlers.packings import upload_packings, when_open_cases
from services.traceability.handlers.units import OPEN_CASES
from services.traceability.schemas.packings import UploadPacking
from shared import clock
from shared.deadlines import Deadline
from shared.events.traceability import CoverageShort, CoverageVerified
from shared.identity import Caller
from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    CASE_IDENT,
    HOSPITAL,
    MAKER,
    OTHER_HOSPITAL,
    OTHER_IDENT,
    PRODUCT,
    Desk,
    Line,
    bill,
    box,
    boxes,
    flagged,
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


async def test_a_case_of_several_products_must_be_opened_before_the_codes_of_the_line_are_late(
    desk: Desk, line: Line
) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=2)
    case = box(1, CASE_IDENT)
    await desk.post("operator", "/packings/bulk", [{"parent": case, "children": [box(1), box(1, OTHER_IDENT)]}])
    (answer,) = await desk.capture(line.bill([case]))
    assert reasons(answer) == {case: "mixed_case"}
    timeline = f"/documents/{answer['id']}/timeline"
    (mend,) = (await desk.get(HOSPITAL, timeline)).json()["next"]
    assert (mend["who"]["code"], mend["by"]) == (HOSPITAL, "2026-03-05T02:00:00Z")


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


async def test_boxes_beyond_what_a_case_holds_are_refused_by_themselves(desk: Desk) -> None:
    middle = "8385795"
    await desk.codes(CASE_IDENT, level=3, packs=4)
    await desk.codes(middle, level=2, packs=2)
    case = box(1, CASE_IDENT)
    first = {"parent": case, "children": boxes(2)}
    second = {"parent": case, "children": [box(2), box(3), box(1, middle), box(4), box(5)]}
    third = {"parent": case, "children": [box(6)]}
    answered = await desk.client.post(
        "/packings/bulk", json=[first, second, third], headers={**desk.as_(MAKER), "accept-language": "zh"}
    )
    whole, part, full = (item["item"] for item in answered.json()["items"])
    assert (whole["children"], whole["packs"], whole["packs_per_unit"], whole["refused"]) == (2, 2, 4, [])
    assert (part["children"], part["packs"], reasons(part)) == (
        3,
        4,
        {box(1, middle): "case_full", box(5): "case_full"},
    )
    assert part["refused"][0]["rule"] == f"按标识码 {CASE_IDENT},此箱装 4 个最小销售单位,箱内已有 3 个:再装不下 2 个"
    assert (full["children"], reasons(full)) == (0, {box(6): "case_full"})
    assert (await desk.get(MAKER, f"/codes/{case}")).json()["holds"] == 4
    assert (await desk.get(MAKER, f"/codes/{box(5)}")).json()["lies_in"] == []
    await pack(desk, box(2, CASE_IDENT), [box(5), box(6)])


async def test_two_who_pack_one_case_at_once_do_not_fill_it_beyond_what_it_holds(
    desk: Desk, worker: WorkerInHand
) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    caller = Caller(MAKER, frozenset({"manufacturer"}), "350200", "tester")

    async def packed(first: int) -> Any:
        async with worker.database.transaction() as tx:
            (one,) = await upload_packings(tx, caller, [UploadPacking(parent=CASE, children=boxes(3, first))])
        return one

    async with worker.database.transaction() as tx:
        await upload_packings(tx, caller, [UploadPacking(parent=CASE, children=boxes(3))])
        await tx.flush()
        second = asyncio.create_task(packed(10))
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not second.done() and not await worker.database.pool.fetchval(blocked):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    outcome = await second
    assert (outcome.children, outcome.packs, len(outcome.refused)) == (1, 4, 2)
    assert (await desk.get(MAKER, f"/codes/{CASE}")).json()["holds"] == 4


async def test_a_case_whose_identification_code_does_not_say_how_many_it_holds_takes_all_and_says_so(
    desk: Desk,
) -> None:
    await desk.upload({"ident": CASE_IDENT, "product_code": PRODUCT, "level": 3})
    answered = await desk.post(MAKER, "/packings/bulk", [{"parent": CASE, "children": boxes(3)}])
    (one,) = (item["item"] for item in answered.json()["items"])
    assert one == {"parent": CASE, "children": 3, "packs_per_unit": None, "packs": 3, "refused": []}


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


CASE = box(1, CASE_IDENT)


async def pack(desk: Desk, parent: str, children: list[str]) -> None:
    answered = await desk.post(MAKER, "/packings/bulk", [{"parent": parent, "children": children}])
    assert answered.json()["succeeded"] == 1, answered.text


async def two_lines(desk: Desk, worker: WorkerInHand, hospital: str = HOSPITAL) -> tuple[Line, Line]:
    """A line of the first hospital and one of another (or the same); a case holds ten sale units."""
    await desk.codes(CASE_IDENT, level=3, packs=10)
    lines = Line(10), Line(10, hospital=hospital)
    for line in lines:
        await worker.deliver(line.dispatched(), line.accepted())
    return lines


async def covered(desk: Desk, *lines: Line) -> list[int]:
    return [(await desk.receipt(line))["packs_captured"] for line in lines]


async def anomalies(desk: Desk, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await desk.get("operator", "/anomalies", kind=kind)).json()["items"]
    return found


async def test_boxes_scanned_after_their_case_on_another_line_count_for_the_case(
    desk: Desk, worker: WorkerInHand
) -> None:
    first, second = await two_lines(desk, worker)
    await desk.capture(first.bill([CASE]))
    await desk.capture(second.bill(boxes(4), "B2"))
    assert await covered(desk, first, second) == [10, 4]
    await pack(desk, CASE, boxes(10))
    await worker.meet_deadlines()
    assert await covered(desk, first, second) == [10, 0]
    (found,) = await anomalies(desk, "duplicate")
    assert (found["code"], found["codes"], found["severity"]) == (CASE, 4, "medium")
    assert found["receipt_id"] == (await desk.receipt(second))["id"]
    assert await flagged(worker) == [("duplicate", CASE)]
    told = [fact for fact in await worker.said() if isinstance(fact, CoverageShort | CoverageVerified)]
    assert [(fact.shipment_line_id, fact.quantity_covered) for fact in told] == [
        (first.id, 10),
        (second.id, 4),
        (second.id, 0),
    ]
    life = (await desk.get(HOSPITAL, f"/codes/{box(2)}")).json()
    assert (life["received"]["bill_number"], life["received"]["came_in"]) == ("B1", CASE)
    assert [one["kind"] for one in life["anomalies"]] == ["duplicate"]
    (again,) = await desk.capture(second.bill(boxes(4), "B3"))
    assert set(reasons(again).values()) == {"already_received"}


async def test_a_case_scanned_after_its_boxes_counts_the_others_alone(desk: Desk, worker: WorkerInHand) -> None:
    first, second = await two_lines(desk, worker)
    await desk.capture(second.bill(boxes(4), "B2"))
    await desk.capture(first.bill([CASE]))
    await pack(desk, CASE, boxes(10))
    await worker.meet_deadlines()
    assert await covered(desk, first, second) == [6, 4]
    (found,) = await anomalies(desk, "duplicate")
    assert (found["codes"], found["receipt_id"]) == (4, (await desk.receipt(first))["id"])
    assert [fact for fact in await worker.said() if isinstance(fact, CoverageShort)][-1].quantity_covered == 6


@pytest.mark.parametrize("case_first", [True, False])
async def test_on_one_line_a_box_and_its_case_count_once(desk: Desk, worker: WorkerInHand, case_first: bool) -> None:
    line, _ = await two_lines(desk, worker)
    bills = [line.bill([CASE], "B1"), line.bill([box(3)], "B2")]
    for one in bills if case_first else reversed(bills):
        await desk.capture(one)
    assert (await desk.receipt(line))["packs_captured"] == 11
    await pack(desk, CASE, boxes(10))
    await worker.meet_deadlines()
    shown = await desk.receipt(line)
    assert (shown["packs_captured"], shown["state"]) == (10, "covered")
    assert len(await anomalies(desk, "duplicate")) == 1
    assert [one["state"] for one in await anomalies(desk, "surplus")] == ["closed"]


async def test_between_two_hospitals_the_overlap_weighs_more_and_names_nobody(desk: Desk, worker: WorkerInHand) -> None:
    first, second = await two_lines(desk, worker, OTHER_HOSPITAL)
    await desk.capture(first.bill([CASE]))
    await desk.capture(second.bill(boxes(1), "B2"), who=OTHER_HOSPITAL)
    await pack(desk, CASE, boxes(10))
    await worker.meet_deadlines()
    assert await covered(desk, first, second) == [10, 0]
    (found,) = (await desk.get(OTHER_HOSPITAL, "/anomalies")).json()["items"]
    assert (found["kind"], found["severity"]) == ("duplicate", "high")
    assert HOSPITAL not in str(found)
    life = (await desk.get(OTHER_HOSPITAL, f"/codes/{box(1)}")).json()
    assert (life["received"], [one["kind"] for one in life["anomalies"]]) == (None, ["duplicate"])


async def test_a_sold_box_stays_sold_whoever_keeps_it(desk: Desk, worker: WorkerInHand) -> None:
    first, second = await two_lines(desk, worker)
    await desk.capture(first.bill([CASE]))
    await desk.capture(second.bill(boxes(2), "B2"), bill([box(1)], "S1"))
    await pack(desk, CASE, boxes(10))
    await worker.meet_deadlines()
    assert await covered(desk, first, second) == [10, 0]
    (sold, held) = await desk.capture(bill([box(1)], "S2"), bill([box(2)], "S3"))
    assert (reasons(sold), held["accepted"]) == ({box(1): "already_sold"}, 1)


@pytest.mark.parametrize("splits", [0, 30])
async def test_a_case_that_was_sold_or_sold_out_of_is_opened_too(desk: Desk, worker: WorkerInHand, splits: int) -> None:
    first, second = await two_lines(desk, worker)
    await desk.capture(first.bill([CASE]))
    sale = bill([], "S1", splits=[{"code": CASE, "quantity": splits}]) if splits else bill([CASE], "S1")
    (sold,) = await desk.capture(sale)
    assert sold["accepted"] == 1
    await desk.capture(second.bill([box(9)], "B2"))
    await pack(desk, CASE, boxes(10))
    await worker.meet_deadlines()
    assert await covered(desk, first, second) == [10, 0]
    (again, whole) = await desk.capture(bill([box(1)], "S2"), bill([box(3)], "S3"))
    assert reasons(again) == {box(1): "already_sold"}
    assert whole["accepted"] == (1 if splits else 0)
    life = (await desk.get(HOSPITAL, f"/codes/{box(1)}")).json()
    assert (life["movements"][0]["code"], life["received"]["sold_quantity"]) == (CASE, 24 if splits else 0)


@pytest.mark.parametrize("order", list(permutations(["case", "bundle", "box"])))
async def test_a_case_a_bundle_in_it_and_a_box_in_that_count_once_in_every_order(
    desk: Desk, worker: WorkerInHand, order: tuple[str, ...]
) -> None:
    middle = "8385795"
    await desk.codes(middle, level=2, packs=5)
    lines = dict(zip(("case", "bundle", "box"), (*await two_lines(desk, worker), Line(10)), strict=True))
    await worker.deliver(lines["box"].dispatched(), lines["box"].accepted())
    scanned = {"case": CASE, "bundle": box(1, middle), "box": box(1)}
    for name in order:
        await desk.capture(lines[name].bill([scanned[name]], name))
    await pack(desk, CASE, [box(1, middle), box(2, middle)])
    await worker.meet_deadlines()
    await pack(desk, box(1, middle), boxes(5))
    await pack(desk, box(2, middle), boxes(5, 6))
    await worker.meet_deadlines()
    counted = dict(zip(lines, await covered(desk, *lines.values()), strict=True))
    assert sum(counted.values()) == 10
    assert counted[order[0]] == {"case": 10, "bundle": 5, "box": 1}[order[0]]


async def test_a_map_that_shows_fewer_than_the_identification_code_says_counts(
    desk: Desk, worker: WorkerInHand
) -> None:
    first, second = await two_lines(desk, worker)
    other = box(2, CASE_IDENT)
    await pack(desk, other, boxes(8, 101))
    (answer,) = await desk.capture(first.bill([other]))
    assert (answer["packs"], [one["reason"] for one in answer["warnings"]]) == (8, ["content_differs"])
    await desk.capture(second.bill([CASE], "B2"))
    await pack(desk, CASE, boxes(9))
    await worker.meet_deadlines()
    assert await covered(desk, first, second) == [8, 9]
    assert [(one["code"], one["severity"]) for one in await anomalies(desk, "content_differs")] == [
        (other, "medium"),
        (CASE, "medium"),
    ]
    assert "9 sale units" in (await anomalies(desk, "content_differs"))[1]["detail"]


async def test_a_case_nobody_could_read_is_opened_when_meaning_and_map_came_before_the_bill_committed(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    """The bill read neither meaning nor map, and the worker had looked for both before it committed."""
    await desk.capture(line.bill([CASE]))
    await worker.database.pool.execute(
        "INSERT INTO identification_codes VALUES ($1, 'XA01ABD075A002010100483', 3, 4, 'x', now())", CASE_IDENT
    )
    await worker.database.pool.execute("INSERT INTO packings VALUES ($1, $2, 'x')", box(1), CASE)
    while await worker.meet_deadlines():
        pass
    assert (await desk.receipt(line))["packs_captured"] == 1


async def test_a_map_that_comes_while_case_and_boxes_are_captured_leaves_nothing_doubled(
    desk: Desk, worker: WorkerInHand
) -> None:
    first, second = await two_lines(desk, worker)
    for turn in range(5):
        case, inside = box(10 + turn, CASE_IDENT), boxes(10, 1000 + 10 * turn)
        await asyncio.gather(
            desk.capture(first.bill([case], f"C{turn}")),
            pack(desk, case, inside),
            desk.capture(second.bill(list(reversed(inside)), f"D{turn}")),
            worker.meet_deadlines(),
        )
        while await worker.meet_deadlines():
            pass
        assert sum(await covered(desk, first, second)) == 10 * (turn + 1)
        stock = await worker.database.pool.fetch("SELECT code FROM units WHERE code = $1", case)
        assert stock == []


async def test_opening_costs_as_many_statements_for_many_cases_as_for_one(desk: Desk, worker: WorkerInHand) -> None:
    await desk.codes(CASE_IDENT, level=3, packs=4)
    costs = []
    for first, count in ((1, 1), (100, 50)):
        line, other = Line(4 * count), Line(count)
        await worker.deliver(line.dispatched(), line.accepted(), other.dispatched(), other.accepted())
        cases = [box(first + number, CASE_IDENT) for number in range(count)]
        await desk.capture(line.bill(cases, f"B{first}"))
        await desk.capture(other.bill([box(10 * (first + number)) for number in range(count)], f"C{first}"))
        await worker.meet_deadlines()
        for number, case in enumerate(cases):
            await pack(desk, case, boxes(4, 10 * (first + number)))
        async with worker.database.transaction() as tx:
            await when_open_cases(tx, [Deadline(OPEN_CASES, case, clock.now()) for case in cases])
            await tx.flush()
            costs.append(tx.statements)
        assert await covered(desk, line, other) == [4 * count, 0]
    assert costs[0] == costs[1] <= 14
