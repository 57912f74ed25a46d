"""`jicai audit`: is history as it was written, and does every accepted line have its payable, its receipt and its payment."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy import chain
from deploy.commands.options import DATA, Data
from deploy.differences import differences
from deploy.embedded import CannotStart
from deploy.environment import database_name
from deploy.postgres import server_url
from shared import audit as history_audit
from shared.db import Database
from shared.policy import Policy


class NotWhole(CannotStart):
    """Something was changed, cut, lost or doubled; says what was found first."""


def audit(
    url: Annotated[
        str | None,
        typer.Option(help="postgresql://owner@host:port of the five databases; the embedded one unless given."),
    ] = None,
    data: Data = DATA,
) -> None:
    """Walks every chain of history and the chain across the services; exit status 1 names what is not as it was, and each
    thing of which two services do not say the same."""
    server = url or server_url(data.expanduser().resolve())
    try:
        faults = asyncio.run(_audit(server))
    except OSError as away:
        raise NotWhole(f"No PostgreSQL answers there now; start the platform first ({away}).") from away
    if faults:
        raise NotWhole("\n".join(faults))


async def _audit(server: str) -> list[str]:
    def url_of(service: str) -> str:
        return f"{server}/{database_name(service)}"

    table = Table("service", "deeds", "heads", "history")
    faults: list[str] = []
    for service in chain.SERVICES:
        database = await Database.open(url_of(service), policy=Policy([]), connections=1, name="audit")
        try:
            finding = await history_audit.check(database)
        finally:
            await database.close()
        faults += [f"{service}: {fault}" for fault in (finding.broken, finding.cut) if fault]
        table.add_row(service, str(finding.rows), str(finding.heads), "whole" if finding.whole else "not whole")
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
