"""Moves codes out of stock and back: sale, return by the patient, return to the distributor, supply, destruction.

The receipts are locked first, then the codes, each in one order for all. What goes back to the distributor no longer covers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from services.traceability.handlers.units import Knowledge
from services.traceability.queries.products import products_by_code
from services.traceability.queries.receipts import receipts_of_codes
from services.traceability.queries.units import Holder, change_units, holders, release_units, units_held
from services.traceability.rules.bills import Bill, Landed
from services.traceability.rules.documents import Item, Move, Refused
from services.traceability.rules.receipts import Receipt
from services.traceability.rules.units import Receiving, Unit, judge_move, judge_unheld
from shared.db import Tx


@dataclass(slots=True)
class _Stock:
    """The packages that bills of this call move, as they stand after each bill."""

    known: Knowledge
    units: dict[str, Unit]
    elsewhere: dict[str, Holder]
    units_per_pack: dict[str, int]
    changed: dict[str, Unit] = field(default_factory=dict)
    gone: dict[str, Unit] = field(default_factory=dict)


async def move_codes(
    tx: Tx,
    bills: Sequence[Bill],
    known: Knowledge,
    before: dict[UUID, Receipt],
    after: dict[UUID, Receipt],
) -> None:
    """Each code moves, or is refused by itself; receipts that returns uncover are added to `before` and `after`."""
    for bill in bills:
        if bill.type.move is Move.SHIP:
            _ship(bill, known)
    moving = [bill for bill in bills if bill.type.move is not Move.SHIP]
    if not moving:
        return
    sent_back = _codes(bill for bill in moving if bill.type.move is Move.SEND_BACK)
    for receipt_id, receipt in (await receipts_of_codes(tx, sent_back)).items() if sent_back else ():
        before.setdefault(receipt_id, receipt)
        after.setdefault(receipt_id, receipt)
    stock = await _stock(tx, moving, known)
    for bill in moving:
        for item in bill.items:
            _move(bill, item, stock, after)
    await change_units(tx, [unit for code, unit in sorted(stock.changed.items()) if code not in stock.gone])
    await release_units(tx, sorted(stock.gone))


async def _stock(tx: Tx, bills: Sequence[Bill], known: Knowledge) -> _Stock:
    held = await units_held(tx, _codes(bills))
    idents = {item.code: item.ident for bill in bills for item in bill.items}
    units = {code: _named(unit, known, idents[code]) for code, unit in held.items()}
    sold = _codes(bill for bill in bills if bill.type.move is Move.SELL)
    elsewhere = await holders(tx, [code for code in sold if code not in units])
    products = await products_by_code(tx, {unit.product_code for unit in units.values() if unit.product_code})
    return _Stock(known, units, elsewhere, {code: product.units_per_pack for code, product in products.items()})


def _codes(bills: Iterable[Bill]) -> list[str]:
    return sorted({item.code for bill in bills for item in bill.items})


def _named(unit: Unit, known: Knowledge, ident: str) -> Unit:
    """The package with its product, which a code that came without a line has from its identification code."""
    if unit.product_code is not None:
        return unit
    meaning = known.meanings.get(ident)
    return unit if meaning is None else replace(unit, product_code=meaning.product_code)


def _ship(bill: Bill, known: Knowledge) -> None:
    """What a distributor sends is written down; whether it arrives is the hospital's to say."""
    judge = Receiving.of(bill.goods, known.lots)
    for item in bill.items:
        refusal = judge(item, known.meanings.get(item.ident))
        if refusal is not None:
            bill.refused.append(refusal)
        else:
            meaning = known.meanings.get(item.ident)
            bill.landed.append(Landed(item.code, meaning.packs_per_unit if meaning else 0))


def _move(bill: Bill, item: Item, stock: _Stock, receipts: dict[UUID, Receipt]) -> None:
    move = bill.type.move
    unit = stock.units.get(item.code)
    if unit is None or unit.institution_code != bill.organisation:
        holder = stock.elsewhere.get(item.code)
        sold = holder.sold if holder else unit is not None and (unit.state == "O" or unit.sold_quantity > 0)
        bill.refused.append(judge_unheld(item.code, move, sold=sold))
        return
    per_pack = stock.units_per_pack.get(unit.product_code) if unit.product_code else None
    outcome = judge_move(unit, item, move, bill.goods, stock.known.lots, per_pack)
    if isinstance(outcome, Refused):
        bill.refused.append(outcome)
        if outcome.reason == "already_sold":
            bill.own_sales.add(item.code)
        return
    bill.landed.append(
        Landed(item.code, unit.packs if item.quantity is None else 0, None, item.quantity, unit.document_id)
    )
    if outcome is not None:
        stock.units[item.code] = stock.changed[item.code] = outcome
        return
    del stock.units[item.code]
    stock.gone[item.code] = unit
    if move is Move.SEND_BACK and unit.receipt_id is not None:
        bill.count(receipts, unit.receipt_id, -unit.packs)
