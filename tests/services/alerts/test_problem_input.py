"""What is wrong with a direct report is said with its place, its value and its rule, and changes nothing."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.events.listing import EnterpriseRegistered
from tests.house import WorkerInHand
from tests.services.alerts.desk import CITY, MANUFACTURER, REPORT, REPORTER, RESPONDENT, Desk, Headers, introduce
from tests.services.alerts.facts import HOSPITAL, NOON, OTHER_HOSPITAL, OTHER_SUPPLIER, Story


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


@pytest.fixture
async def desk(client: httpx.AsyncClient, caller: Headers, worker: WorkerInHand) -> Desk:
    await introduce(worker)
    return Desk(client, caller)


BAD = [
    ({"kind": "boredom"}, "/kind"),
    ({"kind": None}, "/kind"),
    ({"region": 330100}, "/region"),
    ({"region": "33O100"}, "/region"),
    ({"region": "000000"}, "/region"),
    ({"region": "440100"}, "/region"),
    ({"respondent_code": HOSPITAL}, "/respondent_code"),
    ({"respondent_code": "9.13301007043059e+17"}, "/respondent_code"),
    ({"respondent_code": "H" * 65}, "/respondent_code"),
    ({"product_code": "9.13301007043059e+17"}, "/product_code"),
    ({"order_number": ""}, "/order_number"),
    ({"text": ""}, "/text"),
    ({"text": "a\x00b"}, "/text"),
    ({"text": "a\u202eb"}, "/text"),
    ({"text": "长" * 4001}, "/text"),
    ({"text": 7}, "/text"),
    ({"evidence": "https://example.cn/a"}, "/evidence"),
    ({"evidence": [{}]}, "/evidence/0"),
    ({"evidence": [{"text": "a", "link": "https://example.cn/a"}]}, "/evidence/0"),
    ({"evidence": [{"link": "http://example.cn/a"}]}, "/evidence/0/link"),
    ({"evidence": [{"link": "javascript:alert(1)"}]}, "/evidence/0/link"),
    ({"evidence": [{"text": "a"}] * 21}, "/evidence"),
    ({"occurred_at": "2026-02-30T00:00:00Z"}, "/occurred_at"),
    ({"occurred_at": "2026-03-02T03:00:00"}, "/occurred_at"),
    ({"occurred_at": "2026-03-02T04:00:01Z"}, "/occurred_at"),
    ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "/occurred_at"),
    ({"occurred_at": "NaN"}, "/occurred_at"),
    ({"occurred_at": -1e30}, "/occurred_at"),
    ({"reporter_code": OTHER_HOSPITAL}, "/reporter_code"),
]


@pytest.mark.parametrize(("fields", "pointer"), BAD)
async def test_a_bad_report_is_refused_with_its_place_and_changes_nothing(
    desk: Desk, worker: WorkerInHand, fields: dict[str, Any], pointer: str
) -> None:
    refused = await desk.report(**fields)
    assert refused.status_code == 422, refused.text
    assert pointer in [error["pointer"] for error in refused.json()["errors"]]
    assert await worker.said() == []


async def test_all_faults_of_a_report_are_told_together(desk: Desk) -> None:
    refused = await desk.report(region="440100", respondent_code="x", occurred_at="2030-01-01T00:00:00Z")
    told = [error["pointer"] for error in refused.json()["errors"]]
    assert told == ["/region", "/respondent_code", "/occurred_at"]
    refused = await desk.report(text="", evidence=[{}], product_code="Y", occurred_at="2030-01-01T00:00:00Z")
    told = [error["pointer"] for error in refused.json()["errors"]]
    assert told == ["/text", "/evidence/0", "/product_code", "/occurred_at"]
    refused = await desk.report(text="", occurred_at="2030")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/text", "/occurred_at"]


async def refused_for(desk: Desk, who: tuple[str, ...] = REPORTER, **fields: Any) -> list[tuple[str, str]]:
    """Place and code of every fault of a report that is refused; none when it is taken."""
    answer = await desk.report(who, **fields)
    assert answer.status_code in (201, 422), answer.text
    return [(error["pointer"], error["code"]) for error in answer.json().get("errors", [])]


async def test_the_respondent_is_an_organisation_known_here_and_may_become_so_a_moment_later(
    desk: Desk, worker: WorkerInHand
) -> None:
    late = "91350200MA31E12PXF"
    unknown = await desk.report(respondent_code=late, order_number=None)
    (fault,) = unknown.json()["errors"]
    assert (fault["pointer"], fault["code"], late in fault["given"]) == ("/respondent_code", "unknown_party", True)
    assert "send it again" in fault["allowed"]
    await worker.deliver(
        EnterpriseRegistered(
            enterprise_id=uuid4(),
            enterprise_code=late,
            name="甲公司",
            aliases=(),
            kinds=("distributor",),
            provisional=False,
            active=True,
            region="350200",
        )
    )
    assert await refused_for(desk, respondent_code=late, order_number=None) == []


async def test_a_uscc_that_became_known_later_is_answered_with_the_code_the_respondent_trades_under(
    desk: Desk, worker: WorkerInHand
) -> None:
    provisional, uscc = "PROV-0123456789AB", "91350200MA31E12PXF"
    await worker.deliver(
        EnterpriseRegistered(
            enterprise_id=uuid4(),
            enterprise_code=provisional,
            name="甲公司",
            aliases=(),
            kinds=("distributor",),
            provisional=False,
            active=True,
            region="350200",
            uscc=uscc,
        )
    )
    (fault,) = (await desk.report(respondent_code=uscc, order_number=None)).json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("/respondent_code", "trades_under_other_code")
    assert (provisional in fault["rule"], fault["allowed"]) == (True, provisional)
    assert await refused_for(desk, respondent_code=fault["allowed"], order_number=None) == []
    itself = ("distributor", provisional, "350200")
    assert await refused_for(desk, itself, respondent_code=uscc, order_number=None) == [("/respondent_code", "invalid")]


async def test_an_order_named_is_one_of_the_reporter_and_the_respondent(desk: Desk, worker: WorkerInHand) -> None:
    order, party = [("/order_number", "unknown_order")], {"respondent_code": None}
    agency, elsewhere = ("agency", "YB330100", "330100"), ("agency", "YB440100", "440100")
    assert await refused_for(desk) == []
    assert await refused_for(desk, **party) == []
    assert await refused_for(desk, respondent_code=MANUFACTURER) == []
    assert await refused_for(desk, respondent_code=OTHER_SUPPLIER) == order
    assert await refused_for(desk, order_number="CG-9") == order
    assert await refused_for(desk, ("hospital", OTHER_HOSPITAL), **party) == order
    assert await refused_for(desk, ("distributor", OTHER_SUPPLIER), **party) == order
    assert await refused_for(desk, RESPONDENT, respondent_code=HOSPITAL) == []
    assert await refused_for(desk, ("manufacturer", MANUFACTURER), respondent_code=HOSPITAL) == []
    assert await refused_for(desk, agency) == []
    assert await refused_for(desk, elsewhere, region="440100") == order
    story = Story(order_number="CG-9")
    await worker.deliver(story.placed())
    assert await refused_for(desk, order_number="CG-9") == []


async def test_in_a_bulk_call_each_order_is_looked_at_by_itself(desk: Desk) -> None:
    headers = desk.caller(*REPORTER) | {"idempotency-key": "many"}
    body = [REPORT | {"order_number": number} for number in ("CG-1", "CG-2")]
    answer = (await desk.client.post("/problems/bulk", json=body, headers=headers)).json()
    assert [item["status"] for item in answer["items"]] == [201, 422]


@pytest.mark.parametrize(
    "body", [b'{"text": "\\ud800"}', b"{", b"[]", b"null", b'{"text": NaN}', b"\xff\xfe", b'{"occurred_at": 1e999}']
)
async def test_a_body_that_cannot_be_read_is_refused(desk: Desk, body: bytes) -> None:
    headers = desk.caller(*REPORTER) | {"content-type": "application/json", "idempotency-key": "k"}
    answer = await desk.client.post("/problems", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text


async def test_emoji_in_a_text_are_kept(desk: Desk) -> None:
    assert (await desk.reported(text="💊 缺货 😡"))["text"] == "💊 缺货 😡"


@pytest.mark.parametrize(
    ("step", "body", "who"),
    [
        ("assignment", {}, CITY),
        ("replies", {"text": "a"}, RESPONDENT),
        ("resolution", {"finding": "a"}, CITY),
        ("escalation", {"reason": "a"}, CITY),
        ("confirmation", {}, REPORTER),
        ("reopening", {"reason": "a"}, REPORTER),
    ],
)
async def test_an_unknown_a_foreign_and_a_broken_id_are_not_found(
    desk: Desk, step: str, body: dict[str, Any], who: tuple[str, str]
) -> None:
    unknown = {"id": "01a20339-698b-74d1-9de9-040b67a764b1", "version": 1}
    assert (await desk.act(unknown, step, who, **body)).status_code == 404
    assert (await desk.act({"id": "x", "version": 1}, step, who, **body)).status_code == 422
    foreign = (who[0], "X", "440100")
    assert (await desk.act(await desk.reported(), step, foreign, **body)).status_code == 404


@pytest.mark.parametrize(
    ("step", "body", "role"),
    [
        ("assignment", {}, "hospital"),
        ("replies", {"text": "a"}, "authority"),
        ("resolution", {"finding": "a"}, "distributor"),
        ("confirmation", {}, "authority"),
        ("reopening", {"reason": "a"}, "operator"),
    ],
)
async def test_a_role_that_has_no_part_in_a_step_is_refused(
    desk: Desk, step: str, body: dict[str, Any], role: str
) -> None:
    refused = await desk.act(await desk.reported(), step, (role, HOSPITAL), **body)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_may_not")


@pytest.mark.parametrize("role", ["authority", "operator"])
async def test_who_handles_reports_does_not_report(desk: Desk, role: str) -> None:
    assert (await desk.report((role, "X"))).status_code == 403


@pytest.mark.parametrize("role", ["hospital", "manufacturer", "distributor", "agency"])
async def test_each_of_the_four_parties_may_report(desk: Desk, role: str) -> None:
    problem = await desk.reported((role, "91330100MA29CDCD30"))
    assert problem["reporter_role"] == role


async def test_the_same_request_twice_under_one_key_makes_one_report(desk: Desk, worker: WorkerInHand) -> None:
    headers = desk.caller(*REPORTER) | {"idempotency-key": "k-1"}
    answers = [await desk.client.post("/problems", json=REPORT, headers=headers) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert len(await worker.said()) == 1
