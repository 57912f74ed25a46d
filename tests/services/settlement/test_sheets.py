"""Months close by themselves; hospitals confirm or dispute, the agency reviews, and nobody else does."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.settlement.gateways import FileBank
from services.settlement.handlers.sheets import close_month
from shared.db import Tx
from shared.events.settlement import PayableHeld, PayableReleased, SheetConfirmed, SheetDisputed, SheetPart
from shared.inbox import Received
from shared.policy import Policy
from tests.house import WorkerInHand

from .conftest import (
    AGENCY_A,
    AGENCY_B,
    BEFORE_CODES,
    CLOSED,
    HOSPITAL,
    OPERATOR,
    OTHER_AGENCY,
    OTHER_HOSPITAL,
    OTHER_HOSPITAL_CODE,
    OTHER_SUPPLIER_CODE,
    SUPPLIER,
    WITH_CODES,
    Stage,
    covered,
    delivery,
    line,
    with_bank,
)
from .test_payables import apply, received

MAY = datetime(2026, 4, 30, 16, tzinfo=UTC)
APRIL = datetime(2026, 3, 31, 16, tzinfo=UTC)


async def test_a_month_has_one_sheet_per_institution_and_distributor(stage: Stage) -> None:
    sheets = await stage.sheets(
        delivery(line(1), line(2)),
        delivery(line(3)),
        delivery(line(4), supplier=OTHER_SUPPLIER_CODE),
        delivery(line(5), hospital=OTHER_HOSPITAL_CODE),
        delivery(line(6), region="350100", hospital="H35010200001"),
    )
    amounts = {(each["institution_code"], each["distributor_code"]): each["amount_yuan"] for each in sheets}
    assert amounts == {
        ("H33010200059", "91310110666007217T"): "74.04",
        ("H33010200059", "91440101MA5CJQ4N59"): "49.36",
        ("H33010200060", "91310110666007217T"): "61.70",
    }
    assert len((await stage.get("/sheets", OPERATOR))["items"]) == 4
    await stage.ledger_agrees()


async def test_nothing_closes_before_the_month_is_over_in_shanghai(stage: Stage) -> None:
    stage.drive(BEFORE_CODES)
    await stage.worker.deliver(delivery())
    stage.drive(CLOSED - timedelta(seconds=1))
    assert await stage.worker.meet_deadlines() == 0
    stage.drive(CLOSED)
    assert await stage.worker.meet_deadlines() == 1
    assert await stage.worker.meet_deadlines() == 0


async def test_what_is_released_later_goes_into_the_sheet_of_a_later_month(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    accepted = delivery(at=WITH_CODES)
    await stage.worker.deliver(accepted)
    await stage.worker.deliver(covered(accepted, 30), sequence=2)
    stage.drive(APRIL)
    await stage.worker.meet_deadlines()
    await stage.worker.deliver(covered(accepted, 100), sequence=3)
    stage.drive(MAY)
    assert await stage.worker.meet_deadlines() == 1
    sheets = (await stage.get("/sheets", HOSPITAL))["items"]
    assert [(each["month"], each["amount_yuan"]) for each in sheets] == [("2026-03", "370.20"), ("2026-04", "863.80")]
    assert await stage.worker.database.pool.fetchval("SELECT count(*) FROM deadlines") == 0
    await stage.ledger_agrees()


async def test_a_deadline_stays_set_while_something_is_open(stage: Stage) -> None:
    stage.drive(WITH_CODES)
    await stage.worker.deliver(delivery(at=WITH_CODES))
    stage.drive(MAY + timedelta(days=40))
    assert await stage.worker.meet_deadlines() == 1  # March, which sets April
    assert await stage.worker.meet_deadlines() == 1  # April, which sets May
    assert await stage.worker.meet_deadlines() == 1  # May, which sets June, not over yet
    assert await stage.worker.meet_deadlines() == 0
    assert await stage.worker.database.pool.fetchval("SELECT about FROM deadlines") == "330100/2026-06-01"


async def test_a_delivery_that_arrives_after_the_close_gets_a_sheet_or_waits_for_the_next(stage: Stage) -> None:
    await stage.sheets(delivery(line(1)))
    await stage.worker.deliver(delivery(line(2)), delivery(line(3), supplier=OTHER_SUPPLIER_CODE))
    assert await stage.worker.meet_deadlines() == 1
    stage.drive(CLOSED + timedelta(days=30))
    await stage.worker.meet_deadlines()
    sheets = (await stage.get("/sheets", HOSPITAL))["items"]
    assert [(each["month"], each["amount_yuan"]) for each in sheets] == [
        ("2025-03", "12.34"),
        ("2025-03", "37.02"),
        ("2025-04", "24.68"),
    ]


@pytest.mark.parametrize("pairs", [1, 60])
async def test_closing_costs_the_same_statements_for_any_number_of_sheets(tx: Tx, pairs: int) -> None:
    accepted: list[Received[Any]] = [received(delivery(line(), line(), supplier=f"S{place}")) for place in range(pairs)]
    await apply(tx, *accepted)
    await tx.flush()
    before = tx.statements
    issued = await close_month(tx, ["330100"], date(2025, 3, 1))
    await tx.flush()
    assert len(issued) == pairs
    assert tx.statements - before == 4  # pairs, issue, what was said, still open
    assert await close_month(tx, ["330100"], date(2025, 3, 1)) == []


async def test_disputed_lines_leave_the_sheet_and_return_in_a_later_one(stage: Stage) -> None:
    await stage.confirmed()
    (sheet,) = await stage.sheets(delivery(line(1), line(2), line(3)))
    path = f"/sheets/{sheet['id']}"
    lines = (await stage.get(f"{path}/lines", HOSPITAL))["items"]
    wrong = next(line["payable_id"] for line in lines if line["amount_yuan"] == "24.68")
    disputed = await stage.post(
        f"{path}/dispute", HOSPITAL, {"lines": [{"payable_id": wrong, "reason": "数量不符"}]}, **{"if-match": '"1"'}
    )
    assert (disputed["state"], disputed["amount_yuan"], disputed["line_count"]) == ("disputed", "49.36", 2)
    held = await stage.get(f"/payables/{wrong}", HOSPITAL)
    assert (held["state"], held["held_reason"], held["held_yuan"]) == ("held", "数量不符", "24.68")
    assert held["waits_for"]["who"] == {
        "role": "hospital", "code": HOSPITAL[1], "name": "市第一医院", "region": None,
    }  # fmt: skip
    timeline = await stage.get(f"{path}/timeline", HOSPITAL)
    assert [step["what"].split()[0] for step in timeline["next"]] == ["confirm", "settle"]
    assert all(word in timeline["next"][1]["what"] for word in (wrong, "阿莫西林胶囊", "20250101", "PO-1", "数量不符"))
    (named,) = timeline["deeds"][-1]["detail"]["disputed"]
    assert (named["payable_id"], named["product_name"], named["reason"]) == (wrong, "阿莫西林胶囊", "数量不符")
    await stage.ledger_agrees()
    said = await stage.worker.said()
    assert [type(fact) for fact in said[-2:]] == [SheetDisputed, PayableHeld]
    assert isinstance(said[-1], PayableHeld)
    assert str(said[-1].resolve_by) == held["resolve_by"]
    left = (SheetPart(sheet_id=UUID(path.removeprefix("/sheets/")), amount_yuan=Decimal("0.00")),)
    assert said[-1].on_sheets == left

    confirmed = await stage.post(f"{path}/confirmation", HOSPITAL, **{"if-match": '"2"'})
    assert confirmed["amount_yuan"] == "49.36"
    await stage.post(f"/payables/{wrong}/resolution", SUPPLIER, {"reason": "对账无误"}, 403)
    resolved = await stage.post(f"/payables/{wrong}/resolution", AGENCY_A, {"reason": "对账无误"})
    assert (resolved["state"], resolved["held_yuan"]) == ("released", "0.00")
    released = (await stage.worker.said())[-1]
    assert isinstance(released, PayableReleased)
    assert released.on_sheets == left
    again = await stage.post(f"/payables/{wrong}/resolution", AGENCY_A, {"reason": "对账无误"}, 409)
    assert again["code"] == "payable_not_held"
    stage.drive(CLOSED + timedelta(days=31))
    assert await stage.worker.meet_deadlines()
    later = (await stage.get("/sheets?month=2025-04", HOSPITAL))["items"]
    assert [each["amount_yuan"] for each in later] == ["24.68"]
    timeline = await stage.get(f"/payables/{wrong}/timeline", HOSPITAL)
    assert [deed["action"] for deed in timeline["deeds"]] == ["opened", "sheeted", "held", "resolved", "sheeted"]
    await stage.ledger_agrees()


async def test_a_held_payable_goes_onto_no_sheet(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery(line(1)))
    (one,) = (await stage.get(f"/sheets/{sheet['id']}/lines", HOSPITAL))["items"]
    body = {"lines": [{"payable_id": one["payable_id"], "reason": "x"}]}
    emptied = await stage.post(f"/sheets/{sheet['id']}/dispute", HOSPITAL, body, **{"if-match": "*"})
    assert (emptied["state"], emptied["waits_for"]) == ("empty", None)
    stage.drive(CLOSED + timedelta(days=31))
    await stage.worker.meet_deadlines()
    assert len((await stage.get("/sheets", HOSPITAL))["items"]) == 1


async def test_every_wrong_line_of_a_dispute_is_named_at_once(stage: Stage) -> None:
    first, second = await stage.sheets(delivery(line(1)), delivery(line(2), supplier=OTHER_SUPPLIER_CODE))
    (own,) = (await stage.get(f"/sheets/{first['id']}/lines", HOSPITAL))["items"]
    (other,) = (await stage.get(f"/sheets/{second['id']}/lines", HOSPITAL))["items"]
    named = [own["payable_id"], other["payable_id"], own["payable_id"], str(uuid7())]
    body = {"lines": [{"payable_id": each, "reason": "x"} for each in named]}
    refused = await stage.post(f"/sheets/{first['id']}/dispute", HOSPITAL, body, 422, **{"if-match": '"1"'})
    assert [fault["pointer"] for fault in refused["errors"]] == [
        "/lines/1/payable_id", "/lines/2/payable_id", "/lines/3/payable_id",
    ]  # fmt: skip
    assert (await stage.get(f"/sheets/{first['id']}"))["version"] == 1


async def test_an_action_asks_for_the_version_that_was_read(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery())
    path = f"/sheets/{sheet['id']}/confirmation"
    assert (await stage.post(path, HOSPITAL, status=428))["code"] == "precondition_required"
    assert (await stage.post(path, HOSPITAL, status=412, **{"if-match": '"7"'}))["code"] == "precondition_failed"
    await stage.post(path, HOSPITAL, **{"if-match": '"1"'})
    assert (await stage.post(path, HOSPITAL, status=409, **{"if-match": '"2"'}))["code"] == "sheet_not_open"


async def test_only_the_institution_confirms_and_only_the_agency_of_the_region_reviews(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery())
    path, match = f"/sheets/{sheet['id']}", {"if-match": '"1"'}
    assert (await stage.post(f"{path}/confirmation", SUPPLIER, status=403, **match))["code"] == "role_may_not"
    await stage.post(f"{path}/confirmation", AGENCY_A, status=403, **match)
    await stage.post(f"{path}/confirmation", OTHER_HOSPITAL, status=404, **match)
    supplier_as_hospital = ("hospital", SUPPLIER[1], "310100")
    refused = await stage.post(f"{path}/confirmation", supplier_as_hospital, status=403, **match)
    assert refused["code"] == "not_the_institution"
    await stage.post(f"{path}/review", AGENCY_A, status=409, **match)
    await stage.post(f"{path}/confirmation", HOSPITAL, **match)
    await stage.post(f"{path}/review", OTHER_AGENCY, status=404, **{"if-match": '"2"'})
    await stage.post(f"{path}/review", AGENCY_A, **{"if-match": '"2"'})


async def test_bulk_answers_each_sheet_by_itself(stage: Stage) -> None:
    first, second = await stage.sheets(delivery(line(1)), delivery(line(2), supplier=OTHER_SUPPLIER_CODE))
    items = [
        {"sheet_id": first["id"]},
        {"sheet_id": str(uuid7())},
        {"sheet_id": second["id"], "version": 9},
        {"sheet_id": first["id"]},
    ]
    answered = await stage.post("/sheets/confirmations/bulk", HOSPITAL, items)
    assert [item["status"] for item in answered["items"]] == [200, 404, 412, 409]
    assert (answered["succeeded"], answered["refused"]) == (1, 3)
    reviewed = await stage.post(
        "/sheets/reviews/bulk", AGENCY_A, [{"sheet_id": each["id"]} for each in (first, second)]
    )
    assert [item["status"] for item in reviewed["items"]] == [200, 409]


async def test_bulk_disputes_and_resolutions_answer_each_by_itself(stage: Stage) -> None:
    first, second = await stage.sheets(delivery(line(1), line(2)), delivery(line(3), supplier=OTHER_SUPPLIER_CODE))
    lines = (await stage.get(f"/sheets/{first['id']}/lines", HOSPITAL))["items"]
    one = [{"payable_id": lines[0]["payable_id"], "reason": "x"}]
    items = [
        {"sheet_id": first["id"], "lines": one},
        {"sheet_id": second["id"], "lines": one},
        {"sheet_id": first["id"], "lines": one},
        {"sheet_id": first["id"], "lines": [{"payable_id": lines[1]["payable_id"], "reason": "y"}]},
    ]
    answered = await stage.post("/sheets/disputes/bulk", HOSPITAL, items)
    assert [item["status"] for item in answered["items"]] == [200, 422, 422, 200]
    assert answered["items"][3]["item"]["state"] == "empty"
    await stage.ledger_agrees()
    free = [{"payable_id": each["payable_id"], "reason": "z"} for each in (*lines, lines[0])]
    answered = await stage.post("/payables/resolutions/bulk", HOSPITAL, free)
    assert [item["status"] for item in answered["items"]] == [200, 200, 409]
    twice = f"No dispute over payable {lines[0]['payable_id']} is open; only one that is held can be resolved."
    assert answered["items"][2]["problem"]["detail"] == twice
    await stage.ledger_agrees()


async def test_of_two_who_act_on_a_sheet_at_once_one_is_refused(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery(line(1), line(2)))
    path = f"/sheets/{sheet['id']}"
    (one, _) = (await stage.get(f"{path}/lines", HOSPITAL))["items"]
    match = {"if-match": '"1"', **stage.caller(*HOSPITAL)}
    dispute = {"lines": [{"payable_id": one["payable_id"], "reason": "x"}]}
    answers = await asyncio.gather(
        *(stage.client.post(f"{path}/confirmation", headers=match) for _ in range(3)),
        *(stage.client.post(f"{path}/dispute", json=dispute, headers=match) for _ in range(3)),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]
    assert (await stage.get(path))["version"] == 2
    await stage.ledger_agrees()


async def test_a_timeline_of_a_sheet_tells_who_must_act_and_by_when(stage: Stage) -> None:
    (sheet,) = await stage.reviewed(delivery())
    timeline = await stage.get(f"/sheets/{sheet['id']}/timeline", SUPPLIER)
    assert [(deed["action"], deed["organisation"]) for deed in timeline["deeds"]] == [
        ("issued", "platform"),
        ("confirmed", HOSPITAL[1]),
        ("reviewed", AGENCY_A[1]),
    ]
    assert timeline["next"][0] == {
        "who": {"role": "agency", "code": None, "name": None, "region": "330100"},
        "what": "take the sheet into a payment run",
        "by": "2025-04-04T16:00:00Z",
    }
    assert AGENCY_B[1] == AGENCY_A[1]


async def test_a_sheet_in_a_run_waits_for_the_approver_then_for_the_bank(stage: Stage) -> None:
    (sheet,) = await stage.reviewed(delivery())
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)

    async def waits() -> tuple[str, str]:
        seen = (await stage.get(f"/sheets/{sheet['id']}", HOSPITAL))["waits_for"]
        (line,) = (await stage.get("/payables", HOSPITAL))["items"]
        assert line["waits_for"] == seen
        return seen["who"]["role"], seen["what"].split()[0]

    assert await waits() == ("agency", "another")
    await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
    assert await waits() == ("platform", "send")
    stage.worker = WorkerInHand(with_bank(stage.worker.service, FileBank(None)), stage.worker.database)
    await stage.worker.do_jobs()
    assert await waits() == ("bank", "pay")


async def test_silence_confirms_nothing_unless_policy_says_so(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery())
    stage.drive(CLOSED + timedelta(days=30))
    await stage.worker.meet_deadlines()
    assert (await stage.get(f"/sheets/{sheet['id']}", HOSPITAL))["state"] == "issued"


@pytest.mark.parametrize("spoken", [None, "confirmation", "dispute"])
async def test_where_policy_says_so_silence_confirms_a_sheet_that_nobody_answered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, spoken: str | None
) -> None:
    flag = Policy.flag

    def silent(self: Policy, key: str, region: str, on: date, batch: str | None = None) -> bool:
        return key == "settlement.silence_confirms" or flag(self, key, region, on, batch)

    monkeypatch.setattr(Policy, "flag", silent)
    (sheet,) = await stage.sheets(delivery(line(), line()))
    path = f"/sheets/{sheet['id']}"
    lines = (await stage.get(f"{path}/lines", HOSPITAL))["items"]
    body = {"lines": [{"payable_id": lines[0]["payable_id"], "reason": "x"}]} if spoken == "dispute" else None
    if spoken:
        await stage.post(f"{path}/{spoken}", HOSPITAL, body, **{"if-match": "*"})
    stage.drive(datetime(2025, 4, 5, 16, tzinfo=UTC) - timedelta(seconds=1))
    await stage.worker.meet_deadlines()
    before = {None: "issued", "confirmation": "confirmed", "dispute": "disputed"}[spoken]
    assert (await stage.get(path, HOSPITAL))["state"] == before
    stage.drive(datetime(2025, 4, 5, 16, tzinfo=UTC))
    await stage.worker.meet_deadlines()
    await stage.worker.meet_deadlines()
    assert (await stage.get(path, HOSPITAL))["state"] == {None: "confirmed"}.get(spoken, before)
    said = [fact for fact in await stage.worker.said() if isinstance(fact, SheetConfirmed)]
    assert len(said) == (0 if spoken == "dispute" else 1)
    deed = (await stage.get(f"{path}/timeline", HOSPITAL))["deeds"][-1]
    assert (deed["action"], deed["detail"].get("by")) == (
        "disputed" if spoken == "dispute" else "confirmed",
        None if spoken else "silence",
    )
