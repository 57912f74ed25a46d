"""Whoever acts on a sheet says which version was read: 428 without, 412 when it is stale, and nothing has changed."""

from typing import Any

import pytest

from .conftest import AGENCY_A, HOSPITAL, Stage, delivery, line


@pytest.mark.parametrize("step", ["confirmation", "dispute", "review", "return"])
async def test_an_action_on_a_sheet_needs_the_version_that_was_read(stage: Stage, step: str) -> None:
    (sheet,) = await stage.sheets(delivery())
    path, who = f"/sheets/{sheet['id']}", AGENCY_A if step in {"review", "return"} else HOSPITAL
    (line,) = (await stage.get(f"{path}/lines"))["items"]
    body: Any = {"lines": [{"payable_id": line["payable_id"], "reason": "数量不符"}]} if step == "dispute" else None
    body = {"reason": "金额不符"} if step == "return" else body
    assert (await stage.post(f"{path}/{step}", who, body, 428))["code"] == "precondition_required"
    for form in ("banana", "7", '"7', '"7" "8"', ""):
        odd = await stage.post(f"{path}/{step}", who, body, 400, **{"if-match": form})
        assert odd["code"] == "match_unreadable"
    stale = await stage.post(f"{path}/{step}", who, body, 412, **{"if-match": '"7"'})
    assert stale["code"] == "precondition_failed"
    assert (await stage.get(path))["version"] == sheet["version"]


async def test_a_dispute_is_not_settled_by_who_read_another_version_and_needs_no_version(stage: Stage) -> None:
    (sheet,) = await stage.sheets(delivery(line(1), line(2)))
    lines = (await stage.get(f"/sheets/{sheet['id']}/lines"))["items"]
    paths = [f"/payables/{line['payable_id']}" for line in lines]
    read = [await stage.client.get(path, headers=stage.caller(*HOSPITAL)) for path in paths]
    stale = {"if-match": read[0].headers["etag"]}
    body: Any = {"lines": [{"payable_id": line["payable_id"], "reason": "数量不符"} for line in lines]}
    await stage.post(f"/sheets/{sheet['id']}/dispute", HOSPITAL, body, **{"if-match": '"1"'})
    reason = {"reason": "已核对"}
    refused = await stage.post(f"{paths[0]}/resolution", HOSPITAL, reason, 412, **stale)
    assert refused["code"] == "precondition_failed"
    odd = await stage.post(f"{paths[0]}/resolution", HOSPITAL, reason, 400, **{"if-match": "banana"})
    assert odd["code"] == "match_unreadable"
    held = await stage.get(paths[0])
    assert held["state"] == "held"
    items = [{"payable_id": held["id"], "version": held["version"] - 1, **reason}]
    bulk = await stage.post("/payables/resolutions/bulk", HOSPITAL, items)
    assert bulk["items"][0]["problem"]["code"] == "payable_changed"
    tag = {"if-match": f'"{held["version"]}"'}
    assert (await stage.post(f"{paths[0]}/resolution", HOSPITAL, reason, **tag))["state"] == "released"
    assert (await stage.post(f"{paths[1]}/resolution", HOSPITAL, reason))["state"] == "released"
