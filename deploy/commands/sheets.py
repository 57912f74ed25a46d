"""`jicai import`: sends a sheet to listing, shows how far its job is, and brings back what was refused to be mended."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from deploy import addresses
from deploy.commands.options import DATA, Data
from deploy.embedded import CannotStart
from deploy.platform import token_maker
from deploy.visitor import UNAVAILABLE, Person, Refused, Visitor
from shared.errors import number_of
from shared.http.jobs import SHEET_TYPES

LOOK_SECONDS = 0.2
TYPES = {suffix: content_type for content_type, suffix in SHEET_TYPES.items()}


class SheetNotTaken(CannotStart):
    """The file was refused as a whole."""


class Kind(StrEnum):
    """What a sheet holds."""

    ENTERPRISES = "enterprises"
    INSTITUTIONS = "institutions"
    PRODUCTS = "products"
    DISTRIBUTIONS = "distributions"


def import_sheet(
    kind: Annotated[Kind, typer.Argument(help="What the sheet holds; products come with their listings.")],
    file: Annotated[Path, typer.Argument(help="xlsx, or CSV in UTF-8 or GB18030.")],
    mapping: Annotated[str, typer.Option(help="Which column means what: a shipped mapping.")] = "standard",
    region: Annotated[str, typer.Option(help="Six digits of GB/T 2260.")] = "000000",
    data: Data = DATA,
) -> None:
    """Sends a sheet to the platform that runs on the data folder; refused rows come back beside it.

    Exit status 0: every row landed. 1: rows, or the sheet as a whole, were refused. 2: nothing was sent.
    """
    suffix = _suffix_of(file)
    data = data.expanduser().resolve()
    try:
        where = addresses.read(data)
    except addresses.NothingRuns as nothing:
        typer.echo(str(nothing), err=True)
        raise typer.Exit(2) from nothing

    async def send() -> dict[str, Any]:
        async with Visitor(where, token_maker(data)) as visitor:
            operator = visitor.person("operator", "jicai-operator", region)
            try:
                return await follow(operator, kind, file, TYPES[suffix], mapping)
            except Refused as refused:
                raise SheetNotTaken(_said(refused, file)) from refused

    job = asyncio.run(send())
    if job["state"] == "failed":
        raise SheetNotTaken(f"{file.name} was refused: {job['result']}")
    _tell(file, job)
    if job["refused"]:
        raise typer.Exit(1)


def _suffix_of(file: Path) -> str:
    """Raises BadParameter, which ends with status 2."""
    if not file.exists():
        raise typer.BadParameter(f"{file} does not exist.", param_hint="FILE")
    if not file.is_file():
        raise typer.BadParameter(f"{file} is a folder.", param_hint="FILE")
    suffix = file.suffix.lower()
    if suffix not in TYPES:
        raise typer.BadParameter(f"{file} is not called {' or '.join(TYPES)}.", param_hint="FILE")
    return suffix


def _said(refused: Refused, file: Path) -> str:
    """What the platform says of the sheet, and of each fault only what was not said yet."""
    said = str(refused.problem.get("detail") or refused)
    faults = [one for one in refused.problem.get("errors", []) if one["rule"] not in said]
    return "\n".join([f"{file.name}: {said}", *(f"  {one['rule']}; accepted: {one['allowed']}" for one in faults)])


def _tell(file: Path, job: dict[str, Any]) -> None:
    typer.echo(
        f"{file.name}: {number_of(job['done'], 'row')} read, {job['done'] - job['refused']} landed, {job['refused']} refused"
    )
    result = job["result"] or {}
    for name, what in (
        ("columns_absent", "not in the sheet"),
        ("columns_unread", "not read, as no field asks for them"),
    ):
        if columns := result.get(name):
            typer.echo(f"Columns {what}: {', '.join(columns)}")
    if job["refused"]:
        typer.echo(f"Refused rows, to be mended and sent again: {_refused_file(file)}")


def _refused_file(file: Path) -> Path:
    return file.with_name(f"{file.stem}-refused.xlsx")


async def follow(operator: Person, kind: str, file: Path, content_type: str, mapping: str) -> dict[str, Any]:
    """Sends a sheet, and looks at its job until that has ended; raises Refused."""
    content = await asyncio.to_thread(file.read_bytes)
    taken = await operator.send(f"listing/imports/{kind}", content, content_type, mapping=mapping)
    with Progress() as progress:
        bar = progress.add_task(file.name, total=None)
        job: dict[str, Any] = {"state": "queued"}
        while job["state"] not in ("done", "failed"):
            await asyncio.sleep(LOOK_SECONDS)
            try:
                job = await operator.get(f"listing/jobs/{taken['job_id']}")
            except Refused as refusal:  # a look that was not answered now says nothing of the job, which goes on
                if refusal.status != UNAVAILABLE:
                    raise
            else:
                progress.update(bar, completed=job["done"], total=job["total"])
    if job["refused"]:
        sheet: bytes = await operator.get(f"listing/jobs/{taken['job_id']}/refused")
        await asyncio.to_thread(_refused_file(file).write_bytes, sheet)
    return job


def add_to(app: typer.Typer) -> None:
    app.command("import")(import_sheet)
