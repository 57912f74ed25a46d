"""Who acts next on a receipt, a bill, an anomaly and a recall: the hospital captures, sets aside and explains, offices decide."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from services.traceability.rules.anomalies import HELD_RECALLED, SURPLUS, SUSPICIOUS, UNKNOWN, Anomaly, AnomalyState
from services.traceability.rules.documents import BILL_TYPES, NO_CODE, Move
from services.traceability.rules.recalls import Recall, RecallState
from services.traceability.rules.receipts import Receipt, ReceiptState
from shared.errors import Said
from shared.next_steps import Actor, NextStep, Role, authority, hospital, manufacturer

WORDS = {
    "received_elsewhere": Said("a code that another institution received"),
    "already_sold": Said("a code that was sold already"),
    "mismatch": Said("a code of another product"),
    "no_inbound": Said("a code that was never received"),
    "written_off": Said("a code that was written off"),
    "recalled": Said("a code of a recalled lot"),
    "expired": Said("a code of expired goods"),
    "duplicate": Said("a code that was captured twice"),
    "content_differs": Said("a case whose content differs from its packing map"),
    HELD_RECALLED: Said("goods of a recalled lot that were accepted"),
    SURPLUS: Said("more codes than goods"),
}
"""What an anomaly is called where somebody is asked about it."""


def receipt_steps(
    receipt: Receipt, found: Sequence[Anomaly], recalls: Sequence[Recall], codes_by: datetime | None = None
) -> list[NextStep]:
    """Who must act on a receipt, on what was found about its codes, and on recalls of its lot; while it is recalled,
    codes of it are refused, and nobody is asked for them. `codes_by`: when the codes of what was accepted are late."""
    who = hospital(receipt.institution_code)
    unit = receipt.unit or Said("sale units")
    steps: list[NextStep] = []
    recalled = any(recall.state == RecallState.OPEN for recall in recalls)
    if receipt.state == ReceiptState.EXPECTED:
        goods = Said("the delivery")
        if receipt.quantity_shipped:
            goods = Said("the delivery of {quantity} {unit}", quantity=receipt.quantity_shipped, unit=unit)
        what = Said("accept or reject {goods}, and capture its codes", goods=goods)
        if recalled:
            what = Said("accept or reject {goods}; its lot is recalled, and codes of it are refused", goods=goods)
        steps.append(NextStep(who=who, what=what))
    if receipt.state == ReceiptState.SHORT and not recalled:
        missing = (receipt.quantity_accepted or 0) - receipt.quantity_covered
        what = Said(
            "capture codes for {missing} of {accepted} {unit}",
            missing=missing,
            accepted=receipt.quantity_accepted,
            unit=unit,
        )
        steps.append(NextStep(who=who, what=what, by=codes_by))
    for recall in recalls:
        if recall.state == RecallState.OPEN:
            what = Said(
                "set lot {lot_number} aside until the recall is closed: {reason}",
                lot_number=receipt.lot_number,
                reason=recall.reason,
            )
            steps += [NextStep(who=who, what=what), _closing(recall)]
    return steps + [step for one in found if (step := anomaly_step(one))]


class Captured(Protocol):
    """A bill with the answer it was given."""

    @property
    def organisation_code(self) -> str: ...
    @property
    def bill_type(self) -> str: ...
    @property
    def accepted(self) -> int: ...
    @property
    def answer(self) -> Mapping[str, Any]: ...


def state_of(document: Captured) -> str:
    """landed, partly_refused, refused: by what became of its codes when it was captured."""
    if not document.answer["refused"]:
        return "landed"
    return "partly_refused" if document.accepted else "refused"


def document_steps(
    document: Captured, found: Sequence[Anomaly], landed: Collection[str], codes_by: datetime | None = None
) -> list[NextStep]:
    """Who must act on what a bill brought to light, and on goods whose codes were refused and have not `landed` since.

    `codes_by`: when the codes of what was accepted of its line are late."""
    steps = [step for one in found if (step := anomaly_step(one))]
    nothing_left = {*NO_CODE, *SUSPICIOUS, "repeated"}
    left = [
        one["reason"]
        for one in document.answer["refused"]
        if one["reason"] not in nothing_left and one["code"] not in landed
    ]
    if left and BILL_TYPES[document.bill_type].move is Move.RECEIVE:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(left).items()))
        who = Actor(role=Role(BILL_TYPES[document.bill_type].role), code=document.organisation_code)
        what = Said("mend what was refused ({reasons}) and capture it under a new bill number", reasons=reasons)
        steps.append(NextStep(who=who, what=what, by=codes_by))
    return steps


def anomaly_step(anomaly: Anomaly) -> NextStep | None:
    """Who must act on an anomaly; None when it is closed."""
    if anomaly.state == AnomalyState.CLOSED:
        return None
    if anomaly.kind == UNKNOWN:
        what = Said("say what identification code {ident} means", ident=anomaly.ident)
        return NextStep(who=manufacturer(anomaly.manufacturer_code), what=what)
    about = WORDS.get(anomaly.kind, anomaly.kind)
    if anomaly.code:
        about = Said("{about} ({code})", about=about, code=anomaly.code)
    if anomaly.state == AnomalyState.EXPLAINED:
        return NextStep(who=authority(anomaly.region), what=Said("say what came of {about}", about=about))
    what = Said("explain {about}, with delivery note and invoice", about=about)
    if anomaly.kind == HELD_RECALLED:
        what = Said("explain {about}, with what became of the goods", about=about)
    return NextStep(who=hospital(anomaly.institution_code), what=what)


def recall_steps(recall: Recall, held_by: Sequence[Anomaly]) -> list[NextStep]:
    """Who must act on a recall: who opened it, and whoever holds its goods, as far as the caller may see them."""
    if recall.state != RecallState.OPEN:
        return []
    return [_closing(recall), *(step for one in held_by if (step := anomaly_step(one)))]


def _closing(recall: Recall) -> NextStep:
    role = Role.MANUFACTURER if recall.opened_by == recall.manufacturer_code else Role.AUTHORITY
    who = Actor(role=role, code=recall.opened_by)
    return NextStep(who=who, what=Said("close the recall when the goods are back or destroyed"))
