"""What is said about alerts over HTTP."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field

from services.alerts.rules.alerts import About, Kind, State
from shared.http import Command, Reason, View
from shared.next_steps import NextStep
from shared.tongue import Told


class Acknowledge(Command):
    """A party concerned has seen the alert and says what it does about it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"note": "The lorry broke down, the goods arrive tomorrow morning."}]}
    )

    note: Reason


class Resolve(Command):
    """The authority ends an alert whose cause ended outside the platform."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "The hospital takes the reserve of the province instead."}]}
    )

    reason: Reason


class AcknowledgementView(View):
    """Who has seen an alert, and what it says."""

    organisation_code: str
    person: str
    note: str
    acknowledged_at: datetime


class AlertView(View):
    """Something late, short or wrong; `evidence` holds the figures, the ids and the events they came with. Of an open one about
    a payable `detail` and `evidence` follow what is known; its timeline tells what it was raised with."""

    id: UUID
    kind: Kind
    about: About
    about_id: str
    state: State
    institution_code: str | None
    supplier_code: str | None
    manufacturer_code: str | None = Field(
        description="whose product does not come, is recalled or came wrong; null where that is not its maker's to see to"
    )
    region: str
    product_code: str | None
    detail: Told
    evidence: dict[str, Any]
    happened_at: Annotated[datetime, Field(description="when the cause came about")]
    raised_at: datetime
    resolved_at: datetime | None
    resolution: Told | None
    waits_for: NextStep | None = Field(description="the first of `next`; null when it is resolved")
    next: list[NextStep] = Field(
        description="everybody who must act, on what, by when: who moves money that is released, who captures what is missing"
    )
    acknowledgements: list[AcknowledgementView]
    version: int


class CountView(View):
    """How many alerts of a kind are in a state."""

    kind: Kind
    state: State
    count: int
    oldest_raised_at: datetime


class SummaryView(View):
    """What is open and what was resolved, by kind, as far as the caller sees."""

    open: int
    resolved: int
    counts: list[CountView]
