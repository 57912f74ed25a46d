"""What is said about captured bills over HTTP."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field

from services.traceability.rules.documents import BILL_TYPES, Refused, faults_of
from services.traceability.settings import CODES_PER_DOCUMENT
from shared import clock
from shared.errors import Fault, Said
from shared.http import Code, Command, Items, Judged, Name, Quantity, Reason, View
from shared.tongue import retold, spoken

BillTypeCode = Literal["102", "103", "107", "116", "201", "202", "205", "206", "209", "321", "322"]


class Split(Command):
    """So many preparation units out of one opened pack (拆零, trdn_flag 1)."""

    code: str
    quantity: Quantity


class Witness(Command):
    """Who destroyed goods, or saw it."""

    name: Name
    id_number: Code


class CaptureDocument(Judged):
    """One bill with its codes. A bad code is refused by itself; the others land."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "bill_number": "RK-20260301-0001",
                    "bill_type": "102",
                    "shipment_line_id": "01968b1e-0000-7000-8000-000000000001",
                    "place": "中心药库",
                    "captured_at": "2026-03-01T02:00:00Z",
                    "codes": ["83857930000879766660", "8385793-0000879770001"],
                },
                {
                    "bill_number": "LS-20260302-0007",
                    "bill_type": "321",
                    "product_code": "XA01ABD075A002010100483",
                    "splits": [{"code": "83857930000879766660", "quantity": 6}],
                },
            ]
        }
    )

    bill_number: Code = Field(description="unique per organisation; the same bill again gets the same answer")
    bill_type: BillTypeCode
    organisation_code: Code | None = Field(None, description="whose bill it is; the caller's own unless given")
    shipment_line_id: UUID | None = Field(None, description="for 102 and 201, and for 107 where there is one")
    product_code: Code | None = Field(None, description="what is sold or received, where no shipment line says it")
    place: Name | None = None
    captured_at: AwareDatetime | None = Field(None, description="now unless given")
    codes: Annotated[list[str], Field(default_factory=list, max_length=CODES_PER_DOCUMENT)]
    splits: Annotated[list[Split], Field(default_factory=list, max_length=CODES_PER_DOCUMENT)]
    reason_code: Code | None = None
    reason: Reason | None = None
    executor: Witness | None = None
    supervisor: Witness | None = None

    @classmethod
    def judged(cls, good: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[Fault]:
        if "bill_type" not in good:
            return []
        now = clock.now()
        return faults_of(
            BILL_TYPES[good["bill_type"]],
            line_id=good.get("shipment_line_id"),
            has_reason=_has(given, "reason_code") and _has(given, "reason"),
            witnesses=_has(given, "executor") + _has(given, "supervisor"),
            codes=_length(given.get("codes")),
            splits=_length(given.get("splits")),
            captured_at=good.get("captured_at") or now,
            now=now,
        )


def _has(given: Mapping[str, Any], name: str) -> bool:
    return given.get(name) is not None


def _length(given: Any) -> int:
    """Of a list; what is none holds something all the same."""
    return len(given) if isinstance(given, list) else int(given is not None)


class CaptureDocuments(Command):
    """Up to 1,000 bills, each answered by itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "documents": [
                        {
                            "bill_number": "RK-20260301-0001",
                            "bill_type": "102",
                            "shipment_line_id": "01968b1e-0000-7000-8000-000000000001",
                            "codes": ["83857930000879766660"],
                        }
                    ]
                }
            ]
        }
    )

    documents: Items[CaptureDocument]


class RefusedCodeView(View):
    """A code that did not land, or landed with a warning: `reason` is a stable word, `rule` says why with the numbers."""

    code: str
    reason: str
    rule: str

    @classmethod
    def of(cls, refused: Refused) -> "RefusedCodeView":
        """A refused code with its rule in the reader's language."""
        return cls(code=refused.code, reason=refused.reason, rule=spoken(refused.rule))


class UnknownCodeView(View):
    """An identification code that nobody has uploaded; its codes are kept, and count once its manufacturer says what it means."""

    ident: str
    codes: int
    first_code: str
    manufacturer_code: str | None = Field(
        description="who makes the product of the line, and probably has to upload it"
    )
    manufacturer_name: str | None
    what: str = Field(description="what is to be done")


class CoverageView(View):
    """How far valid codes covered the line after this document."""

    quantity_accepted: int | None
    quantity_covered: int
    state: str


class DocumentView(View):
    """A captured bill: `accepted` codes landed, which count for `packs` sale units; `awaiting` of them count later."""

    id: UUID
    organisation_code: str
    bill_number: str
    bill_type: str
    shipment_line_id: UUID | None
    receipt_id: UUID | None
    place: str | None
    captured_at: datetime
    accepted: int
    packs: int
    awaiting: int
    unknown: list[UnknownCodeView] = Field(
        description="the identification codes for which `awaiting` codes wait, at most 20, as they were at the capture"
    )
    placeholders: int
    refused: list[RefusedCodeView]
    warnings: list[RefusedCodeView]
    coverage: CoverageView | None

    @classmethod
    def of(cls, document: Any) -> "DocumentView":
        """A stored document with the answer it was given."""
        given = {name: getattr(document, name) for name in cls.model_fields if hasattr(document, name)}
        unknown = [{**one, "what": _to_upload(one)} for one in document.answer.get("unknown", ())]
        told = {name: [_spoken(one) for one in document.answer[name]] for name in ("refused", "warnings")}
        return cls.model_validate({**given, **document.answer, **told, "unknown": unknown})


def _spoken(refused: Mapping[str, Any]) -> dict[str, Any]:
    """A refused code with its rule in the reader's language, where the sentence was kept with it."""
    if "said" not in refused:
        return dict(refused)
    sentence, kept = refused["said"]
    values = {name: retold(value) if isinstance(value, str) else value for name, value in kept.items()}
    return {**{name: refused[name] for name in ("code", "reason")}, "rule": spoken(Said(sentence, **values))}


def _to_upload(unknown: Mapping[str, Any]) -> str:
    maker = unknown["manufacturer_name"] or unknown["manufacturer_code"]
    if maker is None:
        text = "ask the manufacturer of these goods to upload identification code {ident}; its codes count from then on"
        return spoken(Said(text, ident=unknown["ident"]))
    text = "{maker} uploads identification code {ident}, if it is its own; its codes count from then on"
    return spoken(Said(text, maker=maker, ident=unknown["ident"]))


class DocumentSummary(View):
    """A captured bill in a list."""

    id: UUID
    organisation_code: str
    bill_number: str
    bill_type: str
    shipment_line_id: UUID | None
    receipt_id: UUID | None
    captured_at: datetime
    accepted: int
    packs: int
    placeholders: int
