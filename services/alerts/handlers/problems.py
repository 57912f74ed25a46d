"""Takes the steps of direct reports: one person's step and a thousand clocks that ran out go the same way.

A clock is a deadline of its own name, set once and never moved: when it is due, the row under lock says whether it still
counts. So no step waits for the worker that meets deadlines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.alerts.errors import AssignmentRefused, ProblemRefused
from services.alerts.queries import problems as queries
from services.alerts.rules.problems import (
    CLOCKS,
    DEEDS,
    REPORTERS,
    Actor,
    Problem,
    Report,
    State,
    Step,
    Verb,
    by_the_assignee,
    by_the_authority,
    clock_ran_out,
    end_of_working_day,
    faults_of,
    party_faults,
    somebody_takes_over,
    take,
    waits_for,
)
from services.alerts.schemas.problems import AssignProblem, Evidence, ReplyToProblem, ReportProblem
from services.alerts.tables import problems, replies
from shared import clock, deadlines, history, outbox
from shared.db import Tx
from shared.deadlines import Deadline
from shared.errors import Fault, Said, ServiceError
from shared.events.alerts import (
    ProblemAssigned,
    ProblemClosed,
    ProblemConfirmed,
    ProblemEscalated,
    ProblemReplied,
    ProblemReported,
    ProblemResolved,
)
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller
from shared.values import frozen

STEP = "problem_step"
"""The kind of the deadlines here; about: `<problem>/<version that set the clock>`."""

Fact = (
    ProblemReported
    | ProblemAssigned
    | ProblemReplied
    | ProblemResolved
    | ProblemEscalated
    | ProblemConfirmed
    | ProblemClosed
)

EVENTS: Mapping[Verb, type[Fact]] = {
    Verb.ASSIGN: ProblemAssigned,
    Verb.REPLY: ProblemReplied,
    Verb.RESOLVE: ProblemResolved,
    Verb.ESCALATE: ProblemEscalated,
    Verb.CONFIRM: ProblemConfirmed,
    Verb.REOPEN: ProblemEscalated,
    Verb.CLOSE: ProblemClosed,
    Verb.RUN_OUT: ProblemEscalated,
}

Match = Callable[[int], None]
"""Refuses a version that is not the one the caller read."""


By = Callable[[Problem, Step, Actor], None]
"""Refuses a step that is not this party's, or not possible now."""


@frozen
class Asked:
    """A step that somebody asks for; `evidence` is what is kept of a reply."""

    problem_id: UUID
    step: Step
    by: By
    match: Match
    evidence: tuple[Evidence, ...] = ()


async def report_problems(tx: Tx, caller: Caller, commands: Sequence[ReportProblem]) -> list[Problem | ServiceError]:
    """Reports many at once; each answer stands at its place."""
    known = await queries.registered_codes(tx, [command.respondent_code for command in commands])
    orders = await queries.parties_of_orders(tx, [command.order_number for command in commands])
    now = clock.now()
    outcomes: list[Problem | ServiceError] = []
    reported: list[Problem] = []
    for command in commands:
        faults = _report_faults(caller, command, known, orders, now)
        if faults:
            outcomes.append(
                ProblemRefused("{count:#fault} in the report; nothing was changed.", faults=faults, count=len(faults))
            )
            continue
        problem = _reported(tx, caller, command, now)
        tx.add(problems, asdict(problem))
        _say(tx, caller, problem, ProblemReported, "reported", {"text": problem.text})
        reported.append(problem)
        outcomes.append(problem)
    await _set_clocks(tx, reported)
    return outcomes


def _report_faults(
    caller: Caller,
    command: ReportProblem,
    known: Mapping[str, str],
    orders: Mapping[str, frozenset[str]],
    now: datetime,
) -> list[Fault]:
    return faults_of(
        Report(
            command.region, command.respondent_code, command.product_code, command.order_number, command.occurred_at
        ),
        reporter_code=caller.organisation,
        reporter_region=caller.region,
        may_roam=bool(caller.roles & {"manufacturer", "distributor"}),
        known=known,
        orders=orders,
        now=now,
    )


def _reported(tx: Tx, caller: Caller, command: ReportProblem, now: datetime) -> Problem:
    days = _days(tx, command.region, now)[CLOCKS[State.REPORTED]]
    return Problem(
        id=uuid7(),
        kind=command.kind,
        state=State.REPORTED,
        region=command.region,
        handling_region=command.region,
        reporter_code=caller.organisation,
        reporter_role=next((role for role in REPORTERS if role in caller.roles), "operator"),
        respondent_code=command.respondent_code,
        assignee_code=None,
        product_code=command.product_code,
        order_number=command.order_number,
        text=command.text,
        evidence=_kept(command.evidence),
        occurred_at=command.occurred_at,
        reported_at=now,
        act_by=end_of_working_day(now, days),
        finding=None,
        resolved_at=None,
        closed_at=None,
        overdue_steps=0,
        version=1,
    )


async def assign_problem(tx: Tx, caller: Caller, problem_id: UUID, command: AssignProblem, match: Match) -> Problem:
    """The authority asks a party to answer. Raises AssignmentRefused besides what the rules raise."""
    locked = await queries.lock_problems(tx, [problem_id])
    problem = locked.get(problem_id)
    if problem is None:
        raise queries.not_found(problem_id)
    assignee = command.assignee_code or problem.respondent_code
    if assignee is None:
        fault = Fault("/assignee_code", None, "the report names no respondent", "the code of the party that answers")
        raise AssignmentRefused("Nobody to assign it to.", faults=[fault])
    known = await queries.registered_codes(tx, [assignee])
    if faults := party_faults("/assignee_code", assignee, problem.reporter_code, known):
        raise AssignmentRefused(
            "{assignee} cannot answer it: {rule}.", faults=faults, assignee=assignee, rule=faults[0].rule
        )
    asked = Asked(problem_id, Step(Verb.ASSIGN, command.note, assignee), by_the_authority, match)
    (outcome,) = await take_steps(tx, caller, [asked])
    if isinstance(outcome, ServiceError):
        raise outcome
    return outcome


def answering(problem_id: UUID, command: ReplyToProblem, match: Match) -> Asked:
    """A reply as a step."""
    return Asked(problem_id, Step(Verb.REPLY, command.text), by_the_assignee, match, tuple(command.evidence))


async def take_steps(tx: Tx, caller: Caller, asked: Sequence[Asked]) -> list[Problem | ServiceError]:
    """Takes many steps at once; each answer stands at its place."""
    now_of = await queries.lock_problems(tx, [one.problem_id for one in asked])
    actor = _actor(caller)
    moved: dict[UUID, Problem] = {}
    outcomes: list[Problem | ServiceError] = []
    for one in asked:
        try:
            before = now_of.get(one.problem_id)
            if before is None:
                raise queries.not_found(one.problem_id)
            one.by(before, one.step, actor)
            one.match(before.version)
        except ServiceError as refusal:
            outcomes.append(refusal)
            continue
        after = _take(tx, caller, before, one.step)
        if one.step.verb is Verb.REPLY:
            _keep_reply(tx, caller, after, one)
        if one.step.verb is Verb.CONFIRM:
            after = _take(tx, BY_ITSELF, after, Step(Verb.CLOSE, Said("The reporter confirmed.")))
        now_of[after.id] = moved[after.id] = after
        outcomes.append(after)
    await _store(tx, list(moved.values()), [one.problem_id for one in asked if one.step.verb is Verb.ASSIGN])
    return outcomes


async def when_step_ran_out(tx: Tx, due: Sequence[Deadline]) -> None:
    """Clocks that ran out: the next level takes over, or the reporter's silence closes; where nobody can, the step stays
    overdue. A clock that was replaced is void."""
    found = await queries.lock_problems(tx, [UUID(deadline.about.partition("/")[0]) for deadline in due])
    now = clock.now()
    moved = [
        _take(tx, BY_ITSELF, problem, Step(Verb.RUN_OUT, Said("{who} did not act in time.", who=waits_for(problem))))
        for problem in found.values()
        if clock_ran_out(problem, now) and somebody_takes_over(problem)
    ]
    await _store(tx, moved, [])


async def _store(tx: Tx, moved: Sequence[Problem], assigned: Sequence[UUID]) -> None:
    if not moved:
        return
    await queries.store(tx, moved)
    if handed := [problem for problem in moved if problem.id in assigned]:
        await queries.hand_over(tx, handed)
    await _set_clocks(tx, moved)


def _take(tx: Tx, who: Caller, before: Problem, step: Step) -> Problem:
    now = clock.now()
    after = take(before, step, now, _days(tx, before.region, now))
    event = EVENTS[step.verb] if after.state != State.CLOSED else ProblemClosed
    detail = {
        "said": step.said,
        "waits_for": waits_for(after),
        "changes": history.changes(before, after, "state", "handling_region", "assignee_code", "act_by"),
    }
    _say(tx, who, after, event, DEEDS[step.verb], detail)
    return after


async def _set_clocks(tx: Tx, moved: Sequence[Problem]) -> None:
    await deadlines.put(
        tx,
        [
            Deadline(STEP, f"{problem.id}/{problem.version}", problem.act_by)
            for problem in moved
            if problem.act_by is not None
        ],
    )


def _keep_reply(tx: Tx, caller: Caller, problem: Problem, asked: Asked) -> None:
    tx.add(
        replies,
        {
            "id": uuid7(),
            "problem_id": problem.id,
            "by_code": caller.organisation,
            "text": asked.step.said,
            "evidence": _kept(asked.evidence),
            "replied_at": clock.now(),
            "reporter_code": problem.reporter_code,
            "respondent_code": problem.respondent_code,
            "assignee_code": problem.assignee_code,
            "region": problem.region,
        },
    )


def _say(tx: Tx, who: Caller, problem: Problem, event: type[Fact], action: str, detail: Mapping[str, Any]) -> None:
    parties = Parties(problem.reporter_code, problem.respondent_code, problem.region, problem.assignee_code)
    history.note(tx, who, problem.id, action, parties, detail)
    said = event(
        problem_id=problem.id,
        kind=problem.kind,
        region=problem.region,
        reporter_code=problem.reporter_code,
        respondent_code=problem.respondent_code,
        state=problem.state,
        act_by=problem.act_by,
    )
    outbox.record(tx, said, problem.version)


def _days(tx: Tx, region: str, at: datetime) -> dict[str, int]:
    on = clock.local_date(at)
    return {key: tx.policy.find(key, region, on).value for key in set(CLOCKS.values())}


def _actor(caller: Caller) -> Actor:
    if "operator" in caller.roles:
        return Actor(caller.organisation, "")
    return Actor(caller.organisation, caller.region_prefix if "authority" in caller.roles else None)


def _kept(evidence: Sequence[Evidence]) -> dict[str, Any]:
    """As an object: an array of JSON lists would travel as one flat array."""
    return {"items": [one.model_dump(exclude_none=True) for one in evidence]}
