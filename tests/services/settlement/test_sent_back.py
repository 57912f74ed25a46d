"""The agency sends a sheet back, and disputes have a term that does not move the day on which money is due."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.settlement.handlers.again import sheets_again
from services.settlement.rules.sheets import NEXT
from shared.events.settlement import SheetConfirmed, SheetIssued, SheetReturned
from shared.policy import Policy

from .conftest import AGENCY_A, BEFORE_CODES, CLOSED, HOSPITAL, OTHER_AGENCY, SUPPLIER, Stage, delivery, line

BACK = {"reason": "与入库单金额不一致"}


async def sent_back(stage: Stage, *deliveries: Any) -> dict[str, Any]:
    """A sheet that was confirmed on the first day and sent back on the third."""
    (sheet,) = await stage.sheets(*deliveries)
    path = f"/sheets/{sheet['id']}"
    await stage.post(f"{path}/confirmation", HOSPITAL, **{"if-match": '"1"'})
    stage.drive(CLOSED + timedelta(days=2))
    back: dict[str, Any] = await stage.post(f"{path}/return", AGENCY_A, BACK, **{"if-match": '"2"'})
    return back


async def test_a_sheet_that_is_sent_back_waits_for_the_hospital_with_its_whole_term_again(stage: Stage) -> None:
    await stage.confirmed()
    back = await sent_back(stage, delivery())
    assert (back["state"], back["return_reason"], back["version"]) == ("issued", BACK["reason"], 3)
    assert (back["confirm_by"], back["review_by"], back["due_on"]) == ("2025-04-07", None, "2025-04-04")
    waits = back["waits_for"]
    assert (waits["who"]["code"], waits["by"]) == (HOSPITAL[1], "2025-04-07T16:00:00Z")
    assert waits["what"].endswith(f"the agency sent it back: {BACK['reason']}")
    (payable,) = (await stage.get("/payables", SUPPLIER))["items"]
    assert payable["waits_for"] == waits
    deed = (await stage.get(f"/sheets/{back['id']}/timeline", SUPPLIER))["deeds"][-1]
    assert (deed["action"], deed["detail"]["reason"]) == ("returned", BACK["reason"])
    assert deed["detail"]["changes"] == {
        "state": ["confirmed", "issued"],
        "confirm_by": ["2025-04-05", "2025-04-07"],
        "return_reason": [None, BACK["reason"]],
    }
    said = [fact for fact in await stage.worker.said() if isinstance(fact, SheetReturned)]
    assert [(fact.reason, fact.confirm_by) for fact in said] == [(BACK["reason"], date(2025, 4, 7))]
    await stage.ledger_agrees()


async def test_what_was_sent_back_is_confirmed_or_disputed_anew_and_paid(stage: Stage) -> None:
    await stage.confirmed()
    back = await sent_back(stage, delivery(line(1), line(2)))
    path = f"/sheets/{back['id']}"
    first, _ = (await stage.get(f"{path}/lines"))["items"]
    body = {"lines": [{"payable_id": first["payable_id"], "reason": "数量不符"}]}
    await stage.post(f"{path}/dispute", HOSPITAL, body, **{"if-match": '"3"'})
    again = await stage.post(f"{path}/confirmation", HOSPITAL, **{"if-match": '"4"'})
    assert (again["state"], again["return_reason"]) == ("confirmed", None)
    await stage.post(f"{path}/review", AGENCY_A, **{"if-match": '"5"'})
    assert (await stage.post("/payment-runs", AGENCY_A, {}, 201))["payment_count"] == 1
    await stage.ledger_agrees()


@pytest.mark.parametrize("state", ["issued", "reviewed"])
async def test_only_what_waits_for_review_is_sent_back_and_only_by_the_agency_of_the_region(
    stage: Stage, state: str
) -> None:
    (sheet,) = await (stage.sheets(delivery()) if state == "issued" else stage.reviewed(delivery()))
    path = f"/sheets/{sheet['id']}/return"
    refused = await stage.post(path, AGENCY_A, BACK, 409, **{"if-match": "*"})
    assert (refused["code"], f"is {state}" in refused["detail"]) == ("sheet_not_open", True)
    await stage.post(path, HOSPITAL, BACK, 403, **{"if-match": "*"})
    await stage.post(path, OTHER_AGENCY, BACK, 404, **{"if-match": "*"})
    await stage.post(path, AGENCY_A, {"reason": ""}, 422, **{"if-match": "*"})


async def test_silence_does_not_confirm_what_was_sent_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Policy, "flag", lambda _, key, *__: key == "settlement.silence_confirms")
    back = await sent_back(stage, delivery())
    stage.drive(CLOSED + timedelta(days=30))
    await stage.worker.meet_deadlines()
    assert (await stage.get(f"/sheets/{back['id']}"))["state"] == "issued"


async def test_a_sheet_that_was_sent_back_is_said_again_as_it_was(stage: Stage) -> None:
    await stage.confirmed()
    back = await sent_back(stage, delivery())
    await stage.post(f"/sheets/{back['id']}/confirmation", HOSPITAL, **{"if-match": '"3"'})
    await stage.post(f"/sheets/{back['id']}/review", AGENCY_A, **{"if-match": '"4"'})
    assert (await stage.post("/payment-runs", AGENCY_A, {}, 201))["payment_count"] == 1
    async with stage.worker.database.transaction() as tx:
        page = await sheets_again(tx, "", 10)
    facts = [each.fact for each in page.facts]
    assert [type(fact) for fact in facts] == [SheetIssued, SheetConfirmed, SheetReturned, SheetConfirmed]
    said = [fact for fact in await stage.worker.said() if isinstance(fact, SheetReturned)]
    assert [fact for fact in facts if isinstance(fact, SheetReturned)] == said
    told = "SELECT sequence FROM outbox WHERE subject = $1 ORDER BY id"
    sequences = [row["sequence"] for row in await stage.worker.database.pool.fetch(told, back["id"])]
    assert (sequences, [each.sequence for each in page.facts]) == ([1, 2, 3, 4], [4, 4, 4, 4])


def test_what_is_told_of_a_sheet_ends_with_its_review_so_that_no_sequence_is_left_out() -> None:
    told = {"confirm", "dispute", "return"}
    untold_to = {state for (_, verb), state in NEXT.items() if verb not in told}
    told_from = {state for state, verb in NEXT if verb in told}
    assert told < {verb for _, verb in NEXT}
    assert untold_to.isdisjoint(told_from)


@pytest.mark.parametrize(
    ("accepted", "days", "due_on", "resolve_by"),
    [
        (30, 0, "2025-04-29", "2025-04-06"),
        (5, 0, "2025-04-04", "2025-04-04"),
        (5, 3, "2025-04-04", "2025-04-04"),
        (5, 4, "2025-04-04", "2025-04-10"),
    ],
)
async def test_a_dispute_has_a_term_and_the_money_stays_due_when_it_was(
    stage: Stage, accepted: int, days: int, due_on: str, resolve_by: str
) -> None:
    (sheet,) = await stage.sheets(delivery(at=BEFORE_CODES.replace(day=accepted)))
    path = f"/sheets/{sheet['id']}"
    (one,) = (await stage.get(f"{path}/lines"))["items"]
    stage.drive(CLOSED + timedelta(days=days))
    body = {"lines": [{"payable_id": one["payable_id"], "reason": "数量不符"}]}
    await stage.post(f"{path}/dispute", HOSPITAL, body, **{"if-match": '"1"'})
    held = await stage.get(f"/payables/{one['payable_id']}")
    assert (held["due_on"], held["resolve_by"]) == (due_on, resolve_by)
    late = f"{resolve_by}T16:00:00Z"
    assert (held["waits_for"]["who"]["code"], held["waits_for"]["by"]) == (HOSPITAL[1], late)
    (step,) = (await stage.get(f"{path}/timeline"))["next"]
    assert (step["what"].split()[0], step["by"]) == ("settle", late)
    free = await stage.post(f"/payables/{held['id']}/resolution", HOSPITAL, {"reason": "已核对"})
    assert (free["due_on"], free["resolve_by"], free["state"]) == (due_on, None, "released")
