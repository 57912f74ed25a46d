"""Whoever takes a step with a direct report says which version was read: 428 without, 412 when it is stale."""

from typing import Any

import pytest

from tests.house import WorkerInHand
from tests.services.alerts.desk import CITY, REPORTER, RESPONDENT, Desk, introduce


@pytest.fixture
async def desk(client: Any, caller: Any, worker: WorkerInHand) -> Desk:
    await introduce(worker)
    return Desk(client, caller)


@pytest.mark.parametrize(
    ("step", "who", "body"),
    [
        ("assignment", CITY, {}),
        ("replies", RESPONDENT, {"text": "明日送达"}),
        ("resolution", CITY, {"finding": "已补送"}),
        ("escalation", CITY, {"reason": "全国停产"}),
        ("confirmation", REPORTER, {}),
        ("reopening", REPORTER, {"reason": "仍未送达"}),
    ],
)
async def test_a_step_with_a_report_needs_the_version_that_was_read(
    desk: Desk, step: str, who: tuple[str, ...], body: dict[str, Any]
) -> None:
    problem = await desk.reported()
    if step in {"replies", "resolution", "confirmation", "reopening"}:
        problem = await desk.acted(problem, "assignment", CITY)
    if step in {"resolution", "confirmation", "reopening"}:
        problem = await desk.acted(problem, "replies", RESPONDENT, text="明日送达")
    if step in {"confirmation", "reopening"}:
        problem = await desk.acted(problem, "resolution", CITY, finding="已补送")
    path = f"/problems/{problem['id']}/{step}"
    missing = await desk.client.post(path, json=body, headers=desk.caller(*who))
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    stale = await desk.act(problem, step, who, match='"77"', **body)
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (await desk.act(problem, step, who, **body)).status_code in (200, 201)
