"""The chain of accepted lines, payables, receipts and payments, counted from the five databases alone."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class Chain:
    """What does not agree, in both directions; all empty or zero: the platform lost and doubled nothing.

    `paid_untold`: payables of which orders does not know what settlement paid; `told_unpaid`: paid in orders alone.
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
    gaps: int
    unsent: int
    dead: int

    @property
    def whole(self) -> bool:
        """Nothing is lost, doubled, stuck or out of order."""
        return not any(
            (
                self.without_payable,
                self.without_receipt,
                self.payables_without_line,
                self.receipts_without_line,
                self.doubled,
                self.other_amounts,
                self.paid_untold,
                self.told_unpaid,
                self.ledger_sum,
                self.unbalanced,
                self.gaps,
                self.unsent,
                self.dead,
            )
        )


SERVICES = ("listing", "orders", "settlement", "traceability", "alerts")
# An event that neither follows the one before of its subject by one nor says again what stands: under the newest version of
# its subject. What was said before the oldest that is kept here is not known.
GAPS = """
SELECT count(*) FROM (
  SELECT sequence, lag(sequence) OVER (PARTITION BY subject ORDER BY id) AS before FROM outbox
) AS steps WHERE sequence NOT IN (before, before + 1)
"""

LEDGER_SUM = """
SELECT coalesce(sum(amount), 0) FROM (
  SELECT amount_yuan AS amount FROM transfers UNION ALL SELECT -amount_yuan FROM transfers
) AS entries
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
PAID = "SELECT id, paid_yuan AS yuan FROM payables WHERE paid_yuan > 0"
TOLD = "SELECT payable_id AS id, amount_yuan AS yuan FROM line_payments WHERE amount_yuan > 0"


async def inspect(url_of: Callable[[str], str]) -> Chain:
    """Reads all five databases, as their owner."""
    databases = {name: await asyncpg.connect(url_of(name)) for name in SERVICES}
    try:
        lines = await databases["orders"].fetch(
            "SELECT s.id, s.quantity_accepted AS units, round(s.quantity_accepted * l.unit_price_yuan, 2) AS yuan"
            " FROM shipment_lines s JOIN order_lines l ON l.id = s.order_line_id WHERE s.quantity_accepted > 0"
        )
        payables = await databases["settlement"].fetch(
            "SELECT shipment_line_id AS id, quantity AS units, amount_yuan AS yuan FROM payables"
        )
        receipts = await databases["traceability"].fetch(
            "SELECT shipment_line_id AS id, quantity_accepted AS units FROM receipts WHERE quantity_accepted > 0"
        )
        paid: dict[UUID, Decimal] = {row["id"]: row["yuan"] for row in await databases["settlement"].fetch(PAID)}
        told: dict[UUID, Decimal] = {row["id"]: row["yuan"] for row in await databases["orders"].fetch(TOLD)}
        accepted = {row["id"]: row for row in lines}
        owed = {row["id"]: row for row in payables}
        expected = {row["id"] for row in receipts}
        ledger_sum = await databases["settlement"].fetchval(LEDGER_SUM)
        return Chain(
            accepted=len(accepted),
            without_payable=len(accepted.keys() - owed.keys()),
            without_receipt=len(accepted.keys() - expected),
            payables_without_line=len(owed.keys() - accepted.keys()),
            receipts_without_line=len(expected - accepted.keys()),
            doubled=len(payables) - len(owed) + len(receipts) - len(expected),
            other_amounts=sum(
                (row["units"], row["yuan"]) != (owed[key]["units"], owed[key]["yuan"])
                for key, row in accepted.items()
                if key in owed
            ),
            paid_untold=sum(told.get(key) != yuan for key, yuan in paid.items()),
            told_unpaid=len(told.keys() - paid.keys()),
            ledger_sum=ledger_sum,
            unbalanced=await databases["settlement"].fetchval(UNBALANCED),
            gaps=sum([await one.fetchval(GAPS) for one in databases.values()]),
            unsent=sum([await one.fetchval(UNSENT) for one in databases.values()]),
            dead=sum([await one.fetchval(DEAD) for one in databases.values()]),
        )
    finally:
        for one in databases.values():
            await one.close()
