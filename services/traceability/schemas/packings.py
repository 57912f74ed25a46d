"""What is said about packings over HTTP."""

from typing import Annotated

from pydantic import ConfigDict, Field

from services.traceability.schemas.documents import RefusedCodeView
from services.traceability.settings import CHILDREN_PER_PACKING
from shared.http import Command, View


class UploadPacking(Command):
    """Says which codes lie in a package; a case then counts for all sale units in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "parent": "83857940000000010001",
                    "children": ["83857930000879766660", "83857930000879770001"],
                }
            ]
        }
    )

    parent: str
    children: Annotated[list[str], Field(min_length=1, max_length=CHILDREN_PER_PACKING)]


class PackingView(View):
    """A package, how many of the codes said to lie in it do, and those that are more than it holds."""

    parent: str
    children: int
    packs_per_unit: int | None = Field(
        description="sale units that it holds by its identification code; null where that was uploaded without them, and"
        " no code is too many"
    )
    packs: int = Field(description="sale units that lie in it now")
    refused: list[RefusedCodeView]
