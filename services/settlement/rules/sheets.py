"""What may become of a month's sheet: states, who acts next, and by when.

A sheet is the sum of its lines that are not disputed; nothing enters it once it was issued.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.settlement.errors import SheetNotOpen
from shared import clock

ISSUED, DISPUTED, CONFIRMED, REVIEWED, IN_RUN, PAID, EMPTY = STATES = (
    "issued",
    "disputed",
    "confirmed",
    "reviewed",
    "in_run",
    "paid",
    "empty",
)

NEXT = {
    (ISSUED, "confirm"): CONFIRMED,
    (ISSUED, "dispute"): DISPUTED,
    (DISPUTED, "confirm"): CONFIRMED,
    (DISPUTED, "dispute"): DISPUTED,
    (CONFIRMED, "review"): REVIEWED,
    (REVIEWED, "enter_run"): IN_RUN,
    (IN_RUN, "leave_run"): REVIEWED,
    (IN_RUN, "pay"): PAID,
    (IN_RUN, "fail"): REVIEWED,
    (PAID, "fail"): REVIEWED,
}
"""A sheet that loses its last line to a dispute is `empty`, which is an end."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one institution owes one distributor for a month; `version` is raised by every change."""

    id: UUID
    institution_code: str
    institution_name: str
    distributor_code: str
    distributor_name: str
    region: str
    month: date
    amount_yuan: Decimal
    line_count: int
    disputed_yuan: Decimal
    disputed_count: int
    state: str
    confirm_by: date
    review_by: date | None
    due_on: date
    issued_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Step:
    """Who must act now, on what, and by which day."""

    who: str
    what: str
    by_on: date | None

    @property
    def by(self) -> datetime | None:
        """The instant from which it is late: the midnight that ends the day."""
        return None if self.by_on is None else clock.start_of_day(self.by_on + timedelta(days=1))


def moved(sheet: Sheet, verb: str) -> Sheet:
    """The sheet one step on; raises SheetNotOpen naming its state and those that allow the verb."""
    state = NEXT.get((sheet.state, verb))
    if state is None:
        allowed = ", ".join(before for before, known in NEXT if known == verb)
        raise SheetNotOpen(
            f"Sheet {sheet.id} is {sheet.state} (version {sheet.version}); {verb} is for a sheet that is {allowed}.",
            state=sheet.state,
        )
    return replace(sheet, state=state, version=sheet.version + 1)


def confirmed(sheet: Sheet, review_by: date) -> Sheet:
    """The institution stands by what is left on the sheet; raises SheetNotOpen."""
    return replace(moved(sheet, "confirm"), review_by=review_by)


def disputed(sheet: Sheet, yuan: Decimal, lines: int) -> Sheet:
    """The sheet without the disputed lines; raises SheetNotOpen."""
    after = replace(
        moved(sheet, "dispute"),
        amount_yuan=sheet.amount_yuan - yuan,
        line_count=sheet.line_count - lines,
        disputed_yuan=sheet.disputed_yuan + yuan,
        disputed_count=sheet.disputed_count + lines,
    )
    return after if after.line_count else replace(after, state=EMPTY)


def next_step(state: str, confirm_by: date | None, review_by: date | None, due_on: date) -> Step | None:
    """Whom a sheet waits for; None when nobody has to act any more."""
    match state:
        case "issued" | "disputed":
            return Step("institution", "confirm the sheet, or dispute lines of it", confirm_by)
        case "confirmed":
            return Step("agency", "review the sheet", review_by)
        case "reviewed":
            return Step("agency", "take the sheet into a payment run", due_on)
        case "in_run":
            return Step("agency", "approve the payment run, then the bank pays", due_on)
    return None


def closing_at(month: date, close_day: int) -> datetime:
    """When a month is summed up: so many days after its end, at midnight in Shanghai."""
    return clock.start_of_day(clock.next_month(month) + timedelta(days=close_day))
