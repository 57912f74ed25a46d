"""Institutions over HTTP: one code, several names, each a delivery point."""

import asyncio

from services.listing.handlers.institutions import register_institutions
from services.listing.schemas.institutions import RegisterInstitution
from shared.db import Tx
from shared.events.listing import InstitutionRegistered
from shared.identity import Caller
from tests.house import WorkerInHand
from tests.services.listing.people import AUTHORITY, HOSPITAL, MAKER, OTHER_AUTHORITY, Desk

CLINIC = {"code": "H33010200059", "name": "青禾市第二医院", "grade": "三级甲等", "region": "330100"}


async def test_another_name_of_a_code_becomes_alias_and_delivery_point(desk: Desk, worker: WorkerInHand) -> None:
    first = await desk.post(AUTHORITY, "/institutions", CLINIC)
    assert first.status_code == 201, first.text
    assert [point["name"] for point in first.json()["delivery_points"]] == [CLINIC["name"]]
    assert (await desk.post(AUTHORITY, "/institutions", CLINIC)).json() == first.json()
    branch = {**CLINIC, "name": "青禾市第二医院（东院区）"}
    second = (await desk.post(AUTHORITY, "/institutions", branch)).json()
    assert (second["aliases"], second["version"]) == (["青禾市第二医院（东院区）"], 2)
    same = await desk.post(AUTHORITY, "/institutions", {**branch, "name": "青禾市第二医院(东院区)"})
    assert same.json() == second
    facts = [fact for fact in await worker.said() if isinstance(fact, InstitutionRegistered)]
    assert [len(fact.delivery_points) for fact in facts] == [1, 2]
    ids = [[str(point.delivery_point_id) for point in fact.delivery_points] for fact in facts]
    assert ids[1][0] == ids[0][0]


async def test_a_hospital_adds_delivery_points_to_itself_alone(desk: Desk) -> None:
    own = (await desk.post(AUTHORITY, "/institutions", CLINIC)).json()
    other = (await desk.post(AUTHORITY, "/institutions", {**CLINIC, "code": "H33010200060"})).json()
    names = {"names": ["西院区药库", "西院区 药库", "西院区　药库"]}
    added = await desk.post(HOSPITAL, f"/institutions/{own['id']}/delivery-points", names)
    assert [point["name"] for point in added.json()["delivery_points"]] == [CLINIC["name"], "西院区药库", "西院区 药库"]
    refused = await desk.post(HOSPITAL, f"/institutions/{other['id']}/delivery-points", names)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_your_institution")
    assert (await desk.post(MAKER, f"/institutions/{own['id']}/delivery-points", names)).status_code == 403
    found = (await desk.get(MAKER, "/institutions", name="西院区")).json()["items"]
    assert [one["id"] for one in found] == [own["id"]]


async def test_an_authority_registers_under_its_region_alone_and_may_close_an_institution(
    desk: Desk, worker: WorkerInHand
) -> None:
    assert (await desk.post(OTHER_AUTHORITY, "/institutions", CLINIC)).json()["code"] == "not_your_institution"
    made = (await desk.post(AUTHORITY, "/institutions", CLINIC)).json()
    moved = {**CLINIC, "region": "350100"}
    assert (await desk.post(OTHER_AUTHORITY, "/institutions", moved)).status_code == 403
    closed = (await desk.post(AUTHORITY, "/institutions", {**CLINIC, "active": False})).json()
    assert (closed["active"], closed["version"]) == (False, 2)
    assert (await desk.post(AUTHORITY, "/institutions", CLINIC)).json()["active"] is False
    timeline = (await desk.get(HOSPITAL, f"/institutions/{made['id']}/timeline")).json()
    assert (timeline["state"], [deed["action"] for deed in timeline["deeds"]]) == (
        "inactive",
        ["registered", "changed"],
    )


async def test_the_region_is_that_of_the_code_where_none_is_said(desk: Desk) -> None:
    made = (await desk.post(AUTHORITY, "/institutions", {"code": "P33010500001", "name": "青禾大药房"})).json()
    assert (made["kind"], made["region"]) == ("pharmacy", "330105")
    page = (await desk.get(MAKER, "/institutions", region="330100", kind="pharmacy")).json()["items"]
    assert [one["code"] for one in page] == ["P33010500001"]
    assert (await desk.get(MAKER, "/institutions", region="330200")).json()["items"] == []


async def test_a_region_that_is_none_is_refused_at_its_place(desk: Desk) -> None:
    for region, code in (("164071", "region"), ("33010", "string_pattern_mismatch")):
        refused = await desk.get(MAKER, "/institutions", region=region)
        assert refused.status_code == 422, refused.text
        assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [("query/region", code)]


async def test_names_that_come_at_once_all_land(desk: Desk) -> None:
    names = [f"青禾市第二医院{part}院区" for part in "东南西北"]
    answers = await asyncio.gather(*(desk.post(AUTHORITY, "/institutions", {**CLINIC, "name": name}) for name in names))
    assert {answer.status_code for answer in answers} == {201}
    final = (await desk.get(HOSPITAL, "/institutions")).json()["items"][0]
    assert sorted(point["name"] for point in final["delivery_points"]) == sorted(names)
    assert final["version"] == 4


async def test_a_hundred_cost_as_many_statements_as_one(tx: Tx) -> None:
    who = Caller("OPS", frozenset({"operator"}), "000000", "tester")

    async def cost(first: int, count: int, name: str) -> int:
        before = tx.statements
        numbers = range(first, first + count)
        commands = [RegisterInstitution(code=f"H330102{number:05d}", name=name) for number in numbers]
        await register_institutions(tx, who, commands)
        await tx.flush()
        return tx.statements - before

    assert await cost(1, 1, "甲") == await cost(2, 100, "甲")
    assert await cost(1, 1, "乙") == await cost(2, 100, "乙")


async def test_bad_codes_are_refused_with_the_rule(desk: Desk) -> None:
    for code in ("H3301020005", "X33010200059", "H99010200059", "H3301020005９x", "3.30102000591235e+17"):
        refused = await desk.post(AUTHORITY, "/institutions", {**CLINIC, "code": code})
        assert (refused.status_code, refused.json()["code"]) == (422, "institution_refused"), code
        assert refused.json()["errors"][0]["pointer"] == "/code"
