"""`jicai import`: sends a sheet to listing, shows how far its job is, and brings back what was refused to be mended."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from deploy import addresses
from deploy.commands.options import DATA, Data
from deploy.embedded import CannotStart
from deploy.platform import token_maker
from deploy.visitor import Person, Refused, Visitor
from shared.http.jobs import SHEET_TYPES

LOOK_SECONDS = 0.2
TYPES = {suffix: content_type for content_type, suffix in SHEET_TYPES.items()}


class SheetNotTaken(CannotStart):
    """The file is not there, of another kind, or was refused as a whole."""


def import_sheet(
    kind: Annotated[
        str, typer.Argument(help="enterprises, institutions, products (with their listings) or distributions.")
    ],
    file: Annotated[Path, typer.Argument(help="xlsx, or CSV in UTF-8 or GB18030.")],
    mapping: Annotated[str, typer.Option(help="Which column means what: a shipped mapping.")] = "standard",
    region: Annotated[str, typer.Option(help="Six digits of GB/T 2260.")] = "000000",
    data: Data = DATA,
) -> None:
    """Sends a sheet to the platform that runs on the data folder; refused rows come back beside it."""
    data = data.expanduser().resolve()
    where = addresses.read(data)
    suffix = file.suffix.lower()
    if suffix not in TYPES or not file.is_file():
        raise SheetNotTaken(f"{file} is no file that is read here; allowed: {', '.join(TYPES)}.")

    async def send() -> dict[str, Any]:
        async with Visitor(where, token_maker(data)) as visitor:
            operator = visitor.person("operator", "jicai-operator", region)
            try:
                return await _follow(operator, kind, file, TYPES[suffix], mapping)
            except Refused as refused:
                raise SheetNotTaken(str(refused)) from refused

    job = asyncio.run(send())
    Console().print(f"{file.name}: {job['done']} rows read, {job['refused']} refused, job {job['state']}")
    if job["state"] == "failed":
        raise SheetNotTaken(f"The sheet was refused: {job['result']}")


async def _follow(operator: Person, kind: str, file: Path, content_type: str, mapping: str) -> dict[str, Any]:
    content = await asyncio.to_thread(file.read_bytes)
    taken = await operator.send(f"listing/imports/{kind}", content, content_type, mapping=mapping)
    with Progress() as progress:
        bar = progress.add_task(file.name, total=None)
        while True:
            job: dict[str, Any] = await operator.get(f"listing/jobs/{taken['job_id']}")
            progress.update(bar, completed=job["done"], total=job["total"])
            if job["state"] in ("done", "failed"):
                break
            await asyncio.sleep(LOOK_SECONDS)
    if job["refused"]:
        refused = file.with_name(f"{file.stem}-refused.xlsx")
        sheet: bytes = await operator.get(f"listing/jobs/{taken['job_id']}/refused")
        await asyncio.to_thread(refused.write_bytes, sheet)
        Console().print(f"Refused rows, to be mended and sent again: {refused}")
    return job


def add_to(app: typer.Typer) -> None:
    app.command("import")(import_sheet)
