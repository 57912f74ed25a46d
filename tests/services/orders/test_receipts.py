"""What became of accepted goods: codes and payments arrive in either order, repeated, late, and come to the same."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from shared.events.settlement import PaidLine, PaymentFailed, PaymentPaid
from shared.events.traceability import CoverageShort, CoverageVerified
from tests.house import WorkerInHand
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import DISTRIBUTOR, HOSPITAL, SPACE, goods

AT = datetime(2026, 3, 9, tzinfo=UTC)


async def accepted(hand: Hand) -> Any:
    """A shipment of two lots of one line, accepted."""
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    return await hand.accept(await hand.ship(placed["id"], "PS-1", goods(quantity=60), goods(quantity=40, lot="A2")))


def coverage(line: Any, shipment: Any, covered: int) -> CoverageShort | CoverageVerified:
    """What traceability says of one shipment line."""
    fields = {
        "receipt_id": uuid5(SPACE, line["id"]),
        "shipment_line_id": UUID(line["id"]),
        "order_id": UUID(shipment["order_id"]),
        "order_line_id": UUID(line["order_line_id"]),
        "institution_code": HOSPITAL,
        "distributor_code": DISTRIBUTOR,
        "region": "330102",
        "product_code": line["product_code"],
        "quantity_accepted": line["quantity"],
        "quantity_covered": covered,
    }
    if covered < line["quantity"]:
        return CoverageShort(**fields)
    return CoverageVerified(**fields, verified_at=AT)


def payment(
    shipment: Any, amounts: dict[int, str], payment_id: UUID | None = None, step: int = 0, **of_sheet: Any
) -> PaymentPaid:
    """What settlement says of the lines of a shipment, by their place."""
    lines = paid_lines(shipment, amounts, step)
    return PaymentPaid(
        payment_id=payment_id or uuid4(),
        run_id=uuid4(),
        institution_code=HOSPITAL,
        distributor_code=DISTRIBUTOR,
        region="330102",
        amount_yuan=sum((line.amount_yuan for line in lines), Decimal(0)),
        paid_at=AT,
        lines=lines,
        **{"sheet_id": uuid4(), **of_sheet},
    )


def failure(
    shipment: Any,
    amounts: dict[int, str],
    payment_id: UUID | None = None,
    step: int = 0,
    returned: bool = True,
    **of_sheet: Any,
) -> PaymentFailed:
    """The bank paid nothing, or took back what it had paid; the amounts are what is paid now."""
    return PaymentFailed(
        payment_id=payment_id or uuid4(),
        run_id=uuid4(),
        institution_code=HOSPITAL,
        distributor_code=DISTRIBUTOR,
        region="330102",
        amount_yuan=Decimal("740.70"),
        reason="账户已销户",
        returned=returned,
        lines=paid_lines(shipment, amounts, step),
        **{"sheet_id": uuid4(), **of_sheet},
    )


def paid_lines(shipment: Any, amounts: dict[int, str], step: int) -> tuple[PaidLine, ...]:
    return tuple(
        PaidLine(
            payable_id=uuid5(SPACE, "payable" + shipment["lines"][place]["id"]),
            shipment_line_id=UUID(shipment["lines"][place]["id"]),
            order_id=UUID(shipment["order_id"]),
            order_line_id=UUID(shipment["lines"][place]["order_line_id"]),
            amount_yuan=Decimal(amount),
            step=step,
        )
        for place, amount in amounts.items()
    )


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_coverage_and_payment_come_to_the_same_in_every_order(
    hand: Hand, worker: WorkerInHand, order: tuple[int, ...]
) -> None:
    shipment = await accepted(hand)
    first, second = shipment["lines"]
    facts = [
        (1, coverage(first, shipment, 20)),
        (2, coverage(first, shipment, 60)),
        (1, payment(shipment, {0: "740.70", 1: "100.00"})),
    ]
    await worker.deliver(coverage(second, shipment, 15))
    for place in (*order, *order):
        sequence, fact = facts[place]
        await worker.deliver(fact, sequence=sequence)
    (line,) = (await hand.see(f"/orders/{shipment['order_id']}"))["lines"]
    assert (line["quantity_traced"], line["paid_yuan"]) == (75, "840.70")
    assert await worker.dead_letters() == []


@pytest.mark.parametrize("newer_first", [False, True])
async def test_a_late_short_never_takes_back_a_verified(hand: Hand, worker: WorkerInHand, newer_first: bool) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    facts = [(1, coverage(line, shipment, 20)), (2, coverage(line, shipment, 60))]
    for sequence, fact in reversed(facts) if newer_first else facts:
        await worker.deliver(fact, sequence=sequence)
    (seen,) = (await hand.see(f"/orders/{shipment['order_id']}"))["lines"]
    assert seen["quantity_traced"] == 60


async def test_steps_of_one_receipt_in_one_batch_keep_the_last(hand: Hand, worker: WorkerInHand) -> None:
    shipment = await accepted(hand)
    line = shipment["lines"][0]
    await worker.deliver(*(coverage(line, shipment, covered) for covered in (10, 20, 30)))
    (seen,) = (await hand.see(f"/orders/{shipment['order_id']}"))["lines"]
    assert seen["quantity_traced"] == 30


async def test_a_payment_is_counted_once_and_told_once(hand: Hand, worker: WorkerInHand) -> None:
    shipment = await accepted(hand)
    paid = payment(shipment, {0: "740.70"})
    await worker.redeliver(await worker.deliver(paid))
    await worker.deliver(paid)  # as if the inbox had forgotten
    await worker.deliver(payment(shipment, {1: "493.80"}, paid.payment_id))  # the other part of the same payment
    seen = await hand.see(f"/orders/{shipment['order_id']}")
    assert (seen["paid_yuan"], seen["amount_yuan"]) == ("1234.50", "1234.50")
    deeds = (await hand.see(f"/orders/{shipment['order_id']}/timeline"))["deeds"]
    paid = [deed["detail"]["changes"]["paid_yuan"] for deed in deeds if deed["action"] == "paid"]
    assert paid == [["0.00", "740.70"], ["0.00", "493.80"]]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("later_first", [False, True])
async def test_payments_tell_totals_of_which_the_largest_counts(
    hand: Hand, worker: WorkerInHand, later_first: bool, together: bool
) -> None:
    shipment = await accepted(hand)
    payments = [payment(shipment, {0: "300.00"}), payment(shipment, {0: "740.70"})]
    payments = payments[::-1] if later_first else payments
    for batch in [payments] if together else [[one] for one in payments]:
        await worker.deliver(*batch)
    assert (await hand.see(f"/orders/{shipment['order_id']}"))["paid_yuan"] == "740.70"


async def test_money_that_comes_back_is_not_paid_and_the_timeline_says_why(hand: Hand, worker: WorkerInHand) -> None:
    shipment = await accepted(hand)
    key = uuid4()
    await worker.deliver(payment(shipment, {0: "740.70", 1: "493.80"}, key, step=4))
    messages = await worker.deliver(failure(shipment, {0: "0.00", 1: "0.00"}, key, step=5))
    await worker.redeliver(messages)
    await worker.deliver(failure(shipment, {0: "0.00", 1: "0.00"}, key, step=5))  # as if the inbox had forgotten
    seen = await hand.see(f"/orders/{shipment['order_id']}")
    assert (seen["paid_yuan"], seen["lines"][0]["paid_yuan"]) == ("0.00", "0.00")
    deeds = (await hand.see(f"/orders/{shipment['order_id']}/timeline"))["deeds"]
    told = [(deed["action"], deed["detail"]) for deed in deeds if deed["action"].startswith("pa")]
    assert told == [
        ("paid", {"payment_id": str(key), "changes": {"paid_yuan": ["0.00", "1234.50"]}, "lines": [1]}),
        (
            "payment_returned",
            {
                "payment_id": str(key),
                "changes": {"paid_yuan": ["1234.50", "0.00"]},
                "lines": [1],
                "reason": "账户已销户",
            },
        ),
    ]


async def test_a_payment_that_the_bank_refused_is_told_and_leaves_what_is_paid(
    hand: Hand, worker: WorkerInHand
) -> None:
    shipment = await accepted(hand)
    await worker.deliver(payment(shipment, {0: "300.00"}, step=4))
    await worker.deliver(failure(shipment, {0: "300.00"}, step=7, returned=False))
    seen = await hand.see(f"/orders/{shipment['order_id']}")
    deed = (await hand.see(f"/orders/{shipment['order_id']}/timeline"))["deeds"][-1]
    assert (seen["paid_yuan"], deed["action"], deed["detail"]["reason"]) == ("300.00", "payment_failed", "账户已销户")
    assert "changes" not in deed["detail"]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_payments_and_returns_come_to_the_same_in_every_order(
    hand: Hand, worker: WorkerInHand, order: tuple[int, ...], together: bool
) -> None:
    shipment = await accepted(hand)
    facts = [
        payment(shipment, {0: "740.70", 1: "493.80"}, step=4),
        failure(shipment, {0: "0.00", 1: "0.00"}, step=5),
        payment(shipment, {0: "600.00"}, step=7),
    ]
    told = [facts[place] for place in order]
    for batch in [told] if together else [[fact] for fact in told]:
        await worker.deliver(*batch)
    await worker.deliver(*(facts[place] for place in order))
    assert (await hand.see(f"/orders/{shipment['order_id']}"))["paid_yuan"] == "600.00"
    assert await worker.dead_letters() == []


async def test_the_timeline_tells_how_far_codes_cover(hand: Hand, worker: WorkerInHand) -> None:
    shipment = await accepted(hand)
    await worker.deliver(coverage(shipment["lines"][0], shipment, 60))
    deed = (await hand.see(f"/orders/{shipment['order_id']}/timeline", "distributor", DISTRIBUTOR))["deeds"][-1]
    changes = {"quantity_traced": [0, 60]}
    assert (deed["action"], deed["detail"]) == ("traced", {"line_number": 1, "accepted": 60, "changes": changes})
    assert deed["organisation"] == "platform"


async def test_who_speaks_of_goods_that_are_not_known_here_is_kept_for_a_person(
    hand: Hand, worker: WorkerInHand
) -> None:
    shipment = await accepted(hand)
    unknown = {**shipment["lines"][0], "id": str(uuid4())}
    await worker.deliver(coverage(unknown, shipment, 1), coverage(shipment["lines"][0], shipment, 60))
    (letter,) = await worker.dead_letters()
    assert "shipment_not_found" in letter["reason"]
    (line,) = (await hand.see(f"/orders/{shipment['order_id']}"))["lines"]
    assert line["quantity_traced"] == 60
