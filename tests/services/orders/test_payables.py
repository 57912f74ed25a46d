"""What settlement says of payables and sheets, in whatever order, makes the timeline say who acts next on money and by when."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from shared.events.settlement import (
    PayableHeld,
    PayableOpened,
    PayableReleased,
    PaymentDoubted,
    PaymentSent,
    ReceivingAccountChanged,
    SheetConfirmed,
    SheetIssued,
    SheetPart,
    SheetReturned,
)
from tests.house import WorkerInHand
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import DISTRIBUTOR, HOSPITAL, MAKER, NOW, SPACE
from tests.services.orders.test_receipts import accepted, coverage, failure, payment

DUE_ON, CONFIRM_BY = date(2026, 4, 1), date(2026, 4, 8)
DUE, CONFIRM = "2026-04-01T16:00:00Z", "2026-04-08T16:00:00Z"
PARTIES = {"institution_code": HOSPITAL, "distributor_code": DISTRIBUTOR, "region": "330102"}
CODES_BY, MONTH_OVER = "2026-03-05T01:00:00Z", "2026-03-31T16:00:00Z"
MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
SHEET_OF_APRIL = uuid5(SPACE, "sheet of April")
SHEET = uuid5(SPACE, "sheet of March")


def about(line: Any, shipment: Any) -> dict[str, Any]:
    """What every event about the payable of a shipment line begins with."""
    return {
        "payable_id": uuid5(SPACE, "payable" + line["id"]),
        "shipment_line_id": UUID(line["id"]),
        "order_id": UUID(shipment["order_id"]),
        "order_line_id": UUID(line["order_line_id"]),
        **PARTIES,
    }


def opened(line: Any, shipment: Any, required: bool) -> PayableOpened:
    return PayableOpened(
        **about(line, shipment),
        shipment_id=UUID(shipment["id"]),
        product_code=line["product_code"],
        quantity=line["quantity"],
        amount_yuan=Decimal("1.00"),
        accepted_at=NOW,
        due_on=DUE_ON,
        codes_required=required,
    )


def released(line: Any, shipment: Any, **more: Any) -> PayableReleased:
    quantity, yuan = line["quantity"], Decimal("1.00")
    return PayableReleased(
        **about(line, shipment), quantity_released=quantity, amount_released_yuan=yuan, complete=True, **more
    )


def held(line: Any, shipment: Any, reason: str, disputed: str | None, **more: Any) -> PayableHeld:
    return PayableHeld(**about(line, shipment), reason=reason, disputed=disputed, **more)


def issued(sheet_id: UUID = SHEET, month: date = MARCH, due_on: date | None = None) -> SheetIssued:
    figures: dict[str, Any] = {"amount_yuan": Decimal("1.00"), "line_count": 1, "confirm_by": CONFIRM_BY}
    return SheetIssued(sheet_id=sheet_id, month=month, **PARTIES, **figures, due_on=due_on)


def confirmed(sheet_id: UUID = SHEET, month: date = MARCH) -> SheetConfirmed:
    return SheetConfirmed(sheet_id=sheet_id, month=month, **PARTIES, amount_yuan=Decimal("1.00"))


def account(state: str, name: str = "first", region: str = "330000") -> ReceivingAccountChanged:
    account_id = uuid5(SPACE, f"account {name} {region}")
    return ReceivingAccountChanged(account_id=account_id, supplier_code=DISTRIBUTOR, region=region, state=state)


@pytest.fixture
async def account_confirmed(worker: WorkerInHand) -> None:
    await worker.deliver(account("confirmed"))


async def next_of(hand: Hand, shipment: Any, *who: str) -> list[tuple[str, str, str | None]]:
    """Who acts next on the order of a shipment, on what and by when; each line of it says the same."""
    timeline = await hand.see(f"/orders/{shipment['order_id']}/timeline", *who)
    assert timeline["state"] == "closed"
    assert (await hand.see(f"/orders/{shipment['order_id']}/lines/1/timeline", *who))["next"] == timeline["next"]
    return [(step["who"]["role"], step["what"], step["by"]) for step in timeline["next"]]


def issue(yuan: str) -> tuple[str, str, str]:
    return "platform", f"issue the sheet when the month has closed; {yuan} yuan for line 1 wait for it", MONTH_OVER


def again(by: str) -> list[tuple[str, str, str]]:
    """What settlement says of a sheet after a payment that failed."""
    reason = "账户已销户"
    return [
        ("agency", f"take the sheet into another payment run; the bank did not pay: {reason}", by),
        ("distributor", f"name another receiving account if this is why the bank did not pay: {reason}", by),
    ]


def confirm(yuan: str, month: int = 3) -> tuple[str, str, str]:
    what = f"confirm the sheet of 2026-0{month}, or dispute lines of it; {yuan} yuan for line 1 wait for it"
    return "hospital", what, CONFIRM


def pay(yuan: str) -> tuple[str, str, str]:
    return "agency", f"pay {yuan} yuan for line 1", DUE


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_codes_and_money_that_are_missing_are_told_with_their_day_in_every_order(
    hand: Hand, worker: WorkerInHand, order: tuple[int, ...]
) -> None:
    shipment = await accepted(hand)
    coded, exempt = shipment["lines"]
    assert await next_of(hand, shipment) == []
    told: list[tuple[Any, int]] = [
        (opened(coded, shipment, True), 1),
        (opened(exempt, shipment, False), 1),
        (coverage(coded, shipment, 20), 1),
        (released(exempt, shipment), 2),
    ]
    for place in (*order, *order):
        fact, sequence = told[place]
        await worker.deliver(fact, sequence=sequence)
    capture = ("hospital", f"capture codes of 40 of 60 {coded['unit']} of line 1", CODES_BY)
    assert await next_of(hand, shipment) == [capture, issue("740.70")]
    assert await worker.dead_letters() == []


@pytest.mark.usefixtures("account_confirmed")
@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_release_sheet_and_confirmation_come_to_the_agency_in_every_order(
    hand: Hand, worker: WorkerInHand, driven_clock: Any, order: tuple[int, ...]
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    driven_clock(NOW + timedelta(days=31))
    facts: list[tuple[Any, int]] = [
        (opened(line, shipment, False), 1),
        (released(line, shipment), 2),
        (issued(), 1),
        (confirmed(), 2),
    ]
    for place in (*order, *order):
        fact, sequence = facts[place]
        await worker.deliver(fact, sequence=sequence, at=NOW + timedelta(days=place))
    assert await next_of(hand, shipment) == [pay("740.70")]
    assert await worker.dead_letters() == []


@pytest.mark.parametrize("order", list(permutations(range(5))), ids=str)
async def test_the_account_of_a_supplier_is_seen_to_before_the_agency_pays_in_every_order(
    hand: Hand, worker: WorkerInHand, order: tuple[int, ...]
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    await worker.deliver(opened(line, shipment, False))
    await worker.deliver(released(line, shipment), sequence=2, at=NOW)
    facts: list[tuple[Any, int]] = [
        (issued(), 1),
        (confirmed(), 2),
        (account("refused"), 2),
        (account("named"), 1),
        (account("confirmed", region="440000"), 2),
    ]
    for place in (*order, *order):
        fact, sequence = facts[place]
        await worker.deliver(fact, sequence=sequence, at=NOW + timedelta(days=30 + place))
    name = "name a receiving account for region 330102 or one around it; nothing is paid without"
    assert await next_of(hand, shipment) == [("distributor", name, DUE)]
    await worker.deliver(account("named", "another"), sequence=1)
    ((role, what, by),) = await next_of(hand, shipment)
    assert (role, what.startswith("confirm or refuse the receiving account of"), by) == ("agency", True, DUE)
    await worker.deliver(account("confirmed", "another"), sequence=2)
    assert await next_of(hand, shipment) == [pay("740.70")]
    await worker.deliver(account("named", "a third"), sequence=1)
    assert await next_of(hand, shipment) == [pay("740.70")]


@pytest.mark.usefixtures("account_confirmed")
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_a_sheet_that_was_sent_back_waits_for_the_hospital_again_in_every_order(
    hand: Hand, worker: WorkerInHand, order: tuple[int, ...]
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    await worker.deliver(opened(line, shipment, False))
    await worker.deliver(released(line, shipment), sequence=2, at=NOW)
    again_by = CONFIRM_BY + timedelta(days=5)
    returned = SheetReturned(
        sheet_id=SHEET, month=MARCH, **PARTIES, amount_yuan=Decimal("1.00"), reason="金额不符", confirm_by=again_by
    )
    facts: list[Any] = [issued(), confirmed(), returned]
    for place in (*order, *order):
        await worker.deliver(facts[place], sequence=place + 1, at=NOW + timedelta(days=30 + place))
    role, what, _ = confirm("740.70")
    assert await next_of(hand, shipment) == [(role, what, "2026-04-13T16:00:00Z")]
    await worker.deliver(confirmed(), sequence=4, at=NOW + timedelta(days=33))
    assert await next_of(hand, shipment) == [pay("740.70")]


@pytest.mark.usefixtures("account_confirmed")
async def test_the_money_for_a_line_goes_from_sheet_to_hospital_to_agency_and_back_when_it_bounces(
    hand: Hand, worker: WorkerInHand
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    await worker.deliver(opened(line, shipment, False))
    await worker.deliver(released(line, shipment), sequence=2, at=NOW)
    assert await next_of(hand, shipment) == [issue("740.70")]
    await worker.deliver(issued(), at=NOW + timedelta(days=30))
    assert await next_of(hand, shipment) == [confirm("740.70")]
    await worker.deliver(confirmed(), sequence=2, at=NOW + timedelta(days=31))
    assert await next_of(hand, shipment) == [pay("740.70")]
    await worker.deliver(payment(shipment, {0: "740.70"}))
    assert await next_of(hand, shipment) == []
    await worker.deliver(failure(shipment, {0: "0.00"}, step=1))
    assert await next_of(hand, shipment) == [pay("740.70")]


@pytest.mark.usefixtures("account_confirmed")
@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_a_payment_under_way_waits_for_the_bank_and_one_in_doubt_for_who_finds_out_in_every_order(
    hand: Hand, worker: WorkerInHand, order: tuple[int, ...]
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    await worker.deliver(opened(line, shipment, False))
    await worker.deliver(released(line, shipment), sequence=2, at=NOW)
    await worker.deliver(issued(), confirmed(), at=NOW + timedelta(days=30))
    of_sheet: dict[str, Any] = {"sheet_id": SHEET, "month": MARCH}
    told = {**PARTIES, **of_sheet, "run_id": uuid4(), "payment_id": uuid4(), "amount_yuan": Decimal("740.70")}
    await worker.deliver(PaymentSent(**told, sent_at=NOW), at=NOW + timedelta(days=31))
    assert await next_of(hand, shipment) == [
        ("bank", "pay and answer; it is asked again under the same key", DUE),
    ]
    facts: list[Any] = [
        failure(shipment, {0: "0.00"}, step=1, **of_sheet),
        PaymentDoubted(**told, in_doubt=True),
        PaymentDoubted(**told, in_doubt=False),
        payment(shipment, {0: "740.70"}, step=2, **of_sheet),
    ]
    for place in (*order, *order):
        await worker.deliver(facts[place], sequence=place + 2, at=NOW + timedelta(days=32 + place))
    assert await next_of(hand, shipment) == []
    await worker.deliver(PaymentDoubted(**told, in_doubt=True), sequence=6, at=NOW + timedelta(days=40))
    ((role, what, by),) = await next_of(hand, shipment)
    assert (role, what.split(",")[0], by) == ("agency", "find out with the bank whether the payment was made", DUE)
    await worker.deliver(failure(shipment, {0: "0.00"}, step=3, **of_sheet), at=NOW + timedelta(days=41))
    await worker.deliver(PaymentDoubted(**told, in_doubt=False), sequence=7, at=NOW + timedelta(days=41))
    assert await next_of(hand, shipment) == again(DUE)


@pytest.mark.usefixtures("account_confirmed")
@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
async def test_a_dispute_and_its_end_come_to_the_same_in_every_order(
    hand: Hand, worker: WorkerInHand, order: tuple[int, ...]
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    await worker.deliver(opened(line, shipment, False))
    await worker.deliver(issued(), at=NOW + timedelta(days=1))
    dispute = "数量不符"
    facts = [
        released(line, shipment),
        held(line, shipment, dispute, dispute),
        held(line, shipment, "lot A1 is recalled", dispute),
        released(line, shipment),
    ]
    for place in order:
        await worker.deliver(facts[place], sequence=place + 2, at=NOW + timedelta(days=place))
    assert await next_of(hand, shipment) == [issue("740.70")]  # it left the sheet, and goes onto a later one
    await worker.deliver(issued(uuid4(), date(2026, 4, 1)), at=NOW + timedelta(days=9))
    ((role, what, _),) = await next_of(hand, shipment)
    assert (role, what.split(",")[0]) == ("hospital", "confirm the sheet of 2026-04")


async def test_a_line_that_left_its_sheet_at_the_instant_of_its_issue_waits_for_the_next_sheet(
    hand: Hand, worker: WorkerInHand
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    left = {"on_sheets": (SheetPart(sheet_id=SHEET, amount_yuan=Decimal("0.00")),)}
    await worker.deliver(opened(line, shipment, False), issued(), confirmed(), at=NOW)
    await worker.deliver(held(line, shipment, "数量不符", "数量不符", **left), sequence=3, at=NOW)
    assert [what for _, what, _ in await next_of(hand, shipment)] == ["settle the dispute over line 1: 数量不符"]
    await worker.deliver(released(line, shipment, **left), sequence=4, at=NOW)
    assert await next_of(hand, shipment) == [issue("740.70")]


@pytest.mark.parametrize("later_first", [False, True])
async def test_what_is_disputed_says_why_and_stays_so_when_more_codes_come(
    hand: Hand, worker: WorkerInHand, later_first: bool
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    await worker.deliver(opened(line, shipment, True), coverage(line, shipment, 60))
    disputed: dict[str, Any] = {"disputed": "数量不符", "resolve_by": date(2026, 3, 20)}
    facts = [(held(line, shipment, "数量不符", **disputed), 3), (released(line, shipment, **disputed), 4)]
    for fact, sequence in reversed(facts) if later_first else facts:
        await worker.deliver(fact, sequence=sequence)
    settle = ("hospital", "settle the dispute over line 1: 数量不符", "2026-03-20T16:00:00Z")
    assert await next_of(hand, shipment) == [settle]


@pytest.mark.usefixtures("account_confirmed")
@pytest.mark.parametrize("order", list(permutations(range(5))), ids=str)
async def test_the_older_of_two_sheets_is_told_until_it_is_paid_in_every_order(
    hand: Hand, worker: WorkerInHand, order: tuple[int, ...]
) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    part = SheetPart(sheet_id=SHEET, amount_yuan=Decimal("700.00"))
    await worker.deliver(opened(line, shipment, False))
    await worker.deliver(released(line, shipment), sequence=2, at=NOW)
    facts: list[tuple[Any, int, timedelta]] = [
        (issued(due_on=date(2026, 3, 29)), 1, timedelta(days=30)),
        (confirmed(), 2, timedelta(days=31)),
        (released(line, shipment, on_sheets=(part,)), 3, timedelta(days=32)),
        (issued(SHEET_OF_APRIL, APRIL), 1, timedelta(days=60)),
        (failure(shipment, {0: "0.00"}, step=3, sheet_id=SHEET, month=MARCH), 2, timedelta(days=61)),
    ]
    for place in (*order, *order):
        fact, sequence, after = facts[place]
        await worker.deliver(fact, sequence=sequence, at=NOW + after)
    assert await next_of(hand, shipment) == again("2026-03-29T16:00:00Z")
    paid = payment(shipment, {0: "700.00"}, step=5, sheet_id=SHEET, month=MARCH)
    await worker.deliver(paid, sequence=2, at=NOW + timedelta(days=62))
    assert await next_of(hand, shipment) == [confirm("40.70", 4)]
    bounced = failure(shipment, {0: "0.00"}, step=6, sheet_id=SHEET, month=MARCH)
    await worker.deliver(bounced, sequence=3, at=NOW + timedelta(days=63))
    assert await next_of(hand, shipment) == again("2026-03-29T16:00:00Z")


@pytest.mark.usefixtures("account_confirmed")
async def test_a_maker_sees_no_sheet_and_is_told_what_the_agency_waits_for(hand: Hand, worker: WorkerInHand) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    await worker.deliver(opened(line, shipment, False))
    await worker.deliver(released(line, shipment), sequence=2, at=NOW)
    await worker.deliver(issued(), at=NOW + timedelta(days=30))
    assert await next_of(hand, shipment, "manufacturer", MAKER) == [
        ("agency", "pay 740.70 yuan for line 1, when their sheet is confirmed", DUE)
    ]
    assert await next_of(hand, shipment, "distributor", DISTRIBUTOR) == [confirm("740.70")]


async def test_a_payable_of_unknown_goods_is_a_dead_letter(hand: Hand, worker: WorkerInHand) -> None:
    shipment = await accepted(hand)
    unknown = {**shipment["lines"][0], "id": str(uuid4())}
    await worker.deliver(opened(unknown, shipment, True))
    await worker.deliver(released({**unknown, "id": str(uuid4())}, shipment))
    assert len(await worker.dead_letters()) == 2
