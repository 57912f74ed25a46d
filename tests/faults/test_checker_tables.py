"""What the tables of the five do not say the same of, or clients, bank and history otherwise, is seen."""

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from services.settlement.rules.ledger import SIDES, Posting
from tests.deploy.test_chain import PAYABLE, put
from tests.faults.books import Books
from tests.faults.checker import THERE, Findings, check, check_paid, gone, left, untold
from tests.faults.client import Answered


@pytest.mark.parametrize("told", sorted(THERE))
async def test_whatever_a_client_was_told_and_is_not_there_is_missed(houses: Callable[[str], str], told: str) -> None:
    assert await gone(houses, Answered()) == 0
    assert await gone(houses, Answered(**{told: {str(uuid7()), str(uuid7())}})) == 2


def test_every_kind_of_answer_is_looked_for() -> None:
    told = {one.name for one in fields(Answered)} - {"bank", "calls", "retries", "never_taken"}
    assert told == set(THERE)


async def spoil(url: str, statement: str) -> None:
    """Does to the tables of a service what nobody may."""
    owner = await asyncpg.connect(url)
    try:
        await owner.execute(statement)
    finally:
        await owner.close()


DEEDS = """
INSERT INTO history (about, action, detail, at, organisation, person, request_id, operation, region)
SELECT 'a', action, '{}', now(), 'platform', 'platform', '', '', '' FROM unnest(ARRAY['made', 'sold']) AS action
"""


@pytest.mark.parametrize(
    ("spoiled", "wrong"),
    [
        ("SELECT", {}),
        ("UPDATE history SET person = 'somebody' WHERE action = 'made'", {"history_broken": 1}),
        ("UPDATE history SET person = 'somebody'", {"history_broken": 2}),
        ("DELETE FROM history WHERE action = 'made'", {"history_broken": 1}),
    ],
)
async def test_each_row_of_a_history_that_is_not_as_it_was_written_is_wrong(
    houses: Callable[[str], str], books: Books, spoiled: str, wrong: dict[str, int]
) -> None:
    await spoil(houses("traceability"), DEEDS)
    await spoil(houses("traceability"), spoiled)
    assert (await check(houses, books, Answered())).wrong == wrong


RECORDED = """
INSERT INTO outbox (event_id, type, subject, sequence, payload) VALUES ($1, 'x.done.v1', $1::uuid::text, $2, '')
"""
PAID = """
INSERT INTO payments (id, run_id, sheet_id, institution_code, institution_name, distributor_code, distributor_name, region,
  month, amount_yuan, state, sent_at, paid_at, version)
VALUES ($1, $1, $1, 'H', 'H', 'D', 'D', '330100', '2026-03-01', $2, 'paid', now(), now(), 2)
"""
ISSUED = """
INSERT INTO sheets (id, institution_code, institution_name, distributor_code, distributor_name, region, month, amount_yuan,
  line_count, state, confirm_by, due_on, issued_at, version)
VALUES ($1, 'H', 'H', 'D', 'D', '330100', '2026-03-01', 10, 1, 'issued', '2026-04-04', '2026-04-30', now(), $2)
"""
POSTED = """
INSERT INTO transfers (payable_id, step, kind, debit_account, credit_account, amount_yuan, booked_at, sheet_id,
  institution_code, distributor_code, region)
VALUES ($1, $2, '{kind}', '{debit}', '{credit}', 10, now(), $1, 'H', 'D', '330100')
"""
ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("bank", "wrong"),
    [
        ({ONE: "10.00"}, {}),
        ({ONE: "10.00", OTHER: "0.00"}, {}),
        ({}, {"paid_otherwise": 1, "paid_sum": "10.00"}),
        ({ONE: "20.00"}, {"paid_otherwise": 1, "paid_sum": "-10.00"}),
        ({OTHER: "10.00"}, {"paid_otherwise": 2}),
    ],
)
async def test_what_settlement_has_paid_is_held_against_the_bank_s_own_book(
    houses: Callable[[str], str], bank: dict[UUID, str], wrong: dict[str, Any]
) -> None:
    settlement, found = houses("settlement"), Findings()
    await put(settlement, PAID, ONE, Decimal(10))
    await put(settlement, PAYABLE, ONE, Decimal(10))
    await check_paid(found, settlement, {str(payment): Decimal(yuan) for payment, yuan in bank.items()})
    assert found.wrong == wrong


@pytest.mark.parametrize(
    ("spoiled", "waiting"),
    [
        ("SELECT", (0, 0, 0)),
        ("UPDATE payments SET state = 'planned', paid_at = NULL, sent_at = NULL", (1, 0, 0)),
        ("UPDATE payments SET state = 'sending', paid_at = NULL", (1, 0, 0)),
        ("UPDATE payments SET state = 'failed', paid_at = NULL, reason = 'closed'", (0, 0, 0)),
        *((f"UPDATE sheets SET state = '{state}'", (0, 1, 0)) for state in ("issued", "disputed", "confirmed")),
        *((f"UPDATE sheets SET state = '{state}'", (0, 1, 0)) for state in ("reviewed", "in_run")),
        ("UPDATE sheets SET state = 'empty', line_count = 0", (0, 0, 0)),
        ("UPDATE payables SET sheeted_yuan = 0, paid_yuan = 0", (0, 0, 1)),
        ("UPDATE payables SET sheeted_yuan = 9, paid_yuan = 9", (0, 0, 1)),
        ("UPDATE payables SET sheeted_yuan = 0, paid_yuan = 0, held_yuan = 10, held_reason = 'short'", (0, 0, 0)),
        ("UPDATE payables SET sheeted_yuan = 0, paid_yuan = 0, quantity_released = 0, released_yuan = 0", (0, 0, 0)),
    ],
)
async def test_whatever_could_be_paid_and_still_waits_is_lost(
    houses: Callable[[str], str], books: Books, spoiled: str, waiting: tuple[int, int, int]
) -> None:
    settlement = houses("settlement")
    await put(settlement, PAID, ONE, Decimal(10))
    await put(settlement, ISSUED, ONE, 2)
    await put(settlement, PAYABLE, ONE, Decimal(10))
    await spoil(settlement, "UPDATE sheets SET state = 'paid'")
    assert await left(settlement) == (0, 0, 0)
    await spoil(settlement, spoiled)
    assert await left(settlement) == waiting
    found = await check(houses, books, Answered())
    assert (found.payments_left, found.sheets_left, found.payables_left) == waiting
    assert {"payments_left", "sheets_left", "payables_left"} <= set(Findings.LOST)


@pytest.mark.parametrize(("kinds", "again"), [(["paid"], 0), (["paid", "bounced", "paid"], 0), (["paid", "paid"], 1)])
async def test_a_payable_that_was_paid_again_for_one_sheet_is_seen(
    houses: Callable[[str], str], kinds: list[str], again: int
) -> None:
    settlement, found = houses("settlement"), Findings()
    for step, kind in enumerate(kinds, 1):
        debit, credit = SIDES[Posting(kind)]
        await put(settlement, POSTED.format(kind=kind, debit=debit, credit=credit), ONE, step)
    await check_paid(found, settlement, {})
    assert found.wrong == ({"paid_again": again} if again else {})


async def test_a_sheet_that_nobody_is_reminded_of_and_nobody_else_knows_is_seen(
    houses: Callable[[str], str], books: Books
) -> None:
    await put(houses("settlement"), ISSUED, ONE, 1)
    found = await check(houses, books, Answered())
    assert found.deadlines_lost == 1
    assert found.told_otherwise == len(found.told) > 0
    assert any(said.startswith(f"sheet {ONE} (H, 2026-03): settlement has it as issued") for said in found.told)


@pytest.mark.parametrize(("newest", "missed"), [(None, 1), (1, 0), (2, 1)])
async def test_a_thing_whose_newest_event_was_never_recorded_is_seen(
    houses: Callable[[str], str], newest: int | None, missed: int
) -> None:
    settlement = houses("settlement")
    assert await untold(houses) == 0
    await put(settlement, PAYABLE, key := uuid7(), Decimal(0))
    if newest:
        await put(settlement, RECORDED, key, newest)
    assert await untold(houses) == missed


OF_SHEET = """
INSERT INTO history (about, action, detail, at, organisation, person, request_id, operation, region, hash)
SELECT $1::uuid::text, action, '{}', now(), 'platform', 'platform', '', '', '', ''
FROM unnest($2::text[]) WITH ORDINALITY AS deeds (action, place) ORDER BY place
"""
WAY = ("issued", "confirmed", "returned", "confirmed", "reviewed", "entered_run")


@pytest.mark.parametrize(("deeds", "newest", "missed"), [(1, 1, 0), (2, 1, 1), (2, 2, 0), (3, 2, 1), (6, 4, 0)])
async def test_of_a_sheet_it_is_told_what_comes_before_its_review(
    houses: Callable[[str], str], deeds: int, newest: int, missed: int
) -> None:
    settlement = houses("settlement")
    await put(settlement, ISSUED, ONE, deeds)
    await put(settlement, OF_SHEET, ONE, WAY[:deeds])
    await put(settlement, RECORDED, ONE, newest)
    assert await untold(houses) == missed
