"""What is said about enterprises over HTTP."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from services.listing.schemas.fields import Coded, Forms, Region
from shared.codes import parse_region, parse_uscc
from shared.http import Code, Name, Reason, View

EnterpriseKind = Literal["manufacturer", "distributor", "agent"]


class RegisterEnterprise(Coded):
    """Registers an enterprise, or adds a name and kinds to a known one. Without a USCC it is provisional."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "uscc": "91350200MA31E12PXF",
                    "name": "青禾制药有限公司",
                    "kinds": ["manufacturer"],
                    "region": "350200",
                }
            ]
        }
    )

    FORMS: ClassVar[Forms] = {"uscc": parse_uscc, "region": parse_region}

    name: Name
    kinds: Annotated[list[EnterpriseKind], Field(min_length=1, max_length=3)]
    region: Region
    uscc: Code | None = Field(None, description="unified social credit code, 18 characters; leave out when not known")
    override_reason: Reason | None = Field(None, description="why a USCC with a failing check digit is right")
    name_reason: Reason | None = Field(
        None, description="from the authority: why the enterprise has a name that another one has; kept in its timeline"
    )


class ConfirmUscc(Coded):
    """Says which USCC a provisional enterprise has; it goes on trading under its `PROV-` code."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"uscc": "91350200MA31E12PXF"}]})

    FORMS: ClassVar[Forms] = {"uscc": parse_uscc}

    uscc: Code = Field(description="unified social credit code, 18 characters")
    override_reason: Reason | None = Field(None, description="why a USCC with a failing check digit is right")


class EnterpriseView(View):
    """An enterprise; `provisional`: known by its exact name alone."""

    id: UUID
    code: str = Field(description="the one code it trades under, for good: in orders, in tokens, everywhere")
    uscc: str | None = Field(
        description="where it became known after registration, it stands beside `code` and does not replace it"
    )
    name: str
    aliases: tuple[str, ...]
    kinds: tuple[str, ...]
    provisional: bool
    override_reason: str | None
    region: str
    active: bool
    version: int
