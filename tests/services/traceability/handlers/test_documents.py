"""Bills: good codes land, each bad one is refused by itself with its reason, and one bill has one answer."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from services.traceability.handlers.documents import capture_documents
from services.traceability.schemas.documents import CaptureDocument
from shared import clock
from shared.events.traceability import CodeFlagged, CoverageShort, CoverageVerified
from shared.identity import Caller
from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    CASE_IDENT,
    DISTRIBUTOR,
    HOSPITAL,
    IDENT,
    MAKER,
    OTHER_HOSPITAL,
    OTHER_IDENT,
    Desk,
    Line,
    bill,
    box,
    boxes,
    reasons,
)

UNKNOWN_IDENT = "8100000"


@pytest.fixture
async def line(desk: Desk, worker: WorkerInHand) -> Line:
    """Ten boxes, shipped and accepted."""
    made = Line(10)
    await worker.deliver(made.dispatched(), made.accepted())
    return made


async def flagged(worker: WorkerInHand) -> list[tuple[str, str]]:
    return [(fact.kind, fact.code) for fact in await worker.said() if isinstance(fact, CodeFlagged)]


async def test_good_codes_land_and_each_bad_one_says_why(desk: Desk, line: Line) -> None:
    mine, mismatch, placeholder = box(1), box(1, OTHER_IDENT), "9" * 20
    (answer,) = await desk.capture(
        line.bill([mine, mine, mismatch, placeholder, "  ", "8.3857930000879e+19", "a\x00b", box(2)])
    )
    assert (answer["accepted"], answer["packs"]) == (2, 2)
    assert reasons(answer) == {
        mine: "repeated",
        mismatch: "mismatch",
        placeholder: "placeholder",
        "": "unreadable",
        "8.3857930000879e+19": "unreadable",
        "a\\x00b": "unreadable",
    }
    assert answer["coverage"] == {"quantity_accepted": 10, "quantity_covered": 2, "state": "short"}


@pytest.mark.parametrize("written", ["8385793-0000000000001", "8385793 0000000000001", "８３８５７９３0000000000001"])
async def test_one_box_has_one_normal_form_however_it_is_written(desk: Desk, line: Line, written: str) -> None:
    (answer,) = await desk.capture(line.bill([written, box(1)]))
    assert (answer["accepted"], reasons(answer)) == (1, {box(1): "repeated"})


async def test_a_code_is_received_once_here_and_elsewhere(desk: Desk, line: Line, worker: WorkerInHand) -> None:
    elsewhere = Line(10, hospital=OTHER_HOSPITAL)
    await worker.deliver(elsewhere.dispatched(), elsewhere.accepted())
    await desk.capture(line.bill([box(1)]))
    (again,) = await desk.capture(line.bill([box(1)], "B2"))
    (foreign,) = await desk.capture(elsewhere.bill([box(1), box(2)]), who=OTHER_HOSPITAL)
    assert reasons(again) == {box(1): "already_received"}
    assert reasons(foreign) == {box(1): "received_elsewhere"}
    assert HOSPITAL not in str(foreign)
    assert await flagged(worker) == [("received_elsewhere", box(1))]


async def test_two_bills_of_one_call_do_not_both_receive_a_code(desk: Desk, line: Line) -> None:
    first, second = await desk.capture(line.bill([box(1)]), line.bill([box(1), box(2)], "B2"))
    assert (first["accepted"], second["accepted"], reasons(second)) == (1, 1, {box(1): "already_received"})


async def test_the_same_bill_again_has_the_same_answer_and_other_content_is_refused(desk: Desk, line: Line) -> None:
    (first,) = await desk.capture(line.bill([box(1), "9" * 20]))
    (again,) = await desk.capture(line.bill([box(1), "9" * 20]))
    (other,) = await desk.capture(line.bill([box(2)]))
    assert again == first
    assert other["code"] == "bill_number_used"
    assert (await desk.receipt(line))["packs_captured"] == 1


async def test_a_bill_that_stands_twice_in_one_call_is_captured_once(desk: Desk, line: Line) -> None:
    first, again, other = await desk.capture(line.bill([box(1)]), line.bill([box(1)]), line.bill([box(2)]))
    assert again == first
    assert other["code"] == "bill_number_used"


async def test_a_line_that_is_not_known_yet_is_refused_and_the_other_bills_land(desk: Desk, line: Line) -> None:
    late, good = await desk.capture(Line(1).bill([box(1)], "B1"), line.bill([box(2)], "B2"))
    assert (late["code"], late["status"]) == ("receipt_not_known_yet", 409)
    assert "send again in a moment" in late["detail"]
    assert good["accepted"] == 1


async def test_a_foreign_line_looks_as_if_it_were_not_there(desk: Desk, line: Line) -> None:
    (refused,) = await desk.capture(line.bill([box(1)]), who=OTHER_HOSPITAL)
    assert refused["code"] == "receipt_not_known_yet"


@pytest.mark.parametrize(("days", "reason"), [(0, None), (1, "expired")])
async def test_goods_are_received_up_to_their_last_day(
    desk: Desk, worker: WorkerInHand, days: int, reason: str | None
) -> None:
    last = clock.today() - timedelta(days=days)
    line = Line(10, expires_on=last)
    await worker.deliver(line.dispatched())
    (answer,) = await desk.capture(line.bill(boxes(3)))
    assert set(reasons(answer).values()) == ({reason} if reason else set())
    assert [kind for kind, _ in await flagged(worker)] == ([reason] if reason else [])


async def test_an_unknown_identification_code_is_kept_and_counts_when_it_is_uploaded(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    own = "Q/QH-2024*00017"
    (answer,) = await desk.capture(line.bill([*boxes(6, ident=UNKNOWN_IDENT), own]))
    assert (answer["accepted"], answer["packs"], answer["awaiting"]) == (7, 0, 7)
    assert answer["coverage"]["quantity_covered"] == 0
    queue = (await desk.get(HOSPITAL, "/unknown-codes")).json()["items"]
    assert queue == [
        {"ident": UNKNOWN_IDENT, "codes": 6, "institutions": 1},
        {"ident": "Q/QH2024*00017", "codes": 1, "institutions": 1},
    ]
    assert sorted(kind for kind, _ in await flagged(worker)) == ["unknown", "unknown"]
    await worker.meet_deadlines()
    assert (await desk.receipt(line))["quantity_covered"] == 0

    await desk.codes(UNKNOWN_IDENT)
    await desk.codes(own)
    await worker.meet_deadlines()
    assert (await desk.receipt(line))["quantity_covered"] == 7
    covered = [fact.quantity_covered for fact in await worker.said() if isinstance(fact, CoverageShort)]
    assert covered == [7]
    anomalies = (await desk.get(HOSPITAL, "/anomalies")).json()["items"]
    assert {one["state"] for one in anomalies} == {"closed"}


async def test_codes_that_turn_out_to_be_of_another_product_are_put_out_again(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    await desk.capture(line.bill([box(1, UNKNOWN_IDENT)]))
    await desk.codes(UNKNOWN_IDENT, "XA02BCP073A001010100484", who="operator")
    await worker.meet_deadlines()
    assert (await desk.receipt(line))["packs_captured"] == 0
    assert ("mismatch", box(1, UNKNOWN_IDENT)) in await flagged(worker)
    assert (await desk.get(HOSPITAL, f"/codes/{box(1, UNKNOWN_IDENT)}")).status_code == 404


async def test_a_meaning_that_commits_before_the_bill_is_still_found(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    """The bill read the meanings before they were uploaded and commits after the worker looked: its own deadline finds it."""
    await worker.meet_deadlines()
    await desk.capture(line.bill([box(1, UNKNOWN_IDENT)]))
    await worker.database.pool.execute(
        "INSERT INTO identification_codes VALUES ($1, 'XA01ABD075A002010100483', 1, 1, 'x', now())", UNKNOWN_IDENT
    )
    assert await worker.meet_deadlines() == 1
    assert (await desk.receipt(line))["quantity_covered"] == 1


async def test_the_operator_captures_for_others_and_says_for_whom(desk: Desk, line: Line) -> None:
    by_line, nameless, named = await desk.capture(
        line.bill([box(1)]),
        bill([box(2)], "B2", "107"),
        bill([box(2)], "B3", "107", organisation_code=HOSPITAL),
        who="operator",
    )
    assert (by_line["organisation_code"], named["organisation_code"]) == (HOSPITAL, HOSPITAL)
    assert nameless["errors"][0]["pointer"] == "/organisation_code"
    (again,) = await desk.capture(line.bill([box(1)]))
    assert again == by_line


async def test_a_distributor_writes_down_what_it_ships(desk: Desk, line: Line) -> None:
    (shipped,) = await desk.capture(line.bill([box(1), box(1, OTHER_IDENT)], "D1", "201"), who=DISTRIBUTOR)
    assert (shipped["organisation_code"], shipped["accepted"], reasons(shipped)) == (
        DISTRIBUTOR,
        1,
        {box(1, OTHER_IDENT): "mismatch"},
    )
    assert shipped["coverage"]["quantity_covered"] == 0
    life = (await desk.get(DISTRIBUTOR, f"/codes/{box(1)}")).json()
    assert [move["move"] for move in life["movements"]] == ["ship"]
    (refused,) = await desk.capture(line.bill([box(1)], "D2"), who=DISTRIBUTOR)
    assert refused["code"] == "bill_not_yours"


async def test_a_call_costs_as_many_statements_for_many_codes_as_for_few(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    caller = Caller(HOSPITAL, frozenset({"operator"}), "330102", "tester")
    costs = []
    for first, count in ((1, 1), (100, 500)):
        many = [
            CaptureDocument.model_validate(line.bill(boxes(5, first + 5 * number), f"B{first}-{number}"))
            for number in range(count)
        ]
        async with worker.database.transaction() as tx:
            outcomes = await capture_documents(tx, caller, many)
            await tx.flush()
            costs.append(tx.statements)
        assert len(outcomes) == count
    assert costs[0] == costs[1]
    assert costs[0] <= 8


async def test_two_hospitals_that_receive_one_box_at_once_do_not_both_get_it(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    elsewhere = Line(200, hospital=OTHER_HOSPITAL)
    here = Line(200)
    await worker.deliver(elsewhere.dispatched(), elsewhere.accepted(), here.dispatched(), here.accepted())
    codes = boxes(200)
    (mine,), (theirs,) = await asyncio.gather(
        desk.capture(here.bill(codes)), desk.capture(elsewhere.bill(list(reversed(codes))), who=OTHER_HOSPITAL)
    )
    assert mine["accepted"] + theirs["accepted"] == 200
    assert len(mine["refused"]) + len(theirs["refused"]) == 200


async def test_bills_that_come_at_once_for_one_line_are_all_counted(desk: Desk, worker: WorkerInHand) -> None:
    """The receipt is the lock of coverage; without it one count would overwrite the other."""
    line = Line(60)
    await worker.deliver(line.dispatched(), line.accepted())
    await asyncio.gather(*(desk.capture(line.bill(boxes(10, 1 + 10 * number), f"B{number}")) for number in range(6)))
    shown = await desk.receipt(line)
    assert (shown["packs_captured"], shown["state"]) == (60, "covered")
    told = [fact for fact in await worker.said() if isinstance(fact, CoverageShort | CoverageVerified)]
    assert [fact.quantity_covered for fact in told] == [10, 20, 30, 40, 50, 60]


async def test_the_same_bill_twice_at_once_is_one(desk: Desk, line: Line, worker: WorkerInHand) -> None:
    answers = await asyncio.gather(*(desk.capture(line.bill(boxes(5))) for _ in range(4)))
    assert len({answer["id"] for (answer,) in answers}) == 1
    assert (await desk.receipt(line))["packs_captured"] == 5
    assert await worker.database.pool.fetchval("SELECT count(*) FROM documents") == 1


class TestCases:
    """A case counts for what lies in it."""

    @pytest.fixture
    async def case(self, desk: Desk) -> str:
        """A case of four boxes whose map is known."""
        await desk.codes(CASE_IDENT, level=3, packs=4)
        code = box(1, CASE_IDENT)
        packed = await desk.post(MAKER, "/packings/bulk", [{"parent": code, "children": boxes(4)}])
        assert packed.json()["succeeded"] == 1, packed.text
        return code

    async def test_a_case_is_received_as_the_boxes_in_it(self, desk: Desk, line: Line, case: str) -> None:
        (answer,) = await desk.capture(line.bill([case, box(2)]))
        assert (answer["accepted"], answer["packs"]) == (4, 4)
        life = (await desk.get(HOSPITAL, f"/codes/{box(3)}")).json()
        assert (life["lies_in"], life["received"]["bill_number"]) == ([case], "B1")

    async def test_a_box_received_before_its_case_counts_once(self, desk: Desk, line: Line, case: str) -> None:
        await desk.capture(line.bill([box(2)], "B0"))
        (answer,) = await desk.capture(line.bill([case]))
        assert (answer["accepted"], reasons(answer)) == (3, {box(2): "already_received"})
        assert (await desk.receipt(line))["packs_captured"] == 4

    async def test_a_case_without_a_map_counts_by_its_size_until_the_map_comes(
        self, desk: Desk, line: Line, worker: WorkerInHand
    ) -> None:
        await desk.codes(CASE_IDENT, level=3, packs=4)
        code = box(9, CASE_IDENT)
        (answer,) = await desk.capture(line.bill([code]))
        assert (answer["accepted"], answer["packs"]) == (1, 4)
        await worker.meet_deadlines()
        assert (await desk.get(HOSPITAL, f"/codes/{code}")).json()["received"]["packs"] == 4
        await desk.post(MAKER, "/packings/bulk", [{"parent": code, "children": boxes(3)}])
        await worker.meet_deadlines()
        assert (await desk.receipt(line))["packs_captured"] == 3
        (again,) = await desk.capture(line.bill([box(1)], "B2"))
        assert reasons(again) == {box(1): "already_received"}

    async def test_a_box_in_a_box_in_a_case_is_found(self, desk: Desk, line: Line) -> None:
        middle = "8385795"
        await desk.codes(CASE_IDENT, level=3, packs=6)
        await desk.codes(middle, level=2, packs=3)
        case, inner = box(1, CASE_IDENT), [box(1, middle), box(2, middle)]
        await desk.post(
            MAKER,
            "/packings/bulk",
            [{"parent": case, "children": inner}, {"parent": inner[0], "children": boxes(3)}],
        )
        (answer,) = await desk.capture(line.bill([case]))
        assert (answer["accepted"], answer["packs"]) == (4, 6)

    async def test_a_case_of_several_products_must_be_opened(self, desk: Desk, line: Line) -> None:
        await desk.codes(CASE_IDENT, level=3, packs=2)
        case = box(1, CASE_IDENT)
        await desk.post("operator", "/packings/bulk", [{"parent": case, "children": [box(1), box(1, OTHER_IDENT)]}])
        (answer,) = await desk.capture(line.bill([case]))
        assert reasons(answer) == {case: "mixed_case"}


class TestMoves:
    """What was received is sold once, and comes back as what it was."""

    @pytest.fixture
    async def stock(self, desk: Desk, line: Line) -> list[str]:
        codes = boxes(5)
        await desk.capture(line.bill(codes, "IN"))
        return codes

    async def test_a_box_is_sold_once(self, desk: Desk, stock: list[str], worker: WorkerInHand) -> None:
        (first,) = await desk.capture(bill(stock[:2], "S1"))
        (again,) = await desk.capture(bill(stock[:1], "S2"))
        assert (first["accepted"], reasons(again)) == (2, {stock[0]: "already_sold"})
        anomaly = (await desk.get(HOSPITAL, "/anomalies", kind="already_sold")).json()["items"][0]
        assert (anomaly["severity"], anomaly["code"]) == ("medium", stock[0])

    async def test_a_box_sold_elsewhere_weighs_more(self, desk: Desk, stock: list[str]) -> None:
        await desk.capture(bill(stock[:1], "S1"))
        (again,) = await desk.capture(bill(stock[:2], "S1"), who=OTHER_HOSPITAL)
        assert reasons(again) == {stock[0]: "already_sold", stock[1]: "no_inbound"}
        found = (await desk.get(OTHER_HOSPITAL, "/anomalies")).json()["items"]
        assert {(one["kind"], one["severity"]) for one in found} == {("already_sold", "high"), ("no_inbound", "high")}
        assert HOSPITAL not in str(found) + str(again)

    async def test_a_pack_is_sold_in_parts_up_to_what_it_holds(self, desk: Desk, stock: list[str]) -> None:
        def split(number: str, quantity: int) -> dict[str, Any]:
            return bill([], number, splits=[{"code": stock[0], "quantity": quantity}])

        parts = [await desk.capture(split(f"S{place}", quantity)) for place, quantity in enumerate((20, 4, 1))]
        assert [answer["accepted"] for (answer,) in parts] == [1, 1, 0]
        assert reasons(parts[2][0]) == {stock[0]: "already_sold"}
        (whole,) = await desk.capture(bill(stock[:1], "S9"))
        assert reasons(whole) == {stock[0]: "already_sold"}
        back = {"reason_code": "1", "reason": "not needed"}
        (returned,) = await desk.capture(bill([], "R1", "116", splits=[{"code": stock[0], "quantity": 24}], **back))
        (over,) = await desk.capture(bill([], "R2", "116", splits=[{"code": stock[0], "quantity": 1}], **back))
        assert (returned["accepted"], reasons(over)) == (1, {stock[0]: "not_sold"})
        (whole,) = await desk.capture(bill(stock[:1], "S10"))
        assert whole["accepted"] == 1

    async def test_a_return_lets_a_box_be_sold_again(self, desk: Desk, stock: list[str]) -> None:
        await desk.capture(bill(stock[:1], "S1"))
        (back,) = await desk.capture(bill(stock[:2], "R1", "103", reason_code="1", reason="ward"))
        (again,) = await desk.capture(bill(stock[:1], "S2"))
        assert (back["accepted"], reasons(back), again["accepted"]) == (1, {stock[1]: "not_sold"}, 1)
        life = (await desk.get(HOSPITAL, f"/codes/{stock[0]}")).json()
        assert [move["move"] for move in life["movements"]] == ["sell", "take_back", "sell"]
        assert life["received"]["state"] == "O"

    async def test_placeholders_are_counted_without_a_check(self, desk: Desk, stock: list[str]) -> None:
        (answer,) = await desk.capture(bill(["9" * 20, "9" * 20, stock[0]], "S1"))
        assert (answer["placeholders"], answer["accepted"], answer["refused"]) == (2, 1, [])

    async def test_selling_as_another_product_is_a_mismatch(self, desk: Desk, stock: list[str]) -> None:
        (answer,) = await desk.capture(bill(stock[:1], "S1", product_code="XA02BCP073A001010100484"))
        assert reasons(answer) == {stock[0]: "mismatch"}

    async def test_what_goes_back_to_the_distributor_no_longer_covers_and_may_be_received_elsewhere(
        self, desk: Desk, stock: list[str], line: Line, worker: WorkerInHand
    ) -> None:
        why = {"reason_code": "3", "reason": "damaged carton"}
        (back,) = await desk.capture(bill(stock[:2], "R1", "202", **why))
        assert back["accepted"] == 2
        assert (await desk.receipt(line))["packs_captured"] == 3
        elsewhere = Line(10, hospital=OTHER_HOSPITAL)
        await worker.deliver(elsewhere.dispatched())
        (landed,) = await desk.capture(elsewhere.bill(stock[:2]), who=OTHER_HOSPITAL)
        assert landed["accepted"] == 2
        life = (await desk.get(HOSPITAL, f"/codes/{stock[0]}")).json()
        assert (life["received"], [move["move"] for move in life["movements"]]) == (None, ["send_back"])

    async def test_what_is_passed_on_still_covers(self, desk: Desk, stock: list[str], line: Line) -> None:
        await desk.capture(bill(stock[:2], "P1", "209"))
        (landed,) = await desk.capture(bill(stock[:2], "P1", "107"), who=OTHER_HOSPITAL)
        assert landed["accepted"] == 2
        assert (await desk.receipt(line))["packs_captured"] == 5

    async def test_what_was_destroyed_is_never_sold(self, desk: Desk, stock: list[str]) -> None:
        witness = {"name": "王", "id_number": "330102199001011234"}
        (destroyed,) = await desk.capture(
            bill(stock[:1], "W1", "205", executor=witness, supervisor={**witness, "name": "李"})
        )
        (sold,) = await desk.capture(bill(stock[:1], "S1"))
        assert (destroyed["accepted"], reasons(sold)) == (1, {stock[0]: "written_off"})

    async def test_two_sales_of_one_box_at_once_are_one(self, desk: Desk, stock: list[str]) -> None:
        answers = await asyncio.gather(*(desk.capture(bill(stock, f"S{number}")) for number in range(3)))
        assert sum(answer["accepted"] for (answer,) in answers) == len(stock)

    async def test_recalled_and_expired_goods_are_not_sold(
        self, desk: Desk, stock: list[str], worker: WorkerInHand
    ) -> None:
        await desk.post(MAKER, "/recalls", recall())
        (sold,) = await desk.capture(bill(stock, "S1"))
        assert set(reasons(sold).values()) == {"recalled"}

    async def test_several_bills_of_one_call_see_what_the_ones_before_did(self, desk: Desk, stock: list[str]) -> None:
        first, second, third = await desk.capture(
            bill(stock[:1], "S1"),
            bill(stock[:1], "R1", "116", reason_code="1", reason="x"),
            bill(stock[:2], "S2"),
        )
        assert [first["accepted"], second["accepted"], third["accepted"]] == [1, 1, 2]


def recall(*lots: str) -> dict[str, Any]:
    return {
        "product_code": "XA01ABD075A002010100483",
        "lot_numbers": list(lots) or ["240101"],
        "reason": "particles",
    }


class TestRecalls:
    """Recalled lots are refused, and whoever holds them is found."""

    async def test_recalled_lots_are_refused_until_the_recall_is_closed(
        self, desk: Desk, line: Line, worker: WorkerInHand
    ) -> None:
        opened = (await desk.post(MAKER, "/recalls", recall())).json()
        (refused,) = await desk.capture(line.bill(boxes(3)))
        assert set(reasons(refused).values()) == {"recalled"}
        assert [kind for kind, _ in await flagged(worker)] == ["recalled"]
        closed = await desk.post(MAKER, f"/recalls/{opened['id']}/close", {"reason": "all back"})
        assert closed.json()["state"] == "closed"
        (landed,) = await desk.capture(line.bill(boxes(3), "B2"))
        assert landed["accepted"] == 3
        again = await desk.post(MAKER, f"/recalls/{opened['id']}/close", {"reason": "all back"})
        assert again.json()["code"] == "recall_not_open"
        names = [type(fact).__name__ for fact in await worker.said()]
        assert names.count("RecallOpened") == names.count("RecallClosed") == 1

    async def test_holders_are_found_at_the_opening_and_later_and_shown_by_scope(
        self, desk: Desk, line: Line, worker: WorkerInHand
    ) -> None:
        opened = (await desk.post(MAKER, "/recalls", recall())).json()
        await worker.meet_deadlines()
        later = Line(4, hospital=OTHER_HOSPITAL)
        await worker.deliver(later.dispatched(), later.accepted())
        await worker.meet_deadlines()
        path = f"/recalls/{opened['id']}"

        async def held(who: str) -> dict[str, int]:
            shown = (await desk.get(who, path)).json()
            return {one["institution_code"]: one["packs"] for one in shown["held_by"]}

        assert await held(MAKER) == {HOSPITAL: 10, OTHER_HOSPITAL: 4}
        assert await held("authority") == {HOSPITAL: 10, OTHER_HOSPITAL: 4}
        assert await held(HOSPITAL) == {HOSPITAL: 10}
        assert await held("far authority") == {}

    async def test_goods_of_another_lot_are_not_touched(self, desk: Desk, line: Line, worker: WorkerInHand) -> None:
        await desk.post(MAKER, "/recalls", recall("999999"))
        (answer,) = await desk.capture(line.bill(boxes(3)))
        assert answer["accepted"] == 3


def test_no_scene_expires_before_it_is_played() -> None:
    assert date(2027, 12, 31) > clock.today()
    assert IDENT != CASE_IDENT
