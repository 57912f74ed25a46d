"""Who acts next on a receipt, an anomaly and a recall: for each state who, and on what."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from services.traceability.rules.anomalies import HELD_RECALLED, SURPLUS, SUSPICIOUS, Anomaly, AnomalyState
from services.traceability.rules.next_steps import (
    WORDS,
    anomaly_step,
    document_steps,
    recall_steps,
    receipt_steps,
    state_of,
)
from services.traceability.rules.recalls import Recall
from services.traceability.rules.receipts import Receipt, ReceiptState
from shared.next_steps import Actor, NextStep, Role, authority, hospital, manufacturer

AT = datetime(2026, 3, 2, tzinfo=UTC)
H, MAKER = hospital("H33010200059"), manufacturer("M1")
CLOSE = "close the recall when the goods are back or destroyed"


def receipt(state: ReceiptState, **fields: Any) -> Receipt:
    known = {"unit": "盒", "lot_number": "L1", "product_code": "X", "quantity_shipped": 10, "quantity_accepted": 10}
    return Receipt(
        id=uuid7(),
        shipment_line_id=uuid7(),
        order_id=uuid7(),
        institution_code="H33010200059",
        distributor_code="D1",
        region="330102",
        state=state,
        **{**known, **fields},
    )


def anomaly(kind: str = "already_sold", state: AnomalyState = AnomalyState.OPEN, **fields: Any) -> Anomaly:
    unknown: dict[str, Any] = dict.fromkeys(Anomaly.__dataclass_fields__)
    known = {"kind": kind, "state": state, "code": "8385", "institution_code": "H33010200059", "region": "330102"}
    return Anomaly(**{**unknown, **known, **fields})


def recall(state: str = "open", opened_by: str = "M1") -> Recall:
    closed_at = AT if state == "closed" else None
    return Recall(uuid7(), "X", "M1", ("L1",), "含量不合格", state, opened_by, AT, closed_at, 1)


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (receipt(ReceiptState.EXPECTED), ["accept or reject the delivery of 10 盒, and capture its codes"]),
        (receipt(ReceiptState.SHORT, packs_captured=4), ["capture codes for 6 of 10 盒"]),
        (receipt(ReceiptState.COVERED, packs_captured=10), []),
        (receipt(ReceiptState.EXEMPT), []),
        (receipt(ReceiptState.REJECTED), []),
        (receipt(ReceiptState.WITHDRAWN), []),
    ],
)
def test_a_receipt_says_who_acts_next(one: Receipt, what: list[str]) -> None:
    assert receipt_steps(one, [], []) == [NextStep(who=H, what=each) for each in what]


def test_a_recalled_lot_waits_for_the_hospital_and_for_who_opened_the_recall() -> None:
    covered = receipt(ReceiptState.COVERED, packs_captured=10)
    assert receipt_steps(covered, [], [recall()]) == [
        NextStep(who=H, what="set lot L1 aside until the recall is closed: 含量不合格"),
        NextStep(who=MAKER, what=CLOSE),
    ]
    assert receipt_steps(covered, [], [recall("closed")]) == []


def test_nobody_is_asked_for_codes_of_a_lot_while_it_is_recalled() -> None:
    short = receipt(ReceiptState.SHORT, packs_captured=4)
    assert [step.what for step in receipt_steps(short, [], [recall()])] == [
        "set lot L1 aside until the recall is closed: 含量不合格",
        CLOSE,
    ]
    (capture,) = receipt_steps(short, [], [recall("closed")])
    assert capture.what == "capture codes for 6 of 10 盒"
    first = receipt_steps(receipt(ReceiptState.EXPECTED), [], [recall()])[0]
    assert first.what == "accept or reject the delivery of 10 盒; its lot is recalled, and codes of it are refused"


def test_a_flagged_code_of_a_receipt_waits_for_an_explanation() -> None:
    steps = receipt_steps(receipt(ReceiptState.COVERED, packs_captured=10), [anomaly()], [])
    assert steps == [
        NextStep(who=H, what="explain a code that was sold already (8385), with delivery note and invoice")
    ]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (
            anomaly(state=AnomalyState.EXPLAINED),
            NextStep(who=authority("330102"), what="say what came of a code that was sold already (8385)"),
        ),
        (
            anomaly("recalled_lot_held", code=None),
            NextStep(who=H, what="explain goods of a recalled lot that were accepted, with what became of the goods"),
        ),
        (
            anomaly("unknown", ident="8385793", manufacturer_code="M1"),
            NextStep(who=MAKER, what="say what identification code 8385793 means"),
        ),
        (anomaly(state=AnomalyState.CLOSED), None),
    ],
)
def test_an_anomaly_says_who_acts_next(one: Anomaly, expected: NextStep | None) -> None:
    assert anomaly_step(one) == expected


@pytest.mark.parametrize("kind", [*SUSPICIOUS, HELD_RECALLED, SURPLUS])
def test_every_kind_of_anomaly_is_said_in_words(kind: str) -> None:
    assert " " in WORDS[kind]


@pytest.mark.parametrize(("opened_by", "who"), [("M1", MAKER), ("113300", Actor(role=Role.AUTHORITY, code="113300"))])
def test_a_recall_waits_for_who_opened_it_and_for_those_who_hold_its_goods(opened_by: str, who: Actor) -> None:
    held = anomaly("recalled_lot_held", code=None)
    first, second = recall_steps(recall(opened_by=opened_by), [held, anomaly(state=AnomalyState.CLOSED)])
    assert first == NextStep(who=who, what=CLOSE)
    assert second.who == H
    assert recall_steps(recall("closed"), [held]) == []


@dataclass
class Bill:
    """A captured bill, as far as what is left of it goes."""

    bill_type: str
    refused: dict[str, str]
    """reasons by code"""
    accepted: int = 0
    organisation_code: str = "H33010200059"

    @property
    def answer(self) -> dict[str, Any]:
        return {"refused": [{"code": code, "reason": reason} for code, reason in self.refused.items()]}


@pytest.mark.parametrize(
    ("bill", "state", "what"),
    [
        (Bill("102", {}, accepted=3), "landed", []),
        (
            Bill("102", {"A": "mixed_case", "B": "in_motion", "C": "in_motion"}, accepted=1),
            "partly_refused",
            ["mend what was refused (1 in_motion, 1 mixed_case) and capture it under a new bill number"],
        ),
        (Bill("102", {"A": "repeated", "B": "placeholder", "D": "unreadable", "E": "mismatch"}), "refused", []),
        (Bill("321", {"A": "unknown_pack"}), "refused", []),
    ],
)
def test_a_bill_waits_for_goods_whose_codes_have_not_landed_since(bill: Bill, state: str, what: list[str]) -> None:
    assert state_of(bill) == state
    assert document_steps(bill, [], {"C"}, AT) == [NextStep(who=H, what=each, by=AT) for each in what]
    assert document_steps(bill, [anomaly()], {"A", "B", "C"}) == [anomaly_step(anomaly())]
