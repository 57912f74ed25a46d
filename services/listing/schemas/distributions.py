"""What is said about distribution relations over HTTP."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import ConfigDict, Field, computed_field
from pydantic.config import JsonDict

from services.listing.rules.distributions import in_force
from services.listing.schemas.fields import Coded, Day, Forms, Region
from shared import clock
from shared.codes import parse_region
from shared.errors import Said
from shared.http import Code, Command, Name, Reason, View

RELATION_EXAMPLE: JsonDict = {
    "product_code": "XA10BAE037A001010100001",
    "region": "330000",
    "distributor_code": "91310110666007217T",
    "valid_from": "2026-01-01",
    "valid_to": "2026-12-31",
}


NAMED = "instead of the code, where exactly one enterprise has this name; beside it, one of its names"


class ProposeDistribution(Coded):
    """Proposes that a distributor delivers a product in a region. Name the distributor by its code, or its exact name."""

    model_config = ConfigDict(json_schema_extra={"examples": [RELATION_EXAMPLE]})

    FORMS: ClassVar[Forms] = {"region": parse_region}
    PARTY = "distributor", Said("the distributor is not named")

    product_code: Code
    region: Region
    distributor_code: Code | None = None
    distributor_name: Name | None = Field(None, description=NAMED)
    valid_from: Day | None = Field(None, description="leave out for today")
    valid_to: Day | None = Field(None, description="last day, inclusive")


class EndDistribution(Command):
    """Ends a relation, or takes back or refuses a proposal."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "双方协商终止"}]})

    reason: Reason


class DistributionView(View):
    """A relation: who may deliver which product where; `ended` when its last day is over, too. `…_provisional`: known by
    its exact name alone."""

    id: UUID
    region: str
    product_code: str
    manufacturer_code: str
    manufacturer_provisional: bool
    agent_code: str | None
    distributor_code: str
    distributor_name: str
    distributor_provisional: bool
    valid_from: date
    valid_to: date | None
    state: str
    reason: str | None
    ended_on: date | None
    proposed_by: str
    revision: int = Field(description="raised by every change; the ETag")
    version: int = Field(description="how many events have told of it: 0 before the distributor has accepted it")

    @computed_field(description="whether it holds today: `active`, and its term has begun and is not over")  # type: ignore[prop-decorator]
    @property
    def in_force(self) -> bool:
        """Whether it is accepted and holds today."""
        return in_force(self.state, self.valid_from, self.valid_to, clock.today())
