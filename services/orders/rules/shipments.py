"""Goods on the way: what may leave, what may be called back, and what the hospital does with what arrives.

Each shipment line is received once, whole: accepted + rejected = shipped. Nothing expired or recalled leaves or is accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from services.orders.errors import AcceptanceRefused, AlreadyReceived, ShipmentNotOpen, ShipmentNumberUsed
from services.orders.rules.lines import CONFIRMED, Line, goods_of
from services.orders.rules.orders import said
from services.orders.rules.recalls import Lot, Recalled, recall_fault, reject_step
from shared.errors import Fault, Said
from shared.next_steps import NextStep, hospital
from shared.values import frozen

DISPATCHED, RECEIVING, RECEIVED, CANCELLED = "dispatched", "receiving", "received", "cancelled"

NEXT = {
    (DISPATCHED, "receive part"): RECEIVING,
    (DISPATCHED, "receive rest"): RECEIVED,
    (DISPATCHED, "cancel"): CANCELLED,
    (RECEIVING, "receive part"): RECEIVING,
    (RECEIVING, "receive rest"): RECEIVED,
}
"""Source: domain rules 4.4, the states of 配送明细 (10 已提交未验收, 20 验收中, 30 验收入库完成, 01 已作废)."""


@frozen
class Shipment:
    """A shipment's own row: goods of one distributor for one order."""

    id: UUID
    shipment_number: str
    order_id: UUID
    order_number: str
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    dispatched_at: datetime
    state: str
    reason: str | None
    version: int


@frozen
class ShipmentLine:
    """Goods of one lot; the two quantities are None until they are received."""

    id: UUID
    shipment_id: UUID
    order_id: UUID
    order_line_id: UUID
    line_number: int
    place: int
    institution_code: str
    distributor_code: str
    manufacturer_code: str
    region: str
    product_code: str
    product_name: str
    unit: str
    lot_number: str
    produced_on: date
    expires_on: date
    quantity: int
    quantity_accepted: int | None = None
    quantity_rejected: int | None = None
    reason: str | None = None
    received_at: datetime | None = None

    @property
    def received(self) -> bool:
        """Whether the hospital has decided on it."""
        return self.quantity_accepted is not None

    @property
    def lot(self) -> Lot:
        """Of which lot it is, as recalls name it."""
        return self.product_code, self.lot_number


@frozen
class Load:
    """A shipment with its lines, in their order."""

    shipment: Shipment
    lines: tuple[ShipmentLine, ...]


class Goods(Protocol):
    """One line of a shipment as it is asked for."""

    @property
    def line_number(self) -> int: ...
    @property
    def lot_number(self) -> str: ...
    @property
    def produced_on(self) -> date: ...
    @property
    def expires_on(self) -> date: ...
    @property
    def quantity(self) -> int: ...


class Arrival(Protocol):
    """What is said of one shipment line on arrival."""

    @property
    def shipment_line_id(self) -> UUID: ...
    @property
    def accepted(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def reason(self) -> str | None: ...


def goods_faults(
    goods: Sequence[Goods], lines: Mapping[int, Line], recalled: Recalled, today: date, longest_shelf_life_days: int
) -> list[Fault]:
    """Everything that speaks against these goods leaving today; `lines` are the distributor's own, by number."""
    faults: list[Fault] = []
    left = {number: line.shippable for number, line in lines.items()}
    for index, one in enumerate(goods):
        place = f"/lines/{index}"
        line = lines.get(one.line_number)
        if line is None:
            rule = "the order has no such line of yours"
            numbers = ", ".join(map(str, sorted(lines))) or Said("none")
            faults.append(
                Fault(
                    f"{place}/line_number",
                    one.line_number,
                    rule,
                    Said("one of: {numbers}", numbers=numbers),
                    "unknown_line",
                )
            )
        elif line.state != CONFIRMED:
            rule = Said("the line is {state}", state=line.state)
            faults.append(Fault(f"{place}/line_number", one.line_number, rule, "a confirmed line", "line_not_open"))
        elif one.quantity > left[one.line_number]:
            rule = Said(
                "of {quantity_confirmed} confirmed, {quantity_accepted} are accepted and {on_the_way} on "
                "the way; {left} are left for this entry",
                quantity_confirmed=line.quantity_confirmed,
                quantity_accepted=line.quantity_accepted,
                on_the_way=line.on_the_way,
                left=left[one.line_number],
            )
            allowed = Said("at most {left}", left=left[one.line_number])
            faults.append(Fault(f"{place}/quantity", one.quantity, rule, allowed, "over_shipped"))
        else:
            left[one.line_number] -= one.quantity
        if line is not None and (recall := recalled.get((line.product_code, one.lot_number))):
            allowed = Said("goods of another lot, or of this one when the recall is closed")
            faults.append(recall_fault(f"{place}/lot_number", one.lot_number, recall, allowed))
        faults += _date_faults(one, today, longest_shelf_life_days, place)
    return faults


def _date_faults(one: Goods, today: date, longest_shelf_life_days: int, place: str) -> list[Fault]:
    faults = date_faults(one.produced_on, one.expires_on, today, place)
    days = (one.expires_on - one.produced_on).days
    if one.expires_on > today and days > longest_shelf_life_days:
        rule = Said("{days:#day} between production and expiry", days=days)
        allowed = Said("at most {longest_shelf_life_days:#day}", longest_shelf_life_days=longest_shelf_life_days)
        faults.append(Fault(f"{place}/expires_on", str(one.expires_on), rule, allowed, "shelf_life"))
    return faults


def date_faults(produced_on: date, expires_on: date, today: date, place: str = "") -> list[Fault]:
    """What speaks against goods of these days leaving today, wherever they go."""
    faults: list[Fault] = []
    if produced_on > today:
        rule = Said("goods are made before they leave; today is {today}", today=today)
        allowed = Said("up to {today}", today=today)
        faults.append(Fault(f"{place}/produced_on", str(produced_on), rule, allowed, "not_produced_yet"))
    if expires_on <= today:
        rule = Said("expired goods may not leave; today is {today}", today=today)
        allowed = Said("after {today}", today=today)
        faults.append(Fault(f"{place}/expires_on", str(expires_on), rule, allowed, "expired"))
    elif expires_on <= produced_on:
        rule = Said("goods expire after they were made ({produced_on})", produced_on=produced_on)
        allowed = Said("after {produced_on}", produced_on=produced_on)
        faults.append(Fault(f"{place}/expires_on", str(expires_on), rule, allowed, "dates"))
    return faults


def check_same(load: Load, order_id: UUID, goods: Sequence[Goods]) -> None:
    """Whether a shipment that is asked for again is the one that left; raises ShipmentNumberUsed saying what differs."""
    stands = [(one.line_number, one.lot_number, one.produced_on, one.expires_on, one.quantity) for one in load.lines]
    given = [(one.line_number, one.lot_number, one.produced_on, one.expires_on, one.quantity) for one in goods]
    faults: list[Fault] = []
    rule = "the shipment of this number left with another value"
    if order_id != load.shipment.order_id:
        faults.append(Fault("/order_id", str(order_id), rule, str(load.shipment.order_id), "differs"))
    if len(given) != len(stands):
        faults.append(Fault("/lines", len(given), rule, Said("{count:#line}", count=len(stands)), "differs"))
    names = ("line_number", "lot_number", "produced_on", "expires_on", "quantity")
    for place, (here, there) in enumerate(zip(given, stands, strict=False)):
        faults += [
            Fault(f"/lines/{place}/{name}", str(one), rule, str(other), "differs")
            for name, one, other in zip(names, here, there, strict=True)
            if one != other
        ]
    if faults:
        number = load.shipment.shipment_number
        raise ShipmentNumberUsed(
            "Shipment {number} left with other content ({id}): {pointer} is {allowed} there and {given!j} here.",
            faults=faults,
            number=number,
            id=load.shipment.id,
            pointer=faults[0].pointer,
            allowed=faults[0].allowed,
            given=faults[0].given,
        )


def cancel(load: Load, reason: str) -> Load:
    """The shipment is called back; raises ShipmentNotOpen when anything of it was received."""
    shipment = load.shipment
    if shipment.state == CANCELLED:
        return load
    after = NEXT.get((shipment.state, "cancel"))
    if after is None:
        received = sum(line.received for line in load.lines)
        raise ShipmentNotOpen(
            "Shipment {shipment_number} is {state}: of {count:#line}, {received} received.",
            shipment_number=shipment.shipment_number,
            state=shipment.state,
            received=received,
            count=len(load.lines),
        )
    return replace(load, shipment=replace(shipment, state=after, reason=reason))


def receive(load: Load, arrivals: Sequence[Arrival], recalled: Recalled, at: datetime, today: date) -> Load:
    """The load after the hospital decided on some of its lines; the same figures again change nothing.

    Raises AcceptanceRefused with every fault, AlreadyReceived, ShipmentNotOpen.
    """
    if load.shipment.state == CANCELLED:
        raise ShipmentNotOpen(
            "Shipment {shipment_number} was cancelled: {reason}.",
            shipment_number=load.shipment.shipment_number,
            reason=load.shipment.reason,
        )
    by_id = {line.id: line for line in load.lines}
    faults = [
        fault for place, one in enumerate(arrivals) for fault in _arrival_faults(one, by_id, recalled, today, place)
    ]
    ids = [one.shipment_line_id for one in arrivals]
    faults += [
        Fault(f"/lines/{place}/shipment_line_id", str(one), "the shipment line is named twice", "once each", "repeated")
        for place, one in enumerate(ids)
        if one in ids[:place]
    ]
    if faults:
        raise AcceptanceRefused(said(faults), faults=faults)
    others = [
        Fault(
            f"/lines/{place}",
            f"accepted {one.accepted}, rejected {one.rejected}",
            "the goods were received before, with other figures",
            Said(
                "accepted {quantity_accepted}, rejected {quantity_rejected}",
                quantity_accepted=line.quantity_accepted,
                quantity_rejected=line.quantity_rejected,
            ),
            "already_received",
        )
        for place, one in enumerate(arrivals)
        if (line := by_id[one.shipment_line_id]).received and line.quantity_accepted != one.accepted
    ]
    if others:
        raise AlreadyReceived(said(others), faults=others)
    said_of = {one.shipment_line_id: one for one in arrivals}
    lines = tuple(
        line if line.received or line.id not in said_of else _received(line, said_of[line.id], at)
        for line in load.lines
    )
    if lines == load.lines:
        return load
    verb = "receive rest" if all(line.received for line in lines) else "receive part"
    return Load(replace(load.shipment, state=NEXT[load.shipment.state, verb]), lines)


def _received(line: ShipmentLine, arrival: Arrival, at: datetime) -> ShipmentLine:
    return replace(
        line,
        quantity_accepted=arrival.accepted,
        quantity_rejected=arrival.rejected,
        reason=arrival.reason if arrival.rejected else None,
        received_at=at,
    )


def _arrival_faults(
    arrival: Arrival, by_id: Mapping[UUID, ShipmentLine], recalled: Recalled, today: date, index: int
) -> list[Fault]:
    place = f"/lines/{index}"
    line = by_id.get(arrival.shipment_line_id)
    if line is None:
        rule = "the shipment has no such line"
        given = str(arrival.shipment_line_id)
        allowed = ", ".join(str(known) for known in list(by_id)[:10])
        return [Fault(f"{place}/shipment_line_id", given, rule, allowed, "unknown_line")]
    faults: list[Fault] = []
    total = arrival.accepted + arrival.rejected
    if total != line.quantity:
        rule = Said(
            "accepted {accepted} + rejected {rejected} = {total}, shipped were {quantity}",
            accepted=arrival.accepted,
            rejected=arrival.rejected,
            total=total,
            quantity=line.quantity,
        )
        faults.append(
            Fault(place, total, rule, Said("accepted + rejected = {quantity}", quantity=line.quantity), "sum")
        )
    if arrival.rejected and not arrival.reason:
        faults.append(Fault(f"{place}/reason", None, "goods are rejected for a reason", "a reason", "missing_reason"))
    if arrival.accepted and not line.received:
        allowed = Said("accepted 0, rejected {quantity}", quantity=line.quantity)
        if line.expires_on <= today:
            rule = Said("the goods expired on {expires_on}, today is {today}", expires_on=line.expires_on, today=today)
            faults.append(Fault(f"{place}/accepted", arrival.accepted, rule, allowed, "expired"))
        if recall := recalled.get(line.lot):
            faults.append(recall_fault(f"{place}/accepted", arrival.accepted, recall, allowed))
    return faults


def next_steps(load: Load, recalled: Recalled) -> list[NextStep]:
    """Who must act now on a shipment: what is recalled of it is not to be accepted."""
    if load.shipment.state in (RECEIVED, CANCELLED):
        return []
    who = hospital(load.shipment.institution_code, load.shipment.institution_name)
    waiting = [line for line in load.lines if not line.received]
    steps: list[NextStep] = []
    if acceptable := sum(line.quantity for line in waiting if line.lot not in recalled):
        steps.append(NextStep(who=who, what=Said("accept or reject {count:#unit} on the way", count=acceptable)))
    for line in waiting:
        if recall := recalled.get(line.lot):
            steps.append(reject_step(who, goods_of(line, line.quantity), recall))
    return steps
