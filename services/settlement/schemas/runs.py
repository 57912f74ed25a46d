"""What is said about payment runs over HTTP."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field

from services.settlement.rules.runs import Run, next_step
from shared.http import Amount, Command, Reason, View
from shared.next_steps import NextStep

MOST_SHEETS = 5_000
"""Sheets of one run, and so payments of one file."""


class MakePaymentRun(Command):
    """Takes reviewed sheets into a run; without `sheet_ids` the oldest 5,000 that are reviewed in the caller's region."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"sheet_ids": ["01890a5d-ac96-774b-bcce-b302099a8057"]}, {"sheet_ids": None}]}
    )

    sheet_ids: list[UUID] | None = Field(None, min_length=1, max_length=MOST_SHEETS)


class RejectRun(Command):
    """The run is not to be paid; its sheets are free again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "收款账户待核实"}]})

    reason: Reason


class RunView(View):
    """A payment run: who made it, who decided, and how far the payments are."""

    id: UUID
    agency_code: str
    region: str
    state: str
    amount_yuan: Amount
    payment_count: int
    made_by_organisation: str
    made_by: str
    made_at: datetime
    decided_by_organisation: str | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    job_id: UUID | None
    payments: dict[str, int] | None = Field(None, description="payments by state; shown for one run")
    waits_for: NextStep | None
    version: int

    @classmethod
    def of(cls, run: Run, payments: dict[str, int] | None = None) -> Self:
        """The view of a run."""
        shown = {name: getattr(run, name) for name in cls.model_fields if name not in {"waits_for", "payments"}}
        return cls(**shown, payments=payments, waits_for=next_step(run))
