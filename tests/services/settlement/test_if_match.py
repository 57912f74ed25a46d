"""Whoever acts on a sheet says which version was read: 428 without, 412 when it is stale, and nothing has changed."""

from typing import Any

import pytest

from .conftest import AGENCY_A, HOSPITAL, Stage, delivery


@pytest.mark.parametrize("step", ["confirmation", "dispute", "review"])
async def test_an_action_on_a_sheet_needs_the_version_that_was_read(stage: Stage, step: str) -> None:
    (sheet,) = await stage.sheets(delivery())
    path, who = f"/sheets/{sheet['id']}", AGENCY_A if step == "review" else HOSPITAL
    (line,) = (await stage.get(f"{path}/lines"))["items"]
    body: Any = {"lines": [{"payable_id": line["payable_id"], "reason": "数量不符"}]} if step == "dispute" else None
    assert (await stage.post(f"{path}/{step}", who, body, 428))["code"] == "precondition_required"
    for form in ("banana", "7", '"7', '"7" "8"', ""):
        odd = await stage.post(f"{path}/{step}", who, body, 400, **{"if-match": form})
        assert odd["code"] == "match_unreadable"
    stale = await stage.post(f"{path}/{step}", who, body, 412, **{"if-match": '"7"'})
    assert stale["code"] == "precondition_failed"
    assert (await stage.get(path))["version"] == sheet["version"]
