"""Goods of a recalled lot are not paid for until the recall is closed; what is paid stays paid, and is named."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import msgspec
import pytest
from uuid_utils.compat import uuid7

from shared.events.orders import AcceptedLine
from shared.events.settlement import PayableHeld
from shared.events.traceability import RecallClosed, RecallOpened

from .conftest import (
    AGENCY_A,
    AGENCY_B,
    AUTHORITY,
    CLOSED,
    HOSPITAL,
    MAKER,
    SUPPLIER,
    WITH_CODES,
    Stage,
    covered,
    delivery,
    line,
)

BAD_LOT, GOOD_LOT = "20250101", "20250102"
NEXT_MONTH = datetime(2025, 4, 30, 16, tzinfo=UTC)


def of_lot(lot: str, quantity: int = 100) -> AcceptedLine:
    return msgspec.structs.replace(line(quantity), lot_number=lot)


def opened(recall_id: UUID, *, by: str = MAKER[1], lots: tuple[str, ...] = (BAD_LOT,)) -> RecallOpened:
    return RecallOpened(
        recall_id=recall_id,
        product_code=line().product_code,
        lot_numbers=lots,
        reason="含量不符",
        opened_at=CLOSED - timedelta(days=2),
        opened_by=by,
        manufacturer_code=MAKER[1],
    )


def closed(recall_id: UUID, lots: tuple[str, ...] = (BAD_LOT,)) -> RecallClosed:
    return RecallClosed(recall_id=recall_id, product_code=line().product_code, lot_numbers=lots, closed_at=CLOSED)


async def only(stage: Stage, **filters: str) -> dict[str, Any]:
    """The one payable there is."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    (found,) = (await stage.get(f"/payables?{query}"))["items"]
    shown: dict[str, Any] = found
    return shown


async def of(stage: Stage, lot: str) -> dict[str, Any]:
    (found,) = [one for one in (await stage.get("/payables"))["items"] if one["lot_number"] == lot]
    shown: dict[str, Any] = found
    return shown


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=lambda order: "".join(map(str, order)))
@pytest.mark.parametrize("ends", [False, True])
async def test_delivery_coverage_recall_and_its_end_come_to_the_same_in_every_order(
    stage: Stage, order: tuple[int, ...], ends: bool
) -> None:
    stage.drive(WITH_CODES)
    accepted, recall = delivery(line(10), at=WITH_CODES), uuid7()
    other = uuid7()
    facts: list[tuple[Any, int]] = [
        (accepted, 1),
        (covered(accepted, 7), 2),
        (opened(recall), 1),
        (closed(recall), 2) if ends else (opened(other, by=AUTHORITY[1]), 1),
    ]
    for place in order:
        fact, sequence = facts[place]
        await stage.worker.deliver(fact, sequence=sequence)
        await stage.worker.deliver(fact, sequence=sequence)
    found = await only(stage)
    assert (found["quantity_released"], found["released_yuan"]) == (7, "86.38")
    if ends:
        assert (found["state"], found["recall"]) == ("released", None)
        assert [step["who"]["role"] for step in found["next"]] == ["platform", "hospital"]
    else:
        assert (found["state"], found["recall"]["reason"]) == ("recalled", "含量不符")
        assert [step["who"]["role"] for step in found["next"]] == ["manufacturer"]
        assert "123.40 yuan are not paid until then: lot 20250101 is recalled: 含量不符" in found["next"][0]["what"]
        assert (await only(stage, state="recalled"))["id"] == found["id"]
        assert (await stage.get("/payables?state=released"))["items"] == []


async def test_of_two_recalls_the_open_one_keeps_the_money(stage: Stage) -> None:
    first, second = uuid7(), uuid7()
    await stage.worker.deliver(delivery(), opened(first), opened(second, by=AUTHORITY[1]))
    await stage.worker.deliver(closed(first), sequence=2)
    found = await only(stage)
    assert found["state"] == "recalled"
    assert found["next"][0]["who"] == {"role": "authority", "code": AUTHORITY[1], "name": None, "region": None}
    await stage.worker.deliver(closed(second), sequence=2)
    assert (await only(stage))["state"] == "released"


async def test_a_recalled_lot_goes_onto_no_sheet_until_the_recall_is_closed(stage: Stage) -> None:
    recall = uuid7()
    await stage.worker.deliver(opened(recall))
    sheets = await stage.sheets(delivery(of_lot(BAD_LOT), of_lot(GOOD_LOT, 3)))
    assert [sheet["amount_yuan"] for sheet in sheets] == ["37.02"]
    await stage.worker.deliver(closed(recall), sequence=2)
    stage.drive(NEXT_MONTH)
    assert await stage.worker.meet_deadlines()
    amounts = {sheet["month"]: sheet["amount_yuan"] for sheet in (await stage.get("/sheets"))["items"]}
    assert amounts == {"2025-03": "37.02", "2025-04": "1234.00"}
    await stage.ledger_agrees()


async def test_a_line_that_is_recalled_leaves_its_sheet_before_the_run_and_comes_back_when_the_recall_ends(
    stage: Stage,
) -> None:
    (sheet,) = await stage.reviewed(delivery(of_lot(BAD_LOT), of_lot(GOOD_LOT, 3)))
    recall = uuid7()
    await stage.worker.deliver(opened(recall))
    waiting = await of(stage, BAD_LOT)
    assert (waiting["state"], [step["who"]["role"] for step in waiting["next"]]) == (
        "sheeted",
        ["agency", "manufacturer"],
    )
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201, **{"accept-language": "zh-CN"})
    assert (run["amount_yuan"], run["payment_count"]) == ("37.02", 1)
    assert run["waits_for"]["what"].endswith("以外的人批准或驳回此付款批次(共 1 笔付款)")
    left = await stage.get(f"/sheets/{sheet['id']}")
    assert (left["amount_yuan"], left["line_count"], left["state"]) == ("37.02", 1, "in_run")
    lines = {
        one["lot_number"]: one["dispute_reason"] for one in (await stage.get(f"/sheets/{sheet['id']}/lines"))["items"]
    }
    assert lines == {GOOD_LOT: None, BAD_LOT: f"lot {BAD_LOT} is recalled: 含量不符 (recall {recall})"}
    waiting = await of(stage, BAD_LOT)
    assert (waiting["state"], waiting["sheeted_yuan"], waiting["sheet_id"]) == ("recalled", "0.00", None)
    deeds = (await stage.get(f"/payables/{waiting['id']}/timeline", SUPPLIER))["deeds"]
    assert [deed["action"] for deed in deeds] == ["opened", "recall_opened", "sheeted", "recalled"]
    (held,) = [fact for fact in await stage.worker.said() if isinstance(fact, PayableHeld)]
    assert (str(held.payable_id), held.reason) == (waiting["id"], lines[BAD_LOT])
    deeds = (await stage.get(f"/sheets/{sheet['id']}/timeline", HOSPITAL))["deeds"]
    assert [deed["detail"]["payable_ids"] for deed in deeds if deed["action"] == "recalled_lines_left"] == [
        [waiting["id"]]
    ]
    await stage.worker.deliver(closed(recall), sequence=2)
    stage.drive(NEXT_MONTH)
    assert await stage.worker.meet_deadlines()
    assert (await of(stage, BAD_LOT))["state"] == "sheeted"
    await stage.ledger_agrees()


async def test_a_sheet_of_nothing_but_recalled_lots_stays_out_of_runs(stage: Stage) -> None:
    (sheet,) = await stage.reviewed(delivery())
    await stage.worker.deliver(opened(uuid7()))
    nothing = await stage.post("/payment-runs", AGENCY_A, {}, 409)
    assert nothing["code"] == "nothing_to_pay"
    refused = await stage.post("/payment-runs", AGENCY_A, {"sheet_ids": [sheet["id"]]}, 422)
    assert [(fault["pointer"], fault["code"]) for fault in refused["errors"]] == [("/sheet_ids/0", "recalled")]
    assert (await stage.get(f"/sheets/{sheet['id']}"))["state"] == "reviewed"
    await stage.ledger_agrees()


async def test_a_run_is_not_approved_with_a_lot_that_was_recalled_since_and_another_leaves_it_out(stage: Stage) -> None:
    await stage.reviewed(delivery(of_lot(BAD_LOT), of_lot(GOOD_LOT, 3)))
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.worker.deliver(opened(uuid7()))
    refused = await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=409)
    assert "1 line of lots that were recalled since it was made (20250101)" in refused["detail"]
    await stage.post(f"/payment-runs/{run['id']}/rejection", AGENCY_B, {"reason": "批号被召回"})
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    paid = {lot: (await of(stage, lot))["paid_yuan"] for lot in (BAD_LOT, GOOD_LOT)}
    assert paid == {BAD_LOT: "0.00", GOOD_LOT: "37.02"}
    await stage.ledger_agrees()


async def test_a_run_with_a_lot_that_was_recalled_since_is_to_be_rejected_until_the_recall_is_closed(
    stage: Stage,
) -> None:
    (sheet,) = await stage.reviewed(delivery(of_lot(BAD_LOT), of_lot(GOOD_LOT, 3)))
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    (payment,) = (await stage.get("/payments"))["items"]
    paths = [f"/{kind}/{one['id']}" for kind, one in (("sheets", sheet), ("payment-runs", run), ("payments", payment))]
    recall = uuid7()
    for fact, sequence, what in ((opened(recall), 1, "reject"), (closed(recall), 2, "another person")):
        await stage.worker.deliver(fact, sequence=sequence)
        for path in paths:
            assert (await stage.get(path))["waits_for"]["what"].startswith(what), path
        assert (await stage.get(paths[0], SUPPLIER))["waits_for"]["what"].startswith(what)
    await stage.post(f"{paths[1]}/approval", AGENCY_B, status=202)


async def test_what_is_paid_stays_paid_and_is_named(stage: Stage) -> None:
    await stage.run(delivery())
    await stage.worker.do_jobs()
    recall = uuid7()
    await stage.worker.deliver(opened(recall))
    found = await only(stage, state="paid")
    assert (found["paid_yuan"], found["recall"]["recall_id"], found["next"]) == ("1234.00", str(recall), [])
    deeds = (await stage.get(f"/payables/{found['id']}/timeline", HOSPITAL))["deeds"]
    (named,) = [deed for deed in deeds if deed["action"] == "recall_opened"]
    assert named["detail"] == {"recall_id": str(recall), "reason": "含量不符", "opened_by": MAKER[1]}
    await stage.ledger_agrees()


async def test_a_dispute_and_a_recall_of_one_line_end_each_by_itself(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery())
    found = await only(stage)
    body = {"lines": [{"payable_id": found["id"], "reason": "数量不符"}]}
    await stage.post(f"/sheets/{sheet['id']}/dispute", HOSPITAL, body, **{"if-match": '"1"'})
    recall = uuid7()
    await stage.worker.deliver(opened(recall))
    found = await only(stage)
    assert (found["state"], [step["who"]["role"] for step in found["next"]]) == ("held", ["hospital", "manufacturer"])
    await stage.post(f"/payables/{found['id']}/resolution", HOSPITAL, {"reason": "对账无误"})
    assert (await only(stage))["state"] == "recalled"
    await stage.worker.deliver(closed(recall), sequence=2)
    assert (await only(stage))["state"] == "released"
    await stage.ledger_agrees()


async def test_what_has_lost_its_codes_goes_onto_no_sheet_until_they_are_made_good(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(line(10), at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.worker.deliver(covered(accepted, 10), sequence=2)
    await stage.worker.deliver(covered(accepted, 7), sequence=3)
    stage.drive(datetime(2026, 3, 31, 16, tzinfo=UTC))
    assert await stage.worker.meet_deadlines()
    found = await only(stage)
    assert (found["released_yuan"], found["sheeted_yuan"]) == ("123.40", "86.38")
    assert found["next"][-1]["what"] == "capture trace codes of 3 盒 of 10"
    await stage.worker.deliver(covered(accepted, 10), sequence=4)
    stage.drive(datetime(2026, 4, 30, 16, tzinfo=UTC))
    assert await stage.worker.meet_deadlines()
    assert (await only(stage))["sheeted_yuan"] == "123.40"
    await stage.ledger_agrees()
