"""The chain of accepted lines, payables, receipts and payments, counted from the five databases alone.

What two of them say of the same things is read side by side in the order of its keys, so that no sum of rows is too many.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import asyncpg

from shared.values import frozen


@frozen
class Chain:
    """What does not agree, in both directions; all empty or zero: the platform lost and doubled nothing.

    `gaps`, `unsent`, `dead`: how many each service has by itself, those that have any.
    `paid_untold`: payables of which orders does not know what settlement paid; `told_unpaid`: paid in orders alone.
    `ledger_sum`: yuan that stand on the accounts of the ledger otherwise than payables say.
    """

    accepted: int
    without_payable: int
    without_receipt: int
    payables_without_line: int
    receipts_without_line: int
    doubled: int
    other_amounts: int
    paid_untold: int
    told_unpaid: int
    ledger_sum: Decimal
    unbalanced: int
    gaps: Mapping[str, int]
    unsent: Mapping[str, int]
    dead: Mapping[str, int]

    @property
    def whole(self) -> bool:
        """Nothing is lost, doubled, stuck or out of order."""
        return not any(getattr(self, name) for name in self.__annotations__ if name != "accepted")

    @property
    def faults(self) -> list[str]:
        """In sentences: what each service has by itself, what two do not say the same of, and what the ledger does not."""
        own = {said: getattr(self, name) for name, (_, said) in OF_EACH.items()}
        counts = {name: getattr(self, name) for name in FAULTS}
        return [
            *(f"{service}: {said}: {count}" for said, each in own.items() for service, count in each.items()),
            *(f"{FAULTS[name]}: {count}" for name, count in counts.items() if count),
        ]


FAULTS = {
    "without_payable": "accepted lines of orders without a payable in settlement",
    "payables_without_line": "payables of settlement for no line that orders has as accepted",
    "without_receipt": "accepted lines of orders without a receipt in traceability",
    "receipts_without_line": "receipts of traceability for no line that orders has as accepted",
    "doubled": "payables or receipts beside another of the same line",
    "other_amounts": "payables of settlement for another quantity or amount than orders has accepted",
    "paid_untold": "payables that settlement has paid, and orders knows nothing or another amount of it",
    "told_unpaid": "payables that are paid in orders alone: settlement knows no payment of them",
    "ledger_sum": "yuan on the accounts of the ledger that the payables of settlement do not explain",
    "unbalanced": "payables of settlement that are not what their postings in the ledger say",
}

SERVICES = ("listing", "orders", "settlement", "traceability", "alerts")
# An event that neither follows the one before of its subject by one nor says again what stands: under the newest version of
# its subject. What was said before the oldest that is kept here is not known.
GAPS = """
SELECT count(*) FROM (
  SELECT sequence, lag(sequence) OVER (PARTITION BY subject ORDER BY id) AS before FROM outbox
) AS steps WHERE sequence NOT IN (before, before + 1)
"""

# The trial balance, account by account: what stands there by the sides of the postings, less what should by the payables.
# Differences are added without their sign, so that none hides another.
LEDGER_SUM = """
SELECT coalesce(sum(abs(difference)), 0) FROM (
  SELECT sum(yuan) AS difference FROM (
    SELECT CASE WHEN account IN ('goods_accepted', 'claim_waiting', 'fund_deduction') THEN account ELSE 'claims' END, yuan
    FROM (
      SELECT debit_account, amount_yuan FROM transfers UNION ALL SELECT credit_account, -amount_yuan FROM transfers
    ) AS postings (account, yuan)
    UNION ALL SELECT 'goods_accepted', -amount_yuan FROM payables
    UNION ALL SELECT 'claim_waiting', amount_yuan - released_yuan FROM payables
    UNION ALL SELECT 'claims', released_yuan - paid_yuan FROM payables
    UNION ALL SELECT 'fund_deduction', paid_yuan FROM payables
  ) AS entries (account, yuan) GROUP BY account
) AS balances
"""
# A payable whose opening, releases or payments in the ledger are not what its row says.
UNBALANCED = """
SELECT count(*) FROM (
  SELECT p.id, p.amount_yuan, p.released_yuan, p.paid_yuan,
         coalesce(sum(t.amount_yuan) FILTER (WHERE t.kind IN ('opened', 'opened_released')), 0) AS opened,
         coalesce(sum(t.amount_yuan) FILTER (WHERE t.kind IN ('released', 'opened_released')), 0) AS released,
         coalesce(sum(t.amount_yuan) FILTER (WHERE t.kind = 'paid'), 0)
           - coalesce(sum(t.amount_yuan) FILTER (WHERE t.kind = 'bounced'), 0) AS paid
  FROM payables p LEFT JOIN transfers t ON t.payable_id = p.id GROUP BY p.id
) AS sums WHERE (amount_yuan, released_yuan, paid_yuan) <> (opened, released, paid)
"""

UNSENT = "SELECT count(*) FROM outbox WHERE sent_at IS NULL"
DEAD = "SELECT count(*) FROM dead_letters WHERE state IN ('dead', 'waiting')"
OF_EACH = {
    "gaps": (GAPS, "events that do not follow the one before of their subject"),
    "unsent": (UNSENT, "events that are not sent"),
    "dead": (DEAD, "dead letters, and what waits behind them (`jicai dead list`)"),
}
"""What each service has by itself: how it is counted, and what that is."""
ACCEPTED = """
SELECT s.id AS key, s.quantity_accepted AS units, round(s.quantity_accepted * l.unit_price_yuan, 2) AS yuan
FROM shipment_lines s JOIN order_lines l ON l.id = s.order_line_id WHERE s.quantity_accepted > 0
"""
OWED = "SELECT shipment_line_id AS key, quantity AS units, amount_yuan AS yuan FROM payables"
EXPECTED = "SELECT shipment_line_id AS key FROM receipts WHERE quantity_accepted > 0"
PAID = "SELECT id AS key, paid_yuan AS yuan FROM payables WHERE paid_yuan > 0"
TOLD = "SELECT payable_id AS key, amount_yuan AS yuan FROM line_payments WHERE amount_yuan > 0"

READ_AHEAD = 1_000
"""Rows of each side that are held at once."""

Rows = list[asyncpg.Record]


async def inspect(url_of: Callable[[str], str]) -> Chain:
    """Reads all five databases, as their owner."""
    async with AsyncExitStack() as stack:
        databases: dict[str, asyncpg.Connection] = {}
        for name in SERVICES:
            databases[name] = await asyncpg.connect(url_of(name))
            stack.push_async_callback(databases[name].close)
        orders, settlement, traceability = (databases[name] for name in ("orders", "settlement", "traceability"))
        found: dict[str, Any] = dict.fromkeys(Chain.__annotations__, 0)
        async for line, owed in side_by_side(orders, ACCEPTED, settlement, OWED):
            found["accepted"] += bool(line)
            found["without_payable"] += not owed
            found["payables_without_line"] += not line
            found["doubled"] += max(0, len(owed) - 1)
            found["other_amounts"] += bool(line and owed) and line[0] != owed[0]
        async for line, receipts in side_by_side(orders, ACCEPTED, traceability, EXPECTED):
            found["without_receipt"] += not receipts
            found["receipts_without_line"] += not line
            found["doubled"] += max(0, len(receipts) - 1)
        async for paid, told in side_by_side(settlement, PAID, orders, TOLD):
            found["paid_untold"] += bool(paid) and paid != told
            found["told_unpaid"] += not paid
        for name, (asked, _) in OF_EACH.items():
            found[name] = {service: n for service, each in databases.items() if (n := await each.fetchval(asked))}
        found["unbalanced"] = await settlement.fetchval(UNBALANCED)
        found["ledger_sum"] = await settlement.fetchval(LEDGER_SUM)
        return Chain(**found)


async def side_by_side(
    first: asyncpg.Connection, of_first: str, second: asyncpg.Connection, of_second: str
) -> AsyncIterator[tuple[Rows, Rows]]:
    """For each `key`, in order, the rows in which two databases know it: none or several where they do not agree.

    `key` is a UUID or a text COLLATE "C", which both databases sort as its bytes.
    """
    async with first.transaction(readonly=True), second.transaction(readonly=True):
        sides = [_by_key(first, of_first), _by_key(second, of_second)]
        heads = [await anext(side, None) for side in sides]
        while any(heads):
            key = min(rows[0]["key"] for rows in heads if rows)
            together: list[Rows] = []
            for place, rows in enumerate(heads):
                if rows and rows[0]["key"] == key:
                    together.append(rows)
                    heads[place] = await anext(sides[place], None)
                else:
                    together.append([])
            yield together[0], together[1]


async def _by_key(database: asyncpg.Connection, asked: str) -> AsyncIterator[Rows]:
    rows: Rows = []
    async for row in database.cursor(f"SELECT * FROM ({asked}) AS asked ORDER BY key", prefetch=READ_AHEAD):  # noqa: S608  our own
        if rows and rows[0]["key"] != row["key"]:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
