"""Who acts next on an alert and on a direct report; an overdue payment waits for the hospital while codes are missing."""

from collections.abc import Mapping
from decimal import Decimal

from services.alerts.rules.alerts import ACTS, Alert, Kind, State
from services.alerts.rules.problems import WHAT, Problem
from services.alerts.rules.problems import State as ProblemState
from services.alerts.rules.watches import WatchedReceipt
from shared import money
from shared.next_steps import Actor, NextStep, Role, agency, authority, day_over, distributor, hospital

Names = Mapping[str, str]

MISSED = frozenset({Kind.ORDER_UNCONFIRMED, Kind.DELIVERY_OVERDUE, Kind.SHEET_UNCONFIRMED})
"""Kinds that came about when their time was over: that instant is the one by which it should have been done."""


def alert_step(alert: Alert, names: Names, receipt: WatchedReceipt | None) -> NextStep | None:
    """Who must act on an alert; `receipt` is what one about a payable is about. None when it is resolved."""
    if alert.state != State.OPEN:
        return None
    role, what = ACTS[Kind(alert.kind)]
    by = alert.happened_at if alert.kind in MISSED else None
    if receipt is not None:
        by = day_over(receipt.due_on)
        missing = "" if receipt.codes_complete else _missing(receipt)
        if missing:
            role, what = Role.HOSPITAL, missing
        elif alert.kind == Kind.PAYMENT_OVERDUE:
            what = f"{what}: {_unpaid(receipt)}"
    return NextStep(who=_party(alert, role, names), what=what, by=by)


def _missing(receipt: WatchedReceipt) -> str:
    accepted = receipt.quantity_accepted or 0
    missing = accepted - max(receipt.quantity_covered or 0, receipt.quantity_released or 0)
    return f"capture trace codes of {missing} of {accepted} accepted; the money for them is held until then"


def _unpaid(receipt: WatchedReceipt) -> str:
    unpaid = (receipt.amount_yuan or Decimal(0)) - (receipt.paid_yuan or Decimal(0))
    return f"{money.amount_text(unpaid)} yuan"


def _party(alert: Alert, role: Role, names: Names) -> Actor:
    match role:
        case Role.DISTRIBUTOR:
            return distributor(alert.supplier_code, names.get(alert.supplier_code or ""))
        case Role.AGENCY:
            return agency(alert.region)
        case _:
            return hospital(alert.institution_code, names.get(alert.institution_code or ""))


def problem_step(problem: Problem, names: Names) -> NextStep | None:
    """Who must act on a direct report, on what, and when its clock runs out; None when it is closed."""
    who = _handler(problem, names)
    return None if who is None else NextStep(who=who, what=WHAT[ProblemState(problem.state)], by=problem.act_by)


def _handler(problem: Problem, names: Names) -> Actor | None:
    match ProblemState(problem.state):
        case ProblemState.REPORTED | ProblemState.PARTY_REPLIED | ProblemState.ESCALATED:
            return authority(problem.handling_region)
        case ProblemState.ASSIGNED:
            return _assignee(problem.assignee_code or "", names)
        case ProblemState.RESOLVED:
            code = problem.reporter_code
            return Actor(role=Role(problem.reporter_role), code=code, name=names.get(code))
        case _:
            return None


def _assignee(code: str, names: Names) -> Actor:
    """Institutions have codes of their own kind; what an enterprise is to the report is not known."""
    role = Role.HOSPITAL if code[:1] in {"H", "P"} and not code.startswith("PROV-") else Role.ENTERPRISE
    return Actor(role=role, code=code, name=names.get(code))
