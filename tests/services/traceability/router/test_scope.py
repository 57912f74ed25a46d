"""Who sees what: a hospital and a distributor their own, an authority its region, and a foreign row is not there."""

import asyncio
from typing import Any

import pytest

from services.traceability.queries.receipts import receipts_page
from services.traceability.queries.units import holders
from shared.db import Scope
from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    OTHER_DISTRIBUTOR,
    OTHER_HOSPITAL,
    Desk,
    Line,
    bill,
    box,
    boxes,
)


@pytest.fixture
async def line(desk: Desk, worker: WorkerInHand) -> Line:
    """A line of the first hospital, with two codes captured, one sold, and an anomaly."""
    made = Line(10)
    await worker.deliver(made.dispatched(), made.accepted())
    await desk.capture(made.bill(boxes(2), "B1"), bill([box(1), box(7)], "S1"))
    return made


async def things(desk: Desk, line: Line) -> dict[str, str]:
    """The path of one thing of each kind."""
    receipt = await desk.receipt(line)
    document = (await desk.get(HOSPITAL, "/documents")).json()["items"][0]
    anomaly = (await desk.get(HOSPITAL, "/anomalies")).json()["items"][0]
    return {
        "receipt": f"/receipts/{receipt['id']}",
        "timeline": f"/receipts/{receipt['id']}/timeline",
        "line": f"/receipts/by-shipment-line/{line.id}",
        "document": f"/documents/{document['id']}",
        "code": f"/codes/{box(1)}",
        "anomaly": f"/anomalies/{anomaly['id']}",
    }


SEES: dict[str, set[str]] = {
    HOSPITAL: {"receipt", "timeline", "line", "document", "code", "anomaly"},
    OTHER_HOSPITAL: set(),
    DISTRIBUTOR: {"receipt", "timeline", "line", "document", "code"},
    OTHER_DISTRIBUTOR: set(),
    "authority": {"receipt", "timeline", "line", "document", "code", "anomaly"},
    "far authority": set(),
    "operator": {"receipt", "timeline", "line", "document", "code", "anomaly"},
}


@pytest.mark.parametrize("who", SEES)
async def test_everybody_sees_what_is_theirs(desk: Desk, line: Line, who: str) -> None:
    paths = await things(desk, line)
    if who in {DISTRIBUTOR, OTHER_DISTRIBUTOR}:
        del paths["anomaly"]
    answers = {name: (await desk.get(who, path)).status_code for name, path in paths.items()}
    assert {name for name, status in answers.items() if status == 200} == SEES[who]
    assert set(answers.values()) <= {200, 404}


@pytest.mark.parametrize(
    ("who", "count"), [(HOSPITAL, 1), (OTHER_HOSPITAL, 0), (DISTRIBUTOR, 1), ("authority", 1), ("far authority", 0)]
)
async def test_lists_hold_what_is_theirs(desk: Desk, line: Line, who: str, count: int) -> None:
    assert len((await desk.get(who, "/receipts")).json()["items"]) == count


async def test_the_first_wall_stands_without_the_second(desk: Desk, line: Line, worker: WorkerInHand) -> None:
    """The worker's role passes row-level security, so what keeps the row from this scope is the query alone."""
    found: dict[str, int] = {}
    for who in (HOSPITAL, OTHER_HOSPITAL):
        async with worker.database.transaction(Scope("own", who)) as tx:
            page = await receipts_page(tx, state=None, product_code=None, institution_code=None, after=None, rows=10)
        found[who] = len(page)
    assert found == {HOSPITAL: 1, OTHER_HOSPITAL: 0}


async def test_the_second_wall_stands_without_the_first(line: Line, desk: Desk, begin: Any) -> None:
    async with begin(Scope("own", OTHER_HOSPITAL)) as tx:
        for table in ("receipts", "documents", "units", "movements", "anomalies"):
            assert await tx.sql(f"SELECT 1 FROM {table}") == [], table
    async with begin(Scope("own", HOSPITAL)) as tx:
        for table in ("receipts", "documents", "units", "movements", "anomalies"):
            assert await tx.sql(f"SELECT 1 FROM {table}") != [], table


async def test_looking_over_the_wall_ends_where_it_began(desk: Desk, line: Line, begin: Any) -> None:
    async with begin(Scope("own", OTHER_HOSPITAL)) as tx:
        found = await holders(tx, [box(1), box(2), box(3)])
        assert {code: holder.sold for code, holder in found.items()} == {box(1): True, box(2): False}
        assert await tx.sql("SELECT 1 FROM units") == []


async def test_an_anomaly_is_explained_by_the_hospital_and_closed_by_the_authority(desk: Desk, line: Line) -> None:
    anomaly = (await desk.get(HOSPITAL, "/anomalies", kind="no_inbound")).json()["items"][0]
    path = f"/anomalies/{anomaly['id']}"
    words = {"explanation": "scanned at the wrong counter"}
    assert (await desk.post(HOSPITAL, f"{path}/explanation", words)).status_code == 428
    assert (await desk.post(OTHER_HOSPITAL, f"{path}/explanation", words, if_match='"1"')).status_code == 404
    explained = await desk.post(HOSPITAL, f"{path}/explanation", words, if_match='"1"')
    assert (explained.status_code, explained.json()["state"]) == (200, "explained")
    assert (await desk.post("authority", f"{path}/close", {"finding": "fine"}, if_match='"1"')).status_code == 412
    waits = (await desk.get(HOSPITAL, f"{path}/timeline")).json()["next"]
    assert waits[0]["who"]["role"] == "authority"
    closed = await desk.post("authority", f"{path}/close", {"finding": "fine"}, if_match='"2"')
    assert (closed.json()["state"], closed.json()["finding"]) == ("closed", "fine")
    again = await desk.post("authority", f"{path}/close", {"finding": "fine"}, if_match='"3"')
    assert (again.status_code, again.json()["code"]) == (409, "anomaly_not_open")


async def test_lists_page_without_losing_or_doubling(desk: Desk, worker: WorkerInHand) -> None:
    lines = [Line(1) for _ in range(7)]
    await worker.deliver(*(line.dispatched() for line in lines))
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await desk.get(HOSPITAL, "/receipts", limit=3, **after)).json()
        seen += [one["shipment_line_id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == [str(line.id) for line in lines]


async def test_filters_narrow_the_lists(desk: Desk, line: Line, worker: WorkerInHand) -> None:
    other = Line(1, lot="250101")
    await worker.deliver(other.dispatched())
    by_state = (await desk.get("authority", "/receipts", state="expected")).json()["items"]
    assert [one["shipment_line_id"] for one in by_state] == [str(other.id)]
    by_number = (await desk.get(HOSPITAL, "/documents", bill_number="S1")).json()["items"]
    assert [(one["bill_type"], one["accepted"]) for one in by_number] == [("321", 1)]
    assert (await desk.get(MAKER, "/recalls", state="open")).json()["items"] == []


async def test_the_same_key_and_body_gets_the_first_answer(desk: Desk, line: Line) -> None:
    body = {"documents": [line.bill([box(5)], "B5")]}
    first = await desk.post(HOSPITAL, "/documents", body, idempotency_key="k1")
    again = await desk.post(HOSPITAL, "/documents", body, idempotency_key="k1")
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_gs1_code_is_found_with_its_slash(desk: Desk, line: Line) -> None:
    code = "(01)06924561884074(21)A/1"
    await desk.codes("06924561884074")
    (answer,) = await desk.capture(line.bill([code], "G1"))
    assert (answer["accepted"], answer["packs"]) == (1, 1)
    life = (await desk.get(HOSPITAL, f"/codes/{code}")).json()
    assert (life["code"], life["family"], life["level"]) == (code, "gs1", 1)


async def test_an_anomaly_is_decided_once_by_two_who_read_the_same(desk: Desk, line: Line) -> None:
    anomaly = (await desk.get(HOSPITAL, "/anomalies")).json()["items"][0]
    path = f"/anomalies/{anomaly['id']}/close"
    answers = await asyncio.gather(
        *(desk.post("authority", path, {"finding": f"finding {number}"}, if_match='"1"') for number in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
