"""The life of a direct report as tables: every step from every state, both sides of each boundary."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from uuid_utils.compat import uuid7

from services.alerts.errors import NoLevelAbove, NotYourLevel, NotYourTurn, StepNotPossible
from services.alerts.rules.problems import (
    CLOCKS,
    NEXT,
    WHAT,
    Actor,
    Kind,
    Problem,
    Report,
    State,
    Step,
    Verb,
    by_the_assignee,
    by_the_authority,
    by_the_authority_below,
    by_the_reporter,
    clock_ran_out,
    end_of_working_day,
    faults_of,
    level_above,
    somebody_takes_over,
    take,
    waits_for,
)
from services.alerts.rules.reports import Reported, days_of, half_year, is_overdue
from shared import clock
from shared.errors import ServiceError

AT = datetime(2026, 3, 2, 4, tzinfo=UTC)
DAYS = {key: days for days, key in enumerate(sorted(set(CLOCKS.values())), 2)}
REPORTER, RESPONDENT, ASSIGNEE = "H33010200059", "91330100MA27XYXY10", "91330100MA28ABAB20"
CITY, PROVINCE = Actor("authority", "3301"), Actor("authority", "33")


def problem(state: State = State.REPORTED, **fields: object) -> Problem:
    made = Problem(
        id=uuid7(),
        kind=Kind.LATE,
        state=state,
        region="330100",
        handling_region="330100",
        reporter_code=REPORTER,
        reporter_role="hospital",
        respondent_code=RESPONDENT,
        assignee_code=ASSIGNEE,
        product_code=None,
        order_number=None,
        text="late",
        evidence={"items": []},
        occurred_at=AT,
        reported_at=AT,
        act_by=AT + timedelta(days=1),
        finding=None,
        resolved_at=None,
        closed_at=None,
        overdue_steps=0,
        version=1,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


CHECKS = {
    Verb.ASSIGN: by_the_authority,
    Verb.REPLY: by_the_assignee,
    Verb.RESOLVE: by_the_authority,
    Verb.ESCALATE: by_the_authority_below,
    Verb.CONFIRM: by_the_reporter,
    Verb.REOPEN: by_the_reporter,
}
"""Who takes which step."""


def check_step(before: Problem, step: Step, actor: Actor) -> None:
    CHECKS[step.verb](before, step, actor)


def whose(verb: Verb) -> Actor:
    if verb is Verb.REPLY:
        return Actor(ASSIGNEE)
    return Actor(REPORTER) if verb in (Verb.CONFIRM, Verb.REOPEN) else CITY


@pytest.mark.parametrize(
    ("state", "verb"), [(state, verb) for state, verb in product(State, Verb) if verb not in {Verb.CLOSE, Verb.RUN_OUT}]
)
def test_a_step_is_possible_exactly_where_the_table_says(state: State, verb: Verb) -> None:
    refused: type[ServiceError] | None = None
    try:
        check_step(problem(state), Step(verb), whose(verb))
    except StepNotPossible as refusal:
        refused = type(refusal)
    assert (refused is None) == ((state, verb) in NEXT)


@pytest.mark.parametrize(
    ("verb", "actor", "refusal"),
    [
        (Verb.REPLY, Actor(RESPONDENT), NotYourTurn),
        (Verb.CONFIRM, Actor(RESPONDENT), NotYourTurn),
        (Verb.REOPEN, Actor(ASSIGNEE), NotYourTurn),
        (Verb.ASSIGN, Actor(REPORTER), NotYourLevel),
        (Verb.RESOLVE, Actor("authority", "3302"), NotYourLevel),
        (Verb.ESCALATE, Actor("authority", "330106"), NotYourLevel),
    ],
)
def test_a_step_belongs_to_one_party(verb: Verb, actor: Actor, refusal: type[ServiceError]) -> None:
    with pytest.raises(refusal):
        check_step(problem(State.ESCALATED), Step(verb), actor)


@pytest.mark.parametrize("actor", [CITY, PROVINCE, Actor("nation", "")])
def test_the_level_that_handles_it_and_those_above_may_act(actor: Actor) -> None:
    check_step(problem(), Step(Verb.ASSIGN), actor)


def test_the_level_below_may_not_act_any_more() -> None:
    with pytest.raises(NotYourLevel, match="330000"):
        check_step(problem(State.ESCALATED, handling_region="330000"), Step(Verb.RESOLVE), CITY)


@pytest.mark.parametrize(
    ("region", "above"), [("330106", "330100"), ("330100", "330000"), ("330000", None), ("310115", "310100")]
)
def test_a_level_lies_above_another(region: str, above: str | None) -> None:
    assert level_above(region) == above


def test_nobody_escalates_above_the_province() -> None:
    with pytest.raises(NoLevelAbove):
        check_step(problem(State.ESCALATED, handling_region="330000"), Step(Verb.ESCALATE), PROVINCE)


@pytest.mark.parametrize("verb", [Verb.RUN_OUT, Verb.ESCALATE, Verb.REOPEN])
def test_escalation_goes_one_level_up(verb: Verb) -> None:
    before = problem(State.RESOLVED if verb is Verb.REOPEN else State.ASSIGNED)
    after = take(before, Step(verb), AT, DAYS)
    assert (after.state, after.handling_region, after.version) == (State.ESCALATED, "330000", 2)
    assert waits_for(after) == "authority of 330000"


@pytest.mark.parametrize(
    ("state", "region", "moves"),
    [
        (State.ESCALATED, "330100", True),
        (State.ESCALATED, "330000", False),
        (State.PARTY_REPLIED, "330000", False),
        (State.ASSIGNED, "330000", True),
        (State.RESOLVED, "330000", True),
    ],
)
def test_a_clock_that_runs_out_moves_a_report_where_somebody_takes_over(
    state: State, region: str, *, moves: bool
) -> None:
    assert somebody_takes_over(problem(state, handling_region=region, act_by=AT)) is moves


@pytest.mark.parametrize(("later", "counted"), [(timedelta(0), 1), (timedelta(seconds=-1), 0)])
def test_a_step_that_was_taken_too_late_is_counted(later: timedelta, counted: int) -> None:
    before = problem(State.ESCALATED, handling_region="330000", act_by=AT)
    assert take(before, Step(Verb.RESOLVE, "done"), AT + later, DAYS).overdue_steps == counted


def test_silence_of_the_reporter_closes_and_is_nobodys_delay() -> None:
    after = take(problem(State.RESOLVED, finding="done", resolved_at=AT), Step(Verb.RUN_OUT), AT, DAYS)
    assert (after.state, after.act_by, after.overdue_steps, after.closed_at) == (State.CLOSED, None, 0, AT)


def test_a_second_reply_leaves_the_clock_of_the_authority() -> None:
    before = problem(State.PARTY_REPLIED)
    assert take(before, Step(Verb.REPLY), AT, DAYS).act_by == before.act_by


@pytest.mark.parametrize(("state", "verb"), list(NEXT))
def test_every_state_that_is_not_the_end_has_a_clock_and_somebody_who_acts(state: State, verb: Verb) -> None:
    after = take(problem(state), Step(verb, "said", ASSIGNEE), AT, DAYS)
    passing = after.state == State.CONFIRMED_BY_REPORTER
    assert (after.act_by is None) == (after.state == State.CLOSED or passing)
    assert (waits_for(after) is None) == (after.act_by is None)
    assert passing or (State(after.state) in WHAT) == (after.act_by is not None)
    assert after.version == 2


@pytest.mark.parametrize(
    ("at", "days", "end_on"),
    [
        (datetime(2026, 3, 2, 4, tzinfo=UTC), 2, date(2026, 3, 4)),  # Monday + 2 = Wednesday
        (datetime(2026, 3, 6, 4, tzinfo=UTC), 1, date(2026, 3, 9)),  # Friday + 1 = Monday
        (datetime(2026, 3, 5, 16, tzinfo=UTC), 1, date(2026, 3, 9)),  # it is Friday in Shanghai already
        (datetime(2026, 3, 5, 15, 59, tzinfo=UTC), 1, date(2026, 3, 6)),  # still Thursday
    ],
)
def test_a_clock_ends_with_the_last_shanghai_day(at: datetime, days: int, end_on: date) -> None:
    assert end_of_working_day(at, days) == clock.start_of_day(end_on + timedelta(days=1))


def test_a_clock_runs_out_at_its_instant_and_not_before() -> None:
    one = problem(act_by=AT)
    assert clock_ran_out(one, AT)
    assert not clock_ran_out(one, AT - timedelta(microseconds=1))
    assert not clock_ran_out(replace(one, act_by=None), AT)


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({}, []),
        ({"region": "190000"}, ["/region"]),
        ({"region": "000000"}, ["/region"]),
        ({"region": "440100"}, ["/region"]),
        ({"region": "330106"}, []),
        ({"respondent_code": REPORTER}, ["/respondent_code"]),
        ({"respondent_code": "nobody"}, ["/respondent_code"]),
        ({"respondent_code": "H3301"}, ["/respondent_code"]),
        ({"respondent_code": "KNOWN"}, []),
        ({"respondent_code": "PROV-0123456789AB"}, ["/respondent_code"]),
        ({"respondent_code": RESPONDENT}, ["/respondent_code"]),
        ({"respondent_code": "H33010200060"}, ["/respondent_code"]),
        ({"respondent_code": "11500000MB17640107"}, []),
        ({"respondent_code": "123502001549897397"}, []),
        ({"order_number": "CG-1"}, []),
        ({"order_number": "CG-2"}, ["/order_number"]),
        ({"order_number": "CG-1", "respondent_code": "KNOWN"}, []),
        ({"order_number": "CG-1", "respondent_code": "OTHER"}, ["/order_number"]),
        ({"order_number": "CG-1", "respondent_code": "11500000MB17640107"}, []),
        ({"order_number": "CG-1", "respondent_code": "x"}, ["/respondent_code"]),
        ({"order_number": "CG-2", "respondent_code": "x"}, ["/respondent_code", "/order_number"]),
        ({"product_code": "9.13301007043059e+17"}, ["/product_code"]),
        ({"occurred_at": AT + timedelta(seconds=1)}, ["/occurred_at"]),
        ({"occurred_at": AT}, []),
        ({"occurred_at": datetime(1999, 12, 31, tzinfo=UTC)}, ["/occurred_at"]),
        (
            {"region": "x", "respondent_code": "x", "product_code": "x"},
            ["/region", "/respondent_code", "/product_code"],
        ),
    ],
)
def test_all_faults_of_a_report_are_told_at_once(fields: dict[str, object], pointers: list[str]) -> None:
    report = replace(Report("330100", None, None, None, AT), **fields)  # type: ignore[arg-type]
    faults = faults_of(
        report,
        reporter_code=REPORTER,
        reporter_region="330100",
        may_roam=False,
        known={"KNOWN": "KNOWN", "OTHER": "OTHER"},
        orders={"CG-1": {REPORTER, "KNOWN"}},
        now=AT,
    )
    assert [fault.pointer for fault in faults] == pointers


def test_a_supplier_reports_from_wherever_it_delivers() -> None:
    report = Report("440100", None, None, None, AT)
    told = {"reporter_code": "x", "reporter_region": "330100", "known": {}, "orders": {}, "now": AT}
    assert faults_of(report, may_roam=True, **told) == []  # type: ignore[arg-type]
    assert [fault.pointer for fault in faults_of(report, may_roam=False, **told)] == ["/region"]  # type: ignore[arg-type]


def reported(
    kind: str, state: State, days: float | None = None, late: int = 0, act_by: datetime | None = None
) -> Reported:
    resolved_at = None if days is None else AT + timedelta(days=days)
    return Reported(uuid7(), kind, state, "330100", AT, resolved_at, act_by, late)


def test_the_half_year_counts_with_the_ids_behind_each_number() -> None:
    rows = [
        reported("late", State.CLOSED, 1),
        reported("late", State.CLOSED, 4, late=1),
        reported("late", State.ASSIGNED, act_by=AT),
        reported("price", State.RESOLVED, 2, act_by=AT),
    ]
    told = half_year("2026H1", rows, AT)
    late, price = told.by_kind
    assert (late.key, late.count, late.median_days, late.overdue_count) == ("late", 3, 2.5, 2)
    assert late.ids == tuple(row.id for row in rows[:3])
    assert late.overdue_ids == (rows[1].id, rows[2].id)
    assert (price.key, price.median_days, price.overdue_ids) == ("price", 2.0, ())
    assert told.total.count == 4
    assert {row.key: row.count for row in told.by_state} == {"assigned": 1, "closed": 2, "resolved": 1}


def test_a_half_year_of_nothing_has_no_median() -> None:
    told = half_year("2026H2", [], AT)
    assert (told.total.count, told.total.median_days, told.by_kind) == (0, None, ())


@pytest.mark.parametrize(
    ("half", "first", "last"),
    [("2026H1", date(2026, 1, 1), date(2026, 6, 30)), ("2026H2", date(2026, 7, 1), date(2026, 12, 31))],
)
def test_a_half_has_six_months(half: str, first: date, last: date) -> None:
    assert days_of(half) == (first, last)


def test_a_clock_that_is_not_over_is_not_overdue() -> None:
    assert not is_overdue(reported("late", State.ASSIGNED, act_by=AT + timedelta(seconds=1)), AT)
