"""What alerts says: what is late, short or wrong, who reported what, and what became of it."""

from typing import Annotated
from uuid import UUID

from shared.events.base import Event, Instant, event, one_of

AlertKind = Annotated[
    str,
    one_of(
        *("order_unconfirmed", "delivery_overdue", "coverage_short", "payment_overdue", "line_refused"),
        *("payment_failed", "code_flagged", "recall", "sheet_unconfirmed"),
    ),
]
About = Annotated[str, one_of("order", "order_line", "payable", "sheet", "code", "recall", "institution")]
ProblemKind = Annotated[
    str,
    one_of(
        *("no_supply", "late", "short_ship", "refuse_delivery", "refuse_sign"),
        *("quality", "price", "system", "low_use", "payment"),
    ),
]
ProblemState = Annotated[
    str,
    one_of("reported", "assigned", "party_replied", "resolved", "escalated", "confirmed_by_reporter", "closed"),
]


@event("cn.jicai.alerts.alert.raised.v1", subject="alert_id")
class AlertRaised(Event, frozen=True, kw_only=True):
    """Something is late, short or wrong; raised once, until its cause is gone."""

    alert_id: UUID
    kind: AlertKind
    about: About
    """the kind of thing"""
    about_id: str
    institution_code: str | None
    supplier_code: str | None
    region: str
    raised_at: Instant
    detail: str


@event("cn.jicai.alerts.alert.acknowledged.v1", subject="alert_id")
class AlertAcknowledged(Event, frozen=True, kw_only=True):
    """A party concerned has seen the alert and says what it does about it; the alert stays open."""

    alert_id: UUID
    kind: AlertKind
    about: About
    about_id: str
    region: str
    organisation_code: str
    acknowledged_at: Instant
    note: str


@event("cn.jicai.alerts.alert.resolved.v1", subject="alert_id")
class AlertResolved(Event, frozen=True, kw_only=True):
    """The cause is gone."""

    alert_id: UUID
    kind: AlertKind
    about: About
    about_id: str
    region: str
    resolved_at: Instant
    reason: str


class _Problem(Event, frozen=True, kw_only=True):
    """What every event about a direct report (集采问题直报) tells."""

    problem_id: UUID
    kind: ProblemKind
    region: str
    reporter_code: str
    respondent_code: str | None
    state: ProblemState
    act_by: Instant | None


@event("cn.jicai.alerts.problem.reported.v1", subject="problem_id")
class ProblemReported(_Problem, frozen=True, kw_only=True):
    """A party reported a problem."""


@event("cn.jicai.alerts.problem.assigned.v1", subject="problem_id")
class ProblemAssigned(_Problem, frozen=True, kw_only=True):
    """A party must answer by `act_by`."""


@event("cn.jicai.alerts.problem.replied.v1", subject="problem_id")
class ProblemReplied(_Problem, frozen=True, kw_only=True):
    """The party that was asked answered; the authority decides."""


@event("cn.jicai.alerts.problem.resolved.v1", subject="problem_id")
class ProblemResolved(_Problem, frozen=True, kw_only=True):
    """The authority found it solved; the reporter confirms."""


@event("cn.jicai.alerts.problem.escalated.v1", subject="problem_id")
class ProblemEscalated(_Problem, frozen=True, kw_only=True):
    """A clock ran out, or the reporter was not satisfied."""


@event("cn.jicai.alerts.problem.confirmed.v1", subject="problem_id")
class ProblemConfirmed(_Problem, frozen=True, kw_only=True):
    """The reporter agrees that it is solved."""


@event("cn.jicai.alerts.problem.closed.v1", subject="problem_id")
class ProblemClosed(_Problem, frozen=True, kw_only=True):
    """The reporter confirmed, or a clock closed it."""
