"""Who acts next on an alert and on a direct report; what is about a payable waits for whom the payable itself waits for."""

from collections.abc import Iterator, Mapping, Sequence

from services.alerts.rules.alerts import ACTS, Alert, Kind, State
from services.alerts.rules.problems import WHAT, Problem
from services.alerts.rules.problems import State as ProblemState
from services.alerts.rules.recalls import RecalledLot
from services.alerts.rules.watches import WatchedReceipt, WatchedSheet
from shared import clock, money
from shared.errors import Said
from shared.next_steps import (
    PLATFORM,
    Actor,
    NextStep,
    Role,
    agency,
    authority,
    day_over,
    distributor,
    hospital,
    recall_step,
)
from shared.values import frozen

Names = Mapping[str, str]

MISSED = frozenset({Kind.ORDER_UNCONFIRMED, Kind.DELIVERY_OVERDUE, Kind.SHEET_UNCONFIRMED})
"""Kinds that came about when their time was over: that instant is the one by which it should have been done."""


@frozen
class Around:
    """What is known of the goods that a payable is about: its receipt, open recalls, and sheets of its parties, the oldest
    month first."""

    receipt: WatchedReceipt
    recalls: Sequence[RecalledLot] = ()
    sheets: Sequence[WatchedSheet] = ()

    @property
    def recall(self) -> RecalledLot | None:
        """The first open recall of the lot."""
        lot = (self.receipt.product_code, self.receipt.lot_number)
        return next((one for one in self.recalls if (one.product_code, one.lot_number) == lot), None)

    @property
    def own_sheet(self) -> WatchedSheet | None:
        """The one on which the money stands, as settlement fills sheets: the first between its parties, of the month of
        acceptance or a later one, that was issued after the money was last released or taken off another."""
        receipt = self.receipt
        if receipt.moved_at is None or receipt.accepted_at is None:
            return None
        month, moved_at = clock.month_of(receipt.accepted_at), receipt.moved_at
        parties = (receipt.institution_code, receipt.supplier_code, receipt.region)
        between = [one for one in self.sheets if (one.institution_code, one.supplier_code, one.region) == parties]
        return next(
            (one for one in between if one.month >= month and one.issued_at and one.issued_at >= moved_at), None
        )


def alert_steps(alert: Alert, names: Names, around: Around | None) -> list[NextStep]:
    """Everybody who must act on an alert; `around` is what one about a payable is about. Nobody when it is resolved."""
    if alert.state != State.OPEN:
        return []
    if around is not None and (steps := list(_payable_steps(alert, names, around))):
        return steps
    role, what = ACTS[Kind(alert.kind)]
    by = alert.happened_at if alert.kind in MISSED else None
    return [NextStep(who=_party(alert, role, names), what=what, by=by)]


def _payable_steps(alert: Alert, names: Names, around: Around) -> Iterator[NextStep]:
    """Who ends the recall of the lot; or else who moves the money that is released, then who captures the missing codes."""
    receipt = around.receipt
    if around.recall is not None:
        yield recall_step(around.recall, receipt.unpaid_yuan)
        return
    by = day_over(receipt.due_on)
    if alert.kind == Kind.PAYMENT_OVERDUE and receipt.payable_yuan > 0:
        role, what = _payment(around)
        yield NextStep(who=_party(alert, role, names), what=what, by=by)
    if not receipt.codes_complete:
        yield NextStep(who=_party(alert, Role.HOSPITAL, names), what=_missing(receipt), by=by)


def _payment(around: Around) -> tuple[Role, Said]:
    """Who moves money that codes hold no more: the month closes, the hospital confirms its sheet, the agency pays."""
    receipt, sheet = around.receipt, around.own_sheet
    yuan = Said("{yuan} yuan", yuan=money.amount_text(receipt.payable_yuan))
    if receipt.disputed is not None:
        what = Said("settle the dispute: {reason}; {yuan} are not paid until then", reason=receipt.disputed, yuan=yuan)
        return Role.HOSPITAL, what
    if sheet is None:
        return Role.PLATFORM, Said("issue the sheet when the month has closed; {yuan} wait for it", yuan=yuan)
    if not sheet.confirmed:
        what = Said(
            "confirm the sheet of {month:%Y-%m}, or dispute lines of it; {yuan} wait for it",
            month=sheet.month,
            yuan=yuan,
        )
        return Role.HOSPITAL, what
    role, what = ACTS[Kind.PAYMENT_OVERDUE]
    return role, Said("{what}: {yuan}", what=what, yuan=yuan)


def _missing(receipt: WatchedReceipt) -> Said:
    accepted = receipt.quantity_accepted or 0
    standing = (receipt.quantity_released or 0) - (receipt.quantity_uncovered or 0)
    return Said(
        "capture trace codes of {missing} of {accepted} accepted; the money for them is held until then",
        missing=accepted - max(receipt.quantity_covered or 0, standing),
        accepted=accepted,
    )


def _party(alert: Alert, role: Role, names: Names) -> Actor:
    match role:
        case Role.DISTRIBUTOR:
            return distributor(alert.supplier_code, names.get(alert.supplier_code or ""))
        case Role.AGENCY:
            return agency(alert.region)
        case Role.PLATFORM:
            return PLATFORM
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
