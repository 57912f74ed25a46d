"""The rules as tables, both sides of each boundary."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from services.traceability.errors import AnomalyNotOpen, IdentRefused, IdentTaken, PackingRefused, RecallNotOpen
from services.traceability.rules import anomalies, recalls
from services.traceability.rules.anomalies import Anomaly, findings
from services.traceability.rules.documents import BILL_TYPES, Item, Move, Refused, faults_of, read
from services.traceability.rules.identification_codes import Meaning, check_level, check_same, ident_of
from services.traceability.rules.packings import check_levels, read_packing
from services.traceability.rules.recalls import Recall
from services.traceability.rules.receipts import Receipt, count, coverage_news, excuse, learn, withdraw
from services.traceability.rules.units import (
    Goods,
    Lots,
    Receiving,
    Unit,
    barred,
    judge_known,
    judge_move,
    judge_unheld,
)
from services.traceability.settings import CLOCK_SKEW, CODES_PER_DOCUMENT
from tests.services.traceability.scenes import CASE_IDENT, IDENT, box, boxes

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TODAY = date(2026, 3, 2)
ID = UUID(int=1)
RECEIPT = Receipt(ID, ID, ID, "H1", "D1", "330102", product_kind="western")
NO_LOTS = Lots({})
UNIT = Unit("c", ID, "H1", "330102", 1, None, "I", 0, product_code="P", lot_number="L")


# Receipts


@pytest.mark.parametrize(
    ("shipped", "accepted", "rejected", "captured", "state", "covered"),
    [
        (10, None, None, 0, "expected", 0),
        (10, None, None, 10, "expected", 10),
        (10, 10, None, 0, "short", 0),
        (10, 10, None, 9, "short", 9),
        (10, 10, None, 10, "covered", 10),
        (10, 10, None, 11, "covered", 10),
        (10, 7, 3, 6, "short", 6),
        (10, 7, 3, 7, "covered", 7),
        (10, None, 9, 0, "expected", 0),
        (10, None, 10, 0, "rejected", 0),
        (None, None, 10, 0, "expected", 0),
        (None, 5, None, 5, "covered", 5),
        (10, 0, None, 0, "covered", 0),
    ],
)
def test_the_state_of_a_receipt_follows_from_what_is_known(
    shipped: int | None, accepted: int | None, rejected: int | None, captured: int, state: str, covered: int
) -> None:
    known = learn(RECEIPT, quantity_shipped=shipped, quantity_accepted=accepted, quantity_rejected=rejected)
    known = count(known, captured)
    assert (known.state, known.quantity_covered) == (state, covered)


def test_what_is_known_is_never_overwritten() -> None:
    once = learn(RECEIPT, quantity_accepted=7)
    assert learn(once, quantity_accepted=8) is once


def test_the_day_of_acceptance_decides_whether_codes_are_asked_for() -> None:
    dispatched = excuse(RECEIPT, exempt=True)
    assert dispatched.state == "exempt"
    accepted = learn(excuse(dispatched, exempt=False), quantity_accepted=5)
    assert accepted.state == "short"
    assert excuse(accepted, exempt=True) is accepted


def test_a_withdrawn_receipt_stays_withdrawn() -> None:
    gone = withdraw(RECEIPT)
    assert learn(gone, quantity_accepted=5).state == "withdrawn"
    assert withdraw(gone) is gone


@pytest.mark.parametrize(
    ("before", "packs", "news"),
    [
        (RECEIPT, 5, False),
        (learn(RECEIPT, quantity_accepted=10), 0, False),
        (learn(RECEIPT, quantity_accepted=10), 1, True),
        (count(learn(RECEIPT, quantity_accepted=10), 10), 1, False),
        (count(learn(RECEIPT, quantity_accepted=10), 10), -1, True),
        (learn(excuse(RECEIPT, exempt=True), quantity_accepted=10), 5, False),
        (withdraw(learn(RECEIPT, quantity_accepted=10)), 5, False),
    ],
)
def test_coverage_is_news_when_another_quantity_of_what_was_accepted_is_covered(
    before: Receipt, packs: int, news: bool
) -> None:
    assert coverage_news(before, count(before, packs)) is news


def test_codes_before_acceptance_are_news_at_acceptance() -> None:
    stored = count(RECEIPT, 4)
    assert coverage_news(stored, learn(stored, quantity_accepted=10))
    assert coverage_news(None, learn(stored, quantity_accepted=10))
    assert not coverage_news(None, RECEIPT)


# Bills


def faults(bill_type: str, **changed: object) -> dict[str, object]:
    given: dict[str, object] = {
        "line_id": ID if BILL_TYPES[bill_type].needs_line else None,
        "has_reason": True,
        "witnesses": 2,
        "codes": 1,
        "splits": 0,
        "captured_at": NOW,
        "now": NOW,
        **changed,
    }
    return {fault.pointer: fault.given for fault in faults_of(BILL_TYPES[bill_type], **given)}  # type: ignore[arg-type]


@pytest.mark.parametrize("bill_type", BILL_TYPES)
def test_each_type_of_bill_can_be_written_without_fault(bill_type: str) -> None:
    assert faults(bill_type) == {}


@pytest.mark.parametrize(
    ("bill_type", "changed", "pointers"),
    [
        ("102", {"line_id": None}, {"/shipment_line_id"}),
        ("107", {"line_id": None}, set()),
        ("107", {"line_id": ID}, set()),
        ("201", {"line_id": None}, {"/shipment_line_id"}),
        ("321", {"line_id": ID}, {"/shipment_line_id"}),
        ("202", {"has_reason": False}, {"/reason"}),
        ("205", {"witnesses": 1}, {"/executor"}),
        ("206", {"witnesses": 0}, set()),
        ("321", {"codes": 0}, {"/codes"}),
        ("321", {"codes": CODES_PER_DOCUMENT}, set()),
        ("321", {"codes": CODES_PER_DOCUMENT, "splits": 1}, {"/codes"}),
        ("321", {"codes": 0, "splits": 1}, set()),
        ("116", {"splits": 1}, set()),
        ("202", {"splits": 1}, {"/splits"}),
        ("321", {"captured_at": NOW + CLOCK_SKEW}, set()),
        ("321", {"captured_at": NOW + CLOCK_SKEW + timedelta(seconds=1)}, {"/captured_at"}),
    ],
)
def test_a_bill_says_what_was_given_amiss(bill_type: str, changed: dict[str, object], pointers: set[str]) -> None:
    found = faults(bill_type, **changed)
    assert (set(found), found.get("/shipment_line_id")) == (pointers, changed.get("line_id") if pointers else None)


def test_codes_are_read_into_families_refusals_and_placeholders() -> None:
    split = (box(2), 3)
    reading = read([box(1), box(1), "9" * 20, "x\x00"], [split, split], Move.SELL)
    assert reading.items == (Item(box(1), IDENT), Item(box(2), IDENT, 3))
    assert [one.reason for one in reading.refused] == ["repeated", "unreadable", "repeated"]
    assert reading.placeholders == 1
    assert [one.reason for one in read(["9" * 20], [], Move.RECEIVE).refused] == ["placeholder"]


# Units


def reason(outcome: object) -> str | None:
    return outcome.reason if isinstance(outcome, Refused) else None


@pytest.mark.parametrize(
    ("expires_on", "lots", "expected"),
    [
        (TODAY, {}, None),
        (TODAY - timedelta(days=1), {}, "expired"),
        (None, {}, None),
        (TODAY, {"P": frozenset({"L"})}, "recalled"),
        (TODAY, {"P": frozenset({"M"})}, None),
        (TODAY, {"Q": frozenset({"L"})}, None),
    ],
)
def test_a_lot_is_barred_when_expired_or_recalled(
    expires_on: date | None, lots: dict[str, frozenset[str]], expected: str | None
) -> None:
    assert reason(barred("c", "P", "L", expires_on, TODAY, Lots(lots))) == expected


@pytest.mark.parametrize(
    ("meaning", "line", "expected"),
    [
        (Meaning("i", "P", 1, 1), "P", None),
        (Meaning("i", "Q", 1, 1), "P", "mismatch"),
        (None, "P", None),
        (Meaning("i", "Q", 1, 1), None, None),
    ],
)
def test_a_code_is_received_as_the_product_it_means(
    meaning: Meaning | None, line: str | None, expected: str | None
) -> None:
    assert reason(Receiving.of(Goods(TODAY, line), NO_LOTS)(Item("c", "i"), meaning)) == expected


@pytest.mark.parametrize(
    ("holder", "sold", "expected"),
    [
        ("H1", False, "already_received"),
        ("H1", True, "already_sold"),
        ("H2", False, "received_elsewhere"),
        ("H2", True, "already_sold"),
    ],
)
def test_a_code_that_is_somewhere_is_not_received_again(holder: str, sold: bool, expected: str) -> None:
    refused = judge_known("c", "H1", holder, sold=sold)
    assert refused.reason == expected
    assert "H2" not in refused.rule


@pytest.mark.parametrize(
    ("move", "sold", "expected"),
    [
        (Move.SELL, True, "already_sold"),
        (Move.SELL, False, "no_inbound"),
        (Move.TAKE_BACK, False, "not_held"),
        (Move.WRITE_OFF, True, "not_held"),
    ],
)
def test_a_code_that_was_never_received_here_does_not_move(move: Move, sold: bool, expected: str) -> None:
    assert judge_unheld("c", move, sold=sold).reason == expected


GONE = None
WHOLE = [
    ("I", 0, Move.SELL, "O"),
    ("I", 0, Move.WRITE_OFF, "C"),
    ("I", 0, Move.SEND_BACK, GONE),
    ("I", 0, Move.PASS_ON, GONE),
    ("I", 0, Move.TAKE_BACK, "not_sold"),
    ("O", 0, Move.TAKE_BACK, "I"),
    ("O", 0, Move.SELL, "already_sold"),
    ("O", 0, Move.SEND_BACK, "already_sold"),
    ("O", 0, Move.WRITE_OFF, "already_sold"),
    ("C", 0, Move.SELL, "written_off"),
    ("C", 0, Move.TAKE_BACK, "written_off"),
    ("I", 5, Move.SELL, "already_sold"),
    ("I", 5, Move.SEND_BACK, "already_sold"),
    ("I", 5, Move.WRITE_OFF, "C"),
]


@pytest.mark.parametrize(("state", "sold", "move", "expected"), WHOLE)
def test_a_whole_package_moves_by_the_table(state: str, sold: int, move: Move, expected: str | None) -> None:
    unit = replace(UNIT, state=state, sold_quantity=sold)
    outcome = judge_move(unit, Item("c", "i"), move, Goods(TODAY), NO_LOTS, 24)
    assert (outcome.state if isinstance(outcome, Unit) else reason(outcome)) == expected


@pytest.mark.parametrize(
    ("state", "sold", "quantity", "move", "per_pack", "expected"),
    [
        ("I", 0, 24, Move.SELL, 24, 24),
        ("I", 0, 25, Move.SELL, 24, "already_sold"),
        ("I", 20, 4, Move.SELL, 24, 24),
        ("I", 20, 5, Move.SELL, 24, "already_sold"),
        ("O", 0, 1, Move.SELL, 24, "already_sold"),
        ("C", 0, 1, Move.SELL, 24, "written_off"),
        ("I", 0, 1, Move.SELL, None, "unknown_pack"),
        ("I", 20, 20, Move.TAKE_BACK, 24, 0),
        ("I", 20, 21, Move.TAKE_BACK, 24, "not_sold"),
    ],
)
def test_a_pack_is_sold_in_parts_up_to_what_it_holds(
    state: str, sold: int, quantity: int, move: Move, per_pack: int | None, expected: int | str
) -> None:
    unit = replace(UNIT, state=state, sold_quantity=sold)
    outcome = judge_move(unit, Item("c", "i", quantity), move, Goods(TODAY), NO_LOTS, per_pack)
    assert (outcome.sold_quantity if isinstance(outcome, Unit) else reason(outcome)) == expected


@pytest.mark.parametrize(
    ("goods", "lots", "expected"),
    [
        (Goods(TODAY, "P"), {}, None),
        (Goods(TODAY, "Q"), {}, "mismatch"),
        (Goods(TODAY), {"P": frozenset({"L"})}, "recalled"),
    ],
)
def test_a_sale_names_the_right_product_and_no_recalled_lot(
    goods: Goods, lots: dict[str, frozenset[str]], expected: str | None
) -> None:
    assert reason(judge_move(UNIT, Item("c", "i"), Move.SELL, goods, Lots(lots), 24)) == expected


# Identification codes and packings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("8385793", "8385793"),
        ("06924561884074", "06924561884074"),
        ("q/17 a", "q/17a"),
        ("838579", None),
        ("83857930", None),
        ("06924561884075", None),
        ("83857930000879766660", None),
        ("9" * 20, None),
        ("(01)06924561884074(21)A1", None),
        ("9.13e+17", None),
    ],
)
def test_an_identification_code_has_7_digits_or_14_or_is_a_code_of_the_makers_own(
    given: str, expected: str | None
) -> None:
    if expected is None:
        with pytest.raises(IdentRefused):
            ident_of(given)
    else:
        assert ident_of(given) == expected


def test_a_package_of_level_1_is_one_sale_unit() -> None:
    check_level(1, 1)
    check_level(2, 10)
    with pytest.raises(IdentRefused):
        check_level(1, 2)


@pytest.mark.parametrize("said", [Meaning("i", "Q", 1, 1), Meaning("i", "P", 2, 1), Meaning("i", "P", 1, 5)])
def test_an_identification_code_keeps_its_meaning(said: Meaning) -> None:
    check_same(Meaning("i", "P", 1, 1), Meaning("i", "P", 1, 1))
    with pytest.raises(IdentTaken):
        check_same(Meaning("i", "P", 1, 1), said)


@pytest.mark.parametrize(
    ("outer", "inner", "fits"), [(3, 2, True), (3, 1, True), (2, 1, True), (2, 2, False), (1, 3, False)]
)
def test_what_lies_in_a_package_has_a_lower_level(outer: int, inner: int, fits: bool) -> None:
    parent, children = read_packing(box(1, CASE_IDENT), boxes(1))
    meanings = {CASE_IDENT: Meaning(CASE_IDENT, "P", outer, 1), IDENT: Meaning(IDENT, "P", inner, 1)}
    if fits:
        check_levels(parent, children, meanings)
    else:
        with pytest.raises(PackingRefused):
            check_levels(parent, children, meanings)


# Recalls and anomalies


def test_a_recall_is_closed_once() -> None:
    recall = Recall(ID, "P", "M", ("L",), "r", "open", "M", NOW, None, 1)
    closed = recalls.close(recall, NOW, "A", "all back")
    assert (closed.state, closed.closed_at, closed.version) == ("closed", NOW, 2)
    with pytest.raises(RecallNotOpen):
        recalls.close(closed, NOW, "A", "all back")


ANOMALY = Anomaly(
    ID, "mismatch", "high", "c", 1, None, None, ID, None, None, "H1", None, "330102", "d", "open", None, None, NOW, 1
)


def test_an_anomaly_may_be_explained_again_until_it_is_closed() -> None:
    explained = anomalies.explain(anomalies.explain(ANOMALY, "a"), "b")
    assert (explained.state, explained.explanation, explained.version) == ("explained", "b", 3)
    closed = anomalies.close(explained, "fine")
    with pytest.raises(AnomalyNotOpen):
        anomalies.explain(closed, "c")
    with pytest.raises(AnomalyNotOpen):
        anomalies.close(closed, "again")
    assert anomalies.close(ANOMALY, "fine").state == "closed"


def test_findings_are_one_per_code_one_per_lot_and_one_per_unknown_identification_code() -> None:
    refused = [
        Refused("a", "repeated", ""),
        Refused("b", "already_received", ""),
        Refused("c", "mismatch", ""),
        Refused("d", "mismatch", ""),
        Refused("e", "expired", ""),
        Refused("f", "expired", ""),
        Refused("g", "already_sold", ""),
        Refused("h", "already_sold", ""),
    ]
    found = findings(refused, [("x", "1"), ("y", "1"), ("z", "2")], {"h"})
    assert [(one.kind, one.severity, one.code, one.codes) for one in found] == [
        ("mismatch", "high", "c", 1),
        ("mismatch", "high", "d", 1),
        ("already_sold", "high", "g", 1),
        ("already_sold", "medium", "h", 1),
        ("expired", "medium", "e", 2),
        ("unknown", "medium", "x", 2),
        ("unknown", "medium", "z", 1),
    ]
