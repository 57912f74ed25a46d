"""Opens payables for accepted lines and releases them as far as codes cover; both arrive in any order, once or twice.

UNIQUE (shipment_line_id) holds one payable per line; coverage is kept per line with the newest version only, and whoever
comes second finds what the first has left, since both lock the line's row of coverage.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from services.settlement.errors import PayableChanged, PayableNotFound
from services.settlement.queries import payables as queries
from services.settlement.rules import payables as rules
from services.settlement.rules.ledger import SIDES, Posting
from services.settlement.rules.payables import Payable, Seen
from services.settlement.schemas.payables import ResolveDisputeOf
from services.settlement.tables import payables, transfers
from shared import clock, history, ids, money, outbox
from shared.clock import DueRule
from shared.db import Tx
from shared.deadlines import deadlines
from shared.errors import ServiceError
from shared.events.orders import AcceptedLine, DeliveryAccepted
from shared.events.settlement import PayableOpened, PayableReleased, SheetPart
from shared.events.traceability import CoverageShort, CoverageVerified
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller
from shared.inbox import Received
from shared.policy import Policy
from shared.values import frozen

CLOSE_MONTH = "close_month"
OPENED = (
    *("quantity", "unit_price_yuan", "amount_yuan", "due_on", "codes_required", "quantity_released", "released_yuan"),
)
"""Of a payable, what its first deed tells."""


@frozen
class _Terms:
    """What the policy of a region says on the day of acceptance."""

    due: DueRule
    codes_required: bool
    exempt_kinds: frozenset[str]
    month: date

    @classmethod
    def of(cls, policy: Policy, region: str, day: date) -> "_Terms":
        return cls(
            DueRule.parse(policy.text("settlement.payment_due", region, day)),
            policy.flag("settlement.codes_required", region, day),
            policy.texts("settlement.codes_exempt_kinds", region, day),
            day.replace(day=1),
        )


class _Owed(NamedTuple):
    """A new line with the terms it is owed under; `needs_codes`: payable only as far as codes cover it."""

    delivery: DeliveryAccepted
    line: AcceptedLine
    parties: dict[str, str]
    month: date
    due_on: date
    needs_codes: bool


async def on_deliveries_accepted(tx: Tx, events: Sequence[Received[DeliveryAccepted]]) -> None:
    """One payable per accepted line; released at once as far as no codes are asked for, or codes were there before."""
    seen = await queries.known_lines(tx, [line.shipment_line_id for event in events for line in event.data.lines])
    terms: dict[tuple[str, date], _Terms] = {}
    owed = [_owed(tx.policy, event.data, seen, terms) for event in events]
    wanting = {one.line.shipment_line_id: one.parties for each in owed for one in each if one.needs_codes}
    covered = await queries.covered_so_far(tx, wanting)
    now = clock.now()
    for _, each in zip(events, owed, strict=True):  # over the events, so that what is recorded belongs to their request
        for one in each:
            quantity = one.line.quantity_accepted
            _open(tx, one, min(quantity, covered[one.line.shipment_line_id]) if one.needs_codes else quantity, now)
    for region, month in {(one.delivery.region, one.month) for each in owed for one in each}:
        promise_closing(tx, region, month)


def _owed(
    policy: Policy, delivery: DeliveryAccepted, seen: set[UUID], terms: dict[tuple[str, date], _Terms]
) -> list[_Owed]:
    """The lines of a delivery that nothing is owed for yet; a line of quantity 0 owes nothing."""
    place = (delivery.region, clock.local_date(delivery.accepted_at))
    known = terms.get(place)
    if known is None:
        known = terms[place] = _Terms.of(policy, *place)
    parties = parties_of(delivery)
    due_on = clock.due(known.due, delivery.accepted_at)
    owed: list[_Owed] = []
    for line in delivery.lines:
        if line.shipment_line_id not in seen and line.quantity_accepted:
            seen.add(line.shipment_line_id)
            needs_codes = known.codes_required and line.product_kind not in known.exempt_kinds
            owed.append(_Owed(delivery, line, parties, known.month, due_on, needs_codes))
    return owed


def promise_closing(tx: Tx, region: str, month: date) -> None:
    """Sets the deadline that sums up a region's month, unless it stands already."""
    after = clock.next_month(month)
    due_at = clock.closing_at(month, tx.policy.integer("settlement.close_day", region, after))
    tx.add(deadlines, {"kind": CLOSE_MONTH, "about": f"{region}/{month}", "due_at": due_at}, skip_repeated=True)


def _open(tx: Tx, owed: _Owed, released_quantity: int, now: datetime) -> None:
    """Everything a new line brings: the payable, under the id it would get again, its ledger, its history, its events."""
    delivery, line, parties, due_on = owed.delivery, owed.line, owed.parties, owed.due_on
    payable_id = ids.derived(line.shipment_line_id, delivery.accepted_at)
    amount = money.amount(line.quantity_accepted, line.unit_price_yuan)
    complete = released_quantity == line.quantity_accepted
    released = amount if complete else money.amount(released_quantity, line.unit_price_yuan)
    postings = _postings(amount, released)
    about = _about(owed)
    row = {
        **about,
        **_copied(delivery, line),
        "id": payable_id,
        "amount_yuan": amount,
        "accepted_month": owed.month,
        "due_on": due_on,
        "codes_required": owed.needs_codes,
        "quantity_released": released_quantity,
        "released_yuan": released,
        "entries": len(postings),
        "version": 2 if released_quantity else 1,
    }
    tx.add(payables, row)
    for step, (posting, yuan) in enumerate(postings, 1):
        book(tx, payable_id, step, posting, yuan, now, parties)
    detail = {name: row[name] for name in OPENED}
    history.note(tx, BY_ITSELF, payable_id, "opened", Parties(*parties.values()), detail)
    opened = PayableOpened(
        payable_id=payable_id,
        **about,
        shipment_id=delivery.shipment_id,
        product_code=line.product_code,
        quantity=line.quantity_accepted,
        amount_yuan=amount,
        accepted_at=delivery.accepted_at,
        due_on=due_on,
        codes_required=owed.needs_codes,
    )
    outbox.record(tx, opened, 1)
    if released_quantity:
        step_taken = PayableReleased(
            payable_id=payable_id,
            **about,
            quantity_released=released_quantity,
            amount_released_yuan=released,
            complete=complete,
        )
        outbox.record(tx, step_taken, 2)


def _about(owed: _Owed) -> dict[str, Any]:
    """What the row and every event about a payable begin with."""
    return {
        "shipment_line_id": owed.line.shipment_line_id,
        "order_id": owed.delivery.order_id,
        "order_line_id": owed.line.order_line_id,
        **owed.parties,
    }


def _copied(delivery: DeliveryAccepted, line: AcceptedLine) -> dict[str, Any]:
    """What a payable keeps as it was accepted."""
    return {
        "shipment_id": delivery.shipment_id,
        "order_number": delivery.order_number,
        "institution_name": delivery.institution_name,
        "distributor_name": delivery.distributor_name,
        "product_code": line.product_code,
        "product_kind": line.product_kind,
        "product_name": line.product_name,
        "unit": line.unit,
        "lot_number": line.lot_number,
        "quantity": line.quantity_accepted,
        "unit_price_yuan": line.unit_price_yuan,
        "accepted_at": delivery.accepted_at,
    }


def _postings(amount: Decimal, released: Decimal) -> list[tuple[Posting, Decimal]]:
    """What the ledger books for a new payable; an amount that rounds to nothing books nothing."""
    if not amount:
        return []
    if released == amount:
        return [(Posting.OPENED_RELEASED, amount)]
    opened = [(Posting.OPENED, amount)]
    return [*opened, (Posting.RELEASED, released)] if released else opened


def book(
    tx: Tx,
    payable_id: UUID,
    step: int,
    posting: Posting,
    yuan: Decimal,
    at: datetime,
    parties: dict[str, str],
    sheet_id: UUID | None = None,
) -> None:
    """One transaction of the ledger: a row with both its sides."""
    debit, credit = SIDES[posting]
    row = {
        "payable_id": payable_id,
        "step": step,
        "kind": posting,
        "debit_account": debit,
        "credit_account": credit,
        "amount_yuan": yuan,
        "booked_at": at,
        "sheet_id": sheet_id,
        **parties,
    }
    tx.add(transfers, row)


async def on_coverage_verified(tx: Tx, events: Sequence[Received[CoverageVerified]]) -> None:
    """Everything accepted is covered."""
    await _cover(tx, events)


async def on_coverage_short(tx: Tx, events: Sequence[Received[CoverageShort]]) -> None:
    """A part of what was accepted is covered."""
    await _cover(tx, events)


async def _cover(tx: Tx, events: Sequence[Received[CoverageVerified]] | Sequence[Received[CoverageShort]]) -> None:
    newest: dict[UUID, Received[Any]] = {}
    for event in events:
        before = newest.get(event.data.shipment_line_id)
        if before is None or before.sequence < event.sequence:
            newest[event.data.shipment_line_id] = event
    kept = await queries.store_coverage(tx, [_coverage_row(event) for event in newest.values()])
    payable_of = {payable.shipment_line_id: payable for payable in await queries.payables_of_lines(tx, list(kept))}
    parts = await queries.parts_on_sheets(tx, [one for one in payable_of.values() if one.sheeted_yuan or one.held_yuan])
    now = clock.now()
    rows: list[dict[str, Any]] = []
    for event in events:
        payable = payable_of.get(event.data.shipment_line_id)
        if payable is not None and newest[payable.shipment_line_id] is event:
            after = rules.released(payable, kept[payable.shipment_line_id])
            if after is not payable:
                rows.append(_release(tx, payable, after, now, parts.get(payable.id, ())))
    await tx.change(payables, rows)


def _coverage_row(event: Received[Any]) -> tuple[UUID, str, str, str, int, int]:
    fact = event.data
    parties = (fact.institution_code, fact.distributor_code, fact.region)
    return (fact.shipment_line_id, *parties, fact.quantity_covered, event.sequence)


def _release(tx: Tx, before: Payable, after: Payable, now: datetime, on_sheets: Sequence[SheetPart]) -> dict[str, Any]:
    """Books and says one step of a release; returns the columns that it changes."""
    yuan = after.released_yuan - before.released_yuan
    entries = after.entries + bool(yuan)
    if yuan:
        book(tx, after.id, entries, Posting.RELEASED, yuan, now, parties_of(after))
    moved = history.changes(before, after, "quantity_released", "quantity_uncovered", "released_yuan")
    detail = {"amount_yuan": yuan, "changes": moved}
    action = "released" if after.quantity_released > before.quantity_released else "coverage_changed"
    history.note(tx, BY_ITSELF, after.id, action, history_parties(after), detail)
    outbox.record(tx, released_fact(after, on_sheets), after.version)
    return {
        "id": after.id,
        "quantity_released": after.quantity_released,
        "quantity_uncovered": after.quantity_uncovered,
        "released_yuan": after.released_yuan,
        "entries": entries,
        "version": after.version,
    }


async def resolve_disputes(tx: Tx, caller: Caller, items: Sequence[ResolveDisputeOf]) -> list[Seen | ServiceError]:
    """Lets held payables go into a later sheet; the answer to each stands at its place."""
    known = await queries.payables_to_change(tx, [item.payable_id for item in items])
    parts = await queries.parts_on_sheets(tx, known.values())
    now = clock.now()
    outcomes: list[UUID | ServiceError] = []
    changed: dict[UUID, dict[str, Any]] = {}
    for item in items:
        payable_id = item.payable_id
        try:
            payable = _unchanged(known, payable_id, item.version)
            after = rules.resolved(payable)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        known[payable_id] = after
        changed[payable_id] = {
            "id": payable_id,
            "held_yuan": after.held_yuan,
            "held_reason": None,
            "resolve_by": None,
            "entries": after.entries,
            "version": after.version,
        }
        book(tx, payable_id, after.entries, Posting.RESOLVED, payable.held_yuan, now, parties_of(after))
        moved = history.changes(payable, after, "held_yuan", "held_reason")
        detail = {"reason": item.reason, "amount_yuan": payable.held_yuan, "changes": moved}
        history.note(tx, caller, payable_id, "resolved", history_parties(after), detail)
        outbox.record(tx, released_fact(after, parts.get(payable_id, ())), after.version)
        promise_closing(tx, after.region, clock.month_of(now))
        outcomes.append(payable_id)
    await tx.change(payables, list(changed.values()))
    seen = await queries.seen_payables(tx, list(changed))
    return [seen[outcome] if isinstance(outcome, UUID) else outcome for outcome in outcomes]


def _unchanged(known: dict[UUID, Payable], payable_id: UUID, version: int | None) -> Payable:
    payable = known.get(payable_id)
    if payable is None:
        raise PayableNotFound("There is no payable {payable_id} that you may see.", payable_id=payable_id)
    if version is not None and version != payable.version:
        raise PayableChanged(
            "You read version {version} of payable {payable_id}, now it is {now}; read it again.",
            version=version,
            payable_id=payable_id,
            now=payable.version,
        )
    return payable


def parties_of(thing: Payable | DeliveryAccepted) -> dict[str, str]:
    """The columns of the parties, for a row that belongs to them."""
    return {
        "institution_code": thing.institution_code,
        "distributor_code": thing.distributor_code,
        "region": thing.region,
    }


def history_parties(payable: Payable) -> Parties:
    """The same for history."""
    return Parties(payable.institution_code, payable.distributor_code, payable.region)


def opened_fact(payable: Payable) -> PayableOpened:
    """That a line is owed for, and since when."""
    return PayableOpened(
        payable_id=payable.id,
        shipment_line_id=payable.shipment_line_id,
        shipment_id=payable.shipment_id,
        order_id=payable.order_id,
        order_line_id=payable.order_line_id,
        **parties_of(payable),
        product_code=payable.product_code,
        quantity=payable.quantity,
        amount_yuan=payable.amount_yuan,
        accepted_at=payable.accepted_at,
        due_on=payable.due_on,
        codes_required=payable.codes_required,
    )


def released_fact(payable: Payable, on_sheets: Sequence[SheetPart]) -> PayableReleased:
    """How much of the payable may be paid now, in total, and where parts of it stand."""
    return PayableReleased(
        payable_id=payable.id,
        shipment_line_id=payable.shipment_line_id,
        order_id=payable.order_id,
        order_line_id=payable.order_line_id,
        **parties_of(payable),
        quantity_released=payable.quantity_released,
        amount_released_yuan=payable.released_yuan,
        complete=payable.quantity_released == payable.quantity,
        quantity_uncovered=payable.quantity_uncovered,
        disputed=payable.held_reason,
        resolve_by=payable.resolve_by,
        on_sheets=tuple(on_sheets),
    )
