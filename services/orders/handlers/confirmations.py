"""Distributors answer to their lines: confirm, confirm in part, refuse."""

from collections.abc import Sequence
from typing import Any

from services.orders.handlers.desk import Desk, acting_as, by_supply, moved
from services.orders.queries.orders import lock_books
from services.orders.rules import confirmations as rules
from services.orders.rules.lines import Line
from services.orders.rules.orders import Book, Order, deliver_by
from services.orders.schemas.lines import ConfirmLinesOf
from shared import clock
from shared.db import Tx
from shared.errors import ServiceError
from shared.events.orders import LineConfirmed, LineRefused
from shared.identity import Caller


async def confirm_lines(tx: Tx, caller: Caller, commands: Sequence[ConfirmLinesOf]) -> list[Book | ServiceError]:
    """Takes the answers to lines of many orders at once; the same answer again changes nothing."""
    ids = [command.order_id for command in commands if command.order_id]
    numbers = [
        (one.institution_code, one.order_number) for one in commands if one.institution_code and one.order_number
    ]
    desk = Desk(tx, caller, clock.now(), await lock_books(tx, ids, numbers))
    outcomes: list[Book | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(_confirm(desk, command))
        except ServiceError as refusal:
            outcomes.append(refusal)
    await desk.store()
    return outcomes


def _confirm(desk: Desk, command: ConfirmLinesOf) -> Book:
    distributor = acting_as(desk.tx, desk.caller, command.distributor_code)
    before = desk.book(command)
    order = before.order
    day = clock.local_date(desk.at)
    hours = desk.tx.policy.integer("orders.deliver_hours", order.region, day)
    counted_from = desk.tx.policy.text("orders.deliver_counted_from", order.region, day)
    due = deliver_by(order.placed_at, desk.at, hours, counted_from)
    after = rules.confirmed(before, distributor, command.lines, due)
    answered = [new for old, new in zip(before.lines, after.lines, strict=True) if old is not new]
    if not answered:
        return before
    _note(desk, before, answered)
    return desk.lay(after, *(event for line in answered for event in answer_to(order, line)))


def _note(desk: Desk, before: Book, answered: Sequence[Line]) -> None:
    for supply, lines in by_supply(answered).items():
        told = [
            {
                "line_number": line.line_number,
                "confirmed": line.quantity_confirmed,
                "refused": line.quantity_refused,
                "reason": line.reason,
            }
            for line in lines
        ]
        action = "confirmed" if any(line.quantity_confirmed for line in lines) else "refused"
        desk.note(before.order.id, action, before.order, supply, {"lines": told, "changes": moved(before, lines)})


def answer_to(order: Order, line: Line) -> list[LineConfirmed | LineRefused]:
    """What the distributor said of a line: that it delivers so much, that it refuses so much, or both."""
    said: list[LineConfirmed | LineRefused] = []
    same: dict[str, Any] = {
        "order_id": order.id,
        "line_id": line.id,
        "order_number": order.order_number,
        "institution_code": order.institution_code,
        "distributor_code": line.distributor_code,
        "region": order.region,
        "product_code": line.product_code,
        "product_name": line.product_name,
        "quantity_ordered": line.quantity_ordered,
    }
    if line.quantity_confirmed and line.deliver_by:
        said.append(LineConfirmed(**same, quantity_confirmed=line.quantity_confirmed, deliver_by=line.deliver_by))
    if line.quantity_refused:
        said.append(LineRefused(**same, quantity_refused=line.quantity_refused, reason=line.reason or ""))
    return said
