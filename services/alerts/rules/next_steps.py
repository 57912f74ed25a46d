"""Who acts next on an alert and on a direct report; what is about a payable waits for whom the payable itself waits for."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from services.alerts.rules.alerts import ACTS, Alert, Kind, State
from services.alerts.rules.problems import WHAT, Problem
from services.alerts.rules.problems import State as ProblemState
from services.alerts.rules.recalls import RecalledLot
from services.alerts.rules.receipts import WatchedReceipt
from services.alerts.rules.sheets import CONFIRMED, NAMED, WatchedSheet
from services.alerts.rules.watches import WatchedLine
from shared import clock, money
from shared.errors import Said
from shared.next_steps import (
    PLATFORM,
    Actor,
    NextStep,
    Role,
    account_step,
    again_step,
    agency,
    authority,
    bank_step,
    day_over,
    distributor,
    doubt_step,
    hospital,
    other_account_step,
    recall_step,
)
from shared.values import frozen

Names = Mapping[str, str]

MISSED = frozenset({Kind.ORDER_UNCONFIRMED, Kind.DELIVERY_OVERDUE, Kind.SHEET_UNCONFIRMED})
"""Kinds that came about when their time was over: that instant is the one by which it should have been done."""


@frozen
class Around:
    """What is known of the goods that a payable is about: its receipt, open recalls, sheets of its parties, the oldest month
    first, when its codes are late, and when the next sheet is issued that may hold its money."""

    receipt: WatchedReceipt
    recalls: Sequence[RecalledLot] = ()
    sheets: Sequence[WatchedSheet] = ()
    codes_by: datetime | None = None
    sheet_by: datetime | None = None

    @property
    def recall(self) -> RecalledLot | None:
        """The first open recall of the lot."""
        lot = (self.receipt.product_code, self.receipt.lot_number)
        return next((one for one in self.recalls if (one.product_code, one.lot_number) == lot), None)

    def oldest_unpaid(self) -> tuple[WatchedSheet | None, Decimal]:
        """The oldest sheet on which money waits, None before it is issued, and how much waits. Settlement tells on which sheets
        parts stood when the money moved last, and which it had left; what moved then stands on the first between the parties, of
        the month of acceptance or a later one, that was issued after, unless it is disputed."""
        receipt = self.receipt
        parties = (receipt.institution_code, receipt.supplier_code, receipt.region)
        between = [one for one in self.sheets if (one.institution_code, one.supplier_code, one.region) == parties]
        parts = receipt.on_sheets or {}
        for sheet in between:
            if (part := Decimal(parts.get(str(sheet.sheet_id), 0))) and not sheet.paid:
                return sheet, part
        if receipt.disputed is not None:
            return None, Decimal(0)
        if receipt.moved_at is None or receipt.accepted_at is None:
            return None, receipt.payable_yuan
        month, moved_at = clock.month_of(receipt.accepted_at), receipt.moved_at
        unnamed = (one for one in between if str(one.sheet_id) not in parts and one.month >= month)
        later = (one for one in unnamed if one.issued_at and one.issued_at >= moved_at)
        return next(later, None), receipt.payable_yuan


def alert_steps(alert: Alert, names: Names, around: Around | WatchedSheet | WatchedLine | None) -> list[NextStep]:
    """Everybody who must act on an alert; `around` is what one about a payable, about a sheet that was not paid, or about a
    line that is late, is about. Nobody when it is resolved."""
    if alert.state != State.OPEN:
        return []
    if isinstance(around, WatchedLine):
        return list(_late_steps(alert, names, around))
    if isinstance(around, WatchedSheet):
        return list(_unpaid_steps(alert, names, around))
    if around is not None and (steps := list(_payable_steps(alert, names, around))):
        return steps
    role, what = ACTS[Kind(alert.kind)]
    by = alert.happened_at if alert.kind in MISSED else None
    step = NextStep(who=_party(alert, role, names), what=what, by=by)
    return [step, _received(alert, names)] if alert.kind == Kind.DELIVERY_OVERDUE else [step]


def _late_steps(alert: Alert, names: Names, line: WatchedLine) -> Iterator[NextStep]:
    """Who sees to goods that are late: the distributor ships what is missing, the hospital takes what has come."""
    if missing := line.quantity_missing:
        what = Said("ship {missing} of {confirmed} confirmed", missing=missing, confirmed=line.quantity_confirmed)
        yield NextStep(who=_party(alert, Role.DISTRIBUTOR, names), what=what, by=alert.happened_at)
    if on_the_way := line.quantity_on_the_way:
        what = Said("see that {on_the_way} on the way arrive", on_the_way=on_the_way)
        yield NextStep(who=_party(alert, Role.DISTRIBUTOR, names), what=what, by=alert.happened_at)
        what = Said("accept or reject {on_the_way} on the way when they have come", on_the_way=on_the_way)
        yield NextStep(who=_party(alert, Role.HOSPITAL, names), what=what)
    else:
        what = Said("close the remainder of the line where it is not needed any more")
        yield NextStep(who=_party(alert, Role.HOSPITAL, names), what=what)


def _received(alert: Alert, names: Names) -> NextStep:
    """Goods that are late may have come: how much is on the way, whoever may not see shipments is not told."""
    what = Said("accept or reject what has come, or close the remainder of the line")
    return NextStep(who=_party(alert, Role.HOSPITAL, names), what=what)


def _payable_steps(alert: Alert, names: Names, around: Around) -> Iterator[NextStep]:
    """Who ends the recall of the lot; or else who moves the money that is released, then who captures the missing codes."""
    receipt = around.receipt
    if around.recall is not None:
        yield recall_step(around.recall, receipt.unpaid_yuan)
        return
    if alert.kind == Kind.PAYMENT_OVERDUE:
        yield from _payment(alert, names, around)
    if not receipt.codes_complete:
        yield NextStep(who=_party(alert, Role.HOSPITAL, names), what=_missing(receipt), by=around.codes_by)


def _payment(alert: Alert, names: Names, around: Around) -> Iterator[NextStep]:
    """Who moves money that codes hold no more: the month closes, the hospital confirms its sheet, the agency pays, to an account
    that the supplier has named and the agency confirmed."""
    receipt = around.receipt
    buyer = _party(alert, Role.HOSPITAL, names)
    if receipt.disputed is not None and receipt.off_sheets_yuan > 0:
        what = Said(
            "settle the dispute: {reason}; {yuan} are not paid until then",
            reason=receipt.disputed,
            yuan=_yuan(receipt.off_sheets_yuan),
        )
        yield NextStep(who=buyer, what=what, by=day_over(receipt.resolve_by or receipt.due_on))
    sheet, unpaid = around.oldest_unpaid()
    if unpaid <= 0:
        return
    yuan = _yuan(unpaid)
    if sheet is None:
        what = Said("issue the sheet when the month has closed; {yuan} wait for it", yuan=yuan)
        yield NextStep(who=PLATFORM, what=what, by=around.sheet_by)
        return
    due = day_over(sheet.due_on or receipt.due_on)
    if not sheet.confirmed:
        what = Said(
            "confirm the sheet of {month:%Y-%m}, or dispute lines of it; {yuan} wait for it",
            month=sheet.month,
            yuan=yuan,
        )
        yield NextStep(who=buyer, what=what, by=day_over(sheet.confirm_by))
    elif sheet.sending:
        yield bank_step(due)
    elif sheet.in_doubt:
        yield doubt_step(alert.region, due)
    elif sheet.receiving == CONFIRMED and sheet.failed_for is not None:
        yield from _again(alert, names, sheet, sheet.failed_for)
    elif sheet.receiving == CONFIRMED:
        role, pay = ACTS[Kind.PAYMENT_OVERDUE]
        yield NextStep(who=_party(alert, role, names), what=Said("{what}: {yuan}", what=pay, yuan=yuan), by=due)
    if sheet.receiving != CONFIRMED and not (sheet.sending or sheet.in_doubt):
        supplier = _party(alert, Role.DISTRIBUTOR, names)
        yield account_step(named=sheet.receiving == NAMED, supplier=supplier, region=alert.region, by=due)


def _unpaid_steps(alert: Alert, names: Names, sheet: WatchedSheet) -> Iterator[NextStep]:
    """Who sees to a sheet that the bank did not pay: the agency, and the supplier while the account is the same."""
    supplier, due = _party(alert, Role.DISTRIBUTOR, names), day_over(sheet.due_on)
    if sheet.sending:
        yield bank_step(due)
    elif sheet.in_doubt:
        yield doubt_step(alert.region, due)
    elif sheet.receiving != CONFIRMED:
        yield account_step(named=sheet.receiving == NAMED, supplier=supplier, region=alert.region, by=due)
    else:
        yield from _again(alert, names, sheet, sheet.failed_reason or alert.evidence["reason"])


def _again(alert: Alert, names: Names, sheet: WatchedSheet, reason: str) -> Iterator[NextStep]:
    """After a payment that failed the agency pays again, to another account where the supplier has named one."""
    due = day_over(sheet.due_on)
    yield again_step(alert.region, reason, due)
    if sheet.account_failed:
        yield other_account_step(_party(alert, Role.DISTRIBUTOR, names), reason, due)


def _yuan(amount: Decimal) -> Said:
    return Said("{yuan} yuan", yuan=money.amount_text(amount))


def _missing(receipt: WatchedReceipt) -> Said:
    """What the hospital captures; whether money is held for it, or was paid before its codes were lost."""
    missing, accepted = receipt.quantity_awaiting_codes, receipt.quantity_accepted or 0
    amount, paid = receipt.amount_yuan or Decimal(0), receipt.paid_yuan or Decimal(0)
    if receipt.quantity_uncovered and receipt.unpaid_yuan * accepted < amount * missing:
        return Said(
            "capture trace codes of {missing} of {accepted} accepted; {paid} of {yuan} yuan are paid already",
            missing=missing,
            accepted=accepted,
            paid=money.amount_text(paid),
            yuan=money.amount_text(amount),
        )
    return Said(
        "capture trace codes of {missing} of {accepted} accepted; the money for them is held until then",
        missing=missing,
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
