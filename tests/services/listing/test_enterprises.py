"""Enterprises over HTTP: one code for good, several names, provisional ones that become known."""

import asyncio

from services.listing.handlers.enterprises import register_enterprises
from services.listing.schemas.enterprises import RegisterEnterprise
from shared.db import Tx
from shared.envelope import unseal
from shared.events.listing import EnterpriseRegistered
from shared.identity import Caller
from tests.house import WorkerInHand
from tests.services.listing.people import (
    AUTHORITY,
    DISTRIBUTOR,
    DISTRIBUTOR_CODE,
    HOSPITAL,
    MAKER,
    MAKER_CODE,
    OPERATOR,
    OTHER_AUTHORITY,
    OTHER_MAKER_CODE,
    Desk,
)
from tests.services.listing.test_imports import ENTERPRISES, imported, returned

MAKES = {"uscc": MAKER_CODE, "name": "青禾制药有限公司", "kinds": ["manufacturer"], "region": "350200"}
ODD_CODE = "91350211M00013FA1N"
"""Its check digit fails."""
UNKNOWN = {"name": "云岭 医药（集团）", "kinds": ["distributor"], "region": "330000"}


async def test_another_spelling_is_no_other_name_and_another_name_is_an_alias(desk: Desk, worker: WorkerInHand) -> None:
    first = await desk.post(MAKER, "/enterprises", {**MAKES, "name": "青禾制药（集团）"})
    assert first.status_code == 201, first.text
    same = await desk.post(MAKER, "/enterprises", {**MAKES, "name": "青禾制药 (集团)"})
    assert same.json() == first.json()
    other = await desk.post(MAKER, "/enterprises", {**MAKES, "name": "青禾药厂", "kinds": ["agent"]})
    assert (other.json()["aliases"], other.json()["kinds"], other.json()["version"]) == (
        ["青禾药厂"],
        ["manufacturer", "agent"],
        2,
    )
    facts = await worker.said()
    assert [type(fact) for fact in facts] == [EnterpriseRegistered] * 2


async def test_a_provisional_enterprise_keeps_its_code_when_its_uscc_becomes_known(
    desk: Desk, worker: WorkerInHand
) -> None:
    made = (await desk.post(AUTHORITY, "/enterprises", UNKNOWN)).json()
    assert (made["provisional"], made["code"][:5], made["uscc"]) == (True, "PROV-", None)
    path = f"/enterprises/{made['id']}"
    assert (await desk.get(AUTHORITY, f"{path}/timeline")).json()["next"][0]["who"]["role"] == "authority"
    assert (await desk.post(OTHER_AUTHORITY, f"{path}/uscc", {"uscc": MAKER_CODE})).status_code == 403
    known = await desk.post(AUTHORITY, f"{path}/uscc", {"uscc": MAKER_CODE.lower()})
    assert (known.json()["code"], known.json()["uscc"], known.json()["provisional"]) == (
        made["code"],
        MAKER_CODE,
        False,
    )
    again = await desk.post(AUTHORITY, f"{path}/uscc", {"uscc": MAKER_CODE})
    assert again.json()["version"] == known.json()["version"] == 2
    other = await desk.post(AUTHORITY, f"{path}/uscc", {"uscc": "91310110666007217T"})
    assert (other.status_code, other.json()["code"]) == (409, "enterprise_known")
    under_its_uscc = await desk.post(MAKER, "/enterprises", MAKES)
    assert (under_its_uscc.json()["id"], under_its_uscc.json()["code"]) == (made["id"], made["code"])
    by_authority = await desk.post(AUTHORITY, "/enterprises", {**MAKES, "region": "330000"})
    assert by_authority.json()["id"] == made["id"]
    told = [(fact.provisional, fact.uscc) for fact in await worker.said() if isinstance(fact, EnterpriseRegistered)]
    assert told == [(True, None), (False, MAKER_CODE), (False, MAKER_CODE)]


async def test_two_enterprises_never_share_a_uscc(desk: Desk) -> None:
    await desk.post(MAKER, "/enterprises", MAKES)
    made = (await desk.post(AUTHORITY, "/enterprises", UNKNOWN)).json()
    refused = await desk.post(AUTHORITY, f"/enterprises/{made['id']}/uscc", {"uscc": MAKER_CODE})
    assert (refused.status_code, refused.json()["code"]) == (409, "enterprise_known")
    assert "青禾制药有限公司" in refused.json()["detail"]


async def test_nobody_calls_itself_as_another_enterprise_is_called(desk: Desk) -> None:
    makes = {**MAKES, "name": "青禾制药（集团）有限公司"}
    await desk.post(MAKER, "/enterprises", makes)
    own = {"uscc": DISTRIBUTOR_CODE, "name": "青禾制药(集团)有限公司", "kinds": ["distributor"], "region": "310100"}
    for known in (False, True):
        taken = await desk.post(DISTRIBUTOR, "/enterprises", own)
        assert (taken.status_code, taken.json()["code"]) == (409, "name_taken"), known
        (fault,) = taken.json()["errors"]
        assert (fault["pointer"], fault["rule"]) == ("/name", f"it is the name of {MAKER_CODE}")
        assert "ask the authority of region 310100 to register you under it too, with a reason" in fault["allowed"]
        assert (await desk.post(DISTRIBUTOR, "/enterprises", {**own, "name": "远山医药有限公司"})).status_code == 201
    assert (await desk.post(MAKER, "/enterprises", {**makes, "kinds": ["agent"]})).status_code == 201
    by_authority = await desk.post(AUTHORITY, "/enterprises", {**own, "region": "330000", "name_reason": "同名两家"})
    assert (by_authority.status_code, by_authority.json()["aliases"]) == (201, [own["name"]])
    assert (await desk.post(DISTRIBUTOR, "/enterprises", own)).json() == by_authority.json()


async def test_a_further_name_of_an_enterprise_is_its_own_too(desk: Desk) -> None:
    await desk.post(MAKER, "/enterprises", MAKES)
    own = {"uscc": DISTRIBUTOR_CODE, "name": "青禾药厂（老厂）", "kinds": ["distributor"], "region": "330000"}
    unnamed = {key: value for key, value in own.items() if key != "uscc"}
    in_one_call = [{**MAKES, "region": "330000", "name": "青禾药厂(老厂)"}, own, unnamed]
    answers = (await desk.post(AUTHORITY, "/enterprises/bulk", in_one_call)).json()["items"]
    assert [item["status"] for item in answers] == [201, 409, 409]
    for who in (AUTHORITY, DISTRIBUTOR):
        taken = await desk.post(who, "/enterprises", own)
        assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
        (fault,) = taken.json()["errors"]
        assert fault["rule"] == f"it is a further name of {MAKES['name']} ({MAKER_CODE})"
    made = await desk.post(AUTHORITY, "/enterprises", {**own, "name_reason": "同名两家"})
    assert made.status_code == 201
    third = await desk.post(AUTHORITY, "/enterprises", {**own, "uscc": OTHER_MAKER_CODE})
    assert third.json()["errors"][0]["rule"] == f"it is the name of {DISTRIBUTOR_CODE}", (
        "who has it officially comes first"
    )


async def test_of_several_who_take_one_name_at_once_one_gets_it(desk: Desk) -> None:
    usccs = (MAKER_CODE, DISTRIBUTOR_CODE, OTHER_MAKER_CODE)
    for number, code in enumerate(usccs):
        await desk.post(AUTHORITY, "/enterprises", {**MAKES, "uscc": code, "name": f"云岭{number}", "region": "330000"})
    for name in ("云岭", "云岭药厂", "云岭医药"):
        answers = await asyncio.gather(
            *(
                desk.post(AUTHORITY, "/enterprises", {**MAKES, "uscc": code, "name": name, "region": "330000"})
                for code in usccs
            ),
            desk.post(AUTHORITY, "/enterprises", {**UNKNOWN, "name": name}),
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409], name


async def test_no_provisional_enterprise_is_registered_under_the_name_of_a_known_one(desk: Desk) -> None:
    namesake = {"name": MAKES["name"], "kinds": ["manufacturer"], "region": "330000"}
    early = await desk.post(AUTHORITY, "/enterprises", namesake)
    assert early.status_code == 201
    reason = {"name_reason": "同名两家"}
    items = [{**MAKES, "region": "330000", **reason}, {**namesake, "kinds": ["agent"]}]
    answer = (await desk.post(AUTHORITY, "/enterprises/bulk", items)).json()
    assert [item["status"] for item in answer["items"]] == [201, 201], "what is known from before stays what it is"
    items = [
        {**MAKES, "uscc": DISTRIBUTOR_CODE, "name": "远山医药有限公司", "region": "330000"},
        {**namesake, "name": "远山医药有限公司"},
        namesake,
    ]
    answer = (await desk.post(AUTHORITY, "/enterprises/bulk", items)).json()
    assert [item["status"] for item in answer["items"]] == [201, 409, 201]
    assert answer["items"][1]["problem"]["errors"][0]["rule"] == f"it is the name of {DISTRIBUTOR_CODE}"


async def test_the_authority_registers_a_second_enterprise_of_one_name_only_with_a_reason(desk: Desk) -> None:
    await desk.post(MAKER, "/enterprises", MAKES)
    second = {**MAKES, "uscc": DISTRIBUTOR_CODE, "region": "330000"}
    refused = await desk.post(AUTHORITY, "/enterprises", second)
    assert (refused.status_code, refused.json()["code"]) == (409, "name_taken")
    (fault,) = refused.json()["errors"]
    assert (fault["pointer"], fault["rule"]) == ("/name", f"it is the name of {MAKER_CODE}")
    assert fault["allowed"].endswith("or, in name_reason, why another enterprise has this name")
    made = await desk.post(AUTHORITY, "/enterprises", {**second, "name_reason": "同名两家"})
    assert (made.status_code, made.json()["override_reason"]) == (201, None)
    (deed,) = (await desk.get(AUTHORITY, f"/enterprises/{made.json()['id']}/timeline")).json()["deeds"]
    assert deed["detail"]["name_reason"] == "同名两家"
    again = await desk.post(AUTHORITY, "/enterprises", second)
    assert (again.status_code, again.json()) == (201, made.json()), "what is known needs no reason again"


async def test_the_authority_is_told_of_one_whose_uscc_is_not_known_before_it_registers_another(desk: Desk) -> None:
    waiting = (await desk.post(AUTHORITY, "/enterprises", {**MAKES, "uscc": None, "region": "330000"})).json()
    second = {**MAKES, "region": "330000"}
    refused = await desk.post(AUTHORITY, "/enterprises", second)
    assert refused.json()["errors"][0]["rule"] == f"it is the name of {waiting['code']}"
    assert (await desk.post(AUTHORITY, f"/enterprises/{waiting['id']}/uscc", {"uscc": MAKER_CODE})).status_code == 200
    assert (await desk.post(AUTHORITY, "/enterprises", second)).json()["id"] == waiting["id"]


async def test_why_a_known_enterprise_takes_the_name_of_another_stands_in_its_timeline(desk: Desk) -> None:
    await desk.post(MAKER, "/enterprises", MAKES)
    other = {"uscc": DISTRIBUTOR_CODE, "name": "远山医药有限公司", "kinds": ["distributor"], "region": "330000"}
    made = (await desk.post(AUTHORITY, "/enterprises", other)).json()
    renamed = {**other, "name": MAKES["name"]}
    assert (await desk.post(AUTHORITY, "/enterprises", renamed)).status_code == 409
    assert (await desk.post(AUTHORITY, "/enterprises", {**renamed, "name_reason": "更名"})).status_code == 201
    deeds = (await desk.get(AUTHORITY, f"/enterprises/{made['id']}/timeline")).json()["deeds"]
    assert (deeds[-1]["action"], deeds[-1]["detail"]["name_reason"]) == ("changed", "更名")


async def test_neither_reason_answers_the_other_question_and_both_are_asked_at_once(desk: Desk) -> None:
    await desk.post(MAKER, "/enterprises", MAKES)
    second = {**MAKES, "uscc": ODD_CODE, "region": "330000"}
    digit, name = {"override_reason": "早期试点发码"}, {"name_reason": "同名两家"}
    for reasons, status, asked in (
        ({}, 422, ["/uscc", "/name"]),
        (digit, 409, ["/name"]),
        (name, 422, ["/uscc"]),
    ):
        refused = await desk.post(AUTHORITY, "/enterprises", {**second, **reasons})
        assert refused.status_code == status
        assert [fault["pointer"] for fault in refused.json()["errors"]] == asked, reasons
    made = await desk.post(AUTHORITY, "/enterprises", {**second, **digit, **name})
    assert (made.status_code, made.json()["override_reason"]) == (201, "早期试点发码")


async def test_a_supplier_takes_no_name_of_a_provisional_enterprise_and_is_told_whom_to_ask(desk: Desk) -> None:
    waiting = (await desk.post(AUTHORITY, "/enterprises", UNKNOWN)).json()
    own = {"uscc": DISTRIBUTOR_CODE, "name": UNKNOWN["name"], "kinds": ["distributor"], "region": "310100"}
    for known in (False, True):
        taken = await desk.post(DISTRIBUTOR, "/enterprises", {**own, "name_reason": "同名两家"})
        assert (taken.status_code, taken.json()["code"]) == (409, "name_taken"), known
        (fault,) = taken.json()["errors"]
        assert (fault["pointer"], fault["rule"]) == ("/name", f"it is the name of {waiting['code']}")
        assert "ask the authority of region 330000 to confirm your USCC" in fault["allowed"]
        assert (await desk.post(DISTRIBUTOR, "/enterprises", {**own, "name": "远山医药有限公司"})).status_code == 201
    by_authority = {**own, "region": "330000", "name_reason": "同名两家"}
    assert (await desk.post(AUTHORITY, "/enterprises", by_authority)).json()["aliases"] == [own["name"]]


async def test_a_sheet_asks_for_both_reasons_at_once_in_columns_of_their_own(desk: Desk, worker: WorkerInHand) -> None:
    await desk.post(MAKER, "/enterprises", MAKES)
    row = f"{MAKES['name']},生产企业,330000,{ODD_CODE}"
    job = await imported(desk, worker, "enterprises", f"{ENTERPRISES}{row},\n".encode())
    _, (_, refused) = await returned(desk, job)
    assert refused[-4].split("\n") == ["统一社会信用代码", "企业名称"]
    assert "in a new column 同名说明 (name_reason)" in refused[-1]
    header = ENTERPRISES.replace("校验位说明", "校验位说明,同名说明")
    job = await imported(desk, worker, "enterprises", f"{header}{row},早期试点发码,同名两家\n".encode())
    assert (job["result"]["landed"], job["refused"]) == (1, 0)


async def test_a_sheet_of_enterprises_names_the_row_that_takes_the_name_of_another(
    desk: Desk, worker: WorkerInHand
) -> None:
    await desk.post(MAKER, "/enterprises", MAKES)
    sheet = f"{ENTERPRISES}{MAKES['name']},配送企业,330000,,\n云岭医药,配送企业,330000,,\n"
    job = await imported(desk, worker, "enterprises", sheet.encode())
    assert (job["result"]["landed"], job["refused"]) == (1, 1), job
    _, (_, row) = await returned(desk, job)
    assert row[-5:-1] == ["2", "企业名称", MAKES["name"], f"it is the name of {MAKER_CODE}"]
    assert (await imported(desk, worker, "enterprises", sheet.encode(), who=OPERATOR))["refused"] == 0


async def test_the_same_enterprise_registered_at_once_by_several_is_one(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.post(MAKER, "/enterprises", MAKES) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert {answer.json()["version"] for answer in answers} == {1}


async def test_a_failing_check_digit_needs_a_reason_and_all_faults_come_together(desk: Desk) -> None:
    odd = {**UNKNOWN, "uscc": ODD_CODE}
    refused = await desk.post(AUTHORITY, "/enterprises", {**odd, "region": "330000"})
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/uscc"]
    assert (await desk.post(AUTHORITY, "/enterprises", {**odd, "override_reason": "早期试点发码"})).status_code == 201
    both = await desk.post(AUTHORITY, "/enterprises", {**UNKNOWN, "uscc": "9.13301007043059e+17", "region": "990000"})
    assert [fault["pointer"] for fault in both.json()["errors"]] == ["/region", "/uscc"]
    assert "spreadsheet" in both.json()["errors"][1]["rule"]


async def test_in_bulk_each_is_answered_by_itself_and_the_same_code_counts_up(desk: Desk) -> None:
    items = [
        {**MAKES, "region": "330000"},
        {**MAKES, "region": "330000", "name": "青禾药厂"},
        {**MAKES, "region": "350000", "uscc": "91310110666007217T"},
        {**MAKES, "region": "330000", "uscc": "123"},
    ]
    answer = (await desk.post(AUTHORITY, "/enterprises/bulk", items)).json()
    assert [item["status"] for item in answer["items"]] == [201, 201, 403, 422]
    assert answer["items"][1]["item"]["version"] == 2
    found = (await desk.get(HOSPITAL, "/enterprises", name="药厂")).json()["items"]
    assert [one["code"] for one in found] == [MAKER_CODE]


async def test_a_hundred_cost_as_many_statements_as_one(tx: Tx) -> None:
    who = Caller("OPS", frozenset({"operator"}), "000000", "tester")

    def commands(names: str, count: int) -> list[RegisterEnterprise]:
        return [
            RegisterEnterprise(name=f"{names}{number}", kinds=["distributor"], region="330000")
            for number in range(count)
        ]

    async def cost(names: str, count: int) -> int:
        before = tx.statements
        await register_enterprises(tx, who, commands(names, count))
        await tx.flush()
        return tx.statements - before

    new = await cost("甲", 1)
    assert await cost("乙", 100) == new
    for one in commands("甲", 1):
        await register_enterprises(tx, who, [one.model_copy(update={"kinds": ["agent"]})])
    await tx.flush()
    before = tx.statements
    changed = [one.model_copy(update={"kinds": ["agent"]}) for one in commands("乙", 100)]
    await register_enterprises(tx, who, changed)
    await tx.flush()
    assert tx.statements - before <= new + 1


async def test_who_may_not_register(desk: Desk) -> None:
    assert (await desk.post(HOSPITAL, "/enterprises", MAKES)).status_code == 403
    assert (await desk.post(DISTRIBUTOR, "/enterprises", MAKES)).json()["code"] == "not_your_enterprise"
    assert (await desk.post(MAKER, "/enterprises/bulk", [MAKES])).status_code == 403


async def test_what_a_sheet_brings_about_belongs_to_the_request_that_sent_it(desk: Desk, worker: WorkerInHand) -> None:
    trace = f"00-{'1' * 32}-{'2' * 16}-01"
    sheet = f"{ENTERPRISES}青禾制药有限公司,生产企业,330000,{MAKER_CODE},\n"
    told = {"content-type": "text/csv", "x-request-id": "this-sheet", "traceparent": trace}
    sent = await desk.client.post(
        "/imports/enterprises", content=sheet.encode(), headers={**desk.caller(*OPERATOR), **told}
    )
    assert sent.status_code == 202, sent.text
    await worker.do_jobs()
    (sealed,) = await worker.database.pool.fetch("SELECT payload FROM outbox")
    event = unseal(sealed["payload"])
    assert (event.requestid, event.traceparent) == ("this-sheet", trace)
    assert await worker.database.pool.fetch("SELECT DISTINCT request_id FROM history") == [("this-sheet",)]
