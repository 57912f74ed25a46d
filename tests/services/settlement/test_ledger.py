"""The ledger cannot be changed, cannot be booked twice, and the database allows no wrong row."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from services.settlement.tables import payables, payment_runs, transfers
from shared.db import Database, Scope, Tx
from shared.service import Service
from tests.house import House

from .conftest import HOSPITAL_CODE, OTHER_HOSPITAL_CODE, SUPPLIER_CODE, Stage, delivery, line
from .test_payables import apply, received


async def one_transfer(tx: Tx) -> dict[str, Any]:
    await apply(tx, received(delivery(line(2, "5.0000"))))
    (row,) = await tx.sql("SELECT * FROM transfers")
    return {name: value for name, value in row.items() if name != "id"}


@pytest.mark.parametrize("statement", ["UPDATE transfers SET amount_yuan = 1", "DELETE FROM transfers"])
@pytest.mark.parametrize("role", ["worker", "api"])
async def test_no_role_changes_or_removes_an_entry(
    house: House, service: Service, database: Database, role: str, statement: str
) -> None:
    pool = (await house.database(service, role)).pool
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": 1},
        {"step": 2, "amount_yuan": Decimal(0)},
        {"step": 2, "amount_yuan": Decimal(-1)},
        {"step": 2, "debit_account": "claim_released"},
        {"step": 2, "kind": "paid"},
        {"step": 2, "kind": "gift", "debit_account": "pocket"},
        {"step": 2, "payable_id": "01890a5d-ac96-774b-bcce-b302099a8057"},
    ],
    ids=["twice", "zero", "negative", "one side", "wrong accounts", "unknown", "no payable"],
)
async def test_the_database_allows_no_wrong_entry(tx: Tx, wrong: dict[str, Any]) -> None:
    row = await one_transfer(tx)
    tx.add(transfers, {**row, **wrong})
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await tx.flush()


@pytest.mark.parametrize(
    "change",
    [
        "paid_yuan = 10.00",
        "sheeted_yuan = 10.01",
        "released_yuan = 9.99",
        "quantity_released = 3",
        "quantity = 0",
        "amount_yuan = 9.99",
        "held_yuan = 1.00",
        "held_reason = 'x'",
        "accepted_month = '2025-03-02'",
        "version = 0",
    ],
)
async def test_the_database_allows_no_wrong_payable(tx: Tx, change: str) -> None:
    await one_transfer(tx)
    with pytest.raises(asyncpg.CheckViolationError):
        await tx.sql(f"UPDATE payables SET {change}")


async def test_the_state_of_a_payable_cannot_be_written(tx: Tx) -> None:
    await one_transfer(tx)
    with pytest.raises(asyncpg.GeneratedAlwaysError):
        await tx.sql("UPDATE payables SET state = 'paid'")


async def test_a_line_has_one_payable_in_the_database_too(tx: Tx) -> None:
    await one_transfer(tx)
    (row,) = await tx.sql("SELECT * FROM payables")
    tx.add(
        payables, {name: value for name, value in row.items() if name not in {"state", "id"}} | {"id": row["order_id"]}
    )
    with pytest.raises(asyncpg.UniqueViolationError):
        await tx.flush()


async def test_the_database_allows_no_run_that_its_maker_approved(tx: Tx) -> None:
    (row,) = await tx.sql("SELECT gen_random_uuid() AS id, now() AS at")
    run = {
        "id": row["id"],
        "agency_code": "A",
        "region": "330100",
        "state": "approved",
        "amount_yuan": Decimal(1),
        "payment_count": 1,
        "made_by_organisation": "A",
        "made_by": "p",
        "made_at": row["at"],
        "decided_by_organisation": "A",
        "decided_by": "p",
        "decided_at": row["at"],
        "version": 2,
    }
    tx.add(payment_runs, run)
    with pytest.raises(asyncpg.CheckViolationError, match="two_persons"):
        await tx.flush()


async def test_row_level_security_shows_each_its_own_even_without_the_scoped_query(
    stage: Stage, begin: Callable[..., AbstractAsyncContextManager[Tx]]
) -> None:
    await stage.run(delivery(), delivery(hospital=OTHER_HOSPITAL_CODE))
    await stage.worker.do_jobs()
    tables = ("payables", "sheets", "sheet_lines", "payments", "transfers", "history")
    seen = {}
    for name, scope in {
        "hospital": Scope("own", HOSPITAL_CODE),
        "supplier": Scope("own", SUPPLIER_CODE),
        "stranger": Scope("own", "H1"),
        "region": Scope("region", "A", "3301"),
        "elsewhere": Scope("region", "A", "3501"),
    }.items():
        async with begin(scope) as tx:
            rows = [await tx.sql(f"SELECT count(*) FROM {table}") for table in (*tables[:4], "payment_runs")]
            seen[name] = tuple(row[0][0] for row in rows)
    assert seen == {
        "hospital": (1, 1, 1, 1, 0),
        "supplier": (2, 2, 2, 2, 0),
        "stranger": (0, 0, 0, 0, 0),
        "region": (2, 2, 2, 2, 1),
        "elsewhere": (0, 0, 0, 0, 0),
    }


async def test_the_checker_shouts_when_a_row_is_changed_by_hand(stage: Stage, house: House, service: Service) -> None:
    await stage.worker.deliver(delivery(line(2, "5.0000")))
    await stage.ledger_agrees()
    owner = await asyncpg.connect(house.url(service))
    try:
        await owner.execute("UPDATE transfers SET amount_yuan = 9.99")
    finally:
        await owner.close()
    found = await stage.get("/reconciliation?from=2025-03-05&to=2025-03-05")
    assert found["differences"] == [
        "payables and goods accepted: 10.00 yuan against 9.99 yuan",
        "released: 10.00 yuan against 9.99 yuan",
    ]


@pytest.mark.parametrize(("first", "last", "count"), [("2025-03-05", "2025-03-05", 1), ("2025-03-06", "2025-03-31", 0)])
async def test_reconciliation_counts_what_was_accepted_in_the_days_asked_for(
    stage: Stage, first: str, last: str, count: int
) -> None:
    await stage.worker.deliver(delivery(line(2, "5.0000")))
    found = await stage.get(f"/reconciliation?from={first}&to={last}")
    assert found["payables"] == {"count": count, "yuan": f"{10 * count}.00"}
    assert found["accepted_lines"] == found["released"] == found["payables"]
    assert (found["differences"], found["ledger_sum_yuan"]) == ([], "0.00")
