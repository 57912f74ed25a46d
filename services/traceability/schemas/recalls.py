"""What is said about recalls over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from services.traceability.settings import LOTS_PER_RECALL
from shared.http import Code, Command, Reason, View


class OpenRecall(Command):
    """Lots of a product may not be received, used or sold any more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "product_code": "XA01ABD075A002010100483",
                    "lot_numbers": ["240101"],
                    "reason": "particles found in ampoules",
                }
            ]
        }
    )

    product_code: Code
    lot_numbers: Annotated[list[Code], Field(min_length=1, max_length=LOTS_PER_RECALL)]
    reason: Reason


class CloseRecall(Command):
    """The lots may be received again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "all goods were returned and destroyed"}]})

    reason: Reason


class RecallView(View):
    """A recall; everybody may read it."""

    id: UUID
    product_code: str
    manufacturer_code: str
    lot_numbers: tuple[str, ...]
    reason: str
    state: str
    opened_by: str
    opened_at: datetime
    closed_at: datetime | None
    version: int


class RecallHolderView(View):
    """An institution that accepted goods of the recalled lots."""

    institution_code: str
    region: str
    packs: int
    found_at: datetime
    state: str


class RecallDetailView(RecallView):
    """A recall with the institutions that hold its goods, as far as the caller may see them."""

    held_by: list[RecallHolderView]
