"""Troubles that are told as such are raised at once, and a later remedy resolves them, in whichever order both arrive."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from shared import clock
from shared.events import Event
from shared.events.alerts import AlertRaised, AlertResolved
from tests.house import WorkerInHand
from tests.services.alerts.facts import (
    ACCOUNT,
    HOSPITAL,
    NOON,
    OTHER_HOSPITAL,
    OTHER_PRODUCT,
    OTHER_SUPPLIER,
    PRODUCT,
    REGION,
    SUPPLIER,
    Story,
    account,
    cleared,
    flagged,
    recall,
    recall_over,
)

HOUR = timedelta(hours=1)
Rows = Callable[[], Awaitable[list[dict[str, Any]]]]


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


@pytest.fixture
def raised(worker: WorkerInHand) -> Rows:
    async def alerts() -> list[dict[str, Any]]:
        assert await worker.dead_letters() == []
        return [dict(row) for row in await worker.database.pool.fetch("SELECT * FROM alerts ORDER BY id")]

    return alerts


async def told_at(worker: WorkerInHand, *facts: tuple[int, Event]) -> None:
    """Seals each fact at its hour, then delivers them in the order given here."""
    sealed = {}
    for place, (hour, fact) in sorted(enumerate(facts), key=lambda one: one[1][0]):
        clock.drive(NOON + HOUR * hour)
        sealed[place] = worker._message(fact, None)
    for place in range(len(facts)):
        await worker.redeliver([sealed[place]])


async def test_a_refused_line_is_trouble_at_once(worker: WorkerInHand, raised: Rows) -> None:
    story = Story()
    await worker.deliver(story.placed(), story.refused())
    (alert,) = await raised()
    assert (alert["kind"], alert["about_id"], alert["state"]) == ("line_refused", str(story.line_id), "open")
    assert (alert["product_code"], alert["evidence"]["quantity_refused"]) == (PRODUCT, 10)
    assert [type(fact) for fact in await worker.said()] == [AlertRaised]


@pytest.mark.parametrize("first", ["refused", "confirmed"])
@pytest.mark.parametrize(
    ("hour", "product_code", "institution_code", "state"),
    [
        (2, PRODUCT, HOSPITAL, "resolved"),
        (1, PRODUCT, HOSPITAL, "open"),
        (0, PRODUCT, HOSPITAL, "open"),
        (2, OTHER_PRODUCT, HOSPITAL, "open"),
        (2, PRODUCT, OTHER_HOSPITAL, "open"),
    ],
)
async def test_a_later_confirmation_of_the_product_at_the_institution_ends_the_trouble(
    worker: WorkerInHand, raised: Rows, first: str, hour: int, product_code: str, institution_code: str, state: str
) -> None:
    refused = (1, Story().refused())
    confirmed = (
        hour,
        Story(order_number="CG-2", product_code=product_code).confirmed(institution_code=institution_code),
    )
    await told_at(worker, *([refused, confirmed] if first == "refused" else [confirmed, refused]))
    (alert,) = await raised()
    assert (alert["kind"], alert["state"]) == ("line_refused", state)


@pytest.mark.parametrize("hours", [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("first", ["refused", "confirmed"])
async def test_a_line_confirmed_in_part_does_not_remedy_its_own_refusal(
    worker: WorkerInHand, raised: Rows, hours: tuple[int, int], first: str
) -> None:
    story = Story()
    refused, confirmed = (hours[0], story.refused(quantity_refused=4)), (hours[1], story.confirmed(6))
    await told_at(worker, *([refused, confirmed] if first == "refused" else [confirmed, refused]))
    assert [row["state"] for row in await raised()] == ["open"]


@pytest.mark.parametrize("first", ["failed", "paid"])
@pytest.mark.parametrize(
    ("returned", "hour", "state"),
    [
        (False, 2, "resolved"),
        (False, 1, "resolved"),  # what is paid is not refused
        (False, 0, "open"),
        (True, 2, "resolved"),
        (True, 1, "open"),  # what comes back was paid
        (True, 0, "open"),
    ],
)
async def test_a_failed_payment_is_trouble_until_the_sheet_is_paid(
    worker: WorkerInHand, raised: Rows, first: str, returned: bool, hour: int, state: str
) -> None:
    story = Story()
    failed, paid = (1, story.failed(returned=returned)), (hour, story.paid())
    await told_at(worker, *([failed, paid] if first == "failed" else [paid, failed]))
    (alert,) = await raised()
    assert (alert["kind"], alert["about"], alert["about_id"], alert["state"]) == (
        "payment_failed",
        "sheet",
        str(story.sheet_id),
        state,
    )


@pytest.mark.parametrize("doubt_first", [False, True])
async def test_a_failed_payment_says_who_can_do_what_until_it_is_paid(
    worker: WorkerInHand, client: httpx.AsyncClient, caller: Any, doubt_first: bool
) -> None:
    async def steps() -> list[tuple[str, str]]:
        answer = await client.get("/alerts?kind=payment_failed", headers=caller("agency", "JB330100", REGION))
        (alert,) = answer.json()["items"]
        return [(step["who"]["role"], step["what"]) for step in alert["next"]]

    story, march = Story(), date(2026, 3, 1)
    await worker.deliver(account("confirmed"), story.issued())
    told = [(1, story.failed(month=march)), (2, story.doubted(True))]
    await told_at(worker, *(reversed(told) if doubt_first else told))
    ((who, what),) = await steps()
    assert (who, what.split(",")[0]) == ("agency", "find out with the bank whether the payment was made")
    await told_at(worker, (3, story.doubted(False)))
    assert await steps() == [
        ("agency", "take the sheet into another payment run; the bank did not pay: 账户不存在"),
        ("distributor", "name another receiving account if this is why the bank did not pay: 账户不存在"),
    ]
    await worker.deliver(account("replaced"), sequence=2)
    assert [(who, what.split(" for ")[0]) for who, what in await steps()] == [
        ("distributor", "name a receiving account")
    ]
    await worker.deliver(account("confirmed"), sequence=3)
    await told_at(worker, (4, story.sent()))
    assert [who for who, _ in await steps()] == ["bank"]
    await told_at(worker, (5, story.paid(month=march)))
    assert await steps() == []


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_a_failed_payment_asks_for_another_account_until_that_is_confirmed_in_every_order(
    worker: WorkerInHand, client: httpx.AsyncClient, caller: Any, order: tuple[int, ...]
) -> None:
    async def steps() -> list[str]:
        answer = await client.get("/alerts?kind=payment_failed", headers=caller("agency", "JB330100", REGION))
        (alert,) = answer.json()["items"]
        return [step["what"] for step in alert["next"]]

    story, other, march = Story(), uuid7(), date(2026, 3, 1)
    told: list[tuple[Any, int, int]] = [
        (story.failed(month=march, account_id=ACCOUNT), 1, 1),
        (account("confirmed"), 1, 1),
        (account("replaced"), 2, 2),
        (account("confirmed", other), 2, 2),
    ]
    await worker.deliver(story.issued(), at=NOON)
    for place in (*order, *order):
        fact, sequence, hour = told[place]
        await worker.deliver(fact, sequence=sequence, at=NOON + timedelta(hours=hour))
    again = "take the sheet into another payment run; the bank did not pay: "
    assert await steps() == [f"{again}账户不存在"]
    frozen = story.failed(month=march, account_id=other, reason="账户冻结")
    await worker.deliver(frozen, sequence=2, at=NOON + timedelta(hours=3))
    assert await steps() == [
        f"{again}账户冻结",
        "name another receiving account if this is why the bank did not pay: 账户冻结",
    ]


async def test_a_sheet_that_fails_twice_is_one_alert_and_after_a_payment_another(
    worker: WorkerInHand, raised: Rows
) -> None:
    story = Story()
    await told_at(worker, (1, story.failed()), (2, story.failed()))
    assert len(await raised()) == 1
    await told_at(worker, (3, story.paid()), (4, story.failed()))
    assert [row["state"] for row in await raised()] == ["resolved", "open"]


async def test_money_that_comes_back_of_a_payment_that_was_refused_and_made_after_all_is_another_alert(
    worker: WorkerInHand, raised: Rows
) -> None:
    story, payment = Story(), uuid7()
    refused, back = (story.failed(payment_id=payment, returned=returned) for returned in (False, True))
    await told_at(worker, (1, refused), (2, story.paid(payment_id=payment)), (3, back))
    assert [row["state"] for row in await raised()] == ["resolved", "open"]


@pytest.mark.parametrize(("kind", "count"), [("already_sold", 1), ("expired", 1), ("unknown", 0)])
async def test_a_flagged_code_is_an_alert_when_policy_calls_it_severe(
    worker: WorkerInHand, raised: Rows, kind: str, count: int
) -> None:
    anomaly_id = uuid7()
    await worker.deliver(flagged(kind, anomaly_id))
    await worker.deliver(flagged(kind, anomaly_id))
    assert [row["about_id"] for row in await raised()] == [str(anomaly_id)] * count


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("order", [(1, 2, 3), (1, 3, 2), (2, 1, 3), (3, 2, 1)], ids=str)
async def test_a_code_that_is_found_again_is_evidence_of_one_alert(
    worker: WorkerInHand, raised: Rows, order: tuple[int, ...], together: bool
) -> None:
    anomaly_id = uuid7()
    told = [
        flagged("already_sold", anomaly_id, finds=finds, bill_number=f"S{finds}", captured_by="tester")
        for finds in order
    ]
    for batch in [told, told] if together else [[one] for one in (*told, *told)]:
        await worker.deliver(*batch)
    (alert,) = await raised()
    evidence = alert["evidence"]
    assert (evidence["finds"], evidence["institution_code"], alert["state"]) == (3, HOSPITAL, "open")
    newer = [finds for place, finds in enumerate(order) if finds > max(order[:place], default=0)]
    if not together:
        assert [one["bill_number"] for one in evidence["captured"]] == [f"S{finds}" for finds in newer]
        assert alert["version"] == len(newer)
    assert {one["by"] for one in evidence["captured"]} == {"tester"}
    assert [type(fact) for fact in await worker.said()] == [AlertRaised]


@pytest.mark.parametrize("together", [False, True])
async def test_each_distributor_of_a_bad_code_hears_of_it_once(
    worker: WorkerInHand, client: httpx.AsyncClient, caller: Any, together: bool
) -> None:
    async def heard(supplier: str) -> list[tuple[str, list[str]]]:
        answer = await client.get("/alerts?kind=code_flagged", headers=caller("distributor", supplier, REGION))
        return [
            (one["state"], [bill["bill_number"] for bill in one["evidence"]["captured"]])
            for one in answer.json()["items"]
        ]

    anomaly_id = uuid7()
    told = [
        flagged("mismatch", anomaly_id, finds=finds, bill_number=f"B{finds}", distributor_code=supplier)
        for finds, supplier in enumerate((SUPPLIER, OTHER_SUPPLIER, SUPPLIER, OTHER_SUPPLIER), 1)
    ]
    for batch in [told, told] if together else [[one] for one in (*told, *told)]:
        await worker.deliver(*batch)
    assert await heard(SUPPLIER) == [("open", ["B1", "B3"])]
    assert await heard(OTHER_SUPPLIER) == [("open", ["B2", "B4"])]
    await worker.deliver(cleared(anomaly_id, "mismatch"))
    assert [state for supplier in (SUPPLIER, OTHER_SUPPLIER) for state, _ in await heard(supplier)] == ["resolved"] * 2


async def test_of_many_finds_the_last_are_named_and_all_are_counted(worker: WorkerInHand, raised: Rows) -> None:
    anomaly_id = uuid7()
    await worker.deliver(
        *(flagged("expired", anomaly_id, finds=finds, bill_number=str(finds)) for finds in range(1, 31))
    )
    ((finds, captured),) = [(row["evidence"]["finds"], row["evidence"]["captured"]) for row in await raised()]
    assert (finds, [one["bill_number"] for one in captured]) == (30, [str(number) for number in range(11, 31)])


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_a_flagged_code_is_no_trouble_any_more_when_its_anomaly_is_closed(
    worker: WorkerInHand, raised: Rows, order: tuple[int, ...]
) -> None:
    anomaly_id, other = uuid7(), uuid7()
    told = [
        flagged("already_sold", anomaly_id),
        flagged("already_sold", anomaly_id, finds=2, bill_number="S2", captured_by="tester"),
        cleared(anomaly_id),
    ]
    await worker.deliver(flagged("already_sold", other))
    for place in (*order, *order):
        await worker.deliver(told[place])
    open_still, resolved = await raised()
    assert (open_still["about_id"], open_still["state"]) == (str(other), "open")
    assert (resolved["state"], resolved["resolution"]) == ("resolved", "The anomaly was closed: 退货再售")
    assert resolved["evidence"]["finds"] == 2
    assert [type(fact) for fact in await worker.said()] == [AlertRaised, AlertRaised, AlertResolved]
    deeds = "SELECT action FROM history WHERE about = $1 ORDER BY id"
    actions = [row["action"] for row in await worker.database.pool.fetch(deeds, str(resolved["id"]))]
    assert set(actions) - {"found_again"} == {"raised", "resolved"}


@pytest.mark.parametrize("first", ["flagged", "cleared"])
async def test_a_code_of_no_severe_kind_raises_nothing_when_it_is_cleared(
    worker: WorkerInHand, raised: Rows, first: str
) -> None:
    anomaly_id = uuid7()
    told = [flagged("unknown", anomaly_id), cleared(anomaly_id, "unknown")]
    for fact in told if first == "flagged" else reversed(told):
        await worker.deliver(fact)
    assert await raised() == []


@pytest.mark.parametrize("first", ["recall", "delivery"])
async def test_a_recall_concerns_those_who_hold_its_lots_in_either_order(
    worker: WorkerInHand, raised: Rows, first: str
) -> None:
    recall_id = uuid7()
    facts: list[Event] = [
        recall(recall_id, "L1", "L9"),
        Story().accepted(lot="L1"),
        Story().accepted(lot="L1"),
        Story().accepted(lot="L1", institution_code=OTHER_HOSPITAL),
        Story().accepted(lot="L2", institution_code="H33010200061"),
        Story(product_code=OTHER_PRODUCT).accepted(lot="L1", institution_code="H33010200062"),
    ]
    for fact in facts if first == "recall" else reversed(facts):
        await worker.deliver(fact)
    rows = await raised()
    assert {row["kind"] for row in rows} == {"recall"}
    assert sorted(str(row["institution_code"]) for row in rows) == [HOSPITAL, OTHER_HOSPITAL, "None"]
    assert {row["region"] for row in rows if row["institution_code"] is None} == {"000000"}
    await worker.deliver(recall_over(recall_id, "L1", "L9"))
    assert {row["state"] for row in await raised()} == {"resolved"}
    await worker.deliver(Story().accepted(lot="L1", institution_code="H33010200063"))
    assert len(await raised()) == 3


async def test_a_recall_whose_end_arrives_first_is_raised_and_resolved(worker: WorkerInHand, raised: Rows) -> None:
    recall_id = uuid7()
    await worker.deliver(Story().accepted(lot="L1"))
    await worker.deliver(recall_over(recall_id, "L1"))
    await worker.deliver(recall(recall_id, "L1"))
    assert [row["state"] for row in await raised()] == ["resolved", "resolved"]


async def test_trouble_told_again_is_not_raised_again_after_it_was_resolved(worker: WorkerInHand, raised: Rows) -> None:
    story, recall_id = Story(), uuid7()
    facts = [story.refused(), story.failed(), recall(recall_id, "L1")]
    await told_at(worker, *((1, fact) for fact in facts))
    ends = [Story(order_number="CG-2").confirmed(), story.paid(), recall_over(recall_id, "L1")]
    await told_at(worker, *((2, fact) for fact in ends))
    await worker.deliver(*facts)
    assert [row["state"] for row in await raised()] == ["resolved"] * 3
    assert [type(fact) for fact in await worker.said()] == [AlertRaised] * 3 + [AlertResolved] * 3


async def test_trouble_and_its_remedy_at_once_always_end_resolved(worker: WorkerInHand, raised: Rows) -> None:
    """The row where both meet is the lock: without it each would overlook the other."""
    pairs = []
    for _ in range(20):
        product_code = f"X{len(pairs):022}"
        clock.drive(NOON + HOUR)
        refused = worker._message(Story(product_code=product_code).refused(), None)
        clock.drive(NOON + 2 * HOUR)
        confirmed = worker._message(Story(product_code=product_code, order_number="CG-2").confirmed(), None)
        clock.release()
        clock.drive(NOON)
        pairs.append((refused, confirmed))
    clock.drive(NOON + 3 * HOUR)
    for refused, confirmed in pairs:
        await asyncio.gather(worker.redeliver([refused]), worker.redeliver([confirmed]))
    assert [row["state"] for row in await raised()] == ["resolved"] * 20


async def test_a_recall_and_a_delivery_at_once_never_overlook_each_other(worker: WorkerInHand, raised: Rows) -> None:
    for number in range(20):
        lot = f"R{number}"
        opened, accepted = worker._message(recall(uuid7(), lot), None), worker._message(Story().accepted(lot=lot), None)
        await asyncio.gather(worker.redeliver([opened]), worker.redeliver([accepted]))
    assert sum(row["institution_code"] is not None for row in await raised()) == 20
