"""A distributor's answer to its lines: how much of each it takes on; the same answer again changes nothing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from services.orders.errors import ConfirmationRefused, LineDecided
from services.orders.rules.lines import PENDING, Line, confirm
from services.orders.rules.orders import Book, said
from shared.errors import Fault, Said


class Answer(Protocol):
    """How much of one line will be delivered."""

    @property
    def line_number(self) -> int: ...
    @property
    def quantity(self) -> int: ...
    @property
    def reason(self) -> str | None: ...


def confirmed(book: Book, distributor_code: str, answers: Sequence[Answer], deliver_by: datetime) -> Book:
    """The order after the answers of a distributor to its own lines.

    Raises ConfirmationRefused with every fault, or LineDecided when all that is wrong is an earlier, other answer.
    """
    own = {line.line_number: line for line in book.lines if line.distributor_code == distributor_code}
    faults: list[Fault] = []
    decided: list[Fault] = []
    seen: set[int] = set()
    for place, answer in enumerate(answers):
        line = own.get(answer.line_number)
        if line is None or answer.line_number in seen:
            faults.append(_not_there(answer, own, f"/lines/{place}/line_number"))
            continue
        seen.add(answer.line_number)
        if line.state == PENDING:
            faults += _answer_faults(answer, line, f"/lines/{place}")
        elif not _same(answer, line):
            rule = Said(
                "the line is {state}: {quantity_confirmed} confirmed, {quantity_refused} refused",
                state=line.state,
                quantity_confirmed=line.quantity_confirmed,
                quantity_refused=line.quantity_refused,
            )
            allowed = "a pending line, or the same answer again"
            decided.append(Fault(f"/lines/{place}/quantity", answer.quantity, rule, allowed, "line_decided"))
    if faults:
        raise ConfirmationRefused(said([*faults, *decided]), faults=[*faults, *decided])
    if decided:
        raise LineDecided(said(decided), faults=decided)
    by_number = {answer.line_number: answer for answer in answers}
    lines = (
        confirm(line, by_number[line.line_number].quantity, deliver_by, by_number[line.line_number].reason)
        if line.line_number in by_number and line.state == PENDING
        else line
        for line in book.lines
    )
    return replace(book, lines=tuple(lines))


def _same(answer: Answer, line: Line) -> bool:
    """Whether the line stands as this answer would have left it; a line taken back was never answered."""
    return answer.quantity == line.quantity_confirmed and (
        line.quantity_confirmed + line.quantity_refused == line.quantity_ordered
    )


def _not_there(answer: Answer, own: dict[int, Line], pointer: str) -> Fault:
    if answer.line_number in own:
        return Fault(pointer, answer.line_number, "the line is answered twice", "once each", "repeated")
    numbers = ", ".join(map(str, sorted(own))) or Said("none")
    return Fault(
        pointer,
        answer.line_number,
        "the order has no such line of yours",
        Said("one of: {numbers}", numbers=numbers),
        "unknown_line",
    )


def _answer_faults(answer: Answer, line: Line, place: str) -> list[Fault]:
    if answer.quantity > line.quantity_ordered:
        rule = Said("{quantity_ordered} {unit} were ordered", quantity_ordered=line.quantity_ordered, unit=line.unit)
        allowed = Said("0 to {quantity_ordered}", quantity_ordered=line.quantity_ordered)
        return [Fault(f"{place}/quantity", answer.quantity, rule, allowed, "over_confirmed")]
    if answer.quantity < line.quantity_ordered and not answer.reason:
        rule = Said(
            "{refused} of {quantity_ordered} are refused without a reason",
            refused=line.quantity_ordered - answer.quantity,
            quantity_ordered=line.quantity_ordered,
        )
        return [Fault(f"{place}/reason", None, rule, "a reason", "missing_reason")]
    return []
