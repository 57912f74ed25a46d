"""Sums up months by itself, and takes what hospitals and the agency say of the sheets.

A sheet exists once per institution, distributor, region and month (UNIQUE); what comes later goes onto a later one.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.settlement.errors import DisputeRefused, NotTheInstitution, SheetChanged, SheetNotFound
from services.settlement.handlers.payables import book, history_parties, parties_of, promise_closing
from services.settlement.queries import sheets as queries
from services.settlement.queries.payables import parts_on_sheets
from services.settlement.rules import payables as payable_rules
from services.settlement.rules import sheets as rules
from services.settlement.rules.ledger import SIDES, Posting
from services.settlement.rules.payables import Payable
from services.settlement.rules.sheets import Sheet
from services.settlement.schemas.sheets import ActOnSheet, DisputeSheetOf
from services.settlement.tables import payables, sheets
from shared import clock, deadlines, history, outbox
from shared.clock import DueRule
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Fault, Said, ServiceError
from shared.events.settlement import PayableHeld, SheetConfirmed, SheetDisputed, SheetIssued, SheetPart, SheetReturned
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller
from shared.next_steps import day_over
from shared.policy import Policy

SILENCE = "sheet_silent"
CHANGING = (
    "state",
    "amount_yuan",
    "line_count",
    "disputed_yuan",
    "disputed_count",
    "confirm_by",
    "review_by",
    "return_reason",
    "version",
)
EDITED = ("state", "amount_yuan", "line_count", "disputed_yuan", "confirm_by", "return_reason")
"""Of a sheet, what its deeds tell from and to."""


async def when_close_month(tx: Tx, due: Sequence[Deadline]) -> None:
    """Issues the sheets of every region whose month is over; sets the next month's deadline where something is open."""
    regions_of: dict[date, list[str]] = {}
    for deadline in due:
        region, _, first_day = deadline.about.partition("/")
        regions_of.setdefault(date.fromisoformat(first_day), []).append(region)
    for month, regions in sorted(regions_of.items()):
        await close_month(tx, regions, month)


async def close_month(tx: Tx, regions: Sequence[str], month: date) -> list[Sheet]:
    """One sheet per institution and distributor over what is released and on no sheet, accepted up to the month."""
    now = clock.now()
    pairs = await queries.pairs_to_sheet(tx, regions, month)
    issued: list[Sheet] = []
    if pairs:
        by_region = {
            region: _day(tx.policy, "settlement.confirm_due", region) for region in {pair[2] for pair in pairs}
        }
        debit, credit = SIDES[Posting.SHEETED]
        issued = await queries.issue_sheets(
            tx,
            [(uuid7(), *pair, by_region[pair[2]]) for pair in pairs],
            month=month,
            at=now,
            posting=(Posting.SHEETED.value, debit.value, credit.value),
            who=(BY_ITSELF.organisation, BY_ITSELF.person),
        )
    for sheet in issued:
        _say_issued(tx, sheet)
    await _promise_silence(tx, issued)
    for region in await queries.regions_still_open(tx, regions, month):
        promise_closing(tx, region, clock.next_month(month))
    return issued


async def _promise_silence(tx: Tx, issued: Sequence[Sheet]) -> None:
    """Sets when silence confirms a sheet, in regions whose policy lets it."""
    today = clock.today()
    speaking = {
        region: tx.policy.flag("settlement.silence_confirms", region, today)
        for region in {sheet.region for sheet in issued}
    }
    late = [(sheet, day_over(sheet.confirm_by)) for sheet in issued if speaking[sheet.region]]
    await deadlines.put(tx, [Deadline(SILENCE, str(sheet.id), at) for sheet, at in late if at])


async def when_sheets_silent(tx: Tx, due: Sequence[Deadline]) -> None:
    """The time to confirm is over and policy takes silence for a yes: confirms what nobody confirmed, disputed or sent back."""
    known = await queries.sheets_to_change(tx, [UUID(deadline.about) for deadline in due])
    silent = [sheet for sheet in known.values() if sheet.state == rules.ISSUED and sheet.return_reason is None]
    confirmed = [_confirm(tx, sheet) for sheet in silent]
    for before, after in zip(silent, confirmed, strict=True):
        moved = history.changes(before, after, *EDITED)
        detail = {"amount_yuan": after.amount_yuan, "by": "silence", "changes": moved}
        history.note(tx, BY_ITSELF, after.id, "confirmed", parties_of_sheet(after), detail)
    await store(tx, confirmed)


def _day(policy: Policy, key: str, region: str) -> date:
    """The last day of a term that begins now."""
    now = clock.now()
    return clock.due(DueRule.parse(policy.text(key, region, clock.local_date(now))), now)


def _say_issued(tx: Tx, sheet: Sheet) -> None:
    told = {name: getattr(sheet, name) for name in ("amount_yuan", "line_count", "confirm_by", "due_on")}
    detail = {"month": f"{sheet.month:%Y-%m}", **told}
    history.note(tx, BY_ITSELF, sheet.id, "issued", parties_of_sheet(sheet), detail)
    issued = SheetIssued(
        sheet_id=sheet.id,
        institution_code=sheet.institution_code,
        distributor_code=sheet.distributor_code,
        region=sheet.region,
        month=sheet.month,
        amount_yuan=sheet.amount_yuan,
        line_count=sheet.line_count,
        confirm_by=sheet.confirm_by,
        due_on=sheet.due_on,
    )
    outbox.record(tx, issued, sheet.version)


async def confirm_sheets(tx: Tx, caller: Caller, items: Sequence[ActOnSheet]) -> list[Sheet | ServiceError]:
    """The institution stands by these sheets; the answer to each stands at its place."""

    def decide(sheet: Sheet) -> Sheet:
        _check_institution(sheet, caller)
        return _confirm(tx, sheet)

    return await _act(tx, caller, items, "confirmed", decide)


def _confirm(tx: Tx, sheet: Sheet) -> Sheet:
    after = rules.confirmed(sheet, _day(tx.policy, "settlement.review_due", sheet.region))
    confirmed = SheetConfirmed(
        sheet_id=after.id,
        institution_code=after.institution_code,
        distributor_code=after.distributor_code,
        region=after.region,
        month=after.month,
        amount_yuan=after.amount_yuan,
    )
    outbox.record(tx, confirmed, after.version)
    return after


async def review_sheets(tx: Tx, caller: Caller, items: Sequence[ActOnSheet]) -> list[Sheet | ServiceError]:
    """The agency found these sheets right; the answer to each stands at its place."""
    return await _act(tx, caller, items, "reviewed", lambda sheet: rules.moved(sheet, "review"))


async def return_sheet(tx: Tx, caller: Caller, item: ActOnSheet, reason: str) -> list[Sheet | ServiceError]:
    """The agency sends a confirmed sheet back to the institution, which has its whole term again."""

    def decide(sheet: Sheet) -> Sheet:
        after = rules.returned(sheet, _day(tx.policy, "settlement.confirm_due", sheet.region), reason)
        outbox.record(tx, returned_fact(after, after.amount_yuan, reason, after.confirm_by), after.version)
        return after

    return await _act(tx, caller, [item], "returned", decide, {"reason": reason})


def returned_fact(sheet: Sheet, amount_yuan: Decimal, reason: str, confirm_by: date) -> SheetReturned:
    """That a sheet was sent back, as it stood then."""
    return SheetReturned(
        sheet_id=sheet.id,
        institution_code=sheet.institution_code,
        distributor_code=sheet.distributor_code,
        region=sheet.region,
        month=sheet.month,
        amount_yuan=amount_yuan,
        reason=reason,
        confirm_by=confirm_by,
    )


async def _act(
    tx: Tx,
    caller: Caller,
    items: Sequence[ActOnSheet],
    action: str,
    decide: Callable[[Sheet], Sheet],
    said: Mapping[str, Any] | None = None,
) -> list[Sheet | ServiceError]:
    known = await queries.sheets_to_change(tx, [item.sheet_id for item in items])
    outcomes: list[Sheet | ServiceError] = []
    for item in items:
        try:
            before = _unchanged(known, item.sheet_id, item.version)
            after = decide(before)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        known[after.id] = after
        outcomes.append(after)
        detail = {"amount_yuan": after.amount_yuan, **(said or {}), "changes": history.changes(before, after, *EDITED)}
        history.note(tx, caller, after.id, action, parties_of_sheet(after), detail)
    await store(tx, [sheet for sheet in outcomes if isinstance(sheet, Sheet)])
    return outcomes


def _unchanged(known: dict[UUID, Sheet], sheet_id: UUID, version: int | None) -> Sheet:
    sheet = known.get(sheet_id)
    if sheet is None:
        raise SheetNotFound("There is no sheet {sheet_id} that you may see.", sheet_id=sheet_id)
    if version is not None and version != sheet.version:
        raise SheetChanged(
            "You read version {version} of sheet {sheet_id}, now it is {now}; read it again.",
            version=version,
            sheet_id=sheet_id,
            now=sheet.version,
        )
    return sheet


def _check_institution(sheet: Sheet, caller: Caller) -> None:
    if caller.organisation != sheet.institution_code:
        raise NotTheInstitution(
            "Sheet {id} is owed by {institution_code}, not by {organisation}.",
            id=sheet.id,
            institution_code=sheet.institution_code,
            organisation=caller.organisation,
        )


async def store(tx: Tx, changed: Sequence[Sheet]) -> None:
    """Writes sheets as they were decided, in one statement."""
    latest = {sheet.id: sheet for sheet in changed}
    rows = [{"id": sheet.id, **{name: getattr(sheet, name) for name in CHANGING}} for sheet in latest.values()]
    await tx.change(sheets, rows)


async def dispute_sheets(tx: Tx, caller: Caller, items: Sequence[DisputeSheetOf]) -> list[Sheet | ServiceError]:
    """Takes disputed lines off their sheets and holds them; the answer to each stands at its place."""
    known = await queries.sheets_to_change(tx, [item.sheet_id for item in items])
    pairs = [(item.sheet_id, line.payable_id) for item in items for line in item.lines]
    loaded, yuan = await queries.lines_to_dispute(tx, pairs)
    left: list[tuple[UUID, UUID, str]] = []
    held: list[tuple[Payable, str]] = []
    outcomes: list[Sheet | ServiceError] = []
    for item in items:
        try:
            sheet = _unchanged(known, item.sheet_id, item.version)
            _check_institution(sheet, caller)
            _check_lines(item, yuan)
            total = sum((yuan[item.sheet_id, line.payable_id] for line in item.lines), Decimal(0))
            after = rules.disputed(sheet, total, len(item.lines))
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        for line in item.lines:
            part = yuan.pop((item.sheet_id, line.payable_id))
            loaded[line.payable_id] = _hold(tx, caller, loaded[line.payable_id], item.sheet_id, part, line.reason)
            left.append((item.sheet_id, line.payable_id, line.reason))
            held.append((loaded[line.payable_id], line.reason))
        known[after.id] = after
        outcomes.append(after)
        _say_disputed(tx, caller, sheet, after, item, loaded)
    await leave_sheets(tx, left, held)
    await store(tx, [sheet for sheet in outcomes if isinstance(sheet, Sheet)])
    return outcomes


def _check_lines(item: DisputeSheetOf, yuan: dict[tuple[UUID, UUID], Decimal]) -> None:
    """Raises DisputeRefused naming every line that is not on the sheet, or is named twice."""
    faults: list[Fault] = []
    seen: set[UUID] = set()
    for place, line in enumerate(item.lines):
        pointer = f"/lines/{place}/payable_id"
        if line.payable_id in seen:
            faults.append(Fault(pointer, line.payable_id, "the line is named twice", "each line once"))
        elif (item.sheet_id, line.payable_id) not in yuan:
            rule = "the payable does not stand on this sheet, or has left it"
            faults.append(
                Fault(
                    pointer,
                    line.payable_id,
                    rule,
                    Said("the lines that `list_sheet_lines` gives of sheet {sheet_id}", sheet_id=item.sheet_id),
                )
            )
        seen.add(line.payable_id)
    if faults:
        raise DisputeRefused(
            "Of {named:#line}, {count} cannot be disputed; nothing was changed.",
            faults=faults,
            count=len(faults),
            named=len(item.lines),
        )


def _hold(tx: Tx, caller: Caller, payable: Payable, sheet_id: UUID, yuan: Decimal, reason: str) -> Payable:
    resolve_by = _day(tx.policy, "settlement.dispute_due", payable.region)
    after = payable_rules.held(payable, yuan, reason, resolve_by, clock.today())
    book(tx, after.id, after.entries, Posting.DISPUTED, yuan, clock.now(), parties_of(after), sheet_id)
    moved = history.changes(payable, after, "sheeted_yuan", "held_yuan", "held_reason", "resolve_by")
    detail = {"reason": reason, "sheet_id": sheet_id, "amount_yuan": yuan, "changes": moved}
    history.note(tx, caller, after.id, "held", history_parties(after), detail)
    return after


async def leave_sheets(tx: Tx, left: Sequence[tuple[UUID, UUID, str]], held: Sequence[tuple[Payable, str]]) -> None:
    """Writes and says that lines (sheet, payable, reason) left sheets, of payables as each of them made it and why."""
    await queries.take_lines_off(tx, left, clock.now())
    await _store_left(tx, list({payable.id: payable for payable, _ in held}.values()))
    parts = await parts_on_sheets(tx, [payable for payable, _ in held])
    for payable, reason in held:
        outbox.record(tx, held_fact(payable, reason, parts.get(payable.id, ())), payable.version)


def held_fact(payable: Payable, reason: str, on_sheets: Sequence[SheetPart]) -> PayableHeld:
    """That a part of the payable is not paid for now, and why, and where others stand."""
    return PayableHeld(
        payable_id=payable.id,
        shipment_line_id=payable.shipment_line_id,
        order_id=payable.order_id,
        order_line_id=payable.order_line_id,
        **parties_of(payable),
        reason=reason,
        disputed=payable.held_reason,
        resolve_by=payable.resolve_by,
        on_sheets=tuple(on_sheets),
    )


async def _store_left(tx: Tx, changed: Sequence[Payable]) -> None:
    names = ("sheeted_yuan", "held_yuan", "held_reason", "resolve_by", "sheet_id", "entries", "version")
    latest = {payable.id: payable for payable in changed}
    rows: list[dict[str, Any]] = [
        {"id": payable.id, **{name: getattr(payable, name) for name in names}} for payable in latest.values()
    ]
    await tx.change(payables, rows)


def _say_disputed(
    tx: Tx, caller: Caller, before: Sheet, sheet: Sheet, item: DisputeSheetOf, payable_of: Mapping[UUID, Payable]
) -> None:
    reasons = "; ".join(dict.fromkeys(line.reason for line in item.lines))
    detail = {
        "lines": len(item.lines),
        "reason": reasons[:1_000],
        "amount_yuan": sheet.amount_yuan,
        "changes": history.changes(before, sheet, *EDITED),
        "disputed": [_named(payable_of[line.payable_id], line.reason) for line in item.lines],
    }
    history.note(tx, caller, sheet.id, "disputed", parties_of_sheet(sheet), detail)
    disputed = SheetDisputed(
        sheet_id=sheet.id,
        institution_code=sheet.institution_code,
        distributor_code=sheet.distributor_code,
        region=sheet.region,
        month=sheet.month,
        payable_ids=tuple(line.payable_id for line in item.lines),
        reason=reasons[:1_000],
    )
    outbox.record(tx, disputed, sheet.version)


def _named(payable: Payable, reason: str) -> dict[str, Any]:
    return {
        "payable_id": payable.id,
        "order_number": payable.order_number,
        "product_name": payable.product_name,
        "lot_number": payable.lot_number,
        "reason": reason,
    }


def parties_of_sheet(sheet: Sheet) -> Parties:
    """Whose sheet it is, for history."""
    return Parties(sheet.institution_code, sheet.distributor_code, sheet.region)
