"""A payment run: one person makes it over reviewed sheets, another approves it, and books what the bank has paid of it
already; nobody does both."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from services.settlement.errors import RunNotOpen, SamePerson
from services.settlement.rules.sheets import PAYING, Paying
from shared.errors import Said
from shared.next_steps import BANK, NextStep, agency, day_over
from shared.values import frozen

MADE, APPROVED, DONE, REJECTED = STATES = ("made", "approved", "done", "rejected")

NEXT = {
    (MADE, "approve"): APPROVED,
    (MADE, "reject"): REJECTED,
    (APPROVED, "finish"): DONE,
}


@frozen
class Run:
    """A run as it stands; `made_by` and `decided_by` are persons of organisations."""

    id: UUID
    agency_code: str
    region: str
    state: str
    amount_yuan: Decimal
    payment_count: int
    made_by_organisation: str
    made_by: str
    made_at: datetime
    decided_by_organisation: str | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    asked_times: int
    job_id: UUID | None
    version: int
    due_on: date | None = None
    """the earliest day on which a sheet is due that it has not paid yet; not kept in the run's own row"""
    failed: int = 0
    """its payments that failed and whose sheets stand in no other run; not kept in the run's own row"""
    in_doubt: int = 0
    """its payments that the bank has called paid after they had failed; not kept in the run's own row"""
    barred: bool = False
    """whether it is open and cannot be approved; not kept in the run's own row"""
    changed: bool = False
    """whether it is open, and its payments are not those that it was made of; not kept in the run's own row"""
    held_back_at: datetime | None = None
    """since when the bank is told nothing of it and no answer is booked, for its payments are not those that were approved"""


def decided(run: Run, verb: str, organisation: str, person: str, at: datetime, reason: str | None = None) -> Run:
    """The run approved or rejected; raises RunNotOpen, and SamePerson when its maker would approve it."""
    state = NEXT.get((run.state, verb))
    if state is None:
        raise RunNotOpen(
            "Run {id} is {state}; to {verb} it, it must be {made}.",
            id=run.id,
            state=run.state,
            verb=verb,
            made=MADE,
        )
    if verb == "approve" and _made(run, organisation, person):
        raise SamePerson(
            "{person} of {organisation} made this run of {payment_count:#payment} over {amount_yuan} "
            "yuan; another person must approve it.",
            person=person,
            organisation=organisation,
            payment_count=run.payment_count,
            amount_yuan=run.amount_yuan,
        )
    return replace(
        run,
        state=state,
        decided_by_organisation=organisation,
        decided_by=person,
        decided_at=at,
        reason=reason,
        version=run.version + 1,
    )


def check_books_another(run: Run, organisation: str, person: str) -> None:
    """Raises SamePerson when the maker of a run would book a payment of it that was not sent as paid."""
    if _made(run, organisation, person):
        raise SamePerson(
            "{person} of {organisation} made this run of {payment_count:#payment} over {amount_yuan} yuan; another person"
            " must book what the bank has paid of it already.",
            person=person,
            organisation=organisation,
            payment_count=run.payment_count,
            amount_yuan=run.amount_yuan,
        )


def _made(run: Run, organisation: str, person: str) -> bool:
    return (organisation, person) == (run.made_by_organisation, run.made_by)


def next_step(run: Run) -> NextStep | None:
    """Whom a run waits for."""
    who = agency(run.region, run.agency_code)
    match run.state:
        case "made" if run.changed:
            who, what = PAYING[Paying.CHANGED](run.region)
        case "made" if run.barred:
            what = PAYING[Paying.BARRED](run.region)[1]
        case "made":
            what = Said(
                "another person than {made_by} approves or rejects the run of {count:#payment}",
                made_by=run.made_by,
                count=run.payment_count,
            )
        case "approved" if run.held_back_at is not None:
            who, what = PAYING[Paying.HELD_BACK](run.region)
        case "approved":
            who, what = BANK, Said("pay, and answer for each of {count:#payment}", count=run.payment_count)
        case "done" if run.in_doubt:
            what = Said(
                "find out with the bank whether {count:#payment} of the run were made, of which it has said both",
                count=run.in_doubt,
            )
        case "done" if run.failed:
            what = Said("see why {count:#payment} failed, and take the sheets into another run", count=run.failed)
        case _:
            return None
    return NextStep(who=who, what=what, by=day_over(run.due_on))
