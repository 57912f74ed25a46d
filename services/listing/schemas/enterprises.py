"""What is said about enterprises over HTTP."""

from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from shared.http import Code, Command, Name, Reason, View


class RegisterEnterprise(Command):
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

    name: Name
    kinds: list[Literal["manufacturer", "distributor", "agent"]] = Field(min_length=1)
    region: str = Field(pattern=r"^\d{6}$", description="GB/T 2260, six digits")
    uscc: Code | None = Field(None, description="unified social credit code, 18 characters; leave out when not known")
    override_reason: Reason | None = Field(None, description="why a USCC with a failing check digit is right")


class EnterpriseView(View):
    """An enterprise; `provisional`: known by its exact name alone."""

    id: UUID
    code: str
    name: str
    aliases: tuple[str, ...]
    kinds: tuple[str, ...]
    provisional: bool
    region: str
    active: bool
    version: int
