"""Alerts over HTTP: who sees which, filters and pages, acknowledgement, resolution by hand, and what is refused."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from shared import clock
from shared.events.alerts import AlertAcknowledged, AlertResolved
from tests.house import WorkerInHand
from tests.services.alerts.facts import (
    CONFIRM_BY,
    DUE_ON,
    HOSPITAL,
    NOON,
    OTHER_HOSPITAL,
    OTHER_SUPPLIER,
    REGION,
    SUPPLIER,
    Story,
    account,
    flagged,
)

Headers = Callable[..., dict[str, str]]
BUYER, SELLER, CITY = ("hospital", HOSPITAL), ("distributor", SUPPLIER), ("authority", "YB330100", "330100")
FUND, OPERATOR = ("agency", "JB330100", "330100"), ("operator", "OPS", "000000")
UNKNOWN = "01a20339-698b-74d1-9de9-040b67a764b1"


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


@pytest.fixture
def get(client: httpx.AsyncClient, caller: Headers) -> Any:
    async def got(path: str, who: tuple[str, ...]) -> httpx.Response:
        return await client.get(path, headers=caller(*who))

    return got


@pytest.fixture
def post(client: httpx.AsyncClient, caller: Headers) -> Any:
    async def posted(path: str, who: tuple[str, ...], body: Any) -> httpx.Response:
        return await client.post(path, json=body, headers=caller(*who))

    return posted


@pytest.fixture
async def unconfirmed(worker: WorkerInHand, get: Any) -> dict[str, Any]:
    await worker.deliver(Story().placed())
    clock.drive(CONFIRM_BY)
    await worker.meet_deadlines()
    (alert,) = (await get("/alerts?kind=order_unconfirmed", OPERATOR)).json()["items"]
    return dict(alert)


@pytest.fixture
async def refused(worker: WorkerInHand, get: Any) -> dict[str, Any]:
    await worker.deliver(Story().refused())
    (alert,) = (await get("/alerts?kind=line_refused", OPERATOR)).json()["items"]
    return dict(alert)


async def test_an_alert_shows_its_evidence_and_who_must_act(unconfirmed: dict[str, Any]) -> None:
    assert (unconfirmed["state"], unconfirmed["waits_for"]["who"]["code"], unconfirmed["version"]) == (
        "open",
        SUPPLIER,
        1,
    )
    assert unconfirmed["evidence"]["line_count"] == 1
    assert unconfirmed["evidence"]["events"]


async def test_only_those_concerned_see_an_alert(unconfirmed: dict[str, Any], get: Any) -> None:
    path = f"/alerts/{unconfirmed['id']}"
    for who in (BUYER, SELLER, CITY, FUND, OPERATOR, ("authority", "YB", "330000")):
        assert (await get(path, who)).status_code == 200, who
        assert (await get(f"{path}/timeline", who)).status_code == 200, who
        assert len((await get("/alerts", who)).json()["items"]) == 1, who
    foreign = [
        ("hospital", OTHER_HOSPITAL),
        ("distributor", OTHER_SUPPLIER),
        ("authority", "YB", "440000"),
        ("agency", "JB", "330200"),
    ]
    for who in foreign:
        assert (await get(path, who)).status_code == 404, who
        assert (await get(f"{path}/timeline", who)).status_code == 404, who
        assert (await get("/alerts", who)).json()["items"] == [], who
        assert (await get("/alerts/summary", who)).json() == {"open": 0, "resolved": 0, "counts": []}, who


async def test_the_timeline_tells_the_whole_life(
    unconfirmed: dict[str, Any], worker: WorkerInHand, get: Any, post: Any
) -> None:
    path = f"/alerts/{unconfirmed['id']}"
    before = (await get(f"{path}/timeline", BUYER)).json()
    who = {"role": "distributor", "code": SUPPLIER, "name": None, "region": None}
    assert [(step["who"], step["what"]) for step in before["next"]] == [(who, "confirm or refuse the lines")]
    await post(f"{path}/acknowledgement", SELLER, {"note": "正在处理"})
    order_id = unconfirmed["evidence"]["order_id"]
    await worker.deliver(Story().closed())
    line_id = unconfirmed["evidence"]["lines"][0]["line_id"]
    story = Story()
    story.order_id, story.line_id = type(story.order_id)(order_id), type(story.line_id)(line_id)
    await worker.deliver(story.confirmed())
    after = (await get(f"{path}/timeline", BUYER)).json()
    assert [deed["action"] for deed in after["deeds"]] == ["raised", "acknowledged", "resolved"]
    assert (after["state"], after["next"]) == ("resolved", [])
    sequences = await worker.database.pool.fetch(
        "SELECT sequence FROM outbox WHERE subject = $1 ORDER BY id", unconfirmed["id"]
    )
    assert [row["sequence"] for row in sequences] == [1, 2, 3]


async def test_what_an_alert_says_and_its_deeds_are_told_in_the_language_of_whoever_reads(
    refused: dict[str, Any], worker: WorkerInHand, client: httpx.AsyncClient, caller: Headers
) -> None:
    clock.drive(NOON + timedelta(hours=1))
    await worker.deliver(Story(order_number="CG-2").confirmed())
    path, chinese = f"/alerts/{refused['id']}", caller(*BUYER) | {"accept-language": "zh"}
    told = (await client.get(path, headers=chinese)).json()
    assert told["detail"] == "订单 CG-1:奥美拉唑肠溶胶囊 订购 10,其中 10 不予配送:" + refused["evidence"]["reason"]
    assert (told["resolution"].startswith("订单 CG-2 的行 "), told["state"]) == (True, "resolved")
    raised, resolved = (await client.get(f"{path}/timeline", headers=chinese)).json()["deeds"]
    assert (raised["detail"]["detail"], resolved["detail"]["reason"]) == (told["detail"], told["resolution"])
    plain = (await client.get(path, headers=caller(*BUYER))).json()
    assert plain["detail"] == refused["detail"]
    assert "was confirmed later" in plain["resolution"]


async def test_a_flagged_code_is_told_in_the_language_of_whoever_reads_alone_in_a_list_and_on_its_timeline(
    worker: WorkerInHand, client: httpx.AsyncClient, caller: Headers
) -> None:
    await worker.deliver(flagged("recalled", detail="lot RC of XA02BCA214B002010101234 is recalled (and 4 more codes)"))
    chinese = caller(*BUYER) | {"accept-language": "zh"}
    (listed,) = (await client.get("/alerts", headers=chinese)).json()["items"]
    single = (await client.get(f"/alerts/{listed['id']}", headers=chinese)).json()
    (raised,) = (await client.get(f"/alerts/{listed['id']}/timeline", headers=chinese)).json()["deeds"]
    said = "追溯码 81000000000000000001 异常:XA02BCA214B002010101234 的批号 RC 已召回(另有 4 个追溯码)"
    assert [one["detail"] for one in (listed, single, raised["detail"])] == [said] * 3


async def test_each_party_acknowledges_once(
    unconfirmed: dict[str, Any], worker: WorkerInHand, get: Any, post: Any
) -> None:
    path = f"/alerts/{unconfirmed['id']}/acknowledgement"
    answer = await post(path, SELLER, {"note": "车在路上"})
    assert (answer.status_code, answer.headers["etag"]) == (201, '"2"')
    assert (await post(path, BUYER, {"note": "已知"})).status_code == 201
    again = await post(path, SELLER, {"note": "还在路上"})
    assert (again.status_code, again.json()["code"]) == (409, "already_acknowledged")
    shown = (await get(f"/alerts/{unconfirmed['id']}", BUYER)).json()
    assert [one["organisation_code"] for one in shown["acknowledgements"]] == [SUPPLIER, HOSPITAL]
    assert (shown["state"], shown["version"]) == ("open", 3)
    assert isinstance((await worker.said())[-1], AlertAcknowledged)


async def test_ten_who_acknowledge_at_once_for_one_party_make_one_acknowledgement(
    unconfirmed: dict[str, Any], post: Any
) -> None:
    path = f"/alerts/{unconfirmed['id']}/acknowledgement"
    answers = await asyncio.gather(*(post(path, SELLER, {"note": "好"}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9


async def test_the_agency_acknowledges_what_it_must_pay_and_nothing_else(
    unconfirmed: dict[str, Any], worker: WorkerInHand, get: Any, post: Any
) -> None:
    refusal = await post(f"/alerts/{unconfirmed['id']}/acknowledgement", FUND, {"note": "x"})
    assert (refusal.status_code, refusal.json()["code"]) == (403, "not_concerned")
    story = Story()
    await worker.deliver(account("confirmed"), story.opened(codes_required=False), story.released())
    clock.drive(clock.start_of_day(DUE_ON + timedelta(days=1)))
    await worker.meet_deadlines()
    for fact, role in ((story.issued(), "platform"), (story.sheet_confirmed(), "hospital")):
        (late,) = (await get("/alerts?kind=payment_overdue", FUND)).json()["items"]
        assert late["waits_for"]["who"]["role"] == role
        await worker.deliver(fact)
    (late,) = (await get("/alerts?kind=payment_overdue", FUND)).json()["items"]
    assert late["waits_for"]["who"] == {"role": "agency", "code": None, "name": None, "region": REGION}
    assert (await post(f"/alerts/{late['id']}/acknowledgement", FUND, {"note": "下周付"})).status_code == 201


async def test_the_authority_ends_supply_trouble_with_a_reason(
    refused: dict[str, Any], worker: WorkerInHand, get: Any, post: Any
) -> None:
    path = f"/alerts/{refused['id']}"
    ended = await post(f"{path}/resolution", CITY, {"reason": "改用省级储备"})
    assert (ended.status_code, ended.json()["state"], ended.json()["resolution"]) == (200, "resolved", "改用省级储备")
    assert isinstance((await worker.said())[-1], AlertResolved)
    again = await post(f"{path}/resolution", CITY, {"reason": "x"})
    assert (again.status_code, again.json()["code"]) == (409, "alert_not_open")
    late = await post(f"{path}/acknowledgement", BUYER, {"note": "x"})
    assert (late.status_code, late.json()["code"]) == (409, "alert_not_open")


async def test_what_resolves_by_itself_is_not_resolved_by_hand(unconfirmed: dict[str, Any], post: Any) -> None:
    refusal = await post(f"/alerts/{unconfirmed['id']}/resolution", CITY, {"reason": "x"})
    assert (refusal.status_code, refusal.json()["code"]) == (409, "resolves_by_itself")


async def test_a_list_is_filtered(unconfirmed: dict[str, Any], worker: WorkerInHand, get: Any) -> None:
    await worker.deliver(Story().refused(), flagged("expired"))
    for query, count in [
        ("", 3),
        ("kind=line_refused", 1),
        ("state=open", 3),
        ("state=resolved", 0),
        ("about=order", 1),
        ("about=code", 1),
        (f"about_id={unconfirmed['about_id']}", 1),
        (f"institution={HOSPITAL}", 3),
        (f"institution={OTHER_HOSPITAL}", 0),
        (f"supplier={SUPPLIER}", 2),
        ("raised_from=2026-03-03&raised_to=2026-03-03", 3),
        ("raised_from=2026-03-04", 0),
        ("raised_to=2026-03-02", 0),
    ]:
        assert len((await get(f"/alerts?{query}", CITY)).json()["items"]) == count, query


async def test_a_list_is_paged_newest_first(worker: WorkerInHand, get: Any) -> None:
    await worker.deliver(*(flagged("expired") for _ in range(5)))
    seen: list[str] = []
    after = ""
    while True:
        page = (await get(f"/alerts?limit=2{after}", CITY)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


async def test_the_summary_counts_by_kind_and_state(
    refused: dict[str, Any], worker: WorkerInHand, get: Any, post: Any
) -> None:
    await worker.deliver(flagged("expired"), flagged("recalled"))
    await post(f"/alerts/{refused['id']}/resolution", CITY, {"reason": "x"})
    told = (await get("/alerts/summary", CITY)).json()
    assert (told["open"], told["resolved"]) == (2, 1)
    assert {(row["kind"], row["state"]): row["count"] for row in told["counts"]} == {
        ("code_flagged", "open"): 2,
        ("line_refused", "resolved"): 1,
    }
    assert (await get("/alerts/summary?region=330000", CITY)).json()["open"] == 2
    assert (await get("/alerts/summary?region=330200", CITY)).json()["open"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "kind=boredom",
        "state=done",
        "about=weather",
        "institution=",
        "supplier=%00",
        "institution=%E2%80%AE",
        "about_id=" + "x" * 65,
        "raised_from=2026-02-30",
        "raised_to=1999-12-31",
        "raised_to=9999-12-31",
        "raised_from=NaN",
        "limit=0",
        "limit=501",
        "limit=x",
    ],
)
async def test_a_bad_filter_is_refused_with_its_place(get: Any, query: str) -> None:
    refusal = await get(f"/alerts?{query}", CITY)
    assert refusal.status_code == 422, refusal.text
    assert refusal.json()["errors"][0]["pointer"] == f"query/{query.partition('=')[0]}"


@pytest.mark.parametrize("query", ["region=190000", "region=33", "region=x", "region=%00"])
async def test_a_region_that_is_none_is_refused(get: Any, query: str) -> None:
    assert (await get(f"/alerts/summary?{query}", CITY)).status_code == 422


async def test_a_cursor_of_our_own_making_is_refused(get: Any) -> None:
    for after in ("x", "AAAAAAAAAAAAAAAAAAAAAAAA"):
        assert (await get(f"/alerts?after={after}", CITY)).status_code == 400


@pytest.mark.parametrize(
    "body", [{}, {"note": ""}, {"note": 1}, {"note": "a\x00"}, {"note": "x" * 1001}, {"note": "a", "more": 1}, []]
)
async def test_a_bad_acknowledgement_is_refused(unconfirmed: dict[str, Any], get: Any, post: Any, body: Any) -> None:
    refusal = await post(f"/alerts/{unconfirmed['id']}/acknowledgement", SELLER, body)
    assert refusal.status_code == 422, refusal.text
    assert (await get(f"/alerts/{unconfirmed['id']}", SELLER)).json()["version"] == 1


async def test_unknown_and_foreign_alerts_are_not_found(refused: dict[str, Any], post: Any) -> None:
    note, reason = {"note": "x"}, {"reason": "x"}
    assert (await post(f"/alerts/{UNKNOWN}/acknowledgement", SELLER, note)).status_code == 404
    assert (await post(f"/alerts/{UNKNOWN}/resolution", CITY, reason)).status_code == 404
    assert (await post("/alerts/x/resolution", CITY, reason)).status_code == 422
    foreign = ("distributor", OTHER_SUPPLIER)
    assert (await post(f"/alerts/{refused['id']}/acknowledgement", foreign, note)).status_code == 404
    assert (await post(f"/alerts/{refused['id']}/resolution", ("authority", "X", "440000"), reason)).status_code == 404


@pytest.mark.parametrize("who", [BUYER, SELLER, FUND])
async def test_only_the_authority_resolves_by_hand(refused: dict[str, Any], post: Any, who: tuple[str, ...]) -> None:
    refusal = await post(f"/alerts/{refused['id']}/resolution", who, {"reason": "x"})
    assert (refusal.status_code, refusal.json()["code"]) == (403, "role_may_not")


async def test_a_page_of_alerts_costs_as_many_statements_as_one(worker: WorkerInHand, begin: Any) -> None:
    from services.alerts.queries import alerts as queries
    from shared.db import Scope

    await worker.deliver(*(flagged("expired") for _ in range(40)))
    async with begin(Scope("region", "YB", "3301")) as tx:
        found = await queries.alerts_page(tx, queries.Wanted(), None, 50)
        await queries.acknowledgements_of(tx, [alert.id for alert in found])
        assert (len(found), tx.statements) == (40, 2)
