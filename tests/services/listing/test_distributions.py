"""Distribution relations over HTTP: proposed, accepted, ended; one open a distributor, product and region."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from services.listing.handlers.distributions import record_distributions
from services.listing.handlers.enterprises import register_enterprises
from services.listing.handlers.products import register_products
from services.listing.schemas.distributions import ProposeDistribution
from services.listing.schemas.enterprises import RegisterEnterprise
from services.listing.schemas.products import RegisterProduct
from shared.db import Tx
from shared.events.listing import DistributionConfirmed, DistributionEnded
from shared.identity import Caller
from tests.house import WorkerInHand
from tests.services.listing.people import (
    AUTHORITY,
    DISTRIBUTOR,
    DISTRIBUTOR_CODE,
    HOSPITAL,
    MAKER,
    MAKER_CODE,
    OTHER_AUTHORITY,
    OTHER_MAKER,
    OTHER_MAKER_CODE,
    PRODUCT,
    Desk,
    product_code,
)

RELATION = {
    "product_code": PRODUCT["code"],
    "region": "330000",
    "distributor_code": DISTRIBUTOR_CODE,
    "valid_from": "2026-01-01",
    "valid_to": "2099-12-31",
}


async def ready(desk: Desk) -> None:
    await desk.enterprises()
    assert (await desk.post(MAKER, "/products", PRODUCT)).status_code == 201


async def proposed(desk: Desk) -> str:
    await ready(desk)
    made = await desk.post(MAKER, "/distributions", RELATION)
    assert made.status_code == 201, made.text
    assert made.json()["state"] == "proposed"
    return f"/distributions/{made.json()['id']}"


@pytest.mark.parametrize(("language", "what"), [("zh-CN", "接受或拒绝该配送关系"), ("en", "accept or reject it")])
async def test_who_acts_next_is_told_in_the_language_of_who_asks(desk: Desk, language: str, what: str) -> None:
    headers = {**desk.caller(*DISTRIBUTOR), "accept-language": language}
    timeline = await desk.client.get(f"{await proposed(desk)}/timeline", headers=headers)
    assert [step["what"] for step in timeline.json()["next"]] == [what]


async def test_the_distributor_accepts_and_either_side_ends(desk: Desk, worker: WorkerInHand) -> None:
    path = await proposed(desk)
    for who, status in ((HOSPITAL, 404), (OTHER_MAKER, 404), (MAKER, 200), (DISTRIBUTOR, 200), (AUTHORITY, 200)):
        assert (await desk.get(who, path)).status_code == status, who
    assert (await desk.get(DISTRIBUTOR, f"{path}/timeline")).json()["next"][0]["who"]["code"] == DISTRIBUTOR_CODE
    assert (await desk.post(MAKER, f"{path}/accept")).status_code == 403
    accepted = await desk.post(DISTRIBUTOR, f"{path}/accept")
    assert (accepted.json()["state"], accepted.json()["version"]) == ("active", 1)
    assert (await desk.get(HOSPITAL, path)).json()["state"] == "active"
    assert (await desk.post(DISTRIBUTOR, f"{path}/accept")).json()["code"] == "distribution_not_open"
    assert (await desk.post(OTHER_MAKER, f"{path}/end", {"reason": "x"})).status_code == 403
    assert (await desk.post(OTHER_AUTHORITY, f"{path}/end", {"reason": "x"})).status_code == 403
    ended = (await desk.post(MAKER, f"{path}/end", {"reason": "更换配送企业"})).json()
    assert (ended["state"], ended["version"]) == ("ended", 2)
    facts = [fact for fact in await worker.said() if hasattr(fact, "distribution_id")]
    assert [type(fact) for fact in facts] == [DistributionConfirmed, DistributionEnded]
    assert (await desk.post(MAKER, "/distributions", RELATION)).status_code == 201


async def test_a_refused_proposal_is_never_heard_of(desk: Desk, worker: WorkerInHand) -> None:
    path = await proposed(desk)
    rejected = (await desk.post(DISTRIBUTOR, f"{path}/reject", {"reason": "无库存"})).json()
    assert (rejected["state"], rejected["version"], rejected["ended_on"]) == ("rejected", 0, None)
    assert (await desk.get(HOSPITAL, path)).status_code == 404
    assert not [fact for fact in await worker.said() if hasattr(fact, "distribution_id")]


async def test_a_proposal_said_again_is_the_same_and_another_period_is_refused(desk: Desk) -> None:
    path = await proposed(desk)
    again = await desk.post(MAKER, "/distributions", RELATION)
    assert again.json()["id"] == path[15:]
    other = await desk.post(MAKER, "/distributions", {**RELATION, "valid_to": "2098-12-31"})
    assert (other.status_code, other.json()["code"]) == (409, "distribution_exists")


async def test_the_authority_records_what_was_agreed_elsewhere(desk: Desk, worker: WorkerInHand) -> None:
    path = await proposed(desk)
    second = {**RELATION, "region": "330100"}
    foreign = {**RELATION, "region": "350000"}
    recorded = (await desk.put(AUTHORITY, "/distributions/agreed", [RELATION, second, foreign, second])).json()
    assert [item["status"] for item in recorded["items"]] == [200, 200, 403, 200]
    assert recorded["items"][0]["item"]["id"] == path[15:]
    assert recorded["items"][1]["item"]["id"] == recorded["items"][3]["item"]["id"]
    assert {item["item"]["state"] for item in recorded["items"] if item.get("item")} == {"active"}
    facts = [fact for fact in await worker.said() if isinstance(fact, DistributionConfirmed)]
    assert [fact.region for fact in facts] == ["330000", "330100"]
    deeds = (await desk.get(AUTHORITY, f"{path}/timeline")).json()["deeds"]
    assert deeds[-1]["detail"]["agreed"] == "on both sides before, recorded by the authority"
    assert (await desk.put(MAKER, "/distributions/agreed", [RELATION])).status_code == 403
    page = (await desk.get(HOSPITAL, "/distributions", state="active", distributor_code=DISTRIBUTOR_CODE)).json()
    assert len(page["items"]) == 2


async def test_all_faults_of_a_proposal_come_together(desk: Desk) -> None:
    await ready(desk)
    wrong: dict[str, Any] = {
        "product_code": product_code(99),
        "region": "990000",
        "distributor_code": MAKER_CODE,
        "valid_from": "2026-01-02",
        "valid_to": "2026-01-01",
    }
    refused = (await desk.post(MAKER, "/distributions", wrong)).json()
    assert [fault["pointer"] for fault in refused["errors"]] == [
        "/region",
        "/valid_to",
        "/product_code",
        "/distributor_code",
    ]
    assert (await desk.post(OTHER_MAKER, "/distributions", RELATION)).json()["code"] == "not_your_distribution"


async def test_an_agent_proposes_and_ends_too(desk: Desk) -> None:
    await desk.enterprises()
    made = await desk.post(MAKER, "/products", {**PRODUCT, "agent_code": OTHER_MAKER_CODE})
    assert made.status_code == 201, made.text
    relation = await desk.post(OTHER_MAKER, "/distributions", RELATION)
    path = f"/distributions/{relation.json()['id']}"
    assert (await desk.post(OTHER_MAKER, f"{path}/end", {"reason": "撤回"})).json()["state"] == "ended"


async def test_every_party_of_a_relation_sees_all_that_was_done_with_it(desk: Desk) -> None:
    await desk.enterprises()
    await desk.post(MAKER, "/products", {**PRODUCT, "agent_code": OTHER_MAKER_CODE})
    for proposer, verb, action in ((OTHER_MAKER, "reject", "rejected"), (MAKER, "end", "ended")):
        relation = (await desk.post(proposer, "/distributions", RELATION)).json()
        path = f"/distributions/{relation['id']}"
        assert (await desk.post(DISTRIBUTOR, f"{path}/{verb}", {"reason": "无库存"})).is_success
        for who in (OTHER_MAKER, MAKER, DISTRIBUTOR, AUTHORITY):
            deeds = (await desk.get(who, f"{path}/timeline")).json()["deeds"]
            assert [deed["action"] for deed in deeds] == ["proposed", action], who
            assert [deed["organisation"] for deed in deeds] == [proposer[1], DISTRIBUTOR_CODE]
            assert deeds[1]["detail"]["reason"] == "无库存"


async def test_an_accepted_relation_is_in_force_from_its_first_day_to_its_last(
    desk: Desk, driven_clock: Callable[[datetime], None]
) -> None:
    driven_clock(datetime(2026, 2, 2, tzinfo=UTC))
    await ready(desk)
    term = {"valid_from": "2026-03-01", "valid_to": "2026-03-31"}
    made = (await desk.post(MAKER, "/distributions", {**RELATION, **term})).json()
    path = f"/distributions/{made['id']}"

    async def shown() -> tuple[str, bool]:
        one = (await desk.get(MAKER, path)).json()
        assert (await desk.get(MAKER, "/distributions")).json()["items"] == [one]
        return one["state"], one["in_force"]

    assert await shown() == ("proposed", False)
    accepted = (await desk.post(DISTRIBUTOR, f"{path}/accept")).json()
    assert await shown() == (accepted["state"], accepted["in_force"]) == ("active", False)
    for at, state in (
        (datetime(2026, 2, 28, 15, 59, tzinfo=UTC), ("active", False)),
        (datetime(2026, 2, 28, 16, tzinfo=UTC), ("active", True)),
        (datetime(2026, 3, 31, 15, 59, tzinfo=UTC), ("active", True)),
        (datetime(2026, 3, 31, 16, tzinfo=UTC), ("ended", False)),
    ):
        driven_clock(at)
        assert await shown() == state, at


async def test_with_its_last_day_a_relation_has_ended_and_a_new_one_takes_its_place(
    desk: Desk, worker: WorkerInHand, driven_clock: Callable[[datetime], None]
) -> None:
    driven_clock(datetime(2026, 3, 2, tzinfo=UTC))
    await ready(desk)
    first = {**RELATION, "valid_to": "2026-03-31"}
    path = f"/distributions/{(await desk.post(MAKER, '/distributions', first)).json()['id']}"
    assert (await desk.post(DISTRIBUTOR, f"{path}/accept")).is_success
    second = {**first, "region": "330100"}
    proposal = f"/distributions/{(await desk.post(MAKER, '/distributions', second)).json()['id']}"
    driven_clock(datetime(2026, 3, 31, 15, tzinfo=UTC))  # 23:00 in Shanghai
    assert (await desk.get(HOSPITAL, path)).json()["state"] == "active"
    driven_clock(datetime(2026, 3, 31, 16, tzinfo=UTC))
    assert (await desk.get(HOSPITAL, "/distributions", state="active")).json()["items"] == []
    assert (await desk.get(MAKER, "/distributions", state="proposed")).json()["items"] == []
    ended = (await desk.get(MAKER, "/distributions", state="ended")).json()["items"]
    assert [(one["state"], one["ended_on"]) for one in ended] == [("ended", "2026-03-31"), ("ended", None)]
    told = (await desk.get(MAKER, f"{path}/timeline")).json()
    assert (told["state"], told["next"][0]["who"]["code"]) == ("ended", MAKER_CODE)
    assert told["next"][0]["what"] == "its last day was 2026-03-31: propose a new one to go on"
    assert (await desk.post(DISTRIBUTOR, f"{proposal}/accept")).json()["code"] == "distribution_not_open"
    assert (await desk.post(MAKER, f"{path}/end", {"reason": "x"})).json()["code"] == "distribution_not_open"
    same = await desk.post(MAKER, "/distributions", second)
    assert (same.json()["id"], same.json()["state"]) == (proposal[15:], "ended")
    new = await desk.post(MAKER, "/distributions", {**first, "valid_from": "2026-04-01", "valid_to": "2026-12-31"})
    assert (new.status_code, new.json()["state"]) == (201, "proposed"), new.text
    assert (await desk.post(DISTRIBUTOR, f"/distributions/{new.json()['id']}/accept")).is_success
    told = (await desk.get(DISTRIBUTOR, f"{path}/timeline")).json()
    assert (told["state"], told["next"]) == ("ended", [])
    assert told["deeds"][-1]["detail"]["detail"] == f"relation {new.json()['id']} follows"
    facts: list[Any] = [fact for fact in await worker.said() if hasattr(fact, "distribution_id")]
    assert [type(fact) for fact in facts] == [DistributionConfirmed, DistributionEnded, DistributionConfirmed]
    assert facts[1].ended_on.isoformat() == "2026-03-31"


async def test_a_relation_shows_who_of_its_parties_is_provisional(desk: Desk) -> None:
    await ready(desk)
    by_name = {"name": "云岭医药", "kinds": ["distributor"], "region": "330000"}
    code = (await desk.post(AUTHORITY, "/enterprises", by_name)).json()["code"]
    for known, provisional in ((code, True), (DISTRIBUTOR_CODE, False)):
        made = (await desk.post(MAKER, "/distributions", {**RELATION, "distributor_code": known})).json()
        read = (await desk.get(MAKER, f"/distributions/{made['id']}")).json()
        assert read == made
        assert (read["distributor_provisional"], read["manufacturer_provisional"]) == (provisional, False)


async def test_accepted_and_taken_back_at_once_is_one_of_the_two(desk: Desk, worker: WorkerInHand) -> None:
    path = await proposed(desk)
    both = await asyncio.gather(
        desk.post(DISTRIBUTOR, f"{path}/reject", {"reason": "x"}),
        desk.post(MAKER, f"{path}/end", {"reason": "x"}),
        desk.post(DISTRIBUTOR, f"{path}/accept"),
    )
    final = (await desk.get(MAKER, path)).json()
    assert final["revision"] == 1 + sum(answer.status_code == 200 for answer in both)
    rows = await worker.database.pool.fetch("SELECT sequence FROM outbox WHERE subject = $1 ORDER BY id", path[15:])
    assert [row["sequence"] for row in rows] == list(range(1, final["version"] + 1))


async def test_the_same_proposal_at_once_is_one(desk: Desk) -> None:
    await ready(desk)
    answers = await asyncio.gather(*(desk.post(MAKER, "/distributions", RELATION) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_hundred_cost_as_many_statements_as_one(tx: Tx) -> None:
    who = Caller("OPS", frozenset({"operator"}), "000000", "tester")
    enterprises = [
        RegisterEnterprise(uscc=MAKER_CODE, name="青禾制药", kinds=["manufacturer"], region="350200"),
        RegisterEnterprise(uscc=DISTRIBUTOR_CODE, name="远山医药", kinds=["distributor"], region="310100"),
    ]
    await register_enterprises(tx, who, enterprises)
    products = [RegisterProduct.model_validate({**PRODUCT, "code": product_code(number)}) for number in range(101)]
    await register_products(tx, who, products)
    await tx.flush()

    async def cost(first: int, count: int) -> int:
        before = tx.statements
        numbers = range(first, first + count)
        commands = [
            ProposeDistribution.model_validate({**RELATION, "product_code": product_code(number)}) for number in numbers
        ]
        outcomes = await record_distributions(tx, who, commands)
        assert all(not isinstance(outcome, Exception) for outcome in outcomes)
        await tx.flush()
        return tx.statements - before

    assert await cost(0, 1) == await cost(1, 100)
