"""Fourth part: what is late raises an alert by itself and resolves by itself; a reported problem finds who must act."""

from datetime import timedelta

from deploy.story.cast import Cast
from deploy.story.teller import Teller, named


async def watch(cast: Cast, teller: Teller) -> tuple[str, str]:
    """Returns the state of the alert and of the problem at the end."""
    teller.heading("4 · What goes wrong is seen")
    return await _late_confirmation(cast, teller), await _problem(cast, teller)


async def _late_confirmation(cast: Cast, teller: Teller) -> str:
    line = {
        "product_code": cast.product("tablets").code,
        "quantity": 20,
        "distributor_code": cast.enterprise("dealer_a").uscc,
    }
    order = await cast.hospital.post("orders/orders", {"order_number": "CG-0002", "lines": [line]})
    teller.says(cast.institution.name, "orders CG-0002, and nobody answers")
    await cast.visitor.until_quiet()
    await teller.later(days=1, minutes=5)
    await cast.visitor.until_quiet()
    (alert,) = (await cast.authority.get("alerts/alerts", kind="order_unconfirmed", state="open"))["items"]
    teller.by_itself(f"alert {alert['kind']}: {alert['detail'].rstrip('.')}; waits for {named(alert['waits_for'])}")
    path = f"orders/orders/{order['id']}/confirmation"
    await cast.dealer_a.post(path, {"lines": [{"line_number": 1, "quantity": 20}]})
    teller.says(cast.enterprise("dealer_a").name, "confirms CG-0002")
    await cast.visitor.until_quiet()
    resolved = await cast.authority.get(f"alerts/alerts/{alert['id']}")
    teller.by_itself(f"the alert is {resolved['state']}: {resolved['resolution']}")
    return str(resolved["state"])


async def _problem(cast: Cast, teller: Teller) -> str:
    dealer = cast.enterprise("dealer_a")
    problem = await cast.hospital.post(
        "alerts/problems",
        {
            "kind": "short_ship",
            "region": cast.institution.region,
            "respondent_code": dealer.uscc,
            "product_code": cast.product("tablets").code,
            "order_number": "CG-0001",
            "text": "200 盒只确认 160 盒。",
            "occurred_at": (teller.now - timedelta(days=1)).isoformat(),
        },
        key="problem-1",
    )
    teller.says(
        cast.institution.name, f"reports a problem; {named(problem['waits_for'])} must act by {problem['act_by'][:10]}"
    )
    path = f"alerts/problems/{problem['id']}"
    assigned = await cast.authority.post(f"{path}/assignment", {}, match=_tag(problem["version"]))
    teller.says(cast.sample.parties["authority"].name, f"asks {dealer.name} to answer by {assigned['act_by'][:10]}")
    await teller.later(hours=5)
    reply = await cast.dealer_a.post(
        f"{path}/replies", {"text": "新产线投产,缺口下周补齐。"}, match=_tag(assigned["version"])
    )
    teller.says(dealer.name, "answers: 新产线投产,缺口下周补齐。")
    solved = await cast.authority.post(
        f"{path}/resolution", {"finding": "配送企业已补足供应。"}, match=_tag(reply["version"])
    )
    closed = await cast.hospital.post(f"{path}/confirmation", {"note": "货已收到。"}, match=_tag(solved["version"]))
    teller.says(cast.institution.name, f"confirms that it is solved: {closed['state']}")
    await cast.visitor.until_quiet()
    return str(closed["state"])


def _tag(version: int) -> str:
    return f'"{version}"'
