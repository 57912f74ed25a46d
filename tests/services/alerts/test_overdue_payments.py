"""What an overdue payment says over HTTP: on which sheet its money stands, who moves what is released, what is known by now."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from uuid_utils.compat import uuid7

from shared import clock
from shared.events.settlement import SheetPart
from tests.house import WorkerInHand
from tests.services.alerts.facts import DUE_ON, HOSPITAL, NOON, PRODUCT, REGION, Story, account

LATE = clock.start_of_day(DUE_ON + timedelta(days=1))
DAY = timedelta(days=1)
FUND = ("agency", "JB330100", REGION)
AGAIN = [
    ("agency", "take the sheet into another payment run; the bank did not pay: 账户不存在"),
    ("distributor", "name another receiving account if this is why the bank did not pay: 账户不存在"),
]
"""What settlement says of a sheet after a payment that failed."""
Overdue = Callable[[], Any]


@pytest.fixture
def overdue(
    worker: WorkerInHand, client: httpx.AsyncClient, caller: Any, driven_clock: Callable[[datetime], None]
) -> Overdue:
    async def found() -> dict[str, Any]:
        driven_clock(LATE)
        await worker.meet_deadlines()
        answer = await client.get("/alerts?kind=payment_overdue", headers=caller(*FUND))
        (alert,) = answer.json()["items"]
        one = await client.get(f"/alerts/{alert['id']}", headers=caller(*FUND))
        life = await client.get(f"/alerts/{alert['id']}/timeline", headers=caller(*FUND))
        assert one.json() == alert
        assert life.json()["next"] == alert["next"]
        assert alert["waits_for"] == (alert["next"] or [None])[0]
        return dict(alert)

    return found


def asked(alert: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["who"]["role"], step["what"]) for step in alert["next"]]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_money_on_a_confirmed_sheet_waits_for_the_agency_while_a_newer_sheet_is_open(
    worker: WorkerInHand, overdue: Overdue, order: tuple[int, ...]
) -> None:
    story, newer = Story(), uuid7()
    told = [
        (story.released(), NOON + DAY, 2),
        (story.issued(), NOON + 2 * DAY, 1),
        (story.sheet_confirmed(), NOON + 3 * DAY, 2),
        (story.issued(sheet_id=newer, month=date(2026, 4, 1)), NOON + 4 * DAY, 1),
    ]
    await worker.deliver(story.opened(codes_required=False), account("confirmed"), sequence=1, at=NOON)
    for place in (*order, *order):
        fact, at, sequence = told[place]
        await worker.deliver(fact, sequence=sequence, at=at)
    assert asked(await overdue()) == [("agency", "pay what is released: 123.40 yuan")]


@pytest.mark.parametrize("order", list(permutations(range(5))), ids=str)
async def test_money_on_two_sheets_waits_for_the_older_until_it_is_paid_in_every_order(
    worker: WorkerInHand, overdue: Overdue, order: tuple[int, ...]
) -> None:
    story, newer, april, march = Story(), uuid7(), date(2026, 4, 1), date(2026, 3, 1)
    part = SheetPart(sheet_id=story.sheet_id, amount_yuan=Decimal("100.00"))
    await worker.deliver(story.opened(codes_required=False), account("confirmed"), sequence=1, at=NOON)
    told: list[tuple[Any, datetime, int]] = [
        (story.issued(due_on=date(2026, 3, 25)), NOON + 2 * DAY, 1),
        (story.sheet_confirmed(), NOON + 3 * DAY, 2),
        (story.released(on_sheets=(part,)), NOON + 4 * DAY, 3),
        (story.issued(sheet_id=newer, month=april), NOON + 5 * DAY, 1),
        (story.returned(2, month=march), NOON + 6 * DAY, 2),
    ]
    for place in (*order, *order):
        fact, at, sequence = told[place]
        await worker.deliver(fact, sequence=sequence, at=at)
    alert = await overdue()
    assert asked(alert) == AGAIN
    assert {step["by"] for step in alert["next"]} == {"2026-03-25T16:00:00Z"}
    await worker.deliver(story.paid("100.00", step=3, month=march), sequence=1, at=NOON + 7 * DAY)
    ((who, what),) = asked(await overdue())
    assert (who, what.endswith("2026-04, or dispute lines of it; 23.40 yuan wait for it")) == ("hospital", True)
    await worker.deliver(story.returned(4, month=march), sequence=3, at=NOON + 8 * DAY)
    assert asked(await overdue()) == AGAIN


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_money_that_was_taken_off_a_sheet_waits_for_the_next(
    worker: WorkerInHand, overdue: Overdue, order: tuple[int, ...]
) -> None:
    story = Story()
    first = (story.opened(codes_required=False), account("confirmed"), story.issued(), story.sheet_confirmed())
    await worker.deliver(*first, at=NOON + DAY)
    told = [
        (story.released(), NOON + DAY, 2),
        (story.held(), NOON + 2 * DAY, 3),
        (story.released(), NOON + 3 * DAY, 4),
    ]
    for place in order:
        fact, at, sequence = told[place]
        await worker.deliver(fact, sequence=sequence, at=at)
    assert [role for role, _ in asked(await overdue())] == ["platform"]
    await worker.deliver(story.issued(sheet_id=uuid7(), month=date(2026, 4, 1)), at=NOON + 4 * DAY)
    assert [who for who, _ in asked(await overdue())] == ["hospital"]
    assert "2026-04" in asked(await overdue())[0][1]


@pytest.mark.parametrize("apart", [timedelta(0), DAY], ids=["at one instant", "day by day"])
@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_a_line_that_a_dispute_took_off_its_sheet_never_waits_for_that_sheet_again(
    worker: WorkerInHand, overdue: Overdue, order: tuple[int, ...], apart: timedelta
) -> None:
    story, instant, april = Story(), NOON + DAY, date(2026, 4, 1)
    left = (SheetPart(sheet_id=story.sheet_id, amount_yuan=Decimal("0.00")),)
    disputed = {"disputed": "数量不符", "resolve_by": date(2026, 3, 20)}
    await worker.deliver(story.opened(codes_required=False), account("confirmed"), story.released(), at=NOON)
    told: list[tuple[Any, int]] = [
        (story.issued(), 1),
        (story.held(**disputed, on_sheets=left), 3),
        (story.sheet_disputed(), 2),
        (story.sheet_confirmed(), 3),
    ]
    for place in (*order, *order):
        fact, sequence = told[place]
        await worker.deliver(fact, sequence=sequence, at=instant + place * apart)
    (step,) = (await overdue())["next"]
    assert (step["who"]["role"], step["what"].split(":")[0], step["by"]) == (
        "hospital",
        "settle the dispute",
        "2026-03-20T16:00:00Z",
    )
    await worker.deliver(story.released(on_sheets=left), sequence=4, at=instant + 4 * apart)
    (step,) = (await overdue())["next"]
    assert (step["who"]["role"], step["what"].split(" when")[0], step["by"]) == (
        "platform",
        "issue the sheet",
        "2026-04-30T16:00:00Z",
    )
    await worker.deliver(story.issued(sheet_id=uuid7(), month=april), at=instant + 5 * apart)
    (step,) = (await overdue())["next"]
    assert (step["who"]["role"], step["what"].split(",")[0], step["by"]) == (
        "hospital",
        "confirm the sheet of 2026-04",
        "2026-04-05T16:00:00Z",
    )


async def test_of_money_of_which_a_part_is_disputed_the_other_part_is_paid(
    worker: WorkerInHand, overdue: Overdue
) -> None:
    story, newer = Story(), uuid7()
    stands = SheetPart(sheet_id=newer, amount_yuan=Decimal("23.40"))
    left = SheetPart(sheet_id=story.sheet_id, amount_yuan=Decimal("0.00"))
    await worker.deliver(story.opened(codes_required=False), account("confirmed"), story.issued(), at=NOON)
    april = (story.issued(sheet_id=newer, month=date(2026, 4, 1), due_on=DUE_ON), story.sheet_confirmed())
    await worker.deliver(april[0], replace(april[1], sheet_id=newer), at=NOON + DAY)
    await worker.deliver(story.held(on_sheets=(left, stands)), sequence=3, at=NOON + 2 * DAY)
    assert asked(await overdue()) == [
        ("hospital", "settle the dispute: 数量不符; 100.00 yuan are not paid until then"),
        ("agency", "pay what is released: 23.40 yuan"),
    ]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_money_that_the_bank_was_asked_to_pay_waits_for_its_answer_and_in_doubt_for_the_agency_in_every_order(
    worker: WorkerInHand, overdue: Overdue, order: tuple[int, ...]
) -> None:
    story, march = Story(), date(2026, 3, 1)
    first = (story.opened(codes_required=False), account("confirmed"), story.issued(due_on=DUE_ON))
    await worker.deliver(*first, story.sheet_confirmed(), at=NOON + DAY)
    await worker.deliver(story.released(), sequence=2, at=NOON)
    await worker.deliver(story.sent(), at=NOON + 2 * DAY)
    (step,) = (await overdue())["next"]
    assert (step["who"]["role"], step["what"].split(";")[0], step["by"]) == (
        "bank",
        "pay and answer",
        "2026-04-01T16:00:00Z",
    )
    told: list[tuple[Any, datetime]] = [
        (story.failed(month=march), NOON + 3 * DAY),
        (story.doubted(True), NOON + 4 * DAY),
        (story.doubted(False), NOON + 5 * DAY),
        (story.doubted(True), NOON + 6 * DAY),
    ]
    for place in (*order, *order):
        fact, at = told[place]
        await worker.deliver(fact, at=at)
    ((who, what),) = asked(await overdue())
    assert (who, what.split(",")[0]) == ("agency", "find out with the bank whether the payment was made")
    await worker.deliver(story.doubted(False), at=NOON + 7 * DAY)
    assert asked(await overdue()) == AGAIN


async def test_what_settlement_says_again_tells_where_money_stands_that_was_kept_before_that_was_known(
    worker: WorkerInHand, overdue: Overdue
) -> None:
    story = Story()
    await worker.deliver(account("confirmed"))
    told = [(story.opened(), 1, NOON), (story.released(6), 2, NOON + DAY), (story.issued(), 1, NOON + 2 * DAY)]
    for fact, sequence, at in told:
        await worker.deliver(fact, sequence=sequence, at=at)
    await worker.database.pool.execute("UPDATE receipts SET moved_at = NULL, released_yuan = NULL")
    await worker.database.pool.execute("UPDATE sheets SET issued_at = NULL")
    for fact, sequence, at in told:
        await worker.deliver(fact, sequence=sequence, at=at)
    assert [role for role, _ in asked(await overdue())] == ["hospital", "hospital"]
    assert asked(await overdue())[0][1].endswith("; 74.04 yuan wait for it")


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_money_without_an_account_waits_for_its_supplier_and_then_for_the_agency_in_every_order(
    worker: WorkerInHand, overdue: Overdue, order: tuple[int, ...]
) -> None:
    story = Story()
    told = [(story.issued(), 1), (story.sheet_confirmed(), 2), (account("named"), 1), (account("refused"), 2)]
    await worker.deliver(story.opened(codes_required=False), at=NOON)
    await worker.deliver(story.released(), sequence=2, at=NOON + DAY)
    for place in (*order, *order):
        fact, sequence = told[place]
        await worker.deliver(fact, sequence=sequence, at=NOON + 2 * DAY)
    ((who, what),) = asked(await overdue())
    assert (who, what.split(" for ")[0]) == ("distributor", "name a receiving account")
    await worker.deliver(account("confirmed"), sequence=4)
    assert asked(await overdue()) == [("agency", "pay what is released: 123.40 yuan")]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_an_open_alert_follows_what_is_known_and_its_history_keeps_what_it_was_raised_with(
    worker: WorkerInHand, overdue: Overdue, client: httpx.AsyncClient, caller: Any, order: tuple[int, ...]
) -> None:
    story = Story()
    await worker.deliver(story.opened(), story.short(2), at=NOON)
    raised = await overdue()
    assert asked(raised) == [
        ("hospital", "capture trace codes of 8 of 10 accepted; the money for them is held until then")
    ]
    assert raised["evidence"]["paid_yuan"] == "0.00"
    told = [(story.released(6), 2), (story.short(6), 30), (story.paid("50.00", step=3), 4)]
    for place in order:
        await worker.deliver(told[place][0], sequence=told[place][1], at=LATE)
    now = await overdue()
    figures = {name: now["evidence"][name] for name in ("quantity_covered", "quantity_released", "released_yuan")}
    assert figures == {"quantity_covered": 6, "quantity_released": 6, "released_yuan": "74.04"}
    assert (now["evidence"]["paid_yuan"], now["detail"]) == (
        "50.00",
        f"{PRODUCT}, lot ?, order ?: 123.40 yuan were due on {DUE_ON}, 50.00 are paid.",
    )
    assert asked(now) == [
        ("platform", "issue the sheet when the month has closed; 24.04 yuan wait for it"),
        ("hospital", "capture trace codes of 4 of 10 accepted; the money for them is held until then"),
    ]
    assert now["evidence"]["quantity_awaiting_codes"] == 4
    await worker.deliver(story.released(), sequence=9, at=LATE)
    await worker.deliver(story.paid("123.40", step=9), sequence=9, at=LATE)
    ended = (await client.get(f"/alerts/{now['id']}", headers=caller("hospital", HOSPITAL))).json()
    assert (ended["state"], ended["evidence"]["paid_yuan"]) == ("resolved", "123.40")
    assert (ended["evidence"]["quantity_released"], ended["evidence"]["quantity_awaiting_codes"]) == (10, 0)
    life = await client.get(f"/alerts/{now['id']}/timeline", headers=caller("hospital", HOSPITAL))
    raised_with = [deed["detail"]["evidence"] for deed in life.json()["deeds"] if deed["action"] == "raised"]
    assert [evidence["quantity_covered"] for evidence in raised_with] == [2]
