"""Counts what became of everything, from tables and topics alone: nothing lost, nothing doubled, nothing out of order.

Invariant: every count is of rows that contradict each other, so zero is the only right answer, whatever was played.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

import asyncpg

from deploy import chain
from deploy.chain import SERVICES, Chain
from deploy.differences import differences
from deploy.money import disagreements
from deploy.services import load
from services.settlement.handlers.again import SAID_OF_SHEETS
from shared import audit
from shared.db import Database
from shared.events import topic_of
from shared.policy import Policy
from tests.faults.books import Books
from tests.faults.client import Answered

OUTBOX = "said"
TOPICS = "(SELECT DISTINCT ON (event_id) * FROM stood ORDER BY event_id, place) AS first"
"""Each event where it first stands on its topic: repeats are allowed."""
# Those that do not follow the one before of the same subject by exactly one; the first is 1. A fact that is told in two
# versions is one step, where it stands first; the same version said again is a step back.
OUT_OF_STEP = """
SELECT count(*) FROM (
  SELECT sequence, lag(sequence, 1, 0) OVER (PARTITION BY source, subject ORDER BY place) AS before FROM (
    SELECT *, first_value(version) OVER (PARTITION BY source, subject, sequence, stem ORDER BY place) AS told FROM {facts}
  ) AS facts WHERE version = told
) AS steps WHERE sequence <> before + 1
"""
UNSENT = "SELECT count(*) FROM said WHERE NOT sent"
NOT_ON_TOPIC = "SELECT count(*) FROM said WHERE NOT EXISTS (SELECT FROM stood WHERE stood.event_id = said.event_id)"
FROM_NOWHERE = "SELECT count(*) FROM applied WHERE NOT EXISTS (SELECT FROM said WHERE said.event_id = applied.event_id)"
REPEATED = "SELECT count(*) - count(DISTINCT event_id) FROM stood"
# When a consumer applied a fact: itself, or in another version of it.
_EFFECTS = """
CREATE TEMP TABLE IF NOT EXISTS effects AS
SELECT DISTINCT ON (consumer, source, subject, sequence, stem) consumer, source, subject, sequence, stem, applied.at
FROM applied JOIN said USING (event_id) ORDER BY consumer, source, subject, sequence, stem, place;
ANALYZE said, stood, applied, done, effects
"""
# What each consumer handles of what was said, and when it took effect.
_MEANT = """
SELECT consumer, source, subject, place, effects.at
FROM said JOIN heard USING (stem, version) LEFT JOIN effects USING (consumer, source, subject, sequence, stem)
"""
NOT_APPLIED = f"SELECT count(*) FROM ({_MEANT}) AS meant WHERE at IS NULL"
OVERTAKEN = f"""
SELECT count(*) FROM (
  SELECT at, max(at) OVER (
    PARTITION BY consumer, source, subject ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS latest FROM ({_MEANT}) AS meant
) AS applied WHERE at < latest
"""
# Effects beyond the first of one fact at one consumer: of the same event again, or of another version of it.
DONE_AGAIN = """
SELECT coalesce(sum(times - 1), 0) FROM (
  SELECT count(*) AS times FROM done JOIN said USING (event_id) GROUP BY consumer, source, subject, sequence, stem
) AS effects
"""
UNMARKED = (
    "SELECT count(*) FROM (SELECT consumer, event_id FROM done EXCEPT SELECT consumer, event_id FROM applied) AS alone"
)
UNDONE = (
    "SELECT count(*) FROM (SELECT consumer, event_id FROM applied EXCEPT SELECT consumer, event_id FROM done) AS alone"
)
# What is said once of each thing: that it has begun.
BEGUN_TWICE = """
SELECT coalesce(sum(times - 1), 0) FROM (
  SELECT count(*) AS times FROM said
  WHERE stem ~ '\\.(order\\.placed|payable\\.opened|receipt\\.expected|shipment\\.dispatched)$'
  GROUP BY stem, version, subject
) AS begun
"""
# Where that stands which a client was told of, by the names that it has in `Answered`.
THERE = {
    "orders": ("orders", "SELECT id FROM orders"),
    "confirmed": ("orders", "SELECT id FROM order_lines WHERE quantity_confirmed > 0"),
    "shipments": ("orders", "SELECT id FROM shipments"),
    "accepted": ("orders", "SELECT id FROM shipment_lines WHERE quantity_accepted > 0"),
    "captured": ("traceability", "SELECT id FROM documents"),
    "sheets": ("settlement", "SELECT id FROM sheets WHERE state IN ('confirmed', 'reviewed', 'in_run', 'paid')"),
    "runs": ("settlement", "SELECT id FROM payment_runs WHERE state IN ('approved', 'done')"),
}
GONE = "SELECT count(*) FROM (SELECT unnest($1::uuid[]) EXCEPT {there}) AS gone"
# The things whose version counts their events.
COUNTED = {
    "listing": ("enterprises", "institutions", "listings", "distributions"),
    "orders": ("orders", "shipments"),
    "settlement": ("payables", "sheets", "payments"),
    "traceability": ("receipts",),
    "alerts": ("alerts",),
}
UNTOLD = """
SELECT count(*) FROM {table}
LEFT JOIN (SELECT subject, max(sequence) AS newest FROM outbox GROUP BY subject) AS said ON subject = id::text
WHERE {last} <> coalesce(newest, 0)
"""
LAST = {"sheets": f"(SELECT count(*) FROM history WHERE about = sheets.id::text AND action IN {SAID_OF_SHEETS})"}
"""Where not its version: of a sheet it is told what comes before its review; what follows is told of its payments."""
# What settlement has paid, and how often each payable was for one sheet, what came back taken off.
BOOKED = "SELECT id::text AS payment, amount_yuan AS yuan FROM payments WHERE state = 'paid'"
PAID_SUM = "SELECT coalesce(sum(paid_yuan), 0) FROM payables"
PAID_AGAIN = """
SELECT count(*) FROM (
  SELECT FROM transfers WHERE kind IN ('paid', 'bounced') GROUP BY payable_id, sheet_id
  HAVING sum(CASE kind WHEN 'paid' THEN 1 ELSE -1 END) > 1
) AS again
"""
# What waits although the office went on to the end: payments without an answer, sheets that were not paid, payables that are
# released, not held by a dispute, and on no sheet. No lot is recalled in a run and no code taken back, so none has a reason to.
LEFT = """
SELECT (SELECT count(*) FROM payments WHERE state IN ('planned', 'sending')),
  (SELECT count(*) FROM sheets WHERE state NOT IN ('paid', 'empty')),
  (SELECT count(*) FROM payables WHERE held_reason IS NULL AND released_yuan > sheeted_yuan)
"""
DEADLINES = "SELECT kind, about FROM deadlines"
ALERTS = "SELECT kind, about_id FROM alerts WHERE state = 'open'"
# What somebody must be told of in time: lines without an answer, without all their goods, their codes, their money.
PENDING = "SELECT DISTINCT order_id::text, distributor_code AS dealer FROM order_lines WHERE state = 'pending'"
UNDELIVERED = "SELECT id::text FROM order_lines WHERE state = 'confirmed'"
UNCONFIRMED = "SELECT id::text FROM sheets WHERE state = 'issued'"
SHORT = "SELECT id::text, shipment_line_id::text AS line FROM payables WHERE codes_required AND quantity_released < quantity"
OWED = "SELECT id::text, shipment_line_id::text AS line FROM payables WHERE paid_yuan < amount_yuan"


@dataclass(slots=True)
class Findings:
    """Everything that contradicts; all zero: the platform kept its word."""

    unsent: int = 0
    not_on_topic: int = 0
    not_applied: int = 0
    marked_and_not_done: int = 0
    dead_letters: int = 0
    lines_without_payable: int = 0
    lines_without_receipt: int = 0
    answered_and_gone: int = 0
    never_taken: int = 0
    last_not_recorded: int = 0
    deadlines_lost: int = 0
    payments_left: int = 0
    sheets_left: int = 0
    payables_left: int = 0
    applied_from_nowhere: int = 0
    done_again: int = 0
    done_and_not_marked: int = 0
    effects_doubled: int = 0
    paid_again: int = 0
    gaps_in_outbox: int = 0
    steps_back_on_topic: int = 0
    applied_out_of_order: int = 0
    amounts_that_differ: int = 0
    paid_otherwise: int = 0
    paid_sum: str = "0"
    told_otherwise: int = 0
    ledger_unbalanced: int = 0
    history_broken: int = 0
    ledger_sum: str = "0"
    told: list[str] = field(default_factory=list)
    """What `told_otherwise` counts, in the words of the audit."""

    LOST = (
        *("unsent", "not_on_topic", "not_applied", "marked_and_not_done", "dead_letters", "lines_without_payable"),
        *("lines_without_receipt", "answered_and_gone", "never_taken", "last_not_recorded", "deadlines_lost"),
        *("payments_left", "sheets_left", "payables_left"),
    )
    DOUBLED = ("applied_from_nowhere", "done_again", "done_and_not_marked", "effects_doubled", "paid_again")
    DISORDER = ("gaps_in_outbox", "steps_back_on_topic", "applied_out_of_order")

    def sum(self, names: Iterable[str]) -> int:
        """Some of the counts together."""
        return sum(getattr(self, name) for name in names)

    @property
    def wrong(self) -> dict[str, Any]:
        """What is not zero."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "told"}
        return {name: count for name, count in found.items() if float(count) != 0}


async def read(books: Books, url_of: Callable[[str], str]) -> None:
    """Copies the outboxes and inboxes of all five, as their owner."""
    for name in SERVICES:
        await books.copy_outbox(name, url_of(name))
        await books.copy_inbox(name, url_of(name), [kind.TYPE for kind in load(name).handlers])


async def check_path(books: Books) -> Findings:
    """What the way from the outboxes over the topics to the inboxes has done."""
    await books.session.execute(_EFFECTS)
    return Findings(
        unsent=await books.count(UNSENT),
        not_on_topic=await books.count(NOT_ON_TOPIC),
        not_applied=await books.count(NOT_APPLIED),
        marked_and_not_done=await books.count(UNDONE),
        applied_from_nowhere=await books.count(FROM_NOWHERE),
        done_again=await books.count(DONE_AGAIN),
        done_and_not_marked=await books.count(UNMARKED),
        effects_doubled=await books.count(BEGUN_TWICE),
        gaps_in_outbox=await books.count(OUT_OF_STEP.format(facts=OUTBOX)),
        steps_back_on_topic=await books.count(OUT_OF_STEP.format(facts=TOPICS)),
        applied_out_of_order=await books.count(OVERTAKEN),
    )


def check_chain(found: Findings, links: Chain) -> None:
    """Adds what does not agree between accepted lines, payables, receipts and the ledger."""
    found.lines_without_payable = links.without_payable
    found.lines_without_receipt = links.without_receipt
    found.effects_doubled += links.doubled + links.payables_without_line + links.receipts_without_line
    found.amounts_that_differ = links.other_amounts + links.paid_untold + links.told_unpaid
    found.ledger_unbalanced = links.unbalanced
    found.ledger_sum = str(links.ledger_sum.normalize())
    found.dead_letters = sum(links.dead.values())


async def check(url_of: Callable[[str], str], books: Books, answered: Answered) -> Findings:
    """Everything, on the five databases and the books copied of them."""
    found = await check_path(books)
    check_chain(found, await chain.inspect(url_of))
    found.answered_and_gone = await gone(url_of, answered)
    found.never_taken = len(answered.never_taken)
    found.last_not_recorded = await untold(url_of)
    found.deadlines_lost = await _deadlines_lost(url_of)
    found.history_broken = await _history_broken(url_of)
    found.payments_left, found.sheets_left, found.payables_left = await left(url_of("settlement"))
    await check_paid(found, url_of("settlement"), answered.bank)
    found.told = await _told(url_of)
    found.told_otherwise = len(found.told)
    return found


async def check_paid(found: Findings, settlement: str, bank: Mapping[str, Decimal]) -> None:
    """Adds what settlement has paid otherwise than the bank, by whose book `bank` is what was paid of each payment, in yuan."""
    database = await asyncpg.connect(settlement)
    try:
        booked = {row["payment"]: row["yuan"] for row in await database.fetch(BOOKED)}
        paid = await database.fetchval(PAID_SUM)
        found.paid_again = await database.fetchval(PAID_AGAIN)
    finally:
        await database.close()
    made = {payment: yuan for payment, yuan in bank.items() if yuan}
    found.paid_otherwise = len(dict(booked.items() ^ made.items()))
    found.paid_sum = str(paid - sum(made.values()))


async def left(settlement: str) -> tuple[int, int, int]:
    """How many payments, sheets and payables still wait to be paid that could be."""
    database = await asyncpg.connect(settlement)
    try:
        payments, sheets, payables = await database.fetchrow(LEFT)
    finally:
        await database.close()
    return payments, sheets, payables


async def _told(url_of: Callable[[str], str]) -> list[str]:
    """What `jicai audit` would name: of money, and where two services do not say the same."""
    settlement = await asyncpg.connect(url_of("settlement"))
    try:
        return [*await disagreements(settlement), *await differences(url_of)]
    finally:
        await settlement.close()


async def gone(url_of: Callable[[str], str], answered: Answered) -> int:
    """What a client was told had happened, and is not in the tables."""
    asked = [(name, GONE.format(there=there), getattr(answered, told)) for told, (name, there) in THERE.items()]
    return sum([await _count(url_of(name), query, told) for name, query, told in asked])


async def untold(url_of: Callable[[str], str]) -> int:
    """Things of which the outbox does not hold the newest version: the last that happened to them was never recorded."""
    asked = [
        (name, UNTOLD.format(table=table, last=LAST.get(table, "version")))
        for name, tables in COUNTED.items()
        for table in tables
    ]
    return sum([await _count(url_of(name), query) for name, query in asked])


async def _history_broken(url_of: Callable[[str], str]) -> int:
    """Rows of all five histories that do not follow the one before about the same thing, and days that are not as their head."""
    broken = 0
    for name in SERVICES:
        database = await Database.open(url_of(name), policy=Policy([]), limits=audit.unhurried(), name="checker")
        try:
            finding = await audit.check(database)
        finally:
            await database.close()
        broken += finding.broken_rows + finding.cut_days
    return broken


async def _count(url: str, query: str, *given: Any) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(query, *given))
    finally:
        await connection.close()


async def _deadlines_lost(url_of: Callable[[str], str]) -> int:
    """Promises that no row keeps and nobody was told of, by what the others' tables say that there must be."""
    alerts, orders, settlement = [await asyncpg.connect(url_of(name)) for name in ("alerts", "orders", "settlement")]
    try:
        kept = {(row["kind"], row["about"]) for row in await alerts.fetch(DEADLINES)}
        raised = {(row["kind"], row["about_id"]) for row in await alerts.fetch(ALERTS)}
        pending = await orders.fetch(PENDING)
        undelivered = await orders.fetch(UNDELIVERED)
        unconfirmed = await settlement.fetch(UNCONFIRMED)
        short = await settlement.fetch(SHORT)
        owed = await settlement.fetch(OWED)
    finally:
        for one in (alerts, orders, settlement):
            await one.close()
    promised = [
        *(("order_unconfirmed", row["order_id"], f"{row['order_id']}:{row['dealer']}") for row in pending),
        *(("delivery_overdue", row["id"], row["id"]) for row in undelivered),
        *(("sheet_unconfirmed", row["id"], row["id"]) for row in unconfirmed),
        *(("coverage_short", row["line"], row["id"]) for row in short),
        *(("payment_overdue", row["line"], row["id"]) for row in owed),
    ]
    return unkept(promised, kept, raised)


def unkept(
    promised: Iterable[tuple[str, str, str]], kept: Container[tuple[str, str]], raised: Container[tuple[str, str]]
) -> int:
    """Of promises (kind, what its deadline is about, what its alert is about): those with neither deadline nor alert."""
    return sum((kind, about) not in kept and (kind, told) not in raised for kind, about, told in promised)


def topics() -> list[str]:
    """Every topic that somebody listens to, and with them all that are checked."""
    return sorted({topic_of(kind) for name in SERVICES for kind in load(name).handlers} | set(SERVICES))
