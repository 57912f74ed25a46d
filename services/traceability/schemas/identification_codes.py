"""What is said about identification codes over HTTP."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from services.traceability.errors import IdentRefused
from services.traceability.rules.identification_codes import check_level, ident_of
from services.traceability.settings import PACKS_PER_UNIT
from shared.errors import Fault
from shared.http import Code, Judged, View, text


class UploadIdentificationCode(Judged):
    """Says what an identification code means: which product, which package level, how many sale units inside."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ident": "8385793", "product_code": "XA01ABD075A002010100483", "level": 1},
                {"ident": "8385794", "product_code": "XA01ABD075A002010100483", "level": 3, "packs_per_unit": 200},
            ]
        }
    )

    ident: text(100) = Field(  # type: ignore[valid-type]
        description="the first 7 digits of a trace code, a GTIN of 14 digits, or one whole code of the maker's own standard"
    )
    product_code: Code
    level: Annotated[int, Field(strict=True, ge=1, le=3, description="1 smallest sale unit, 2 inner box, 3 outer case")]
    packs_per_unit: Annotated[
        int, Field(strict=True, ge=1, le=PACKS_PER_UNIT, description="sale units in one package of this level")
    ] = 1

    @classmethod
    def judged(cls, good: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[Fault]:
        faults: list[Fault] = []
        try:
            if "ident" in good:
                ident_of(good["ident"])
        except IdentRefused as refusal:
            faults += refusal.faults
        try:
            if {"level", "packs_per_unit"} <= good.keys():
                check_level(good["level"], good["packs_per_unit"])
        except IdentRefused as refusal:
            faults += refusal.faults
        return faults


class IdentificationCodeView(View):
    """What an identification code means."""

    ident: str
    product_code: str
    level: int
    packs_per_unit: int


class UploadedView(IdentificationCodeView):
    """An identification code with who uploaded it, and when."""

    uploaded_by: str
    uploaded_at: datetime


class AwaitedView(View):
    """An identification code that was scanned and that nobody has uploaded; its codes do not count until then."""

    ident: str
    codes: int
    institutions: int
    product_codes: list[str] = Field(description="of the lines for which they were captured: what the code may mean")
