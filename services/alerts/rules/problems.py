"""The life of a direct report (集采问题直报): who must act in each state, by when, and who may do what.

States follow Jiangxi's rules in force from 2026-01-01; days per step are policy values. A clock that runs out escalates
to the next level (district, city, province), and the silence of the reporter closes. Above the province there is nobody:
there the step stays overdue until it is taken.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.alerts.errors import NoLevelAbove, NotYourLevel, NotYourTurn, StepNotPossible
from shared import clock
from shared.codes import (
    NATION,
    CodeRefused,
    covers,
    parse_institution,
    parse_product,
    parse_region,
    parse_uscc,
)
from shared.errors import Fault, Said
from shared.values import frozen

PROVISIONAL = re.compile(r"PROV-[0-9A-F]{12}")


class Kind(StrEnum):
    NO_SUPPLY = "no_supply"
    LATE = "late"
    SHORT_SHIP = "short_ship"
    REFUSE_DELIVERY = "refuse_delivery"
    REFUSE_SIGN = "refuse_sign"
    QUALITY = "quality"
    PRICE = "price"
    SYSTEM = "system"
    LOW_USE = "low_use"
    PAYMENT = "payment"


class State(StrEnum):
    REPORTED = "reported"
    ASSIGNED = "assigned"
    PARTY_REPLIED = "party_replied"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    CONFIRMED_BY_REPORTER = "confirmed_by_reporter"
    CLOSED = "closed"


class Verb(StrEnum):
    ASSIGN = "assign"
    REPLY = "reply"
    RESOLVE = "resolve"
    ESCALATE = "escalate"
    CONFIRM = "confirm"
    REOPEN = "reopen"
    CLOSE = "close"
    RUN_OUT = "run_out"


NEXT: Mapping[tuple[State, Verb], State] = {
    (State.REPORTED, Verb.ASSIGN): State.ASSIGNED,
    (State.REPORTED, Verb.ESCALATE): State.ESCALATED,
    (State.REPORTED, Verb.RUN_OUT): State.ESCALATED,
    (State.ASSIGNED, Verb.ASSIGN): State.ASSIGNED,
    (State.ASSIGNED, Verb.REPLY): State.PARTY_REPLIED,
    (State.ASSIGNED, Verb.ESCALATE): State.ESCALATED,
    (State.ASSIGNED, Verb.RUN_OUT): State.ESCALATED,
    (State.PARTY_REPLIED, Verb.ASSIGN): State.ASSIGNED,
    (State.PARTY_REPLIED, Verb.REPLY): State.PARTY_REPLIED,
    (State.PARTY_REPLIED, Verb.RESOLVE): State.RESOLVED,
    (State.PARTY_REPLIED, Verb.ESCALATE): State.ESCALATED,
    (State.PARTY_REPLIED, Verb.RUN_OUT): State.ESCALATED,
    (State.ESCALATED, Verb.ASSIGN): State.ASSIGNED,
    (State.ESCALATED, Verb.REPLY): State.ESCALATED,
    (State.ESCALATED, Verb.RESOLVE): State.RESOLVED,
    (State.ESCALATED, Verb.ESCALATE): State.ESCALATED,
    (State.ESCALATED, Verb.RUN_OUT): State.ESCALATED,
    (State.RESOLVED, Verb.CONFIRM): State.CONFIRMED_BY_REPORTER,
    (State.RESOLVED, Verb.REOPEN): State.ESCALATED,
    (State.RESOLVED, Verb.RUN_OUT): State.CLOSED,
    (State.CONFIRMED_BY_REPORTER, Verb.CLOSE): State.CLOSED,
}

CLOCKS: Mapping[State, str] = {
    State.REPORTED: "alerts.assign_working_days",
    State.ASSIGNED: "alerts.reply_working_days",
    State.PARTY_REPLIED: "alerts.resolve_working_days",
    State.ESCALATED: "alerts.resolve_working_days",
    State.RESOLVED: "alerts.confirm_working_days",
}
"""Which policy value says how many working days a state may last; CLOSED lasts."""

WHAT: Mapping[State, Said] = {
    State.REPORTED: Said("assign it to the party that must answer"),
    State.ASSIGNED: Said("reply with evidence"),
    State.PARTY_REPLIED: Said("resolve it with a finding, or escalate"),
    State.ESCALATED: Said("assign it, or resolve it with a finding"),
    State.RESOLVED: Said("confirm, or reopen with a reason; silence closes it"),
}

DEEDS: Mapping[Verb, str] = {
    Verb.ASSIGN: "assigned",
    Verb.REPLY: "replied",
    Verb.RESOLVE: "resolved",
    Verb.ESCALATE: "escalated",
    Verb.CONFIRM: "confirmed_by_reporter",
    Verb.REOPEN: "reopened",
    Verb.CLOSE: "closed",
    Verb.RUN_OUT: "clock_ran_out",
}
"""How the timeline calls a step."""

REPORTERS = ("hospital", "manufacturer", "distributor", "agency")
BODIES = ("11", "12")
"""What the codes of government bodies and public institutions begin with: they take part without being registered."""
NEWS = Said("what was registered or ordered just now is known in a moment: send it again then")
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

RENEWING = frozenset({Verb.ASSIGN, Verb.ESCALATE, Verb.REOPEN, Verb.RUN_OUT})
"""Steps after which the clock starts anew even when the state stays."""


@frozen
class Problem:
    """A direct report as it stands; `handling_region` is the level that must act, `region` where it happened."""

    id: UUID
    kind: str
    state: str
    region: str
    handling_region: str
    reporter_code: str
    reporter_role: str
    respondent_code: str | None
    assignee_code: str | None
    product_code: str | None
    order_number: str | None
    text: str
    evidence: dict[str, Any]
    occurred_at: datetime
    reported_at: datetime
    act_by: datetime | None
    finding: str | None
    resolved_at: datetime | None
    closed_at: datetime | None
    overdue_steps: int
    version: int


@frozen
class Actor:
    """Who takes a step: an organisation; `level` is the region prefix of an authority, None for anybody else."""

    organisation: str
    level: str | None = None


@frozen
class Step:
    """One step asked for, with what is said: reason, finding or text, and the assignee of an assignment."""

    verb: Verb
    said: str = ""
    assignee_code: str | None = None


def waits_for(problem: Problem) -> str | None:
    """Who must act now: an organisation by its code, or the authority of a region; None when it is closed."""
    match State(problem.state):
        case State.REPORTED | State.PARTY_REPLIED | State.ESCALATED:
            return Said("authority of {region}", region=problem.handling_region)
        case State.ASSIGNED:
            return problem.assignee_code
        case State.RESOLVED:
            return problem.reporter_code
        case _:
            return None


def level_above(region: str) -> str | None:
    """The region one level up: 330106 → 330100 → 330000 → None. No direct report goes above the province."""
    if region.endswith("0000"):
        return None
    return f"{region[:2]}0000" if region.endswith("00") else f"{region[:4]}00"


def end_of_working_day(at: datetime, days: int) -> datetime:
    """The first instant after the last Shanghai day of so many working days: by then it must be done."""
    return clock.start_of_day(clock.add_working_days(clock.local_date(at), days) + timedelta(days=1))


def by_the_assignee(problem: Problem, step: Step, actor: Actor) -> None:
    """Raises NotYourTurn, StepNotPossible."""
    if actor.organisation != problem.assignee_code:
        raise NotYourTurn(
            "It is assigned to {assignee}, and only that party replies.",
            assignee=problem.assignee_code or Said("nobody yet"),
        )
    _check_possible(problem, step)


def by_the_reporter(problem: Problem, step: Step, actor: Actor) -> None:
    """Raises NotYourTurn, StepNotPossible."""
    if actor.organisation != problem.reporter_code:
        raise NotYourTurn(
            "Only the reporter {reporter_code} may {verb} it.", reporter_code=problem.reporter_code, verb=step.verb
        )
    _check_possible(problem, step)


def by_the_authority(problem: Problem, step: Step, actor: Actor) -> None:
    """Raises NotYourLevel, StepNotPossible."""
    if actor.level is None or not problem.handling_region.startswith(actor.level):
        raise NotYourLevel(
            "The authority of {handling_region} handles this now.", handling_region=problem.handling_region
        )
    _check_possible(problem, step)


def by_the_authority_below(problem: Problem, step: Step, actor: Actor) -> None:
    """Raises NotYourLevel, StepNotPossible, NoLevelAbove."""
    by_the_authority(problem, step, actor)
    if level_above(problem.handling_region) is None:
        raise NoLevelAbove(
            "{handling_region} is a province; no direct report goes above it.", handling_region=problem.handling_region
        )


def _check_possible(problem: Problem, step: Step) -> None:
    if (State(problem.state), step.verb) not in NEXT:
        possible = sorted(verb for state, verb in NEXT if state == problem.state and verb is not Verb.RUN_OUT)
        raise StepNotPossible(
            "It is {state}; {verb} is not possible, only {possible}.",
            state=problem.state,
            verb=step.verb,
            possible=", ".join(possible) or Said("nothing"),
        )


def take(problem: Problem, step: Step, at: datetime, days: Mapping[str, int]) -> Problem:
    """The problem after a step that was checked; `days` holds the working days of each clock."""
    before, after = State(problem.state), NEXT[State(problem.state), step.verb]
    region = problem.handling_region
    if after is State.ESCALATED and step.verb is not Verb.REPLY:
        region = level_above(region) or region
    act_by, too_late = problem.act_by, False
    if after is not before or step.verb in RENEWING:
        too_late = clock_ran_out(problem, at) and before is not State.RESOLVED
        act_by = end_of_working_day(at, days[CLOCKS[after]]) if after in CLOCKS else None
    return replace(
        problem,
        state=after,
        handling_region=region,
        assignee_code=step.assignee_code or problem.assignee_code,
        act_by=act_by,
        finding=step.said if step.verb is Verb.RESOLVE else problem.finding,
        resolved_at=at if after is State.RESOLVED else problem.resolved_at,
        closed_at=at if after is State.CLOSED else problem.closed_at,
        overdue_steps=problem.overdue_steps + too_late,
        version=problem.version + 1,
    )


def clock_ran_out(problem: Problem, now: datetime) -> bool:
    """Whether the clock of the present state is over."""
    return problem.act_by is not None and problem.act_by <= now


def somebody_takes_over(problem: Problem) -> bool:
    """Whether a clock that ran out moves the report: to the level above, from its assignee, or to its end."""
    return level_above(problem.handling_region) is not None or problem.state in {State.ASSIGNED, State.RESOLVED}


@frozen
class Report:
    """What is reported, as it was given."""

    region: str
    respondent_code: str | None
    product_code: str | None
    order_number: str | None
    occurred_at: datetime


def faults_of(
    report: Report,
    *,
    reporter_code: str,
    reporter_region: str,
    may_roam: bool,
    known: Mapping[str, str],
    orders: Mapping[str, Collection[str]],
    now: datetime,
) -> list[Fault]:
    """All that is wrong with a report; `may_roam`: a supplier reports from wherever it delivers, others from their region.

    `known` are the registered organisations among those named, with the code each goes by, `orders` who takes part in the
    orders named, of which the reporter has a part.
    """
    faults = _region_faults(report.region, reporter_region, may_roam=may_roam)
    respondent = report.respondent_code
    if respondent is not None and (wrong := party_faults("/respondent_code", respondent, reporter_code, known)):
        faults += wrong
        respondent = None
    if report.order_number is not None:
        faults += _order_faults(report.order_number, reporter_code, respondent, orders.get(report.order_number, ()))
    return faults + own_faults(report.product_code, report.occurred_at, now)


def own_faults(product_code: str | None, occurred_at: datetime, now: datetime) -> list[Fault]:
    """What is wrong with a report whoever makes it, and of whom."""
    faults: list[Fault] = []
    try:
        if product_code is not None:
            parse_product(product_code)
    except CodeRefused as error:
        faults.append(Fault("/product_code", error.given, error.rule, error.allowed))
    if not EARLIEST <= occurred_at <= now:
        allowed = Said("{EARLIEST} to {now}", EARLIEST=EARLIEST, now=now)
        rule = Said("it has happened already, and not before this century")
        faults.append(Fault("/occurred_at", occurred_at.isoformat(), rule, allowed))
    return faults


def party_faults(pointer: str, code: str, reporter_code: str, known: Mapping[str, str]) -> list[Fault]:
    """What is wrong with a party named by its code: it must be registered, or be a government body or public institution,
    which nobody registers; and not the reporter."""
    goes_by = known.get(code, code)
    if goes_by == reporter_code:
        return [Fault(pointer, code, "the reporter does not answer its own report", "another party")]
    if goes_by != code:
        rule = Said("this enterprise trades under {code}, by which it went before its USCC was known", code=goes_by)
        return [Fault(pointer, code, rule, goes_by, "trades_under_other_code")]
    if code in known:
        return []
    try:
        if code[:1] in "HP":
            parse_institution(code)
        elif not PROVISIONAL.fullmatch(code) and parse_uscc(code).code[:2] in BODIES:
            return []
    except CodeRefused as error:
        return [
            Fault(pointer, error.given, error.rule, "a registered organisation, an institution code, a USCC or PROV-…")
        ]
    return [
        Fault(
            pointer,
            code,
            "no organisation is known here under this code",
            Said("a registered organisation; {NEWS}", NEWS=NEWS),
            "unknown_party",
        )
    ]


def _order_faults(number: str, reporter: str, respondent: str | None, parties: Collection[str]) -> list[Fault]:
    """The order is one in which the reporter and the respondent take part; a government body takes part in none."""
    asked = [] if respondent is None or respondent[:2] in BODIES else [respondent]
    if parties and all(code in parties for code in asked):
        return []
    return [
        Fault(
            "/order_number",
            number,
            Said("no order of this number is known here with {parties} in it", parties=", ".join([reporter, *asked])),
            Said("the number of such an order, or none; {NEWS}", NEWS=NEWS),
            "unknown_order",
        )
    ]


def _region_faults(region: str, reporter_region: str, *, may_roam: bool) -> list[Fault]:
    try:
        code = parse_region(region)
    except CodeRefused as error:
        return [Fault("/region", error.given, error.rule, error.allowed)]
    if code == NATION:
        return [Fault("/region", region, "a problem happens in a province, city or district", "not the whole nation")]
    if not may_roam and not covers(reporter_region, code):
        return [
            Fault(
                "/region",
                region,
                "it lies outside your region",
                Said("{reporter_region} and what lies in it", reporter_region=reporter_region),
            )
        ]
    return []
