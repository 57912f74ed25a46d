"""What an alert is, which kinds there are, who must act on each, and which a person may resolve.

An alert is raised once per cause; those that watch a deadline resolve by themselves when their cause is gone.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.alerts.errors import AlertNotOpen, NotConcerned, ResolvesByItself
from shared.errors import Said
from shared.next_steps import Role
from shared.values import frozen


class Kind(StrEnum):
    ORDER_UNCONFIRMED = "order_unconfirmed"
    DELIVERY_OVERDUE = "delivery_overdue"
    COVERAGE_SHORT = "coverage_short"
    PAYMENT_OVERDUE = "payment_overdue"
    LINE_REFUSED = "line_refused"
    PAYMENT_FAILED = "payment_failed"
    CODE_FLAGGED = "code_flagged"
    RECALL = "recall"
    SHEET_UNCONFIRMED = "sheet_unconfirmed"


class About(StrEnum):
    ORDER = "order"
    ORDER_LINE = "order_line"
    PAYABLE = "payable"
    SHEET = "sheet"
    CODE = "code"
    RECALL = "recall"
    INSTITUTION = "institution"


class State(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


BY_HAND = frozenset({Kind.LINE_REFUSED, Kind.CODE_FLAGGED})
"""Kinds whose cause may end outside the platform: the authority resolves them with a reason."""

NEXT = {(State.OPEN, "acknowledge"): State.OPEN, (State.OPEN, "resolve"): State.RESOLVED}

ACTS: Mapping[Kind, tuple[Role, Said]] = {
    Kind.ORDER_UNCONFIRMED: (Role.DISTRIBUTOR, Said("confirm or refuse the lines")),
    Kind.DELIVERY_OVERDUE: (Role.DISTRIBUTOR, Said("ship what was confirmed and has not left yet")),
    Kind.COVERAGE_SHORT: (Role.HOSPITAL, Said("capture the missing trace codes")),
    Kind.PAYMENT_OVERDUE: (Role.AGENCY, Said("pay what is released")),
    Kind.LINE_REFUSED: (Role.HOSPITAL, Said("order from another supplier; the authority may resolve with a reason")),
    Kind.PAYMENT_FAILED: (Role.AGENCY, Said("take the sheet into another payment run")),
    Kind.CODE_FLAGGED: (Role.HOSPITAL, Said("set the pack aside and clear up where it came from")),
    Kind.RECALL: (Role.HOSPITAL, Said("set the lots aside until the recall is closed")),
    Kind.SHEET_UNCONFIRMED: (Role.HOSPITAL, Said("confirm the sheet, or dispute lines of it")),
}


@frozen
class Alert:
    """An alert as it stands; `remedy_key` names what makes it go away."""

    id: UUID
    kind: str
    about: str
    about_id: str
    cause: str
    remedy_key: str
    state: str
    institution_code: str | None
    supplier_code: str | None
    region: str
    product_code: str | None
    detail: str
    evidence: dict[str, Any]
    happened_at: datetime
    raised_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    version: int
    manufacturer_code: str | None = None


@frozen
class Cause:
    """Why an alert is to be raised: `cause` names this one occasion, `happened_at` is when it came about."""

    kind: Kind
    about: About
    about_id: str
    cause: str
    remedy_key: str
    institution_code: str | None
    supplier_code: str | None
    region: str
    product_code: str | None
    happened_at: datetime
    detail: Said
    evidence: dict[str, Any]
    manufacturer_code: str | None = None
    """of a product that does not come, is recalled, or came wrong: its maker must see to it, and sees the alert"""


@frozen
class Remedy:
    """What makes the open alerts of a kind and key go away; those that happened at or after `before` stay, and so does
    the one about `but_for`: a line that is confirmed in part does not remedy its own refusal. `evidence`: the figures as they
    are now."""

    kind: Kind
    key: str
    reason: Said
    before: datetime | None = None
    but_for: str | None = None
    evidence: dict[str, Any] | None = None


def check_acknowledgement(alert: Alert, organisation: str, *, agency: bool) -> None:
    """Raises AlertNotOpen, NotConcerned: the parties acknowledge, and the agency what it must pay."""
    _check_open(alert)
    pays = ACTS[Kind(alert.kind)][0] == Role.AGENCY
    if organisation not in (alert.institution_code, alert.supplier_code, alert.manufacturer_code) and not (
        agency and pays
    ):
        raise NotConcerned(
            "A {kind} alert of {whose} does not ask for you.",
            kind=alert.kind,
            whose=alert.institution_code or alert.region,
        )


def check_resolution(alert: Alert) -> None:
    """Raises AlertNotOpen, ResolvesByItself."""
    _check_open(alert)
    if alert.kind not in BY_HAND:
        raise ResolvesByItself(
            "{kind} ends when its cause does; by hand end only {by_hand}.",
            kind=alert.kind,
            by_hand=", ".join(sorted(BY_HAND)),
        )


def _check_open(alert: Alert) -> None:
    if alert.state != State.OPEN:
        raise AlertNotOpen("It was resolved at {at}: {resolution}", at=alert.resolved_at, resolution=alert.resolution)
