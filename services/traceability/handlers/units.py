"""Looks codes up and receives them: what a case holds is received in its place, and no code is in stock twice, anywhere."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.traceability.queries.identification_codes import meanings
from services.traceability.queries.packings import leaves_of
from services.traceability.queries.recalls import recalled_lots
from services.traceability.queries.units import Arrival, Holder, holders, receive
from services.traceability.rules.anomalies import SURPLUS, surplus_words
from services.traceability.rules.bills import Bill, Landed
from services.traceability.rules.documents import Item, Refused
from services.traceability.rules.identification_codes import Meaning, ident_in
from services.traceability.rules.packings import contradiction, packs_in
from services.traceability.rules.receipts import Receipt
from services.traceability.rules.units import Lots, Receiving, judge_known
from shared import clock, deadlines
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Said
from shared.values import frozen

SMALLEST = 1
OPEN_CASES = "open_cases"


@frozen
class Knowledge:
    """What is known for the codes of a call: meanings, lots under recall, and cases nobody has told the content of."""

    meanings: Mapping[str, Meaning]
    lots: Lots


async def learn_codes(tx: Tx, bills: Sequence[Bill]) -> Knowledge:
    """Looks the codes up, and puts what lies in a case in its place."""
    known = await meanings(tx, {item.ident for bill in bills for item in bill.items})
    cases = {
        item.code
        for bill in bills
        for item in bill.items
        if item.quantity is None and item.ident in known and known[item.ident].level > SMALLEST
    }
    inside = {case: [_item(code, case) for code in codes] for case, codes in (await leaves_of(tx, cases)).items()}
    if inside:
        known = {**known, **await meanings(tx, {item.ident for items in inside.values() for item in items})}
        for bill in bills:
            _open_cases(bill, inside, known)
    products = {meaning.product_code for meaning in known.values()}
    products |= {bill.goods.product_code for bill in bills if bill.goods.product_code is not None}
    return Knowledge(known, await recalled_lots(tx, products))


def _item(code: str, case: str) -> Item:
    return Item(code, ident_in(code), came_in=case)


def _open_cases(bill: Bill, inside: Mapping[str, Sequence[Item]], known: Mapping[str, Meaning]) -> None:
    items: list[Item] = []
    seen = {item.code for item in bill.items if item.code not in inside}
    for item in bill.items:
        content = inside.get(item.code)
        if content is None:
            items.append(item)
            continue
        products = {known[one.ident].product_code for one in content if one.ident in known}
        if len(products) > 1:
            names = ", ".join(sorted(products))
            rule = Said(
                "the case holds {count} products ({names}): scan what lies in it", count=len(products), names=names
            )
            bill.refused.append(Refused(item.code, "mixed_case", rule))
            continue
        differs = contradiction(item.code, known[item.ident].packs_per_unit, packs_in(content, known))
        if differs is not None:
            bill.warned.append(differs)
        for one in content:
            if one.code in seen:
                rule = Said("the code was scanned besides its case {case}", case=item.code)
                bill.refused.append(Refused(one.code, "repeated", rule))
            else:
                seen.add(one.code)
                items.append(one)
    bill.items = items


async def receive_codes(tx: Tx, bills: Sequence[Bill], known: Knowledge, receipts: dict[UUID, Receipt]) -> None:
    """Good codes are received and counted on their line; each other one is refused with the reason."""
    asked: dict[str, tuple[Bill, Arrival]] = {}
    for bill in bills:
        judge = Receiving.of(bill.goods, known.lots)
        for item in bill.items:
            meaning = known.meanings.get(item.ident)
            refusal = judge(item, meaning)
            if refusal is None and item.code in asked:
                refusal = judge_known(item.code, bill.organisation, asked[item.code][0].organisation, sold=False)
            if refusal is not None:
                bill.refused.append(refusal)
                continue
            packs, awaiting = (meaning.packs_per_unit, None) if meaning else (0, item.ident)
            place = (bill.id, bill.organisation, bill.region)
            asked[item.code] = (bill, Arrival(item.code, *place, packs, awaiting, item.came_in))
    left = await receive(tx, [arrival for _, arrival in asked.values()])
    where = await holders(tx, sorted(left))
    for code, (bill, arrival) in asked.items():
        if code in left:
            _refuse_known(bill, code, where.get(code))
        else:
            bill.landed.append(Landed(code, arrival.packs, arrival.awaiting_ident))
    for bill in bills:
        if bill.receipt is not None:
            bill.count(receipts, bill.receipt.id, bill.packs)
        for before, after in bill.counted.values():
            _warn(bill, before, after)


def _warn(bill: Bill, before: Receipt, after: Receipt) -> None:
    if after.surplus > before.surplus:
        code = bill.surplus_code(after.surplus - before.surplus)
        bill.warned.append(Refused(code, SURPLUS, surplus_words(after.surplus, after.quantity_awaited)))


def _refuse_known(bill: Bill, code: str, holder: Holder | None) -> None:
    if holder is None:
        bill.refused.append(Refused(code, "in_motion", "the package left another stock just now; send it again"))
        return
    if holder.sold and holder.institution_code == bill.organisation:
        bill.own_sales.add(code)
    bill.refused.append(judge_known(code, bill.organisation, holder.institution_code, sold=holder.sold))


async def await_contents(tx: Tx, bills: Sequence[Bill]) -> None:
    """Lets the worker look, after this transaction, whether somebody has told meanwhile what lies in cases taken whole."""
    cases = [one.code for bill in bills for one in bill.landed if one.packs > 1 and one.received_document_id is None]
    await deadlines.put(tx, [Deadline(OPEN_CASES, case, clock.now()) for case in cases])
