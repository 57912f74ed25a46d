"""Payment runs: one person takes reviewed sheets into a run, another approves it, and only then is a bank asked."""

from asyncio import to_thread
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.settlement.errors import NothingToPay, RunChanged, RunNotOpen, RunRefused
from services.settlement.handlers.recalls import leave_recalled_out
from services.settlement.handlers.sheets import parties_of_sheet, store
from services.settlement.queries import payments as payment_queries
from services.settlement.queries import runs as queries
from services.settlement.queries import sheets as sheet_queries
from services.settlement.queries.accounts import accounts_of_sheets
from services.settlement.queries.recalls import recalled_lines
from services.settlement.rules import runs as rules
from services.settlement.rules import sheets as sheet_rules
from services.settlement.rules.accounts import CONFIRMED, DETAILS, Account
from services.settlement.rules.payments import ASK_AGAIN_LONGEST_SECONDS, PLANNED, STATES, WITHDRAWN, Payment, digest_of
from services.settlement.rules.runs import Run
from services.settlement.rules.sheets import Sheet
from services.settlement.schemas.runs import MOST_SHEETS, MakePaymentRun, RejectRun
from services.settlement.tables import payment_runs, payments
from shared import clock, deadlines, history, jobs
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Fault, Said
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller

SEND_RUN = "send_run"
ASK_BANK = "ask_bank"
DECIDED = ("state", "decided_by_organisation", "decided_by", "decided_at", "reason", "job_id", "version")
LONGEST = timedelta(seconds=ASK_AGAIN_LONGEST_SECONDS)


async def make_run(tx: Tx, caller: Caller, command: MakePaymentRun) -> Run:
    """A run over reviewed sheets, all or none of them; raises RunRefused with every fault, NothingToPay."""
    chosen = await _payable(tx, caller, command)
    run = Run(
        id=uuid7(),
        agency_code=caller.organisation,
        region=caller.region,
        state=rules.MADE,
        amount_yuan=sum((sheet.amount_yuan for sheet in chosen), Decimal(0)),
        payment_count=len(chosen),
        made_by_organisation=caller.organisation,
        made_by=caller.person,
        made_at=clock.now(),
        decided_by_organisation=None,
        decided_by=None,
        decided_at=None,
        reason=None,
        asked_times=0,
        job_id=None,
        version=1,
        due_on=min(sheet.due_on for sheet in chosen),
    )
    tx.add(payment_runs, {name: value for name, value in asdict(run).items() if name in payment_runs.c})
    detail = {"payments": run.payment_count, "amount_yuan": run.amount_yuan}
    history.note(tx, caller, run.id, "made", parties_of_run(run), detail)
    account_of = await accounts_of_sheets(tx, [sheet.id for sheet in chosen])
    for sheet in chosen:
        planned = _planned(run, sheet, account_of[sheet.id], doubt_known=sheet.in_doubt)
        tx.add(payments, planned)
        about = {name: planned[name] for name in ("run_id", "sheet_id", "account_id", "amount_yuan")}
        history.note(tx, caller, planned["id"], "planned", parties_of_sheet(sheet), about)
    await _move(tx, caller, chosen, "enter_run", "entered_run", run.id)
    return run


async def _move(tx: Tx, caller: Caller, sheets: Iterable[Sheet], verb: str, action: str, run_id: UUID) -> None:
    """Sheets enter a run or leave it, each with its deed."""
    moved: list[Sheet] = []
    for before in sheets:
        after = sheet_rules.moved(before, verb)
        detail = {"run_id": run_id, "changes": history.changes(before, after, "state")}
        history.note(tx, caller, after.id, action, parties_of_sheet(after), detail)
        moved.append(after)
    await store(tx, moved)


def _planned(run: Run, sheet: Sheet, account: Account, *, doubt_known: bool) -> dict[str, Any]:
    """A payment with the account as it is confirmed now: what the bank is told does not change with it."""
    copied = ("institution_code", "institution_name", "distributor_code", "distributor_name", "region", "month")
    return {
        "id": uuid7(),
        "run_id": run.id,
        "sheet_id": sheet.id,
        **{name: getattr(sheet, name) for name in copied},
        **{name: getattr(account, name) for name in DETAILS},
        "account_id": account.id,
        "amount_yuan": sheet.amount_yuan,
        "state": PLANNED,
        "doubt_known": doubt_known,
        "version": 0,
    }


async def _all_reviewed(tx: Tx) -> list[Sheet]:
    """The oldest sheets that can be paid, locked; raises NothingToPay saying what keeps the others."""
    reviewed = await sheet_queries.reviewed_sheets_to_pay(tx, MOST_SHEETS)
    if not reviewed and (count := await sheet_queries.count_without_account(tx)):
        raise NothingToPay(
            "Nothing can be paid: {count:#sheet} of your region is reviewed, and no supplier of them has a confirmed"
            " receiving account; each sheet says who acts next.",
            count=count,
        )
    if not reviewed and (count := await sheet_queries.count_in_doubt(tx)):
        raise NothingToPay(
            "Nothing is paid unasked: of {count:#sheet} the bank has said paid after it had not paid; ask the bank, and"
            " name the sheets to pay them again.",
            count=count,
        )
    if not reviewed:
        raise NothingToPay("No sheet of your region is reviewed and waits for payment.")
    return reviewed


async def _sheets(tx: Tx, command: MakePaymentRun) -> list[Sheet]:
    """The sheets of the run, locked; every one that may not enter is named."""
    if command.sheet_ids is None:
        return await _all_reviewed(tx)
    known = await sheet_queries.sheets_to_change(tx, command.sheet_ids)
    faults: list[Fault] = []
    seen: set[UUID] = set()
    for place, sheet_id in enumerate(command.sheet_ids):
        sheet, allowed = known.get(sheet_id), "reviewed sheets, each once"
        if sheet is None:
            rule, code = "no such sheet, or not of your region", "sheet_not_found"
        elif sheet_id in seen:
            rule, code = "the sheet is named twice", "repeated"
        elif sheet.state != sheet_rules.REVIEWED:
            rule, code = Said("the sheet is {state}", state=sheet.state), "sheet_not_open"
        elif sheet.receiving != CONFIRMED:
            rule = Said("{supplier} has no confirmed receiving account", supplier=sheet.distributor_name)
            allowed = "sheets of suppliers that have named an account which the agency has confirmed"
            code = "account_not_confirmed"
        else:
            seen.add(sheet_id)
            continue
        faults.append(Fault(f"/sheet_ids/{place}", sheet_id, rule, allowed, code))
    if faults:
        raise _refused(faults, command.sheet_ids)
    return list(known.values())


async def _payable(tx: Tx, caller: Caller, command: MakePaymentRun) -> list[Sheet]:
    """The sheets of the run, without what is recalled; raises RunRefused naming those that hold nothing else, NothingToPay."""
    chosen = await _sheets(tx, command)
    kept = await leave_recalled_out(tx, caller, chosen)
    if left := {sheet.id for sheet in chosen} - {sheet.id for sheet in kept}:
        if command.sheet_ids is not None:
            rule = "every line of the sheet is of a recalled lot"
            allowed = "sheets with other lines, or this one when the recall is closed"
            faults = [
                Fault(f"/sheet_ids/{place}", sheet_id, rule, allowed, "recalled")
                for place, sheet_id in enumerate(command.sheet_ids)
                if sheet_id in left
            ]
            raise _refused(faults, command.sheet_ids)
        if not kept:
            raise NothingToPay("Every sheet of your region that waits for payment holds nothing but recalled lots.")
    return kept


def _refused(faults: Sequence[Fault], asked: Sequence[UUID]) -> RunRefused:
    return RunRefused(
        "Of {asked:#sheet}, {count} cannot be paid; no run was made.",
        faults=faults,
        count=len(faults),
        asked=len(asked),
    )


async def _check_recalls(tx: Tx, run_id: UUID) -> None:
    """Raises RunNotOpen for a run in which a lot was recalled since it was made."""
    planned = await payment_queries.payments_of_run(tx, run_id, [PLANNED])
    if lines := await recalled_lines(tx, [payment.sheet_id for payment in planned]):
        lots = ", ".join(sorted({line.payable.lot_number for line in lines})[:10])
        raise RunNotOpen(
            "Run {run_id} holds {count:#line} of lots that were recalled since it was made ({lots}); reject it and make"
            " another, which leaves them out.",
            run_id=run_id,
            count=len(lines),
            lots=lots,
        )


async def _check_accounts(tx: Tx, run_id: UUID) -> None:
    """Raises RunNotOpen for a run with an account that another has replaced since it was made."""
    if suppliers := await payment_queries.paid_elsewhere(tx, run_id):
        raise RunNotOpen(
            "Run {run_id} was planned with accounts that are not the confirmed ones any more (of {suppliers}); reject it"
            " and make another.",
            run_id=run_id,
            suppliers=", ".join(suppliers[:10]),
        )


async def _check_doubts(tx: Tx, run: Run) -> None:
    """Raises RunNotOpen for a run over sheets that, as the bank has said since it was made, may be paid already."""
    if count := await payment_queries.count_doubted(tx, run.id):
        raise RunNotOpen(
            "Run {run_id} holds {count:#sheet} of which the bank has said paid since it was made; ask the bank, reject the"
            " run and make another.",
            run_id=run.id,
            count=count,
        )


async def check_content(tx: Tx, run_id: UUID) -> None:
    """Raises RunChanged where the payments of the run, before the bank hears of them, are not those that were approved."""
    for refusal in (await changed_runs(tx, [run_id])).values():
        raise refusal


async def changed_runs(tx: Tx, run_ids: Sequence[UUID]) -> dict[UUID, RunChanged]:
    """Those of the runs whose payments are not those that were approved, and why; lock payments that must stay as they are."""
    kept = await queries.digests_approved(tx, run_ids)
    found = await payment_queries.payments_of_runs(tx, run_ids)
    changed: dict[UUID, RunChanged] = {}
    for run_id, digests in kept.items():
        if len(digests) != 1:
            changed[run_id] = RunChanged(
                "History tells {count} times and not once that run {run_id} was approved, so the bank is told nothing of it"
                " and no answer of it is booked.",
                count=len(digests),
                run_id=run_id,
            )
        elif digests[0] is not None and digests[0] != await _digest(run_id, found[run_id]):
            changed[run_id] = RunChanged(
                "The payments of run {run_id} are not those that were approved: an amount, a party or an account was changed in"
                " the database, so the bank is told nothing of them and no answer of it is booked; `jicai audit` names them.",
                run_id=run_id,
            )
    return changed


async def hold_back(tx: Tx, why: Mapping[UUID, Said | None]) -> None:
    """Keeps why approved runs are held back, or with None that they are let go; each told once."""
    held = {run_id: reason is not None for run_id, reason in why.items()}
    for run_id, region in await queries.hold_back(tx, held, clock.now()):
        action, detail = ("held_back", {"reason": why[run_id]}) if held[run_id] else ("let_go", {})
        history.note(tx, BY_ITSELF, run_id, action, Parties(region=region), detail)


async def _digest(run_id: UUID, approved: Sequence[Payment]) -> str:
    return await to_thread(digest_of, run_id, approved)


async def _as_made(tx: Tx, run: Run) -> list[Payment]:
    """The payments of a run to be approved, locked; raises RunChanged where they are not those that the approver is shown."""
    found = await payment_queries.payments_of_run(tx, run.id, STATES, lock=True)
    shown = run.payment_count, run.amount_yuan
    summed = len(found), sum(payment.amount_yuan for payment in found)
    if summed != shown or await payment_queries.count_otherwise(tx, run.id):
        raise RunChanged(
            "The payments of run {run_id} are not those that it was made of: an amount, a party or an account was changed in the"
            " database, so it cannot be approved; `jicai audit` names them.",
            run_id=run.id,
        )
    return found


async def approve_run(tx: Tx, caller: Caller, run_id: UUID) -> Run:
    """The second person's word: the run is queued to be sent. Raises RunNotFound, RunNotOpen, RunChanged, SamePerson."""
    run = await queries.get_run(tx, run_id, lock=True)
    after = rules.decided(run, "approve", caller.organisation, caller.person, clock.now())
    await _check_recalls(tx, run_id)
    await _check_accounts(tx, run_id)
    await _check_doubts(tx, run)
    approved = await _as_made(tx, run)
    job_id = jobs.queue(tx, SEND_RUN, {"run_id": str(run_id)}, caller, natural_key=f"{run_id}:0")
    await promise_asking(tx, [run_id], LONGEST)
    await payment_queries.approve_payments(tx, run_id, clock.now())
    detail = {"amount_yuan": run.amount_yuan, "digest": await _digest(run_id, approved)}
    return await _store(tx, caller, run, after, job_id, "approved", detail)


async def promise_asking(tx: Tx, run_ids: Sequence[UUID], after: timedelta) -> None:
    """Sets when the bank is asked again; set before a job begins too, so that a job that dies for good strands nothing."""
    at = clock.now() + after
    await deadlines.put(tx, [Deadline(ASK_BANK, str(run_id), at) for run_id in run_ids])


async def reject_run(tx: Tx, caller: Caller, run_id: UUID, command: RejectRun) -> Run:
    """The run will not be paid; its sheets may enter another. Raises RunNotFound, RunNotOpen."""
    run = await queries.get_run(tx, run_id, lock=True)
    after = rules.decided(run, "reject", caller.organisation, caller.person, clock.now(), command.reason)
    planned = await payment_queries.payments_of_run(tx, run_id, [PLANNED], lock=True)
    await tx.change(payments, [{"id": each.id, "state": WITHDRAWN, "reason": command.reason} for each in planned])
    for each in planned:
        detail = {"run_id": run_id, "reason": command.reason, "changes": {"state": [PLANNED, WITHDRAWN]}}
        history.note(tx, caller, each.id, "withdrawn", parties_of_payment(each), detail)
    await _free(tx, caller, planned, run_id)
    return await _store(tx, caller, run, after, None, "rejected", {"reason": command.reason})


async def _free(tx: Tx, caller: Caller, planned: Sequence[Payment], run_id: UUID) -> None:
    known = await sheet_queries.sheets_to_change(tx, [payment.sheet_id for payment in planned])
    await _move(tx, caller, known.values(), "leave_run", "left_run", run_id)


async def _store(
    tx: Tx, caller: Caller, before: Run, after: Run, job_id: UUID | None, action: str, detail: dict[str, Any]
) -> Run:
    values = {field.name: getattr(after, field.name) for field in fields(Run) if field.name in DECIDED}
    await tx.change(payment_runs, [{"id": after.id, **values, "job_id": job_id}])
    detail["changes"] = history.changes(before, after, "state")
    history.note(tx, caller, after.id, action, parties_of_run(after), detail)
    return await queries.get_run(tx, after.id)


def parties_of_run(run: Run) -> Parties:
    """A run is its region's alone: the agency that made it may have offices that see less of what it pays."""
    return Parties(region=run.region)


def parties_of_payment(payment: Payment) -> Parties:
    """A payment is of those whose sheet it pays, for history."""
    return Parties(payment.institution_code, payment.distributor_code, payment.region)
