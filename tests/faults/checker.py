"""Counts what became of everything, from tables and topics alone: nothing lost, nothing doubled, nothing out of order.

Invariant: every count is of rows that contradict each other, so zero is the only right answer, whatever was played.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from deploy import chain
from deploy.chain import SERVICES, Chain
from deploy.services import load
from shared.bus import Message
from shared.envelope import unseal
from shared.events import topic_of, version_of
from tests.faults.load import Answered

OUTBOX = "SELECT event_id, type, subject, sequence, sent_at IS NOT NULL AS sent, recorded_at FROM outbox ORDER BY id"
INBOX = "SELECT event_id, received_at FROM inbox"
DEADLINES = "SELECT kind, about FROM deadlines"
ALERTS = "SELECT kind, about_id FROM alerts WHERE state = 'open'"
# What somebody must be told of in time: orders without an answer, lines without their codes, lines without their money.
PENDING = "SELECT DISTINCT order_id::text, distributor_code AS dealer FROM order_lines WHERE state = 'pending'"
SHORT = "SELECT id::text, shipment_line_id::text AS line FROM payables WHERE codes_required AND quantity_released < quantity"
OWED = "SELECT id::text, shipment_line_id::text AS line FROM payables WHERE paid_yuan < amount_yuan"


@dataclass(frozen=True, slots=True)
class Said:
    """An event as its producer's outbox has it."""

    id: UUID
    type: str
    subject: str
    sequence: int
    sent: bool
    recorded_at: datetime


class Fact(NamedTuple):
    """What an event tells, whichever version tells it: `stem` is its type without the version."""

    subject: str
    sequence: int
    stem: str
    version: str


@dataclass(slots=True)
class Findings:
    """Everything that contradicts; all zero: the platform kept its word."""

    unsent: int = 0
    not_on_topic: int = 0
    not_applied: int = 0
    dead_letters: int = 0
    lines_without_payable: int = 0
    lines_without_receipt: int = 0
    answered_and_gone: int = 0
    deadlines_lost: int = 0
    applied_from_nowhere: int = 0
    effects_doubled: int = 0
    gaps_in_outbox: int = 0
    steps_back_on_topic: int = 0
    applied_out_of_order: int = 0
    amounts_that_differ: int = 0
    ledger_unbalanced: int = 0
    ledger_sum: str = "0"

    LOST = (
        *("unsent", "not_on_topic", "not_applied", "dead_letters", "lines_without_payable", "lines_without_receipt"),
        *("answered_and_gone", "deadlines_lost"),
    )
    DOUBLED = ("applied_from_nowhere", "effects_doubled")
    DISORDER = ("gaps_in_outbox", "steps_back_on_topic", "applied_out_of_order")

    def sum(self, names: Iterable[str]) -> int:
        """Some of the counts together."""
        return sum(getattr(self, name) for name in names)

    @property
    def wrong(self) -> dict[str, Any]:
        """What is not zero."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: count for name, count in found.items() if float(count) != 0}


@dataclass(slots=True)
class Books:
    """What is in the tables and on the topics, read once."""

    said: dict[str, list[Said]] = field(default_factory=dict)
    applied: dict[str, dict[UUID, datetime]] = field(default_factory=dict)
    heard_types: dict[str, set[str]] = field(default_factory=dict)
    topics: list[Message] = field(default_factory=list)

    @property
    def events(self) -> int:
        """How many events were recorded."""
        return sum(map(len, self.said.values()))

    def waits(self) -> list[tuple[float, float]]:
        """From record to effect, of every event at every consumer: seconds since 1970."""
        every = (one for said in self.said.values() for one in said)
        return [
            (one.recorded_at.timestamp(), applied[one.id].timestamp())
            for one in every
            for applied in self.applied.values()
            if one.id in applied
        ]


async def read(url_of: Callable[[str], str], topics: Sequence[Message]) -> Books:
    """Reads the outboxes and inboxes of all five, as their owner."""
    books = Books(topics=list(topics))
    for name in SERVICES:
        connection = await asyncpg.connect(url_of(name))
        try:
            books.said[name] = said_of(await connection.fetch(OUTBOX))
            rows = await connection.fetch(INBOX)
            books.applied[name] = {row["event_id"]: row["received_at"] for row in rows}
        finally:
            await connection.close()
        books.heard_types[name] = {kind.TYPE for kind in load(name).handlers}
    return books


def said_of(rows: Iterable[Any]) -> list[Said]:
    """Rows of OUTBOX as values."""
    return [Said(*row.values()) for row in rows]


def check_path(books: Books) -> Findings:
    """What the way from the outboxes over the topics to the inboxes has done."""
    found = Findings()
    everything = {one.id for said in books.said.values() for one in said}
    found.unsent = sum(not one.sent for said in books.said.values() for one in said)
    found.gaps_in_outbox = sum(out_of_step(once(facts_of(said))) for said in books.said.values())
    first = first_of(books.topics)
    found.not_on_topic = len(everything - {event_id for event_id, _ in first})
    found.steps_back_on_topic = out_of_step(once(fact for _, fact in first))
    for name, received in books.applied.items():
        for said in books.said.values():
            applied = by_any_version(said, received)
            meant = [one for one in said if one.type in books.heard_types[name]]
            found.not_applied += sum(one.id not in applied for one in meant)
            found.applied_out_of_order += overtaken(meant, applied)
        found.applied_from_nowhere += len(received.keys() - everything)
    return found


def facts_of(said: Iterable[Said]) -> Iterator[Fact]:
    """What the events of an outbox tell."""
    return (Fact(one.subject, one.sequence, *version_of(one.type)) for one in said)


def once(facts: Iterable[Fact]) -> list[tuple[str, int]]:
    """Subject and sequence of each fact, of one that is told in two versions only where it stands first."""
    seen: dict[tuple[str, int, str], str] = {}
    steps: list[tuple[str, int]] = []
    for subject, sequence, stem, version in facts:
        if seen.setdefault((subject, sequence, stem), version) == version:
            steps.append((subject, sequence))
    return steps


def by_any_version(said: Sequence[Said], applied: Mapping[UUID, datetime]) -> dict[UUID, datetime]:
    """When each event was applied, itself or in another version of the same fact."""
    at: dict[tuple[str, int, str], datetime] = {}
    for one, fact in zip(said, facts_of(said), strict=True):
        if one.id in applied:
            at.setdefault(fact[:3], applied[one.id])
    return {one.id: at[fact[:3]] for one, fact in zip(said, facts_of(said), strict=True) if fact[:3] in at}


def out_of_step(steps: Iterable[tuple[str, int]]) -> int:
    """How many do not follow the one before of the same subject by exactly one; the first is 1."""
    reached: defaultdict[str, int] = defaultdict(int)
    wrong = 0
    for subject, sequence in steps:
        wrong += sequence != reached[subject] + 1
        reached[subject] = sequence
    return wrong


def first_of(messages: Iterable[Message]) -> list[tuple[UUID, Fact]]:
    """Each event where it first stands on its topic. Repeats are allowed, and left out."""
    seen: set[UUID] = set()
    first: list[tuple[UUID, Fact]] = []
    for message in messages:
        envelope = unseal(message.value, message.headers)
        if envelope.id not in seen:
            seen.add(envelope.id)
            subject = f"{message.topic} {envelope.subject}"
            first.append((envelope.id, Fact(subject, int(envelope.sequence), *version_of(envelope.type))))
    return first


def overtaken(said: Iterable[Said], applied: Mapping[UUID, datetime]) -> int:
    """How many events were applied before an earlier one of their subject."""
    latest: dict[str, datetime] = {}
    wrong = 0
    for one in said:
        if (at := applied.get(one.id)) is None:
            continue
        before = latest.get(one.subject, at)
        wrong += at < before
        latest[one.subject] = max(at, before)
    return wrong


def doubled(effects: Iterable[Any]) -> int:
    """How many effects stand there more than once."""
    return sum(times - 1 for times in Counter(effects).values())


def check_chain(found: Findings, links: Chain) -> None:
    """Adds what does not agree between accepted lines, payables, receipts and the ledger."""
    found.lines_without_payable = links.without_payable
    found.lines_without_receipt = links.without_receipt
    found.effects_doubled += links.doubled + links.payables_without_line + links.receipts_without_line
    found.amounts_that_differ = links.other_amounts + links.paid_untold + links.told_unpaid
    found.ledger_unbalanced = links.unbalanced
    found.ledger_sum = str(links.ledger_sum.normalize())
    found.dead_letters = links.dead


async def check(url_of: Callable[[str], str], books: Books, answered: Answered) -> Findings:
    """Everything, on the five databases and the books read of them."""
    found = check_path(books)
    check_chain(found, await chain.inspect(url_of))
    found.effects_doubled += doubled(_opened(books))
    found.answered_and_gone = await _gone(url_of, answered)
    found.deadlines_lost = await _deadlines_lost(url_of, books)
    return found


def _opened(books: Books) -> list[tuple[str, str]]:
    """What is said once of each thing: that it has begun."""
    firsts = (".order.placed.", ".payable.opened.", ".receipt.expected.", ".shipment.dispatched.")
    return [
        (one.type, one.subject)
        for said in books.said.values()
        for one in said
        if any(first in one.type for first in firsts)
    ]


async def _gone(url_of: Callable[[str], str], answered: Answered) -> int:
    """What a client was told had happened, and is not in the tables."""
    connection = await asyncpg.connect(url_of("orders"))
    try:
        orders = {str(row["id"]) for row in await connection.fetch("SELECT id FROM orders")}
        accepted = "SELECT id FROM shipment_lines WHERE quantity_accepted > 0"
        lines = {str(row["id"]) for row in await connection.fetch(accepted)}
    finally:
        await connection.close()
    return len(answered.orders - orders) + len(answered.accepted - lines)


async def _deadlines_lost(url_of: Callable[[str], str], books: Books) -> int:
    """Promises that no row keeps and nobody was told of, by what the others' tables say that there must be."""
    alerts, orders, settlement = [await asyncpg.connect(url_of(name)) for name in ("alerts", "orders", "settlement")]
    try:
        kept = {(row["kind"], row["about"]) for row in await alerts.fetch(DEADLINES)}
        raised = {(row["kind"], row["about_id"]) for row in await alerts.fetch(ALERTS)}
        pending = await orders.fetch(PENDING)
        short = await settlement.fetch(SHORT)
        owed = await settlement.fetch(OWED)
    finally:
        for one in (alerts, orders, settlement):
            await one.close()
    promised = [
        *(("order_unconfirmed", row["order_id"], f"{row['order_id']}:{row['dealer']}") for row in pending),
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
