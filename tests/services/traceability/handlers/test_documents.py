"""Bills: good codes land, each bad one is refused by itself with its reason, and one bill has one answer."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from services.traceability.handlers.documents import capture_documents
from services.traceability.schemas.documents import CaptureDocument
from shared import clock
from shared.events.traceability import CodeCleared, CoverageShort, CoverageVerified
from shared.identity import Caller
from tests.house import WorkerInHand
from tests.services.traceability.scenes import (
    DISTRIBUTOR,
    HOSPITAL,
    MAKER,
    OTHER_HOSPITAL,
    OTHER_IDENT,
    OTHER_MAKER,
    PRODUCT,
    Desk,
    Line,
    bill,
    box,
    boxes,
    flagged,
    id_made,
    reasons,
)

UNKNOWN_IDENT = "8100000"


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
    assert [one["coverage"]["quantity_covered"] for one in (first, second)] == [1, 2]


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
    assert "send this bill again in 1 second" in late["detail"]
    assert good["accepted"] == 1


@pytest.mark.parametrize(
    ("minutes", "code", "retry"), [(1, "receipt_not_known_yet", "1"), (3, "receipt_not_found", None)]
)
async def test_a_line_that_could_have_arrived_long_ago_gets_a_definite_answer(
    desk: Desk, minutes: int, code: str, retry: str | None
) -> None:
    made = id_made(minutes)
    line = Line(1)
    line.id = made
    (refused,) = await desk.capture(line.bill([box(1)]))
    assert refused["code"] == code
    assert ("send this bill again in 1 second" in refused["detail"]) is (retry is not None)
    assert ("2 minutes after the time in the id the line is refused for good" in refused["detail"]) is (
        retry is not None
    )


async def test_a_line_whose_id_orders_never_made_is_not_on_its_way(desk: Desk) -> None:
    line = Line(1)
    line.id = uuid4()
    (refused,) = await desk.capture(line.bill([box(1)]))
    assert (refused["code"], refused["status"]) == ("receipt_not_found", 404)


@pytest.mark.parametrize("minutes", [1, 60])
async def test_a_foreign_line_looks_as_if_it_were_not_there(desk: Desk, worker: WorkerInHand, minutes: int) -> None:
    foreign, nobodys = Line(10), Line(10)
    foreign.id = id_made(minutes)
    nobodys.id = id_made(minutes)
    await worker.deliver(foreign.dispatched(), foreign.accepted())
    answers = await desk.capture(foreign.bill([box(1)]), nobodys.bill([box(1)]), who=OTHER_HOSPITAL)
    words = [
        one["detail"].replace(str(line.id), "the line") for one, line in zip(answers, (foreign, nobodys), strict=True)
    ]
    assert words[0] == words[1]
    assert answers[0]["code"] == answers[1]["code"]


async def test_more_codes_than_goods_land_with_a_warning_and_an_anomaly_and_cover_no_more(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    (enough,) = await desk.capture(line.bill(boxes(10)))
    assert (enough["warnings"], await flagged(worker)) == ([], [])
    (over,) = await desk.capture(line.bill(boxes(2, 11), "B2"))
    assert [(one["code"], one["reason"]) for one in over["warnings"]] == [(box(11), "surplus")]
    assert (over["accepted"], over["coverage"]["quantity_covered"]) == (2, 10)
    assert await flagged(worker) == [("surplus", "")]
    (anomaly,) = (await desk.get(HOSPITAL, "/anomalies", kind="surplus")).json()["items"]
    assert (anomaly["codes"], anomaly["severity"], anomaly["state"]) == (2, "medium", "open")

    await desk.capture(line.bill([box(13)], "B3"))
    await desk.capture(bill([box(1)], "R1", "202", reason_code="1", reason="another line's"))
    (anomaly,) = (await desk.get(HOSPITAL, "/anomalies", kind="surplus")).json()["items"]
    assert (anomaly["codes"], anomaly["version"]) == (2, 3)
    await desk.capture(bill(boxes(2, 2), "R2", "202", reason_code="1", reason="another line's"))
    (anomaly,) = (await desk.get(HOSPITAL, "/anomalies", kind="surplus")).json()["items"]
    assert (anomaly["state"], anomaly["version"]) == ("closed", 4)
    assert (await desk.receipt(line))["quantity_covered"] == 10
    told = [fact.quantity_covered for fact in await worker.said() if isinstance(fact, CoverageShort | CoverageVerified)]
    assert told == [10]


async def test_many_bills_at_once_beyond_the_goods_make_one_anomaly(desk: Desk, line: Line) -> None:
    await asyncio.gather(*(desk.capture(line.bill(boxes(5, 1 + 5 * number), f"B{number}")) for number in range(5)))
    (anomaly,) = (await desk.get(HOSPITAL, "/anomalies", kind="surplus")).json()["items"]
    assert anomaly["codes"] == 15


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
        {"ident": UNKNOWN_IDENT, "codes": 6, "institutions": 1, "product_codes": [PRODUCT]},
        {"ident": "Q/QH2024*00017", "codes": 1, "institutions": 1, "product_codes": [PRODUCT]},
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
    ended = [fact.finding for fact in await worker.said() if isinstance(fact, CodeCleared)]
    assert [UNKNOWN_IDENT in finding for finding in ended] == [True, False]
    anomalies = (await desk.get(HOSPITAL, "/anomalies")).json()["items"]
    assert {one["state"] for one in anomalies} == {"closed"}


@pytest.mark.parametrize("wrong", ["(01)06924561884075(21)Z9", "010692456188407521Z9"])
async def test_a_gs1_code_with_a_wrong_check_digit_is_refused_for_it(desk: Desk, line: Line, wrong: str) -> None:
    (answer,) = await desk.capture(line.bill([wrong, box(1)]))
    assert (answer["accepted"], reasons(answer)) == (1, {wrong: "unreadable"})
    assert "the check digit of the GTIN is wrong: 5 stands where 4 should" in answer["refused"][0]["rule"]
    asked = await desk.get(HOSPITAL, f"/codes/{wrong}")
    assert (asked.status_code, asked.json()["code"]) == (422, "code_unreadable")


async def test_a_refused_code_says_why_in_the_readers_language_whenever_the_bill_is_read(
    desk: Desk, line: Line
) -> None:
    (answer,) = await desk.capture(line.bill([box(1), box(1), box(2, OTHER_IDENT), ""]))
    assert [one["rule"] for one in answer["refused"]] == [
        "the code stands in this document more than once",
        "empty; what is allowed: 1 to 100 digits, letters or symbols, without control characters",
        "the code means XA02BCP073A001010100484, the line is XA01ABD075A002010100483 (串换)",
    ]
    chinese = {**desk.as_(HOSPITAL), "accept-language": "zh"}
    seen = (await desk.client.get(f"/documents/{answer['id']}", headers=chinese)).json()
    assert [one["rule"] for one in seen["refused"]] == [
        "该码在本单据中多次出现",
        "为空;允许:1 至 100 位数字、字母或符号,不含控制字符",
        "追溯码对应 XA02BCP073A001010100484,该行为 XA01ABD075A002010100483(串换)",
    ]
    assert (await desk.get(HOSPITAL, f"/documents/{answer['id']}")).json() == answer


async def test_an_answer_names_what_nobody_has_uploaded_and_whose_it_probably_is(desk: Desk, line: Line) -> None:
    idents = [f"81{number:05}" for number in range(22)]
    codes = [box(1, ident) for ident in idents]
    (answer,) = await desk.capture(line.bill([*codes, box(2, idents[21])]))
    assert (answer["awaiting"], len(answer["unknown"])) == (23, 20)
    assert answer["unknown"][0] == {
        "ident": idents[21],
        "codes": 2,
        "first_code": codes[21],
        "manufacturer_code": MAKER,
        "manufacturer_name": None,
        "what": f"{MAKER} uploads identification code {idents[21]}, if it is its own; its codes count from then on",
    }
    assert [one["ident"] for one in answer["unknown"][1:]] == idents[:19]
    await desk.codes(idents[21])
    seen = await desk.client.get(f"/documents/{answer['id']}", headers={**desk.as_(HOSPITAL), "accept-language": "zh"})
    assert (
        seen.json()["unknown"][0]["what"] == f"由 {MAKER} 上传药品标识码 {idents[21]}(如为其所有);上传后其追溯码即计入"
    )
    (free,) = await desk.capture(bill([box(9, UNKNOWN_IDENT)], "B9", "107"))
    assert [(one["manufacturer_code"], one["what"].split(" to ")[0]) for one in free["unknown"]] == [
        (None, "ask the manufacturer of these goods")
    ]


async def test_a_maker_sees_unknown_codes_of_its_own_lines_and_no_institution(
    desk: Desk, worker: WorkerInHand, line: Line
) -> None:
    foreign = Line(10, product_code="XA02BCP073A001010100484")
    await worker.deliver(foreign.dispatched(), foreign.accepted())
    await desk.capture(line.bill([box(1, UNKNOWN_IDENT)]), foreign.bill([box(1, "8199998")], "B2"))
    await desk.capture(bill([box(2, UNKNOWN_IDENT), box(1, "8199997")], "B3", "107"))
    own = await desk.get(MAKER, "/unknown-codes")
    assert own.json()["items"] == [{"ident": UNKNOWN_IDENT, "codes": 1, "institutions": 1, "product_codes": [PRODUCT]}]
    assert HOSPITAL not in own.text
    assert [one["ident"] for one in (await desk.get(OTHER_MAKER, "/unknown-codes")).json()["items"]] == ["8199998"]
    assert (await desk.get(DISTRIBUTOR, "/unknown-codes")).status_code == 403
    queue = {one["ident"]: one["product_codes"] for one in (await desk.get(HOSPITAL, "/unknown-codes")).json()["items"]}
    assert queue == {UNKNOWN_IDENT: [PRODUCT], "8199997": [], "8199998": ["XA02BCP073A001010100484"]}
    await desk.codes(UNKNOWN_IDENT)
    await worker.meet_deadlines()
    assert (await desk.get(MAKER, "/unknown-codes")).json()["items"] == []


async def test_codes_that_turn_out_to_be_of_another_product_are_put_out_again(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    await desk.capture(line.bill([box(1, UNKNOWN_IDENT)]))
    await desk.codes(UNKNOWN_IDENT, "XA02BCP073A001010100484", who="operator")
    await worker.meet_deadlines()
    assert (await desk.receipt(line))["packs_captured"] == 0
    assert ("mismatch", box(1, UNKNOWN_IDENT)) in await flagged(worker)
    life = (await desk.get(HOSPITAL, f"/codes/{box(1, UNKNOWN_IDENT)}")).json()
    assert (life["received"], {one["kind"] for one in life["anomalies"]}) == (None, {"mismatch", "unknown"})


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


async def test_a_call_costs_as_many_statements_for_many_codes_as_for_few(desk: Desk, worker: WorkerInHand) -> None:
    line = Line(5000)
    await worker.deliver(line.dispatched(), line.accepted())
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
