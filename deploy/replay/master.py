"""Takes over the master data of the sheets: who takes part, what is listed at which price, who delivers it, which codes it has.

Invariant: everything is registered by its natural key, so that a second time changes nothing.
"""

import asyncio
import hashlib
from typing import Any

from deploy.replay.codes import idents
from deploy.replay.rules import AGENT, Enterprise, Institution
from deploy.replay.sheets import CatalogueRow
from deploy.replay.stage import Stage, again

STEPS = 6
AT_ONCE = 8
ACCOUNT_DIGITS = 19
BANK = {"bank_name": "重放银行", "cnaps_code": "102100099996"}
"""Of the accounts that the replay makes up, for the sheets have none."""


async def take_over(stage: Stage) -> None:
    """All of it, in the order in which it builds on each other; raises ReplayStopped."""
    plan = stage.plan
    with stage.seconds.phase("master data", STEPS) as bar:
        await _enterprises(stage)
        bar.step()
        wanted = [_institution(one) for one in plan.institutions.values()]
        await stage.bulk(stage.authority, "listing/institutions/bulk", wanted)
        bar.step()
        listed = [_product(stage, row) for row in plan.catalogue.listed.values()]
        await stage.bulk(stage.authority, "listing/catalogue", listed, "PUT")
        bar.step()
        relations = [
            {
                "product_code": one.product_code,
                "region": one.region,
                "distributor_code": stage.codes[one.distributor],
                "valid_from": one.valid_from.isoformat(),
            }
            for one in plan.relations
        ]
        await stage.bulk(stage.authority, "listing/distributions/agreed", relations, "PUT")
        bar.step()
        await _accounts(stage)
        bar.step()
        await stage.visitor.until_quiet()
        meanings = [
            {"ident": ident, "product_code": code, "level": 1} for code, ident in idents(plan.catalogue.listed).items()
        ]
        await stage.bulk(stage.operator, "traceability/identification-codes/bulk", meanings)
        await stage.visitor.until_quiet()
        bar.step()


async def _enterprises(stage: Stage) -> None:
    """Registers every name of every enterprise, and learns the codes they go by."""
    known = [*stage.plan.enterprises]
    registered = await stage.bulk(stage.operator, "listing/enterprises/bulk", [_enterprise(one) for one in known])
    stage.codes |= {one.key: view["code"] for one, view in zip(known, registered, strict=True)}
    aliases = [{**_enterprise(one), "name": name} for one in known if one.uscc is not None for name in one.names[1:]]
    await stage.bulk(stage.operator, "listing/enterprises/bulk", aliases)


async def _accounts(stage: Stage) -> None:
    """Each distributor names where it is paid, the clerk confirms all of them."""
    room = asyncio.Semaphore(AT_ONCE)

    async def name(dealer: Enterprise) -> dict[str, Any]:
        code = stage.codes[dealer.key]
        own = stage.visitor.person("distributor", code, dealer.region, "replay")
        number = str(int(hashlib.sha256(code.encode()).hexdigest(), 16))[:ACCOUNT_DIGITS]
        account = {"region": stage.plan.region, "holder_name": dealer.names[0], **BANK, "account_number": number}
        async with room:
            named: dict[str, Any] = await again(stage.visitor, "POST", "settlement/accounts", own.headers, json=account)
        return named

    appointed = {one.distributor for one in stage.plan.relations}
    named = await asyncio.gather(*(name(one) for one in stage.plan.enterprises if one.key in appointed))
    acts = [{"account_id": one["id"], "version": one["version"]} for one in named if one["state"] == "named"]
    await stage.bulk(stage.clerk, "settlement/accounts/confirmations/bulk", acts)


def _enterprise(one: Enterprise) -> dict[str, Any]:
    said: dict[str, Any] = {"name": one.names[0], "kinds": list(one.kinds), "region": one.region}
    return said if one.uscc is None else {**said, "uscc": one.uscc}


def _institution(one: Institution) -> dict[str, Any]:
    said: dict[str, Any] = {"code": one.code, "name": one.name, "region": one.region}
    if one.grade:
        said["grade"] = one.grade
    return {**said, "delivery_points": list(one.others)}


def _product(stage: Stage, row: CatalogueRow) -> dict[str, Any]:
    """A row of the catalogue as the authority lists it; the file's own date is kept in how the price came about."""
    makers = stage.plan.enterprises
    origin = [row.price_origin, row.origin, f"目录挂网时间 {row.published_on}" if row.published_on else None]
    said = {
        "code": row.product_code,
        "generic_name": row.generic_name,
        "trade_name": row.trade_name,
        "dosage_form": row.dosage_form,
        "specification": row.specification,
        "unit": row.unit,
        "units_per_pack": row.units_per_pack,
        "approval_number": row.approval_number,
        "manufacturer_code": stage.codes[makers.maker_of(row.manufacturer_name)],
        "holder_name": row.holder_name,
        AGENT + "_code": stage.codes[makers.maker_of(row.agent_name)] if row.agent_name else None,
        "region": row.region,
        "price_yuan": f"{row.price_yuan:f}",
        "category": row.category,
        "price_origin": "；".join(part for part in origin if part) or None,
        "valid_from": row.valid_from.isoformat(),
    }
    return {name: value for name, value in said.items() if value is not None}
