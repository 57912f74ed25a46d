"""HTTP for direct reports (集采问题直报): report, assign, reply, resolve, escalate, confirm, reopen."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.alerts.handlers import problems as handlers
from services.alerts.handlers.problems import Asked, Match
from services.alerts.queries import problems as queries
from services.alerts.rules.next_steps import Names, problem_step
from services.alerts.rules.problems import (
    Kind,
    Problem,
    State,
    Step,
    Verb,
    by_the_authority,
    by_the_authority_below,
    by_the_reporter,
    clock_ran_out,
)
from services.alerts.rules.reports import half_year, start_and_end
from services.alerts.schemas.problems import (
    AssignProblem,
    ConfirmProblem,
    EscalateProblem,
    HalfYearView,
    ProblemDetailView,
    ProblemView,
    ReopenProblem,
    ReplyToProblem,
    ReplyView,
    ReportProblem,
    ResolveProblem,
)
from shared import clock, history
from shared.db import Tx
from shared.history import TimelineView
from shared.http import (
    BulkAnswer,
    CallerHere,
    Edge,
    Items,
    KeyRequired,
    MatchNeeded,
    Page,
    PagingHere,
    TxHere,
    answers,
    check_match,
    etag,
    only,
)
from shared.http.schemas import Code

router = APIRouter(route_class=Edge, prefix="/problems", tags=["problems"])

Day = Annotated[date, Query(ge=date(2000, 1, 1), le=date(2200, 1, 1), description="a day in Shanghai")]


async def _match(request: Request) -> Match:
    return partial(check_match, request)


MatchHere = Annotated[Match, Depends(_match)]
"""The `If-Match` of this request, held against the version under lock."""


@router.post("", status_code=201, dependencies=[KeyRequired])
async def report_problem(command: ReportProblem, caller: CallerHere, tx: TxHere, response: Response) -> ProblemView:
    """Reports a problem to the authority of the region; it must be assigned by `act_by`."""
    return await _answer(tx, response, only(await handlers.report_problems(tx, caller, [command])))


@router.post("/bulk", dependencies=[KeyRequired])
async def report_problems_in_bulk(
    commands: Items[ReportProblem], caller: CallerHere, tx: TxHere
) -> BulkAnswer[ProblemView]:
    """Up to 1,000 reports, each answered by itself."""
    return answers(
        await commands.each(partial(handlers.report_problems, tx, caller)),
        lambda problem: shown(problem, {}),
        success=201,
    )


@router.get("")
async def list_problems(
    tx: TxHere,
    paging: PagingHere,
    kind: Annotated[Kind | None, Query()] = None,
    state: Annotated[State | None, Query()] = None,
    reporter: Annotated[Code | None, Query()] = None,
    respondent: Annotated[Code | None, Query()] = None,
    assignee: Annotated[Code | None, Query()] = None,
    product_code: Annotated[Code | None, Query()] = None,
    order_number: Annotated[Code | None, Query()] = None,
    reported_from: Day | None = None,
    reported_to: Day | None = None,
    overdue: Annotated[bool, Query(description="only those whose clock has run out")] = False,  # noqa: FBT002  a query
) -> Page[ProblemView]:
    """Direct reports, newest first; `reported_to` is the last day."""
    wanted = queries.Wanted(
        kind=kind,
        state=state,
        reporter=reporter,
        respondent=respondent,
        assignee=assignee,
        product_code=product_code,
        order_number=order_number,
        reported_from=_start(reported_from),
        reported_before=_start(reported_to, days=1),
        overdue_at=clock.now() if overdue else None,
    )
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.problems_page(tx, wanted, after, paging.rows)
    names = await _names(tx, found)
    return paging.page(found, lambda problem: shown(problem, names), key=lambda problem: [problem.id])


@router.get("/report")
async def report_half_year(
    tx: TxHere, half: Annotated[str, Query(pattern=r"^20[0-9]{2}H[12]$", examples=["2026H1"])]
) -> HalfYearView:
    """What was reported in a half year, by kind and by state, with the ids behind every number."""
    found = await queries.reported_between(tx, *start_and_end(half))
    return HalfYearView.model_validate(half_year(half, found, clock.now()))


@router.get("/{problem_id}")
async def get_problem(problem_id: UUID, tx: TxHere, response: Response) -> ProblemDetailView:
    """One direct report, with its replies and what it is linked with."""
    problem = await queries.get_problem(tx, problem_id)
    days = tx.policy.find("alerts.repeat_days", problem.region, clock.local_date(problem.reported_at)).value
    response.headers["etag"] = etag(problem.version)
    names = await queries.names_of(tx, [problem.reporter_code, problem.respondent_code, problem.assignee_code])
    return ProblemDetailView(
        **shown(problem, names).model_dump(),
        names=names,
        replies=[ReplyView.model_validate(reply) for reply in await queries.replies_of(tx, problem_id)],
        related_ids=await queries.related_ids(tx, problem, days),
        related_alert_ids=await queries.related_alert_ids(tx, problem),
    )


@router.get("/{problem_id}/timeline")
async def get_problem_timeline(problem_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a direct report so far, who must act, and by when."""
    problem = await queries.get_problem(tx, problem_id)
    step = problem_step(problem, await _names(tx, [problem]))
    steps = [step] if step else []
    return await history.timeline(tx, problem.id, problem.state, steps)


@router.post("/{problem_id}/assignment", dependencies=[MatchNeeded])
async def assign_problem(
    problem_id: UUID, command: AssignProblem, caller: CallerHere, tx: TxHere, match: MatchHere, response: Response
) -> ProblemView:
    """The authority asks the respondent, or another party, to reply."""
    return await _answer(tx, response, await handlers.assign_problem(tx, caller, problem_id, command, match))


@router.post("/{problem_id}/replies", status_code=201, dependencies=[MatchNeeded])
async def reply_to_problem(
    problem_id: UUID, command: ReplyToProblem, caller: CallerHere, tx: TxHere, match: MatchHere, response: Response
) -> ProblemView:
    """The party it is assigned to replies; it may do so more than once."""
    asked = handlers.answering(problem_id, command, match)
    return await _answer(tx, response, only(await handlers.take_steps(tx, caller, [asked])))


@router.post("/{problem_id}/resolution", dependencies=[MatchNeeded])
async def resolve_problem(
    problem_id: UUID, command: ResolveProblem, caller: CallerHere, tx: TxHere, match: MatchHere, response: Response
) -> ProblemView:
    """The authority resolves it with a finding; the reporter confirms."""
    asked = Asked(problem_id, Step(Verb.RESOLVE, command.finding), by_the_authority, match)
    return await _answer(tx, response, only(await handlers.take_steps(tx, caller, [asked])))


@router.post("/{problem_id}/escalation", dependencies=[MatchNeeded])
async def escalate_problem(
    problem_id: UUID, command: EscalateProblem, caller: CallerHere, tx: TxHere, match: MatchHere, response: Response
) -> ProblemView:
    """The authority hands it to the level above."""
    asked = Asked(problem_id, Step(Verb.ESCALATE, command.reason), by_the_authority_below, match)
    return await _answer(tx, response, only(await handlers.take_steps(tx, caller, [asked])))


@router.post("/{problem_id}/confirmation", dependencies=[MatchNeeded])
async def confirm_problem(
    problem_id: UUID, command: ConfirmProblem, caller: CallerHere, tx: TxHere, match: MatchHere, response: Response
) -> ProblemView:
    """The reporter agrees that it is solved, which closes it."""
    asked = Asked(problem_id, Step(Verb.CONFIRM, command.note), by_the_reporter, match)
    return await _answer(tx, response, only(await handlers.take_steps(tx, caller, [asked])))


@router.post("/{problem_id}/reopening", dependencies=[MatchNeeded])
async def reopen_problem(
    problem_id: UUID, command: ReopenProblem, caller: CallerHere, tx: TxHere, match: MatchHere, response: Response
) -> ProblemView:
    """The reporter does not agree; the level above takes over."""
    asked = Asked(problem_id, Step(Verb.REOPEN, command.reason), by_the_reporter, match)
    return await _answer(tx, response, only(await handlers.take_steps(tx, caller, [asked])))


def shown(problem: Problem, names: Names) -> ProblemView:
    """A direct report as it is shown."""
    fields = {name: getattr(problem, name) for name in ProblemView.model_fields if hasattr(problem, name)}
    return ProblemView(**fields, waits_for=problem_step(problem, names), overdue=clock_ran_out(problem, clock.now()))


async def _names(tx: Tx, found: Sequence[Problem]) -> Names:
    """The names of those who may have to act on these direct reports."""
    return await queries.names_of(tx, [code for one in found for code in (one.reporter_code, one.assignee_code)])


async def _answer(tx: Tx, response: Response, problem: Problem) -> ProblemView:
    response.headers["etag"] = etag(problem.version)
    return shown(problem, await _names(tx, [problem]))


def _start(day: date | None, days: int = 0) -> datetime | None:
    return None if day is None else clock.start_of_day(day + timedelta(days=days))
