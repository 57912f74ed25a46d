"""The chain across the services shouts when orders says another sum is paid than settlement, in both directions; what two of
them say of one thing is laid side by side, however many things there are."""

import random
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID, uuid4

import asyncpg
import pytest

from deploy import chain
from deploy.chain import SERVICES, inspect, side_by_side
from deploy.replay.reconcile import paid_otherwise
from deploy.services import load
from tests.house import House

PAYABLE = """
INSERT INTO payables (id, shipment_line_id, shipment_id, order_id, order_line_id, order_number, institution_code,
  institution_name, distributor_code, distributor_name, region, product_code, product_kind, product_name, unit, lot_number,
  quantity, unit_price_yuan, amount_yuan, accepted_at, accepted_month, due_on, codes_required, quantity_released,
  released_yuan, sheeted_yuan, paid_yuan, entries, version)
VALUES ($1, $1, $1, $1, $1, 'CG-1', 'H', 'H', 'D', 'D', '330100', 'X', 'western', 'X', '盒', 'L',
  10, 1, 10, now(), '2026-03-01', '2026-04-01', false, 10, 10, 10, $2, 0, 1)
"""
TOLD = """
INSERT INTO line_payments (payable_id, payment_id, order_id, order_line_id, institution_code, distributor_code,
  manufacturer_code, region, amount_yuan, step)
VALUES ($1, $1, $1, $1, 'H', 'D', 'M', '330100', $2, 4)
"""
POSTED = """
INSERT INTO transfers (payable_id, step, kind, debit_account, credit_account, amount_yuan, booked_at, institution_code,
  distributor_code, region)
VALUES ($1, 1, 'opened_released', 'goods_accepted', 'claim_released', $2, now(), 'H', 'D', '330100')
"""
RECORDED = """
INSERT INTO outbox (event_id, type, subject, sequence, payload) VALUES ($1, 'x.done.v1', 'a', $2, '')
"""
UNBOUND = "SET session_replication_role = replica"
"""So that a row may stand without the rows it is of."""


async def put(url: str, statement: str, key: UUID, number: Decimal | int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(UNBOUND)
        await connection.execute(statement, key, number)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("paid", "told", "untold", "unpaid"),
    [
        ("10.00", "10.00", 0, 0),
        ("10.00", None, 1, 0),
        ("10.00", "9.99", 1, 0),
        ("0.00", "10.00", 0, 1),
        ("0.00", "0.00", 0, 0),
        ("0.00", None, 0, 0),
    ],
)
async def test_what_is_paid_is_compared_in_both_directions(
    house: House, paid: str, told: str | None, untold: int, unpaid: int
) -> None:
    services = {name: load(name) for name in SERVICES}
    for service in services.values():
        await house.database(service)
    try:
        key = uuid4()
        await put(house.url(services["settlement"]), PAYABLE, key, Decimal(paid))
        if told is not None:
            await put(house.url(services["orders"]), TOLD, key, Decimal(told))
        chain = await inspect(lambda name: house.url(services[name]))
        assert (chain.paid_untold, chain.told_unpaid) == (untold, unpaid)
        assert not (chain.whole and (untold or unpaid))
    finally:
        for service in services.values():
            await house.empty(service)


@pytest.mark.parametrize(
    ("paid", "posted", "differs"),
    [("0.00", "10.00", "0"), ("0.00", None, "20"), ("0.00", "9.99", "0.02"), ("4.00", "10.00", "8")],
)
async def test_the_ledger_is_laid_beside_what_payables_say_account_by_account(
    house: House, paid: str, posted: str | None, differs: str
) -> None:
    services = {name: load(name) for name in SERVICES}
    try:
        url, key = house.url(services["settlement"]), uuid4()
        await put(url, PAYABLE, key, Decimal(paid))
        if posted is not None:
            await put(url, POSTED, key, Decimal(posted))
        chain = await inspect(lambda name: house.url(services[name]))
        assert chain.ledger_sum == Decimal(differs)
    finally:
        for service in services.values():
            await house.empty(service)


async def test_what_a_service_has_by_itself_is_named_with_it(house: House) -> None:
    services = {name: load(name) for name in SERVICES}
    for service in services.values():
        await house.database(service)
    try:
        for sequence in (1, 3):
            await put(house.url(services["settlement"]), RECORDED, uuid4(), sequence)
        await put(house.url(services["alerts"]), RECORDED, uuid4(), 1)
        chain = await inspect(lambda name: house.url(services[name]))
        assert chain.faults == [
            "settlement: events that do not follow the one before of their subject: 1",
            "settlement: events that are not sent: 2",
            "alerts: events that are not sent: 1",
        ]
        assert not chain.whole
    finally:
        for service in services.values():
            await house.empty(service)


def test_the_replay_names_a_line_that_is_paid_otherwise() -> None:
    one, other = Decimal("1.00"), Decimal("2.00")
    assert paid_otherwise({"a": one}, {"a": one}) == []
    assert paid_otherwise({"a": one, "b": one}, {"a": other}) == [
        "2 lines are paid and orders says otherwise, a among them"
    ]
    assert paid_otherwise({}, {"a": one}) == ["1 lines are paid in orders alone, a among them"]


async def test_each_key_is_seen_once_with_all_that_either_says_of_it(
    database_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches that end anywhere, also between two rows of one key."""
    monkeypatch.setattr(chain, "READ_AHEAD", 3)
    chosen = random.Random(7)
    keys = [UUID(int=chosen.getrandbits(128)) for _ in range(60)]
    said = [[(chosen.choice(keys), number) for number in range(40)] for _ in range(2)]
    both = [await asyncpg.connect(database_url(name)) for name in ("orders", "settlement")]
    try:
        for connection, rows in zip(both, said, strict=True):
            await connection.execute("CREATE TEMP TABLE said (key uuid, number int)")
            await connection.executemany("INSERT INTO said VALUES ($1, $2)", rows)
        asked = "SELECT key, number FROM said"
        seen = [
            ({tuple(row) for row in first}, {tuple(row) for row in second})
            async for first, second in side_by_side(both[0], asked, both[1], asked)
        ]
        known = sorted({key for rows in said for key, _ in rows})
        assert seen == [tuple({row for row in rows if row[0] == key} for rows in said) for key in known]
        empty = f"{asked} WHERE false"
        assert [pair async for pair in side_by_side(both[0], empty, both[1], empty)] == []
    finally:
        for connection in both:
            await connection.close()
