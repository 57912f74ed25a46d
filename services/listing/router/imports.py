"""HTTP for imports: a sheet comes in as it is, and is followed as a job."""

import asyncio
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.listing.errors import SheetTypeUnknown
from services.listing.handlers.imports import take_sheet
from services.listing.handlers.sheets import KINDS, STANDARD, mapping_of, way_of
from services.listing.schemas.imports import ColumnView, ImportKind, ImportView, MappingView
from shared.errors import Said
from shared.http import CallerHere, Edge, TxHere
from shared.http.edge import Runtime
from shared.http.jobs import SHEET_TYPES
from shared.http.uploads import received

router = APIRouter(route_class=Edge, prefix="/imports", tags=["imports"])

_CSV = "text/csv"
_SHEET = "企业名称,企业类型,所属区划代码,统一社会信用代码,校验位说明\n青禾制药有限公司,生产企业,330100,,\n"
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {name: _FILE | ({"example": _SHEET} if name == _CSV else {}) for name in SHEET_TYPES},
    }
}

MappingAsked = Annotated[str, Query(pattern=r"^[a-z0-9_]{1,40}$", description="a shipped mapping of columns to fields")]


@router.post("/{kind}", status_code=202, openapi_extra=_BODY)
async def import_sheet(
    kind: ImportKind,
    request: Request,
    caller: CallerHere,
    tx: TxHere,
    response: Response,
    mapping: MappingAsked = STANDARD,
) -> ImportView:
    """Takes a sheet as CSV (UTF-8 or GB18030) or xlsx. Its rows land in the background; the same sheet twice is one job.

    A kind is for whoever may write one such thing, and a row may do what that write may: the authority lists products and
    records relations, a manufacturer or agent drafts listings of its own and proposes relations, an enterprise names itself.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in SHEET_TYPES:
        raise SheetTypeUnknown(
            "Content-Type is {given}; allowed: {kinds}.", given=given or Said("not given"), kinds=", ".join(SHEET_TYPES)
        )
    runtime: Runtime = request.app.state.runtime
    way = way_of(runtime.access, caller, kind)
    limits = runtime.settings.limits
    digest = hashlib.sha256()
    with TemporaryDirectory(prefix="jicai-sheet-") as folder:
        path = Path(folder) / f"sheet{SHEET_TYPES[given]}"
        with path.open("wb") as file:
            async for piece in received(request, limits.upload_bytes):
                digest.update(piece)
                await asyncio.to_thread(file.write, piece)
        job_id, known = await take_sheet(tx, caller, kind, way, mapping, path, digest.hexdigest(), limits.sheet)
    response.headers["location"] = f"/jobs/{job_id}"
    return ImportView(job_id=job_id, known=known)


@router.get("/{kind}/mapping")
async def get_mapping(kind: ImportKind, tx: TxHere, mapping: MappingAsked = STANDARD) -> MappingView:
    """Which column means which field in a shipped mapping; the header of a sheet has all of these columns."""
    columns = mapping_of(kind, mapping)
    fields = [
        ColumnView(field=name, column=getattr(source, "column", None), needed=name in KINDS[kind].needed)
        for name, source in columns.fields.items()
    ]
    return MappingView(kind=kind, mapping=mapping, columns=fields)
