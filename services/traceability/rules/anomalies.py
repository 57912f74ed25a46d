"""Which refusals are suspicious, how much so, and how an anomaly ends: explained by whom it concerns, closed by the authority.

Source: domain rules 1.4, 1.5: two sales of one box, or goods never received, mean returned, swapped or false goods.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.traceability.errors import AnomalyNotOpen
from services.traceability.rules.documents import Refused
from shared.errors import Said
from shared.values import frozen


class AnomalyState(StrEnum):
    OPEN = "open"
    EXPLAINED = "explained"
    CLOSED = "closed"


NEXT = {
    (AnomalyState.OPEN, "explain"): AnomalyState.EXPLAINED,
    (AnomalyState.EXPLAINED, "explain"): AnomalyState.EXPLAINED,
    (AnomalyState.OPEN, "close"): AnomalyState.CLOSED,
    (AnomalyState.EXPLAINED, "close"): AnomalyState.CLOSED,
}

HIGH, MEDIUM = "high", "medium"
SUSPICIOUS = {
    "received_elsewhere": HIGH,
    "already_sold": HIGH,
    "mismatch": HIGH,
    "no_inbound": HIGH,
    "written_off": HIGH,
    "recalled": HIGH,
    "expired": MEDIUM,
    "duplicate": MEDIUM,
    "content_differs": MEDIUM,
}
"""The reasons of a refusal that are more than a slip, with how much they weigh."""
OF_THE_DELIVERY = {"mismatch", "recalled", "expired", "received_elsewhere"}
"""What concerns whoever made and delivered the goods of a line too; nothing of it tells what an institution uses."""
OF_THE_LOT = {"recalled", "expired"}
"""What concerns a whole lot is said once a document, not once a code."""
UNKNOWN = "unknown"
HELD_RECALLED = "recalled_lot_held"
SURPLUS = "surplus"


@frozen
class Anomaly:
    """Codes where they should not be; `code` is the first of `codes` of them."""

    id: UUID
    kind: str
    severity: str
    code: str | None
    codes: int
    ident: str | None
    product_code: str | None
    document_id: UUID | None
    recall_id: UUID | None
    receipt_id: UUID | None
    institution_code: str
    manufacturer_code: str | None
    region: str
    detail: str
    state: str
    explanation: str | None
    finding: str | None
    found_at: datetime
    version: int
    finds: int = 1
    """how often a bill brought it to light; the next two are of the last one"""
    bill_number: str | None = None
    captured_by: str | None = None


@frozen
class Suppliers:
    """Who delivered a line, and who makes its product, where that is known."""

    distributor_code: str
    manufacturer_code: str | None


@frozen
class Finding:
    """What one document brings to light; without a code it is about a line."""

    kind: str
    severity: str
    code: str | None
    codes: int
    detail: str
    ident: str | None = None


def findings(refused: Sequence[Refused], awaiting: Sequence[tuple[str, str]], own_sales: set[str]) -> list[Finding]:
    """One finding per suspicious code, per barred lot, and per identification code that nobody has uploaded.

    `awaiting` are (code, identification code); a second sale at the same institution (`own_sales`) weighs less.
    """
    found: list[Finding] = []
    lots: dict[str, list[Refused]] = {}
    for one in refused:
        if one.reason in OF_THE_LOT:
            lots.setdefault(one.reason, []).append(one)
        elif one.reason in SUSPICIOUS:
            severity = MEDIUM if one.code in own_sales else SUSPICIOUS[one.reason]
            found.append(Finding(one.reason, severity, one.code, 1, one.rule))
    found += [Finding(kind, SUSPICIOUS[kind], same[0].code, len(same), same[0].rule) for kind, same in lots.items()]
    unknown: dict[str, list[str]] = {}
    for code, ident in awaiting:
        unknown.setdefault(ident, []).append(code)
    found += [
        Finding(
            UNKNOWN,
            MEDIUM,
            codes[0],
            len(codes),
            Said("nobody has said what identification code {ident} means", ident=ident),
            ident,
        )
        for ident, codes in unknown.items()
    ]
    return found


def line_concerned(kind: str, receipt_id: UUID | None) -> UUID | None:
    """The line whose suppliers a finding of this kind concerns; None where it does not."""
    return receipt_id if kind in OF_THE_DELIVERY else None


def doubled(case: str, packs: int, *, elsewhere: bool) -> Finding:
    """Packs were captured by themselves and in their case; the later of the two documents is what is found."""
    detail = Said(
        "{packs} sale units in case {case} were captured before {where}; the later capture does not count them",
        packs=packs,
        case=case,
        where=Said("by another institution") if elsewhere else Said("by another document of yours or by the same"),
    )
    return Finding("duplicate", HIGH if elsewhere else SUSPICIOUS["duplicate"], case, packs, detail)


def surplus_words(surplus: int, awaited: int | None) -> Said:
    """What is wrong with a line that has more codes than goods, and the way out."""
    return Said(
        "{surplus} sale units more than the {awaited} of the line have codes: another line's are captured for it by"
        " mistake, or goods that were not accepted; send back (202) what is not of this line",
        surplus=surplus,
        awaited=awaited,
    )


def follow_surplus(anomaly: Anomaly, surplus: int, awaited: int | None) -> Anomaly:
    """The anomaly of a line whose surplus is another now; without one it is closed."""
    if not surplus:
        return close(anomaly, Said("no more codes than goods are captured for the line now"))
    return replace(anomaly, codes=surplus, detail=surplus_words(surplus, awaited), version=anomaly.version + 1)


def explain(anomaly: Anomaly, text: str) -> Anomaly:
    """Whom it concerns says how it came about. Raises AnomalyNotOpen."""
    return replace(anomaly, state=_next(anomaly, "explain"), explanation=text, version=anomaly.version + 1)


def close(anomaly: Anomaly, finding: str) -> Anomaly:
    """The authority says what came of it. Raises AnomalyNotOpen."""
    return replace(anomaly, state=_next(anomaly, "close"), finding=finding, version=anomaly.version + 1)


def _next(anomaly: Anomaly, verb: str) -> AnomalyState:
    after = NEXT.get((AnomalyState(anomaly.state), verb))
    if after is None:
        raise AnomalyNotOpen(
            "Anomaly {id} is {state}: {finding}", id=anomaly.id, state=anomaly.state, finding=anomaly.finding
        )
    return after
