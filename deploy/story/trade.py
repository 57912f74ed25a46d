"""Second part: a hospital orders, distributors confirm and ship, the hospital accepts and scans; money is released by itself."""

from typing import Any

from deploy.story.cast import Cast
from deploy.story.teller import Teller, local, named, short
from deploy.visitor import Person, Refused
from shared.values import frozen

ORDER_NUMBER = "CG-0001"


@frozen
class Traded:
    """What came of the order."""

    order_id: str
    price_refusal: str
    code_refusals: tuple[str, ...]


async def trade(cast: Cast, teller: Teller) -> Traded:
    """One order from its placing to the release of its payables."""
    teller.heading("2 · An order")
    price_refusal, order = await _order(cast, teller)
    await teller.later(hours=3)
    await _confirm(cast, teller, order)
    await teller.later(days=1)
    shipments = await _ship(cast, teller)
    await teller.later(days=1, hours=2)
    lines = await _accept(cast, teller, shipments)
    refusals = await _scan(cast, teller, lines)
    await cast.hospital.post(f"orders/orders/{order['id']}/lines/1/closure", {"reason": "余量不再需要"})
    teller.says(cast.institution.name, "closes line 1: the four wet boxes need not come again (余量不再需要)")
    return Traded(order["id"], price_refusal, refusals)


async def _order(cast: Cast, teller: Teller) -> tuple[str, Any]:
    a, b = cast.enterprise("dealer_a"), cast.enterprise("dealer_b")
    wanted = {
        "order_number": ORDER_NUMBER,
        "delivery_point": cast.institution.delivery_points[0],
        "lines": [
            {
                "product_code": cast.product("tablets").code,
                "quantity": 200,
                "distributor_code": a.uscc,
                "unit_price_yuan": "11.0000",
            },
            {"product_code": cast.product("pills").code, "quantity": 50, "distributor_code": b.uscc},
            {"product_code": cast.product("slices").code, "quantity": 3, "distributor_code": a.uscc},
        ],
    }
    refusal = ""
    try:
        await cast.hospital.post("orders/orders", wanted)
    except Refused as refused:
        refusal = refused.code
        (fault,) = refused.problem["errors"]
        teller.refused(
            cast.institution.name,
            f"{fault['pointer']} = {fault['given']}: {fault['rule']}; allowed: {fault['allowed']}",
        )
    del wanted["lines"][0]["unit_price_yuan"]  # type: ignore[attr-defined]
    order = await cast.hospital.post("orders/orders", wanted)
    goods = ", ".join(f"{line['quantity_ordered']} {line['unit']} {line['product_name']}" for line in order["lines"])
    teller.says(
        cast.institution.name,
        f"orders {ORDER_NUMBER} {short(order['id'])}: {goods}; {order['amount_yuan']} yuan, to be confirmed by"
        f" {local(order['confirm_by'])}",
    )
    await cast.visitor.until_quiet()
    return refusal, order


async def _confirm(cast: Cast, teller: Teller, order: Any) -> None:
    path = f"orders/orders/{order['id']}/confirmation"
    partly = {"line_number": 1, "quantity": 160, "reason": "本月产能不足"}
    await cast.dealer_a.post(path, {"lines": [partly, {"line_number": 3, "quantity": 3}]})
    await cast.dealer_b.post(path, {"lines": [{"line_number": 2, "quantity": 50}]})
    tablets, pills, slices = (cast.product(key).generic_name for key in ("tablets", "pills", "slices"))
    teller.says(cast.enterprise("dealer_a").name, f"confirms 160 of 200 盒 {tablets} (本月产能不足) and 3 kg {slices}")
    teller.says(cast.enterprise("dealer_b").name, f"confirms 50 盒 {pills}")
    await cast.visitor.until_quiet()
    alerts = await cast.authority.get("alerts/alerts", kind="line_refused", state="open")
    for alert in alerts["items"]:
        teller.by_itself(f"alert {alert['kind']}: {alert['detail']}")


async def _ship(cast: Cast, teller: Teller) -> list[Any]:
    def goods(line_number: int, quantity: int) -> dict[str, Any]:
        lot = f"L{teller.now:%y%m}{line_number}"
        expires = f"{teller.now.year + 2}-01-01"
        made = f"{teller.now.year - 1}-12-01"
        return {
            "line_number": line_number,
            "lot_number": lot,
            "produced_on": made,
            "expires_on": expires,
            "quantity": quantity,
        }

    order = {"institution_code": cast.institution.code, "order_number": ORDER_NUMBER}
    sent: list[tuple[Person, str, list[dict[str, Any]]]] = [
        (cast.dealer_a, "PS-A-1", [goods(1, 100), goods(3, 3)]),
        (cast.dealer_a, "PS-A-2", [goods(1, 60)]),
        (cast.dealer_b, "PS-B-1", [goods(2, 50)]),
    ]
    shipments = [
        await dealer.post("orders/shipments", {"shipment_number": number, **order, "lines": lines})
        for dealer, number, lines in sent
    ]
    for shipment in shipments:
        goods_sent = ", ".join(
            f"{line['quantity']} {line['unit']} {line['product_name']}" for line in shipment["lines"]
        )
        teller.says(shipment["distributor_name"], f"ships {shipment['shipment_number']}: {goods_sent}")
    await cast.visitor.until_quiet()
    return shipments


async def _accept(cast: Cast, teller: Teller, shipments: list[Any]) -> list[Any]:
    """Accepts everything but four wet boxes; returns the shipment lines."""
    lines: list[Any] = []
    for shipment in shipments:
        decisions = []
        for line in shipment["lines"]:
            wet = 4 if line["quantity"] == 100 else 0  # noqa: PLR2004  the first shipment's tablets
            decision = {"shipment_line_id": line["id"], "accepted": line["quantity"] - wet, "rejected": wet}
            decisions.append({**decision, "reason": "四盒受潮"} if wet else decision)
        done = await cast.hospital.post(f"orders/shipments/{shipment['id']}/acceptance", {"lines": decisions})
        lines += done["lines"]
    accepted = sum(line["quantity_accepted"] for line in lines)
    teller.says(cast.institution.name, f"accepts {accepted} units, rejects 4 boxes (四盒受潮)")
    await cast.visitor.until_quiet()
    for payable in (await cast.hospital.get("settlement/payables"))["items"]:
        waits = payable["waits_for"]
        teller.by_itself(
            f"payable {payable['product_name']} {payable['quantity']} × {payable['unit_price_yuan']}"
            f" = {payable['amount_yuan']} yuan, due {payable['due_on']}; waits for {named(waits)}: {waits['what']}"
        )
    return lines


async def _scan(cast: Cast, teller: Teller, lines: list[Any]) -> tuple[str, ...]:
    """Scans a case and single boxes, one of them of another product; the receipts fill, the money is released."""
    tablets, pills = cast.product("tablets"), cast.product("pills")
    first, slices, second, third = lines
    documents = [
        _document("RK-1", first, [f"{tablets.case_ident}0000000000001", *_boxes(tablets.ident, 0, 46)]),
        _document("RK-2", second, [*_boxes(tablets.ident, 100, 60), f"{pills.ident}0000000999999"]),
        _document("RK-3", third, _boxes(pills.ident, 0, 50)),
    ]
    answer = await cast.hospital.post("traceability/documents", {"documents": documents})
    refused: list[str] = []
    for item in answer["items"]:
        document = item["item"]
        covered = document["coverage"]
        teller.says(
            cast.institution.name,
            f"scans {document['bill_number']}: {document['accepted']} codes land for {document['packs']} boxes,"
            f" {covered['quantity_covered']} of {covered['quantity_accepted']} covered",
        )
        for code in document["refused"]:
            refused.append(code["reason"])
            teller.refused(f"Code {code['code']}", f"{code['reason']}: {code['rule']}")
    await cast.visitor.until_quiet()
    found = (await cast.hospital.get("settlement/payables"))["items"]
    released = sum(float(payable["released_yuan"]) for payable in found)
    teller.by_itself(
        f"{len(found)} payables released, {released:.2f} yuan; {slices['quantity']} kg {slices['product_name']} needed no code"
    )
    return tuple(refused)


def _document(number: str, line: Any, codes: list[str]) -> dict[str, Any]:
    return {
        "bill_number": number,
        "bill_type": "102",
        "shipment_line_id": line["id"],
        "place": "中心药库",
        "codes": codes,
    }


def _boxes(ident: str | None, start: int, count: int) -> list[str]:
    return [f"{ident}{serial:013d}" for serial in range(start, start + count)]
