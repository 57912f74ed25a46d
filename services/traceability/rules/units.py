"""Whether one code may be received, sold, taken back or sent away: pure decisions over one code at a time.

Source: domain rules 1.2 (states A, I, O, C), 1.4 (one box, one sale), 1.5 (split packs repeat a code legitimately).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from enum import StrEnum
from uuid import UUID

from services.traceability.rules.documents import Item, Move, Refused
from services.traceability.rules.identification_codes import Meaning
from shared.errors import Said
from shared.values import frozen


class UnitState(StrEnum):
    """I 已核注 in, O 已核销 sold, C 已注销 written off."""

    HELD = "I"
    SOLD = "O"
    WRITTEN_OFF = "C"


NEXT = {
    (UnitState.HELD, Move.SELL): UnitState.SOLD,
    (UnitState.SOLD, Move.TAKE_BACK): UnitState.HELD,
    (UnitState.HELD, Move.WRITE_OFF): UnitState.WRITTEN_OFF,
    (UnitState.HELD, Move.SEND_BACK): None,
    (UnitState.HELD, Move.PASS_ON): None,
}
"""What a whole package becomes; None: it leaves, and may be received elsewhere."""


@frozen
class Goods:
    """What a bill is about: the day it was captured, and the line's product and lot where it has one."""

    on: date
    product_code: str | None = None
    lot_number: str | None = None
    expires_on: date | None = None


@frozen
class Unit:
    """A package an institution holds or has sold. `awaiting_ident`: it counts when that code's meaning is known."""

    code: str
    document_id: UUID
    institution_code: str
    region: str
    packs: int
    awaiting_ident: str | None
    state: str
    sold_quantity: int
    receipt_id: UUID | None = None
    product_code: str | None = None
    lot_number: str | None = None
    expires_on: date | None = None


@frozen
class Lots:
    """The lots under recall, by product."""

    recalled: Mapping[str, frozenset[str]]

    def has(self, product_code: str | None, lot_number: str | None) -> bool:
        return product_code is not None and lot_number in self.recalled.get(product_code, frozenset())


@frozen
class Receiving:
    """Whether codes may be received as these goods; whether one is received already is the table's to say."""

    goods: Goods
    bar: Refused | None
    """Why nothing of the line's lot may be received."""

    @classmethod
    def of(cls, goods: Goods, lots: Lots) -> "Receiving":
        bar = barred("", goods.product_code, goods.lot_number, goods.expires_on, goods.on, lots)
        return cls(goods, bar)

    def __call__(self, item: Item, meaning: Meaning | None) -> Refused | None:
        """None: it may be."""
        if meaning is not None and self.goods.product_code not in (None, meaning.product_code):
            rule = Said(
                "the code means {meant}, the line is {line} (串换)",
                meant=meaning.product_code,
                line=self.goods.product_code,
            )
            return Refused(item.code, "mismatch", rule)
        return None if self.bar is None else replace(self.bar, code=item.code)


def barred(
    code: str, product_code: str | None, lot_number: str | None, expires_on: date | None, on: date, lots: Lots
) -> Refused | None:
    """Goods of a recalled lot, or past their last day, may be neither received nor sold."""
    if lots.has(product_code, lot_number):
        return Refused(
            code, "recalled", Said("lot {lot} of {product} is recalled", lot=lot_number, product=product_code)
        )
    if expires_on is not None and on > expires_on:
        rule = Said(
            "lot {lot} expired on {expired}, this was captured on {on}", lot=lot_number, expired=expires_on, on=on
        )
        return Refused(code, "expired", rule)
    return None


def judge_known(code: str, organisation: str, holder: str, *, sold: bool) -> Refused:
    """Why a code that is somewhere already cannot be received once more; never says where elsewhere is."""
    if sold:
        return Refused(code, "already_sold", "the package was sold already, one package is sold once")
    if holder == organisation:
        return Refused(code, "already_received", "the package is in your stock already")
    return Refused(code, "received_elsewhere", "another institution has received this package")


def judge_unheld(code: str, move: Move, *, sold: bool) -> Refused:
    """Why a code that was never received here cannot be moved."""
    if move is Move.SELL and sold:
        return Refused(code, "already_sold", "the package was sold by another institution")
    if move is Move.SELL:
        return Refused(
            code, "no_inbound", "never received here (102, 107); show delivery note and invoice (随货同行单、发票)"
        )
    return Refused(code, "not_held", "never received here, or gone already")


def judge_move(
    unit: Unit, item: Item, move: Move, goods: Goods, lots: Lots, units_per_pack: int | None
) -> Unit | Refused | None:
    """The package after the move; None: it leaves the institution."""
    if move is Move.SELL:
        if goods.product_code not in (None, unit.product_code):
            rule = Said("the package is {held}, sold as {sold} (串换)", held=unit.product_code, sold=goods.product_code)
            return Refused(item.code, "mismatch", rule)
        bar = barred(item.code, unit.product_code, unit.lot_number, unit.expires_on, goods.on, lots)
        if bar is not None:
            return bar
    if item.quantity is not None:
        return _split(unit, item.code, item.quantity, move, units_per_pack)
    return _whole(unit, move)


def _whole(unit: Unit, move: Move) -> Unit | Refused | None:
    key = (UnitState(unit.state), move)
    opened = unit.sold_quantity > 0 and move in {Move.SELL, Move.SEND_BACK, Move.PASS_ON}
    if key not in NEXT or opened:
        return _cannot(unit, move)
    after = NEXT[key]
    return None if after is None else replace(unit, state=after)


def _split(unit: Unit, code: str, quantity: int, move: Move, units_per_pack: int | None) -> Unit | Refused:
    if unit.state != UnitState.HELD:
        return _cannot(unit, move)
    if units_per_pack is None or not unit.packs:
        return Refused(code, "unknown_pack", "how much one pack holds is not known yet, so it cannot be split")
    if move is Move.TAKE_BACK:
        if quantity > unit.sold_quantity:
            rule = Said("{sold} were sold out of this pack, {back} come back", sold=unit.sold_quantity, back=quantity)
            return Refused(code, "not_sold", rule)
        return replace(unit, sold_quantity=unit.sold_quantity - quantity)
    held = units_per_pack * unit.packs
    if unit.sold_quantity + quantity > held:
        figures = {"held": held, "sold": unit.sold_quantity, "more": quantity}
        return Refused(
            code, "already_sold", Said("the pack holds {held}, {sold} are sold, {more} more do not fit", **figures)
        )
    return replace(unit, sold_quantity=unit.sold_quantity + quantity)


def _cannot(unit: Unit, move: Move) -> Refused:
    if unit.state == UnitState.WRITTEN_OFF:
        return Refused(unit.code, "written_off", "the package was destroyed or sampled (205, 206)")
    if move is Move.TAKE_BACK:
        return Refused(unit.code, "not_sold", "the package was not sold as a whole, so it cannot come back as a whole")
    if unit.state == UnitState.SOLD:
        return Refused(unit.code, "already_sold", "the package was sold already, one package is sold once")
    return Refused(
        unit.code, "already_sold", Said("{sold} were sold out of this pack, it is not whole", sold=unit.sold_quantity)
    )
