"""What is said about institutions over HTTP."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import ConfigDict, Field

from services.listing.rules.institutions import DELIVERY_POINTS_MAX
from services.listing.schemas.fields import Coded, Forms, Grade, Region
from shared.codes import parse_institution, parse_region
from shared.http import Code, Command, Name, View


class RegisterInstitution(Coded):
    """Registers an institution; a known one gains the name as alias and delivery point, and what else is new."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "H33010200001",
                    "name": "青禾市第一医院",
                    "grade": "三级甲等",
                    "region": "330100",
                    "delivery_points": ["青禾市第一医院东院区"],
                }
            ]
        }
    )

    FORMS: ClassVar[Forms] = {"code": parse_institution, "region": parse_region}

    code: Code = Field(description="H or P, six region digits, five digits")
    name: Name
    grade: Grade | None = None
    region: Region | None = Field(None, description="leave out to take the one in the code")
    active: bool | None = Field(None, description="leave out to change nothing")
    delivery_points: Annotated[list[Name], Field(default_factory=list, max_length=DELIVERY_POINTS_MAX)]


class AddDeliveryPoints(Command):
    """Adds places where the institution receives goods; those it has already change nothing."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"names": ["青禾市第一医院西院区"]}]})

    names: Annotated[list[Name], Field(min_length=1, max_length=DELIVERY_POINTS_MAX)]


class DeliveryPointView(View):
    """Where goods are received."""

    id: UUID
    name: str


class InstitutionView(View):
    """An institution with its delivery points."""

    id: UUID
    code: str
    name: str
    aliases: tuple[str, ...]
    kind: str
    grade: str | None
    region: str
    active: bool
    delivery_points: tuple[DeliveryPointView, ...]
    version: int
