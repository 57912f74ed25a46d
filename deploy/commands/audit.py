"""`jicai audit`: is history as it was written, and does every accepted line have its payable, its receipt and its payment."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy import chain
from deploy.commands.options import DATA, Data
from deploy.deeds import without_deeds
from deploy.differences import differences
from deploy.embedded import CannotStart
from deploy.environment import database_name, heads_folder
from deploy.postgres import server_url
from deploy.services import load
from shared import audit as history_audit
from shared.db import Database
from shared.faults import NOT_MIGRATED
from shared.heads import Head, HeadsUnreadable, differs, kept
from shared.policy import Policy


class NotWhole(CannotStart):
    """Something was changed, cut, lost or doubled; says what was found first."""


def audit(
    url: Annotated[
        str | None,
        typer.Option(help="postgresql://owner@host:port of the five databases; the embedded one unless given."),
    ] = None,
    heads: Annotated[
        list[Path] | None,
        typer.Option(
            help="<service>.jsonl of heads kept outside; may be given again. The embedded one's unless --url."
        ),
    ] = None,
    data: Data = DATA,
) -> None:
    """Walks every chain of history and the chain across the services; exit status 1 names what is not as it was, and each
    thing of which two services do not say the same."""
    folder = data.expanduser().resolve()
    server = url or server_url(folder)
    files = heads or ([] if url else sorted(heads_folder(folder).glob("*.jsonl")))
    try:
        faults = asyncio.run(_audit(server, _kept(files)))
    except OSError as away:
        raise NotWhole(f"No PostgreSQL answers there now; start the platform first ({away}).") from away
    except NOT_MIGRATED as lack:
        raise NotWhole(
            f"A database there is not migrated to what is needed here; run `jicai migrate`. ({lack})"
        ) from lack
    if faults:
        raise NotWhole("\n".join(faults))


def _kept(files: Sequence[Path]) -> dict[str, list[Head]]:
    """What was kept outside, by service; a file is named after its own."""
    found: dict[str, list[Head]] = {}
    for file in files:
        try:
            found.setdefault(load(file.stem).name, []).extend(kept(file))
        except (OSError, HeadsUnreadable) as refusal:
            raise NotWhole(f"The heads cannot be read: {refusal}") from refusal
    return found


async def _audit(server: str, outside: Mapping[str, Sequence[Head]]) -> list[str]:
    def url_of(service: str) -> str:
        return f"{server}/{database_name(service)}"

    table = Table("service", "deeds", "heads", "history")
    faults: list[str] = []
    for service in chain.SERVICES:
        database = await Database.open(url_of(service), policy=Policy([]), name="audit")
        try:
            finding = await history_audit.check(database)
            other = await differs(database, outside.get(service, ()))
        finally:
            await database.close()
        faults += [f"{service}: {fault}" for fault in (finding.broken, finding.cut, other) if fault]
        table.add_row(service, str(finding.rows), str(finding.heads), "whole" if finding.whole else "not whole")
    faults += await without_deeds(url_of)
    links = await chain.inspect(url_of)
    faults += [f"across the services: {links}"] if not links.whole else []
    faults += await differences(url_of)
    console = Console()
    console.print(table)
    console.print(
        f"{links.accepted} accepted lines, each with one payable and one receipt, paid as settlement says: {links.whole}"
    )
    return faults


def add_to(app: typer.Typer) -> None:
    app.command()(audit)
