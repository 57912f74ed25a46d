"""A bad code is one anomaly for each institution and kind until it is closed, however often it is captured."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from services.traceability.handlers.again import anomalies_again
from shared.events import subject_of
from shared.events.traceability import CodeCleared, CodeFlagged
from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    OTHER_DISTRIBUTOR,
    OTHER_HOSPITAL,
    OTHER_IDENT,
    Desk,
    Line,
    bill,
    box,
    boxes,
)


async def found(desk: Desk, who: Any = HOSPITAL) -> list[dict[str, Any]]:
    return list((await desk.get(who, "/anomalies", kind="no_inbound")).json()["items"])


async def told(worker: WorkerInHand) -> list[tuple[str, int, str | None]]:
    """What was said of codes: which anomaly, which find of it, by which bill."""
    facts = [fact for fact in await worker.said() if isinstance(fact, CodeFlagged)]
    return [(str(fact.anomaly_id), fact.finds, fact.bill_number) for fact in facts]


async def test_a_code_captured_twice_is_found_twice_and_is_one_anomaly(desk: Desk, worker: WorkerInHand) -> None:
    (code,) = boxes(1)
    (first,) = await desk.capture(bill([code], "S1"))
    (second,) = await desk.capture(bill([code], "S2"))
    (anomaly,) = await found(desk)
    assert (anomaly["finds"], anomaly["bill_number"], anomaly["captured_by"], anomaly["version"]) == (
        2,
        "S2",
        "tester",
        2,
    )
    assert await told(worker) == [(anomaly["id"], 1, "S1"), (anomaly["id"], 2, "S2")]
    deeds = (await desk.get(HOSPITAL, f"/anomalies/{anomaly['id']}/timeline")).json()["deeds"]
    assert [(deed["action"], deed["detail"]["bill_number"], deed["detail"]["captured_by"]) for deed in deeds] == [
        ("found", "S1", "tester"),
        ("found_again", "S2", "tester"),
    ]
    for document in (first, second):
        steps = (await desk.get(HOSPITAL, f"/documents/{document['id']}/timeline")).json()["next"]
        assert [code in step["what"] for step in steps] == [True]


async def test_whoever_delivered_and_made_goods_that_came_wrong_is_named_and_nobody_of_what_is_used(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    strange, (sold, never) = box(1, OTHER_IDENT), boxes(2)
    await desk.capture(line.bill([strange, sold]), bill([sold], "S1"), bill([sold, never, strange], "S2"))
    facts = [fact for fact in await worker.said() if isinstance(fact, CodeFlagged)]
    named = {(fact.kind, fact.code): (fact.distributor_code, fact.manufacturer_code) for fact in facts}
    assert named == {
        ("mismatch", strange): (DISTRIBUTOR, MAKER),
        ("already_sold", sold): (None, None),
        ("no_inbound", never): (None, None),
        ("no_inbound", strange): (None, None),
    }
    async with worker.database.transaction() as tx:
        page = await anomalies_again(tx, "", 10)
    again = [one.fact for one in page.facts if isinstance(one.fact, CodeFlagged)]
    assert {(fact.kind, fact.code): (fact.distributor_code, fact.manufacturer_code) for fact in again} == named


async def test_whoever_delivers_the_same_wrong_code_once_more_is_named_for_that_bill(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    other = Line(10, distributor=OTHER_DISTRIBUTOR)
    await worker.deliver(other.dispatched(), other.accepted())
    strange = box(1, OTHER_IDENT)
    for bill_of, number in ((line, "B1"), (other, "B2"), (line, "B3")):
        await desk.capture(bill_of.bill([strange], number))
    facts = [fact for fact in await worker.said() if isinstance(fact, CodeFlagged)]
    assert [(fact.finds, fact.bill_number, fact.distributor_code) for fact in facts] == [
        (1, "B1", DISTRIBUTOR),
        (2, "B2", OTHER_DISTRIBUTOR),
        (3, "B3", DISTRIBUTOR),
    ]
    assert len({fact.anomaly_id for fact in facts}) == 1


async def test_what_is_said_again_of_a_code_names_the_bill_it_was_found_by_last_with_whoever_delivered_for_that_bill(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    other = Line(10, distributor=OTHER_DISTRIBUTOR)
    await worker.deliver(other.dispatched(), other.accepted())
    strange = box(1, OTHER_IDENT)
    for bill_of, number in ((line, "B1"), (other, "B2")):
        await desk.capture(bill_of.bill([strange], number))
    last = [fact for fact in await worker.said() if isinstance(fact, CodeFlagged)][-1]
    assert (last.finds, last.bill_number, last.distributor_code) == (2, "B2", OTHER_DISTRIBUTOR)
    async with worker.database.transaction() as tx:
        page = await anomalies_again(tx, "", 10)
    assert [one.fact for one in page.facts] == [last]


async def test_a_code_found_again_is_said_again_at_the_time_of_its_last_find(
    desk: Desk, worker: WorkerInHand, driven_clock: Callable[[datetime], None]
) -> None:
    (code,), day = boxes(1), datetime(2026, 3, 2, 4, tzinfo=UTC)
    for hour, number in enumerate(("S1", "S2")):
        driven_clock(day + timedelta(hours=hour))
        await desk.capture(bill([code], number))
    (anomaly,) = await found(desk)
    driven_clock(day + timedelta(hours=2))
    path = f"/anomalies/{anomaly['id']}/explanation"
    explained = await desk.post(HOSPITAL, path, {"explanation": "swapped"}, if_match='"2"')
    assert explained.status_code == 200, explained.text
    async with worker.database.transaction() as tx:
        page = await anomalies_again(tx, "", 10)
    assert [(one.sequence, one.happened_at) for one in page.facts] == [(2, day + timedelta(hours=1))]


async def test_bills_of_one_call_find_the_same_code_once_each(desk: Desk, worker: WorkerInHand) -> None:
    codes = boxes(2)
    await desk.capture(bill(codes, "S1"), bill(codes[:1], "S2"), bill(codes[:1], "S3"))
    finds = {one["code"]: one["finds"] for one in await found(desk)}
    assert finds == {codes[0]: 3, codes[1]: 1}
    said = await told(worker)
    assert sorted(count for _, count, _ in said) == [1, 1, 2, 3]


async def test_the_same_bill_again_finds_nothing_more(desk: Desk, worker: WorkerInHand) -> None:
    (code,) = boxes(1)
    one = bill([code], "S1")
    assert await desk.capture(one) == await desk.capture(one)
    assert [anomaly["finds"] for anomaly in await found(desk)] == [1]
    assert len(await told(worker)) == 1


async def test_every_institution_and_every_time_after_a_closure_has_an_anomaly_of_its_own(desk: Desk) -> None:
    (code,) = boxes(1)
    await desk.capture(bill([code], "S1"))
    await desk.capture(bill([code], "S1"), who=OTHER_HOSPITAL)
    assert [len(await found(desk, who)) for who in (HOSPITAL, OTHER_HOSPITAL)] == [1, 1]
    (anomaly,) = await found(desk)
    closed = await desk.post("authority", f"/anomalies/{anomaly['id']}/close", {"finding": "swept"}, if_match='"1"')
    assert closed.status_code == 200, closed.text
    await desk.capture(bill([code], "S2"))
    assert [(one["state"], one["finds"]) for one in await found(desk)] == [("closed", 1), ("open", 1)]


async def test_twenty_at_once_are_one_anomaly_with_twenty_finds(desk: Desk, worker: WorkerInHand) -> None:
    (code,) = boxes(1)
    await asyncio.gather(*(desk.capture(bill([code], f"S{number}")) for number in range(20)))
    assert [one["finds"] for one in await found(desk)] == [20]
    assert sorted(count for _, count, _ in await told(worker)) == list(range(1, 21))


async def cleared(worker: WorkerInHand) -> list[tuple[str, str, str]]:
    """What was said of closed anomalies: which, of which kind, what came of it."""
    facts = [fact for fact in await worker.said() if isinstance(fact, CodeCleared)]
    return [(str(fact.anomaly_id), fact.kind, fact.finding) for fact in facts]


async def test_the_end_of_an_anomaly_is_told_once_behind_all_that_was_told_of_it(
    desk: Desk, worker: WorkerInHand
) -> None:
    (code,) = boxes(1)
    await desk.capture(bill([code], "S1"))
    await desk.capture(bill([code], "S2"))
    (anomaly,) = await found(desk)
    path = f"/anomalies/{anomaly['id']}"
    explained = await desk.post(HOSPITAL, f"{path}/explanation", {"explanation": "swapped"}, if_match='"2"')
    assert explained.status_code == 200, explained.text
    assert await cleared(worker) == []
    closed = await desk.post("authority", f"{path}/close", {"finding": "swept"}, if_match='"3"')
    assert closed.status_code == 200, closed.text
    again = await desk.post("authority", f"{path}/close", {"finding": "again"}, if_match='"4"')
    assert again.status_code == 409
    assert await cleared(worker) == [(anomaly["id"], "no_inbound", "swept")]
    said = "SELECT sequence FROM outbox WHERE subject = $1 ORDER BY id"
    assert [row["sequence"] for row in await worker.database.pool.fetch(said, anomaly["id"])] == [1, 2, 3]


async def test_what_is_cleared_up_is_said_again_as_such_at_its_own_time(
    desk: Desk, worker: WorkerInHand, driven_clock: Callable[[datetime], None]
) -> None:
    day = datetime(2026, 3, 2, 4, tzinfo=UTC)
    driven_clock(day)
    await desk.capture(bill(boxes(2), "S1"))
    first, second = await found(desk)
    driven_clock(day + timedelta(hours=1))
    closed = await desk.post("authority", f"/anomalies/{first['id']}/close", {"finding": "swept"}, if_match='"1"')
    assert closed.status_code == 200, closed.text
    (told,) = [fact for fact in await worker.said() if isinstance(fact, CodeCleared)]
    driven_clock(day + timedelta(hours=2))
    async with worker.database.transaction() as tx:
        page = await anomalies_again(tx, "", 10)
    assert [(str(subject_of(one.fact)), one.sequence) for one in page.facts] == [(first["id"], 2), (second["id"], 1)]
    assert (page.facts[0].fact, page.facts[0].happened_at) == (told, day + timedelta(hours=1))
