"""What is said about imports over HTTP."""

from typing import Literal
from uuid import UUID

from shared.http import View

ImportKind = Literal["enterprises", "institutions", "products", "distributions"]


class ImportView(View):
    """An import that was taken: follow it at /jobs/{job_id}. `known`: the same file was sent before, this is its job."""

    job_id: UUID
    known: bool


class ColumnView(View):
    """A field of an import, and the column it is read from."""

    field: str
    column: str | None
    needed: bool


class MappingView(View):
    """The shipped mapping of a kind of sheet."""

    kind: ImportKind
    mapping: str
    columns: list[ColumnView]
