"""What is said about direct reports (集采问题直报) over HTTP."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator

from services.alerts.rules.problems import Kind, State, own_faults
from shared import clock
from shared.errors import Fault, RuleBroken
from shared.http import Code, Command, Judged, Note, Reason, View
from shared.next_steps import NextStep

EVIDENCE_ITEMS = 20
LINK_CHARACTERS = 2_000

Region = Annotated[str, Field(pattern=r"^[0-9]{6}$", description="GB/T 2260, six digits")]


Link = Annotated[Note, Field(pattern=r"^https://[^\s/?#]+\.[^\s]*$", max_length=LINK_CHARACTERS)]
Text = Annotated[Note, Field(min_length=1)]


class Evidence(Command):
    """One piece of evidence: a text, or a link."""

    text: Text | None = None
    link: Link | None = Field(None, description="an https address")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.text is None) == (self.link is None):
            raise RuleBroken("one_of_both", "a piece of evidence is one thing", "text, or link")
        return self


class ReportProblem(Judged):
    """Reports a problem to the authority of the region."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "no_supply",
                    "region": "330100",
                    "respondent_code": "91330100MA2CCCCC33",
                    "product_code": "XA02BCA214B002010101234",
                    "order_number": "CG-2026-000123",
                    "text": "Three orders in a row were refused although the agreement runs until December.",
                    "evidence": [{"text": "Refused on 3, 9 and 12 March."}, {"link": "https://files.example.cn/a.pdf"}],
                    "occurred_at": "2026-03-12T02:00:00Z",
                }
            ]
        }
    )

    kind: Kind
    region: Region
    respondent_code: Code | None = Field(None, description="the organisation complained of")
    product_code: Code | None = None
    order_number: Code | None = None
    text: Text
    evidence: list[Evidence] = Field(default_factory=list, max_length=EVIDENCE_ITEMS)
    occurred_at: AwareDatetime

    @classmethod
    def judged(cls, good: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[Fault]:
        now = clock.now()
        return own_faults(good.get("product_code"), good.get("occurred_at", now), now)


class AssignProblem(Command):
    """The authority asks a party to answer; the respondent unless another is named."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"assignee_code": "91330100MA2CCCCC33", "note": "Say when it comes."}]}
    )

    assignee_code: Code | None = None
    note: Note = ""


class ReplyToProblem(Command):
    """The party that was asked answers."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "The plant stood still; 500 boxes arrive on Monday.", "evidence": []}]}
    )

    text: Text
    evidence: list[Evidence] = Field(default_factory=list, max_length=EVIDENCE_ITEMS)


class ResolveProblem(Command):
    """The authority says what it found and what was done."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"finding": "Delivered on 16 March; the distributor was warned."}]}
    )

    finding: Reason


class EscalateProblem(Command):
    """The authority hands it to the level above."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The maker stopped production nationwide."}]})

    reason: Reason


class ConfirmProblem(Command):
    """The reporter agrees that it is solved."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "Goods received."}]})

    note: Note = ""


class ReopenProblem(Command):
    """The reporter does not agree that it is solved."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Only 100 of 500 boxes came."}]})

    reason: Reason


class EvidenceView(View):
    """One piece of evidence: a text, or a link."""

    text: str | None = None
    link: str | None = None


def _items(kept: Any) -> Any:
    return kept["items"] if isinstance(kept, dict) else kept


EvidenceViews = Annotated[list[EvidenceView], BeforeValidator(_items)]


class ProblemView(View):
    """A direct report: who must act (`waits_for`) and by when (`act_by`)."""

    id: UUID
    kind: Kind
    state: State
    region: str
    handling_region: str = Field(description="the level whose authority handles it")
    reporter_code: str
    reporter_role: str
    respondent_code: str | None
    assignee_code: str | None
    product_code: str | None
    order_number: str | None
    text: str
    evidence: EvidenceViews
    occurred_at: datetime
    reported_at: datetime
    waits_for: NextStep | None = Field(description="who must act, on what, by when; null when it is closed")
    act_by: datetime | None = Field(description="the first instant that is too late")
    overdue: bool
    overdue_steps: int = Field(description="how many clocks ran out on the way")
    finding: str | None
    resolved_at: datetime | None
    closed_at: datetime | None
    version: int


class ReplyView(View):
    """An answer of the party that was asked."""

    id: UUID
    by_code: str
    text: str
    evidence: EvidenceViews
    replied_at: datetime


class ProblemDetailView(ProblemView):
    """A direct report with its replies, the names of its parties, and what it is linked with, as far as the caller sees."""

    names: dict[str, str] = Field(description="code → name of the parties that listing has registered")
    replies: list[ReplyView]
    related_ids: list[UUID] = Field(description="reports on the same respondent within the days of policy")
    related_alert_ids: list[UUID] = Field(description="open alerts on the same parties, order or product")


class CountedView(View):
    """How many, and which; `median_days` from the report to its last resolution."""

    key: str
    count: int
    ids: list[UUID]
    median_days: float | None
    overdue_count: int
    overdue_ids: list[UUID]


class HalfYearView(View):
    """The half-yearly report: every number with the ids behind it."""

    half: str
    from_on: date
    to_on: date
    total: CountedView
    by_kind: list[CountedView]
    by_state: list[CountedView]
