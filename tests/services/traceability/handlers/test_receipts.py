"""Receipts come of shipments in any order, and coverage of codes: told once, in whole versions, never above what was accepted."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events import Event
from shared.events.traceability import CoverageShort, CoverageVerified, ReceiptExpected
from tests.house import WorkerInHand
from tests.services.traceability.scenes import HOSPITAL, NOW, SLICE, Desk, Line, boxes


def told(facts: list[Event]) -> list[tuple[str, int]]:
    """What was said of coverage, in order: the kind and how much was covered."""
    return [
        (type(fact).__name__, fact.quantity_covered)
        for fact in facts
        if isinstance(fact, CoverageVerified | CoverageShort)
    ]


async def test_a_shipment_line_is_one_expected_receipt(desk: Desk, worker: WorkerInHand) -> None:
    line, other = Line(10), Line(5)
    messages = await worker.deliver(line.dispatched(other))
    await worker.redeliver(messages)
    await worker.deliver(line.dispatched(other))
    assert [(fact.shipment_line_id, fact.quantity_shipped) for fact in await worker.said()] == [
        (line.id, 10),
        (other.id, 5),
    ]
    assert (await desk.receipt(line))["state"] == "expected"
    assert await worker.dead_letters() == []


async def test_codes_before_acceptance_are_stored_and_acceptance_tells(desk: Desk, worker: WorkerInHand) -> None:
    line = Line(10)
    await worker.deliver(line.dispatched())
    await desk.capture(line.bill(boxes(10)))
    assert told(await worker.said()) == []
    await worker.deliver(line.accepted())
    assert told(await worker.said()) == [("CoverageVerified", 10)]
    assert (await desk.receipt(line))["state"] == "covered"


async def test_coverage_grows_step_by_step_and_stops_at_what_was_accepted(desk: Desk, worker: WorkerInHand) -> None:
    line = Line(10)
    await worker.deliver(line.dispatched(), line.accepted(8))
    for number, codes in enumerate([boxes(3), boxes(4, 4), boxes(3, 8), boxes(1, 20)]):
        await desk.capture(line.bill(codes, f"B{number}"))
    assert told(await worker.said()) == [("CoverageShort", 3), ("CoverageShort", 7), ("CoverageVerified", 8)]
    shown = await desk.receipt(line)
    assert (shown["packs_captured"], shown["quantity_covered"], shown["state"]) == (11, 8, "covered")


async def test_versions_rise_by_one_with_each_event(desk: Desk, worker: WorkerInHand) -> None:
    line = Line(10)
    await worker.deliver(line.dispatched(), line.accepted())
    await desk.capture(line.bill(boxes(4), "B1"))
    await desk.capture(line.bill(boxes(6, 5), "B2"))
    rows = await worker.database.pool.fetch("SELECT sequence FROM outbox ORDER BY id")
    assert [row["sequence"] for row in rows] == [1, 2, 3]
    assert (await desk.receipt(line))["version"] == 3


FACTS = ("dispatched", "accepted", "rejected")


@pytest.mark.parametrize("order", list(itertools.permutations(FACTS)), ids=" then ".join)
async def test_every_order_of_the_facts_of_a_line_comes_to_the_same(
    desk: Desk, worker: WorkerInHand, order: tuple[str, ...]
) -> None:
    line = Line(10)
    facts = {"dispatched": line.dispatched(), "accepted": line.accepted(7), "rejected": line.rejected(3)}
    for name in order:
        await worker.deliver(facts[name])
    shown = await desk.receipt(line)
    numbers = [shown[f"quantity_{name}"] for name in ("shipped", "accepted", "rejected")]
    assert (shown["state"], shown["lot_number"], shown["unit"], numbers) == ("short", "240101", "盒", [10, 7, 3])
    assert [type(fact) for fact in await worker.said()] == [ReceiptExpected]
    assert await worker.dead_letters() == []


@pytest.mark.parametrize("order", list(itertools.permutations(("dispatched", "cancelled"))), ids=" then ".join)
async def test_a_cancelled_shipment_expects_nothing_whichever_comes_first(
    desk: Desk, worker: WorkerInHand, order: tuple[str, ...]
) -> None:
    line = Line(10)
    facts: dict[str, Event] = {"dispatched": line.dispatched(), "cancelled": line.cancelled()}
    for name in order:
        await worker.deliver(facts[name])
    assert (await desk.receipt(line))["state"] == "withdrawn"
    (refused,) = await desk.capture(line.bill(boxes(1)))
    assert refused["code"] == "receipt_closed"


@pytest.mark.parametrize("order", list(itertools.permutations(("dispatched", "rejected"))), ids=" then ".join)
async def test_a_line_rejected_as_a_whole_expects_nothing(
    desk: Desk, worker: WorkerInHand, order: tuple[str, ...]
) -> None:
    line = Line(10)
    facts: dict[str, Event] = {"dispatched": line.dispatched(), "rejected": line.rejected()}
    for name in order:
        await worker.deliver(facts[name])
    assert (await desk.receipt(line))["state"] == "rejected"


@pytest.mark.parametrize(("kind", "exempt"), [("slice", True), ("granule", True), ("western", False)])
async def test_exempt_kinds_are_marked_and_never_short(
    desk: Desk, worker: WorkerInHand, kind: str, exempt: bool
) -> None:
    line = Line(10, kind=kind)
    await worker.deliver(line.dispatched(), line.accepted())
    shown = await desk.receipt(line)
    assert (shown["exempt"], shown["state"]) == (exempt, "exempt" if exempt else "short")
    (expected,) = await worker.said()
    assert isinstance(expected, ReceiptExpected)
    assert expected.exempt is exempt


async def test_a_batch_costs_as_many_statements_as_one_event(desk: Desk, worker: WorkerInHand) -> None:
    costs: list[int] = []
    for count in (1, 40):
        lines = [Line(10) for _ in range(count)]
        for facts in ([line.dispatched() for line in lines], [line.accepted() for line in lines]):
            costs.append(await cost(worker, facts))
    assert costs[:2] == costs[2:]
    assert max(costs) <= 4


async def cost(worker: WorkerInHand, facts: list[Any]) -> int:
    """The statements of the handler of these facts."""
    handler = worker.service.handlers[type(facts[0])]
    received = [Fact(fact) for fact in facts]
    async with worker.database.transaction() as tx:
        await handler(tx, received)  # type: ignore[arg-type]
        await tx.flush()
    return tx.statements


class Fact:
    """As much of Received as a handler reads."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.time = datetime(2026, 3, 2, tzinfo=UTC)


async def test_the_timeline_tells_what_happened_and_who_acts(desk: Desk, worker: WorkerInHand) -> None:
    line = Line(10)
    await worker.deliver(line.dispatched(), line.accepted())
    await desk.capture(line.bill(boxes(4)))
    receipt = await desk.receipt(line)
    shown = (await desk.get(HOSPITAL, f"/receipts/{receipt['id']}/timeline")).json()
    assert [deed["action"] for deed in shown["deeds"]] == ["expected", "accepted", "codes_captured"]
    assert shown["deeds"][2]["detail"]["bill_number"] == "B1"
    who = {"role": "hospital", "code": HOSPITAL, "name": None, "region": None}
    late_from = (NOW + timedelta(hours=72)).isoformat().replace("+00:00", "Z")
    assert shown["next"] == [{"who": who, "what": "capture codes for 6 of 10 盒", "by": late_from}]
    chinese = {**desk.as_(HOSPITAL), "accept-language": "zh-CN"}
    (step,) = (await desk.client.get(f"/receipts/{receipt['id']}/timeline", headers=chinese)).json()["next"]
    assert step["what"] == "采集追溯码:已验收的 10 盒中尚缺 6"


@pytest.mark.parametrize("codes_first", [True, False])
async def test_codes_beyond_what_was_accepted_are_found_whichever_comes_first(
    desk: Desk, worker: WorkerInHand, codes_first: bool
) -> None:
    line = Line(10)
    await worker.deliver(line.dispatched())
    if codes_first:
        (answer,) = await desk.capture(line.bill(boxes(10)))
        assert answer["warnings"] == []
    await worker.deliver(line.rejected(2), line.accepted(8))
    if not codes_first:
        (answer,) = await desk.capture(line.bill(boxes(10)))
        assert [one["reason"] for one in answer["warnings"]] == ["surplus"]
    shown = await desk.receipt(line)
    assert (shown["quantity_covered"], shown["packs_captured"], shown["state"]) == (8, 10, "covered")
    (anomaly,) = (await desk.get(HOSPITAL, "/anomalies")).json()["items"]
    assert (anomaly["kind"], anomaly["codes"], anomaly["receipt_id"]) == ("surplus", 2, shown["id"])


async def test_codes_of_a_shipment_that_was_cancelled_or_rejected_are_surplus_all(
    desk: Desk, worker: WorkerInHand
) -> None:
    cancelled, rejected = Line(5), Line(5)
    await worker.deliver(cancelled.dispatched(), rejected.dispatched())
    await desk.capture(cancelled.bill(boxes(2), "B1"), rejected.bill(boxes(3, 11), "B2"))
    await worker.deliver(cancelled.cancelled(), rejected.rejected())
    found = (await desk.get(HOSPITAL, "/anomalies", kind="surplus")).json()["items"]
    assert sorted(one["codes"] for one in found) == [2, 3]


async def test_where_no_codes_are_asked_for_none_are_too_many(desk: Desk, worker: WorkerInHand) -> None:
    line = Line(1, product_code=SLICE, kind="slice")
    await worker.deliver(line.dispatched(), line.accepted())
    await desk.capture(line.bill(["Q/QH-1", "Q/QH-2"]))
    assert (await desk.get(HOSPITAL, "/anomalies", kind="surplus")).json()["items"] == []
