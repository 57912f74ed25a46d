"""The holder of a receiving account is held against every name of its supplier: another one is told, and refuses nothing."""

from typing import Any

import pytest
from uuid_utils.compat import uuid7

from shared.events.listing import EnterpriseRegistered

from .conftest import ACCOUNT, OTHER_SUPPLIER_CODE, PROVINCE, SUPPLIER, SUPPLIER_CODE, Stage

HOLDER = ACCOUNT["holder_name"]


def registered(*names: str, code: str = SUPPLIER_CODE) -> EnterpriseRegistered:
    return EnterpriseRegistered(
        enterprise_id=uuid7(),
        enterprise_code=code,
        name=names[0],
        aliases=names[1:],
        kinds=("distributor",),
        provisional=False,
        active=True,
        region="310100",
        uscc=code,
    )


async def read(stage: Stage, account: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = await stage.get(f"/accounts/{account['id']}", PROVINCE)
    return found


async def confirming(stage: Stage, account: dict[str, Any], language: str = "en") -> dict[str, Any]:
    """What the deed tells by which the account was confirmed."""
    headers = {**stage.caller(*PROVINCE), "accept-language": language}
    deeds = (await stage.client.get(f"/accounts/{account['id']}/timeline", headers=headers)).json()["deeds"]
    (detail,) = [deed["detail"] for deed in deeds if deed["action"] == "confirmed"]
    return dict(detail)


@pytest.mark.parametrize("names", [(HOLDER,), ("旧名有限公司", HOLDER), (f"{HOLDER} ",)])
async def test_a_holder_of_any_name_of_the_supplier_is_known(stage: Stage, names: tuple[str, ...]) -> None:
    await stage.worker.deliver(registered(*names))
    named = await stage.named()
    assert (named["holder_known"], named["supplier_names"]) == (True, list(names))
    assert named["waits_for"]["what"] == f"confirm or refuse the account of {SUPPLIER_CODE}"


async def test_another_holder_is_told_to_who_names_and_who_confirms_and_may_be_confirmed(stage: Stage) -> None:
    await stage.worker.deliver(registered("远山医药有限公司", "远山医药"))
    named = await stage.named()
    words = (
        f"confirm or refuse the account of {SUPPLIER_CODE}; its holder {HOLDER} is none of the names that the supplier is"
        " registered under: 远山医药有限公司, 远山医药"
    )
    assert (named["holder_known"], named["waits_for"]["what"]) == (False, words)
    timeline = await stage.get(f"/accounts/{named['id']}/timeline", SUPPLIER)
    assert timeline["next"] == [(await read(stage, named))["waits_for"]] == [named["waits_for"]]
    path = f"/accounts/{named['id']}/confirmation"
    confirmed = await stage.post(path, PROVINCE, **{"if-match": '"1"'})
    assert (confirmed["state"], confirmed["holder_known"]) == ("confirmed", False)
    await stage.worker.deliver(registered("远山医药有限公司", HOLDER), sequence=2)
    assert (await confirming(stage, named))["detail"] == words.partition("; ")[2], "as it was known then"
    chinese = f"户名 {HOLDER} 与该企业登记的名称均不一致:远山医药有限公司, 远山医药"
    assert (await confirming(stage, named, "zh"))["detail"] == chinese


async def test_a_known_holder_is_confirmed_without_a_word_and_one_that_nothing_is_known_of_with_one(
    stage: Stage,
) -> None:
    await stage.worker.deliver(registered(HOLDER))
    assert "detail" not in await confirming(stage, await stage.confirmed())
    other = await confirming(stage, await stage.confirmed(OTHER_SUPPLIER_CODE))
    assert other["detail"] == f"no name of the supplier is known here to compare its holder {HOLDER} with"


async def test_an_account_of_a_supplier_whose_names_are_not_known_stands_in_the_list_beside_others(
    stage: Stage,
) -> None:
    await stage.worker.deliver(registered("远山医药有限公司"))
    await stage.named()
    await stage.named(OTHER_SUPPLIER_CODE)
    listed = (await stage.get("/accounts", PROVINCE))["items"]
    assert {one["supplier_code"]: one["supplier_names"] for one in listed} == {
        SUPPLIER_CODE: ["远山医药有限公司"],
        OTHER_SUPPLIER_CODE: None,
    }


async def test_names_that_come_later_count_and_older_ones_do_not(stage: Stage) -> None:
    named = await stage.named()
    await stage.worker.deliver(registered("他人有限公司", code=OTHER_SUPPLIER_CODE))
    told = (
        f"confirm or refuse the account of {SUPPLIER_CODE}; no name of the supplier is known here to compare its holder"
    )
    assert (await read(stage, named))["waits_for"]["what"] == f"{told} {HOLDER} with"
    assert (named["holder_known"], (await read(stage, named))["supplier_names"]) == (None, None)
    await stage.worker.deliver(registered("远山医药有限公司", HOLDER), sequence=2)
    await stage.worker.deliver(registered("远山医药有限公司"), sequence=1)
    assert (await read(stage, named))["holder_known"] is True
    await stage.worker.deliver(registered("远山医药有限公司"), sequence=3)
    assert (await read(stage, named))["holder_known"] is False
