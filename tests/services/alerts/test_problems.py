"""Direct reports over HTTP: who sees one, who must act, what a clock that runs out does, and what is refused."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from shared import clock
from shared.events.alerts import (
    ProblemAssigned,
    ProblemClosed,
    ProblemConfirmed,
    ProblemEscalated,
    ProblemReplied,
    ProblemReported,
    ProblemResolved,
)
from shared.events.listing import EnterpriseRegistered, InstitutionRegistered
from tests.house import WorkerInHand
from tests.services.alerts.desk import CITY, OTHER, PROVINCE, REPORT, REPORTER, RESPONDENT, Desk, Headers, introduce
from tests.services.alerts.facts import HOSPITAL, NOON, OTHER_HOSPITAL, OTHER_SUPPLIER, REGION, SUPPLIER, Story


@pytest.fixture(autouse=True)
def _noon(driven_clock: Callable[[datetime], None]) -> None:
    driven_clock(NOON)


@pytest.fixture
async def desk(client: httpx.AsyncClient, caller: Headers, worker: WorkerInHand) -> Desk:
    await introduce(worker)
    return Desk(client, caller)


async def to_resolved(desk: Desk) -> dict[str, Any]:
    problem = await desk.reported()
    problem = await desk.acted(problem, "assignment", CITY)
    problem = await desk.acted(problem, "replies", RESPONDENT, text="周一送达")
    return await desk.acted(problem, "resolution", CITY, finding="已送达")


def waits(problem: Any) -> tuple[str, str]:
    """Who must act: the role, and the code or the region."""
    who = problem["waits_for"]["who"]
    return who["role"], who["code"] or who["region"]


async def test_a_report_goes_from_hand_to_hand_until_the_reporter_confirms(desk: Desk, worker: WorkerInHand) -> None:
    problem = await desk.reported()
    assert (problem["state"], waits(problem)) == ("reported", ("authority", "330100"))
    assert problem["act_by"] == "2026-03-04T16:00:00Z"
    problem = await desk.acted(problem, "assignment", CITY, note="请说明")
    assert (problem["state"], waits(problem), problem["assignee_code"]) == (
        "assigned",
        ("enterprise", SUPPLIER),
        SUPPLIER,
    )
    evidence = [{"link": "https://files.example.cn/b.pdf"}]
    problem = await desk.acted(problem, "replies", RESPONDENT, text="车辆故障", evidence=evidence)
    problem = await desk.acted(problem, "replies", RESPONDENT, text="周一送达")
    assert (problem["state"], waits(problem)) == ("party_replied", ("authority", "330100"))
    problem = await desk.acted(problem, "resolution", CITY, finding="已送达并警告")
    assert (problem["state"], waits(problem)) == ("resolved", ("hospital", HOSPITAL))
    problem = await desk.acted(problem, "confirmation", REPORTER)
    assert (problem["state"], problem["waits_for"], problem["act_by"]) == ("closed", None, None)
    shown = (await desk.get(f"/problems/{problem['id']}", RESPONDENT)).json()
    assert [reply["text"] for reply in shown["replies"]] == ["车辆故障", "周一送达"]
    assert shown["replies"][0]["evidence"] == [{"text": None, "link": "https://files.example.cn/b.pdf"}]
    timeline = (await desk.get(f"/problems/{problem['id']}/timeline", REPORTER)).json()
    assert [deed["action"] for deed in timeline["deeds"]] == [
        "reported", "assigned", "replied", "replied", "resolved", "confirmed_by_reporter", "closed",
    ]  # fmt: skip
    assert timeline["next"] == []
    assert [type(fact) for fact in await worker.said()] == [
        ProblemReported,
        ProblemAssigned,
        ProblemReplied,
        ProblemReplied,
        ProblemResolved,
        ProblemConfirmed,
        ProblemClosed,
    ]
    sequences = await worker.database.pool.fetch("SELECT sequence FROM outbox ORDER BY id")
    assert [row["sequence"] for row in sequences] == [1, 2, 3, 4, 5, 6, 7]


async def test_the_timeline_says_who_acts_next_and_by_when(desk: Desk) -> None:
    problem = await desk.acted(await desk.reported(), "assignment", CITY)
    timeline = (await desk.get(f"/problems/{problem['id']}/timeline", RESPONDENT)).json()
    who = {"role": "enterprise", "code": SUPPLIER, "name": SUPPLIER, "region": None}
    assert timeline["next"] == [{"who": who, "what": "reply with evidence", "by": "2026-03-05T16:00:00Z"}]


@pytest.mark.parametrize(("language", "what"), [("zh-CN", "答复,并附证明材料"), ("en", "reply with evidence")])
async def test_who_acts_next_is_told_in_the_language_of_who_asks(desk: Desk, language: str, what: str) -> None:
    problem = await desk.acted(await desk.reported(), "assignment", CITY)
    path, headers = f"/problems/{problem['id']}", {**desk.caller(*RESPONDENT), "accept-language": language}
    seen, timeline = [(await desk.client.get(where, headers=headers)).json() for where in (path, f"{path}/timeline")]
    assert seen["waits_for"]["what"] == what
    assert timeline["next"] == [seen["waits_for"]]


async def test_only_those_concerned_see_a_report(desk: Desk) -> None:
    problem = await desk.reported()
    path = f"/problems/{problem['id']}"
    for who in (REPORTER, RESPONDENT, CITY, PROVINCE, ("operator", "OPS", "000000")):
        assert (await desk.get(path, who)).status_code == 200, who
    foreign = [
        ("hospital", OTHER_HOSPITAL),
        OTHER,
        ("agency", "JB330100", "330100"),
        ("authority", "YB330200", "330200"),
    ]
    for who in foreign:
        assert (await desk.get(path, who)).status_code == 404, who
        assert (await desk.get(f"{path}/timeline", who)).status_code == 404, who
        assert (await desk.get("/problems", who)).json()["items"] == []


async def test_a_third_party_that_is_asked_sees_the_report_its_replies_and_its_timeline(desk: Desk) -> None:
    problem = await desk.acted(await desk.reported(), "assignment", CITY)
    problem = await desk.acted(problem, "replies", RESPONDENT, text="厂家缺货")
    assert (await desk.get(f"/problems/{problem['id']}", OTHER)).status_code == 404
    problem = await desk.acted(problem, "assignment", CITY, assignee_code=OTHER_SUPPLIER)
    shown = (await desk.get(f"/problems/{problem['id']}", OTHER)).json()
    assert [reply["text"] for reply in shown["replies"]] == ["厂家缺货"]
    timeline = (await desk.get(f"/problems/{problem['id']}/timeline", OTHER)).json()
    assert [deed["action"] for deed in timeline["deeds"]] == ["assigned"]
    assert (await desk.act(problem, "replies", RESPONDENT, text="再说")).status_code == 403
    problem = await desk.acted(problem, "replies", OTHER, text="下周恢复")
    assert len((await desk.get(f"/problems/{problem['id']}/timeline", RESPONDENT)).json()["deeds"]) == 5


@pytest.mark.parametrize(
    ("steps", "state", "region"),
    [
        ([], "escalated", "330000"),
        (["assignment"], "escalated", "330000"),
        (["assignment", "replies"], "escalated", "330000"),
    ],
)
async def test_each_clock_that_runs_out_hands_it_to_the_level_above(
    desk: Desk, worker: WorkerInHand, steps: list[str], state: str, region: str
) -> None:
    problem = await desk.reported()
    for step in steps:
        who, body = (CITY, {}) if step == "assignment" else (RESPONDENT, {"text": "稍后"})
        problem = await desk.acted(problem, step, who, **body)
    clock.drive(datetime.fromisoformat(problem["act_by"]) - timedelta(seconds=1))
    await worker.meet_deadlines()
    unmoved = (await desk.get(f"/problems/{problem['id']}", CITY)).json()
    assert unmoved["version"] == problem["version"]
    clock.drive(datetime.fromisoformat(problem["act_by"]))
    await worker.meet_deadlines()
    shown = (await desk.get(f"/problems/{problem['id']}", CITY)).json()
    assert (shown["state"], shown["handling_region"], shown["overdue_steps"]) == (state, region, 1)
    assert waits(shown) == ("authority", "330000")
    assert isinstance((await worker.said())[-1], ProblemEscalated)
    refused = await desk.act(shown, "resolution", CITY, finding="done")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_your_level")
    assert (await desk.acted(shown, "resolution", PROVINCE, finding="done"))["state"] == "resolved"


async def test_above_the_province_nobody_takes_over_and_the_step_stays_overdue(
    desk: Desk, worker: WorkerInHand
) -> None:
    problem = await desk.reported()
    for _ in range(3):
        clock.drive(datetime.fromisoformat(problem["act_by"]))
        await worker.meet_deadlines()
        problem = (await desk.get(f"/problems/{problem['id']}", PROVINCE)).json()
    assert (problem["handling_region"], problem["overdue_steps"], problem["overdue"]) == ("330000", 1, True)
    (late,) = (await desk.get("/problems?overdue=true", PROVINCE)).json()["items"]
    assert late["id"] == problem["id"]
    solved = await desk.acted(problem, "resolution", PROVINCE, finding="done")
    assert (solved["overdue_steps"], solved["overdue"]) == (2, False)


async def test_a_clock_that_was_replaced_in_time_is_void(desk: Desk, worker: WorkerInHand) -> None:
    problem = await desk.reported()
    first = datetime.fromisoformat(problem["act_by"])
    clock.drive(first - timedelta(hours=1))
    await desk.acted(problem, "assignment", CITY)
    clock.drive(first)
    assert await worker.meet_deadlines() == 1
    assert (await desk.get(f"/problems/{problem['id']}", CITY)).json()["state"] == "assigned"


async def test_silence_of_the_reporter_closes(desk: Desk, worker: WorkerInHand) -> None:
    problem = await to_resolved(desk)
    clock.drive(datetime.fromisoformat(problem["act_by"]))
    await worker.meet_deadlines()
    shown = (await desk.get(f"/problems/{problem['id']}", REPORTER)).json()
    assert (shown["state"], shown["overdue_steps"]) == ("closed", 0)
    assert isinstance((await worker.said())[-1], ProblemClosed)
    refused = await desk.act(shown, "reopening", REPORTER, reason="no")
    assert (refused.status_code, refused.json()["code"]) == (409, "step_not_possible")


async def test_a_reporter_who_is_not_satisfied_reopens_at_the_level_above(desk: Desk) -> None:
    problem = await to_resolved(desk)
    problem = await desk.acted(problem, "reopening", REPORTER, reason="只到了一部分")
    assert (problem["state"], problem["handling_region"]) == ("escalated", "330000")
    problem = await desk.acted(problem, "assignment", PROVINCE)
    assert problem["state"] == "assigned"


async def test_the_authority_escalates_by_itself_up_to_the_province(desk: Desk) -> None:
    problem = await desk.acted(await desk.reported(), "escalation", CITY, reason="全国停产")
    assert problem["handling_region"] == "330000"
    refused = await desk.act(problem, "escalation", PROVINCE, reason="again")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_level_above")


async def test_a_step_needs_the_version_that_was_read(desk: Desk) -> None:
    problem = await desk.reported()
    path = f"/problems/{problem['id']}/assignment"
    assert (await desk.client.post(path, json={}, headers=desk.caller(*CITY))).status_code == 428
    assert (await desk.act(problem, "assignment", CITY, match='"7"')).status_code == 412
    assert (await desk.act(problem, "assignment", CITY)).status_code == 200


async def test_two_who_assign_at_once_make_one_assignment(desk: Desk) -> None:
    problem = await desk.reported()
    answers = await asyncio.gather(
        *(desk.act(problem, "assignment", CITY, assignee_code=code) for code in (SUPPLIER, OTHER_SUPPLIER) * 3)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]


async def test_a_step_and_the_clock_at_once_leave_one_of_both(desk: Desk, worker: WorkerInHand) -> None:
    problem = await desk.reported()
    clock.drive(datetime.fromisoformat(problem["act_by"]))
    answer, _ = await asyncio.gather(desk.act(problem, "assignment", CITY), worker.meet_deadlines())
    shown = (await desk.get(f"/problems/{problem['id']}", PROVINCE)).json()
    assert (answer.status_code, shown["state"]) in [(200, "assigned"), (403, "escalated")]
    assert shown["version"] == 2


@pytest.mark.parametrize("code", [HOSPITAL, "nobody", "PROV-zzz"])
async def test_an_assignee_must_be_a_party_that_can_answer(desk: Desk, code: str) -> None:
    refused = await desk.act(await desk.reported(), "assignment", CITY, assignee_code=code)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/assignee_code")


async def test_without_a_respondent_the_assignee_must_be_named(desk: Desk) -> None:
    problem = await desk.reported(respondent_code=None)
    refused = await desk.act(problem, "assignment", CITY)
    assert (refused.status_code, refused.json()["code"]) == (422, "assignment_refused")


async def test_complaints_about_one_supplier_within_the_days_of_policy_are_linked(
    desk: Desk, worker: WorkerInHand
) -> None:
    first = await desk.reported()
    foreign = await desk.reported(("hospital", OTHER_HOSPITAL), order_number=None)
    clock.drive(NOON + timedelta(days=90))
    second = await desk.reported()
    clock.drive(NOON + timedelta(days=91))
    third = await desk.reported()

    async def related(problem: dict[str, Any], who: tuple[str, ...]) -> list[str]:
        return list((await desk.get(f"/problems/{problem['id']}", who)).json()["related_ids"])

    assert await related(first, REPORTER) == [second["id"]]
    assert await related(first, CITY) == [second["id"], foreign["id"]]
    assert await related(third, REPORTER) == [second["id"]]


async def test_a_report_shows_the_open_alerts_between_its_parties_and_their_names(
    desk: Desk, worker: WorkerInHand
) -> None:
    story = Story()
    await worker.deliver(
        story.placed(),
        story.refused(),
        EnterpriseRegistered(
            enterprise_id=story.sheet_id,
            enterprise_code=SUPPLIER,
            name="医药公司",
            aliases=(),
            kinds=("distributor",),
            provisional=False,
            active=True,
            region=REGION,
        ),
        InstitutionRegistered(
            institution_id=story.receipt_id,
            institution_code=HOSPITAL,
            name="市第一医院",
            aliases=(),
            kind="hospital",
            grade=None,
            region=REGION,
            active=True,
            delivery_points=(),
        ),
    )
    problem = await desk.reported()
    shown = (await desk.get(f"/problems/{problem['id']}", REPORTER)).json()
    (alert,) = (await desk.get("/alerts", REPORTER)).json()["items"]
    assert shown["related_alert_ids"] == [alert["id"]]
    assert shown["names"] == {HOSPITAL: "市第一医院", SUPPLIER: "医药公司"}


async def test_the_newest_name_of_an_organisation_holds_in_either_order(desk: Desk, worker: WorkerInHand) -> None:
    def named(name: str) -> EnterpriseRegistered:
        return EnterpriseRegistered(
            enterprise_id=Story().order_id,
            enterprise_code=SUPPLIER,
            name=name,
            aliases=(),
            kinds=("distributor",),
            provisional=False,
            active=True,
            region=REGION,
        )

    await worker.deliver(named("new"), sequence=2)
    await worker.deliver(named("old"), sequence=1)
    problem = await desk.reported()
    assert (await desk.get(f"/problems/{problem['id']}", REPORTER)).json()["names"][SUPPLIER] == "new"


async def test_the_half_yearly_report_counts_with_ids(desk: Desk) -> None:
    late, price = await to_resolved(desk), await desk.reported(kind="price")
    answer = await desk.get("/problems/report?half=2026H1", PROVINCE)
    told = answer.json()
    assert {row["key"]: row["ids"] for row in told["by_kind"]} == {"late": [late["id"]], "price": [price["id"]]}
    assert {row["key"]: row["median_days"] for row in told["by_kind"]} == {"late": 0.0, "price": None}
    assert told["total"]["count"] == 2
    assert (await desk.get("/problems/report?half=2026H2", PROVINCE)).json()["total"]["count"] == 0
    assert (await desk.get("/problems/report?half=2026H1", ("authority", "X", "440000"))).json()["total"]["count"] == 0
    assert (await desk.get("/problems/report?half=2026H1", REPORTER)).status_code == 403
    for half in ("2026", "2026H3", "1999H1", "2026H1 "):
        assert (await desk.get(f"/problems/report?half={half}", CITY)).status_code == 422


async def test_a_list_is_filtered_and_paged(desk: Desk, worker: WorkerInHand) -> None:
    made = [await desk.reported(kind=kind) for kind in ("late", "price", "late")]
    kinds = (await desk.get("/problems?kind=late&limit=1", CITY)).json()
    assert [item["id"] for item in kinds["items"]] == [made[2]["id"]]
    rest = (await desk.get(f"/problems?kind=late&limit=1&after={kinds['next']}", CITY)).json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == ([made[0]["id"]], None)
    for query, count in [
        ("state=reported", 3),
        ("state=closed", 0),
        (f"respondent={SUPPLIER}", 3),
        (f"reporter={OTHER_HOSPITAL}", 0),
        (f"assignee={SUPPLIER}", 0),
        ("order_number=CG-1", 3),
        ("reported_from=2026-03-02&reported_to=2026-03-02", 3),
        ("reported_from=2026-03-03", 0),
        ("reported_to=2026-03-01", 0),
        ("overdue=true", 0),
    ]:
        assert len((await desk.get(f"/problems?{query}", CITY)).json()["items"]) == count, query
    clock.drive(datetime.fromisoformat(made[0]["act_by"]))
    assert len((await desk.get("/problems?overdue=true", CITY)).json()["items"]) == 3


async def test_many_reports_are_answered_one_by_one(desk: Desk) -> None:
    bodies = [REPORT, REPORT | {"region": "440100"}, REPORT | {"kind": "price"}]
    answer = await desk.client.post(
        "/problems/bulk", json=bodies, headers=desk.caller(*REPORTER) | {"idempotency-key": "bulk"}
    )
    told = answer.json()
    assert (told["succeeded"], told["refused"]) == (2, 1)
    assert [item["status"] for item in told["items"]] == [201, 422, 201]
    assert told["items"][1]["problem"]["errors"][0]["pointer"] == "/region"
