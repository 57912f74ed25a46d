"""What is said about anomalies over HTTP."""

from datetime import datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from shared.http import Command, Reason, View
from shared.tongue import Told


class ExplainAnomaly(Command):
    """Whom it concerns says how it came about, with the papers that show it (随货同行单、发票)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"explanation": "scanned at the wrong counter; delivery note 20260301-77"}]}
    )

    explanation: Reason


class CloseAnomaly(Command):
    """The authority says what came of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"finding": "papers are in order, no money was paid twice"}]}
    )

    finding: Reason


class AnomalyView(View):
    """A code found where it should not be; `code` is the first of `codes`. For recalled goods and surplus, sale units."""

    id: UUID
    kind: str
    severity: str
    code: str | None
    codes: int
    ident: str | None
    product_code: str | None
    document_id: UUID | None
    recall_id: UUID | None
    receipt_id: UUID | None
    institution_code: str
    region: str
    detail: Told
    state: str
    explanation: str | None
    finding: Told | None
    found_at: datetime
    finds: int = Field(description="how often a bill of the institution brought the same code to light")
    bill_number: str | None = Field(description="of the last of these bills")
    captured_by: str | None = Field(description="the person who captured it")
    version: int
