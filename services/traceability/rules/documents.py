"""What a bill may hold: its type says who writes it, how codes move by it and what else it must name.

Source of types and limits: domain rules 1.3 (the dominant platform's bills), 1.5 (split packs).
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.traceability.settings import CLOCK_SKEW, CODES_PER_DOCUMENT
from shared.codes import CodeRefused, Family, classify
from shared.errors import Fault, Said
from shared.values import frozen


class Move(StrEnum):
    """What happens to a code by a bill."""

    RECEIVE = "receive"
    SHIP = "ship"
    SELL = "sell"
    TAKE_BACK = "take_back"
    SEND_BACK = "send_back"
    PASS_ON = "pass_on"  # noqa: S105  a move, no password
    WRITE_OFF = "write_off"


@frozen
class BillType:
    """A type of bill: its move, who writes it, and whether it asks for a line, a reason, or two witnesses."""

    move: Move
    title: Said
    role: str = "hospital"
    needs_line: bool = False
    needs_reason: bool = False
    needs_witnesses: bool = False


BILL_TYPES = {
    "102": BillType(Move.RECEIVE, Said("采购入库 purchase in"), needs_line=True),
    "107": BillType(Move.RECEIVE, Said("供应入库 supply in")),
    "103": BillType(Move.TAKE_BACK, Said("退货入库 return in"), needs_reason=True),
    "116": BillType(Move.TAKE_BACK, Said("消费者退货入库 consumer return in"), needs_reason=True),
    "201": BillType(Move.SHIP, Said("销售出库 sale out"), role="distributor", needs_line=True),
    "202": BillType(Move.SEND_BACK, Said("退货出库 return out"), needs_reason=True),
    "205": BillType(Move.WRITE_OFF, Said("销毁 destruction"), needs_witnesses=True),
    "206": BillType(Move.WRITE_OFF, Said("抽检 sampling")),
    "209": BillType(Move.PASS_ON, Said("供应出库 supply out")),
    "321": BillType(Move.SELL, Said("零售出库 retail or use")),
    "322": BillType(Move.SELL, Said("疫苗接种 vaccination")),
}


@frozen
class Item:
    """One code of a bill in its normal form; `quantity`: so many preparation units of an opened pack (拆零).

    `came_in`: the case that was scanned, and in which this code lies.
    """

    code: str
    ident: str
    quantity: int | None = None
    came_in: str | None = None


NO_CODE = {"unreadable", "placeholder"}
"""Reasons for which there is no code to tell the life of."""


@frozen
class Refused:
    """A code that did not land: `reason` is a stable word, `rule` a sentence with the numbers."""

    code: str
    reason: str
    rule: str

    def shown(self) -> dict[str, Any]:
        """As the answer keeps it: `said` is the sentence with its values, for readers of another language."""
        rule = self.rule if isinstance(self.rule, Said) else Said(self.rule)
        values = {name: value if isinstance(value, int) else str(value) for name, value in rule.values.items()}
        return {"code": self.code, "reason": self.reason, "rule": str(rule), "said": [rule.sentence, values]}


@frozen
class Reading:
    """The codes of a bill as they were read."""

    items: tuple[Item, ...]
    refused: tuple[Refused, ...]
    placeholders: int


def read(codes: Sequence[str], splits: Sequence[tuple[str, int]], move: Move) -> Reading:
    """Normalises and classifies; what is unreadable, or repeated within the bill, is refused by itself."""
    items: list[Item] = []
    refused: list[Refused] = []
    seen: set[str] = set()
    placeholders = 0
    for text, quantity in [*((code, None) for code in codes), *splits]:
        try:
            trace = classify(text)
        except CodeRefused as error:
            refused.append(
                Refused(
                    error.given,
                    "unreadable",
                    Said("{rule}; what is allowed: {allowed}", rule=error.rule, allowed=error.allowed),
                )
            )
            continue
        if trace.family is Family.SPLIT_PLACEHOLDER:
            if move is Move.SELL:
                placeholders += 1
            else:
                refused.append(
                    Refused(trace.code, "placeholder", "the placeholder of split packs stands for no package")
                )
        elif trace.code in seen:
            refused.append(Refused(trace.code, "repeated", "the code stands in this document more than once"))
        else:
            seen.add(trace.code)
            items.append(Item(trace.code, trace.ident or trace.code, quantity))
    return Reading(tuple(items), tuple(refused), placeholders)


def digest_of(content: str) -> bytes:
    """What tells whether a bill that comes again is the same."""
    return hashlib.sha256(content.encode()).digest()


def faults_of(
    bill: BillType,
    *,
    line_id: UUID | None,
    has_reason: bool,
    witnesses: int,
    codes: int,
    splits: int,
    captured_at: datetime,
    now: datetime,
) -> list[Fault]:
    """Everything that the type of bill asks for and that is missing or too much, all at once."""
    faults = _faults_of_line(bill, line_id)
    title = bill.title
    if bill.needs_reason and not has_reason:
        faults.append(
            Fault("/reason", None, Said("{title} needs reason_code and reason", title=title), "both", "missing")
        )
    if bill.needs_witnesses and witnesses < 2:  # noqa: PLR2004  executor and supervisor
        rule = Said("{title} needs executor and supervisor", title=title)
        faults.append(Fault("/executor", witnesses, rule, "both", "missing"))
    if not 1 <= codes + splits <= CODES_PER_DOCUMENT:
        allowed = Said("1 to {CODES_PER_DOCUMENT}", CODES_PER_DOCUMENT=CODES_PER_DOCUMENT)
        faults.append(Fault("/codes", codes + splits, "a document holds too few or too many codes", allowed))
    if splits and bill.move not in {Move.SELL, Move.TAKE_BACK}:
        faults.append(Fault("/splits", splits, Said("{title} moves whole packs", title=title), "none"))
    if captured_at > now + CLOCK_SKEW:
        allowed = Said("to {now}", now=now)
        future = "codes are not captured in the future"
        faults.append(Fault("/captured_at", captured_at.isoformat(), future, allowed))
    return faults


def _faults_of_line(bill: BillType, line_id: UUID | None) -> list[Fault]:
    if bill.needs_line and line_id is None:
        rule = Said("{title} is for a shipment line", title=bill.title)
        return [Fault("/shipment_line_id", None, rule, "its id", "missing")]
    if line_id is not None and not bill.needs_line and bill.move is not Move.RECEIVE:
        rule = Said("{title} is not for a shipment line", title=bill.title)
        return [Fault("/shipment_line_id", line_id, rule, "leave it out")]
    return []
