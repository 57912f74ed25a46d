"""`jicai audit`: is history as it was written, and does every accepted line have its payable, its receipt and its payment."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy import chain
from deploy.commands.options import DATA, Data
from deploy.commands.reach import in_words, settings_of, worker_url
from deploy.deeds import connected, without_deeds
from deploy.differences import differences
from deploy.embedded import CannotStart
from deploy.environment import database_name
from deploy.money import disagreements
from deploy.services import load
from shared import audit as history_audit
from shared.db import Database
from shared.heads import Head, HeadsUnreadable, differs, kept
from shared.policy import Policy


class NotWhole(CannotStart):
    """Something was changed, cut, lost or doubled; says what was found first."""


def audit(
    url: Annotated[
        str | None,
        typer.Option(
            help="postgresql://owner@host:port, where one server holds all five databases under their own names."
            " Unless given, each is found where its variable points (ORDERS_DATABASE_URL), else on the data folder."
        ),
    ] = None,
    heads: Annotated[
        list[Path] | None,
        typer.Option(
            help="<service>.jsonl of heads kept outside; may be given again. Unless it or --url is, the files that the"
            " workers keep (ORDERS_HEADS_FILE), as far as they are here."
        ),
    ] = None,
    data: Data = DATA,
) -> None:
    """Walks every chain of history and the chain across the services; exit status 1 names what is not as it was, and each
    thing of which two services do not say the same."""
    named = [(load(file.stem).name, file) for file in heads or ()]
    if url:
        urls = {name: f"{url}/{database_name(name)}" for name in chain.SERVICES}
    else:
        told = {name: settings_of(load(name), data) for name in chain.SERVICES}
        urls = {name: worker_url(settings) for name, settings in told.items()}
        kept_by_workers = [(name, settings.heads_file) for name, settings in told.items()]
        named = named or [(name, file) for name, file in kept_by_workers if file and file.exists()]
    with in_words("One of the five databases"):
        faults = asyncio.run(_audit(urls, _kept(named)))
    if faults:
        raise NotWhole("\n".join(faults))


def _kept(files: Iterable[tuple[str, Path]]) -> dict[str, list[Head]]:
    """What was kept outside, by service."""
    found: dict[str, list[Head]] = {}
    for service, file in files:
        try:
            found.setdefault(service, []).extend(kept(file))
        except (OSError, HeadsUnreadable) as refusal:
            raise NotWhole(f"The heads cannot be read: {refusal}") from refusal
    return found


async def _audit(urls: Mapping[str, str], outside: Mapping[str, Sequence[Head]]) -> list[str]:
    table = Table("service", "deeds", "heads", "history")
    faults: list[str] = []
    for service, url in urls.items():
        with in_words(f"The database of {service}"):
            database = await Database.open(url, policy=Policy([]), limits=history_audit.unhurried(), name="audit")
            try:
                finding = await history_audit.check(database)
                other = await differs(database, outside.get(service, ()))
            finally:
                await database.close()
        faults += [f"{service}: {fault}" for fault in (finding.broken, finding.cut, other) if fault]
        table.add_row(service, str(finding.rows), str(finding.heads), "whole" if finding.whole else "not whole")
    faults += await without_deeds(urls.__getitem__)
    links = await chain.inspect(urls.__getitem__)
    faults += links.faults
    faults += await differences(urls.__getitem__)
    async with connected(urls["settlement"]) as settlement:
        faults += await disagreements(settlement)
    console = Console()
    console.print(table)
    console.print(
        f"{links.accepted} accepted lines, {'' if links.whole else 'not '}each with one payable, one receipt"
        " and what settlement paid for it"
    )
    return faults


def add_to(app: typer.Typer) -> None:
    app.command()(audit)
