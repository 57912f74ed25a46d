"""`jicai republish` and `jicai rebuild`: state sent again, and a projection emptied and filled from it."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import DATA, Data, ServiceName
from deploy.commands.reach import database_of
from deploy.embedded import CannotStart
from deploy.services import load
from shared import republish
from shared.service import Service


class NothingOfThatName(CannotStart):
    """A kind or a projection that the service does not have."""


class NothingToFillIt(CannotStart):
    """A projection that holds rows, and would be empty for good, for its sources have nothing to say."""


def republish_kind(
    service: ServiceName,
    kind: Annotated[str, typer.Argument(help="What is said again, such as enterprises.")],
    data: Data = DATA,
) -> None:
    """Sends the present state of one kind again, as ordinary events; harmless for who has it already."""
    loaded = load(service)
    _known(loaded, "says nothing again", kind, loaded.republish)
    asyncio.run(_say_again(loaded, kind, data))


def rebuild(
    service: ServiceName,
    projection: Annotated[str, typer.Argument(help="What is emptied and filled, such as market.")],
    data: Data = DATA,
    *,
    anyway: Annotated[bool, typer.Option(help="Empty it also when a source has nothing to say.")] = False,
) -> None:
    """Empties a projection, and has its sources send everything again. Until that has arrived, the service knows nothing
    of it and refuses what needs it. Finds them where their variables point, else on the data folder."""
    loaded = load(service)
    _known(loaded, "has no projection", projection, loaded.projections)
    wanted = loaded.projections[projection]
    sources = [(load(source), kinds) for source, kinds in wanted.sources.items()]

    async def work() -> None:
        # Before anything is emptied, whoever fills it must be there, and not be empty.
        silent = [source.name for source, kinds in sources if not await _says_anything(source, kinds, data)]
        async with database_of(loaded, data, "again") as database:
            if silent and not anyway and await republish.holds_rows(database, wanted):
                raise NothingToFillIt(
                    f"{projection} of {service} holds rows, and {' and '.join(silent)} would say nothing to fill it again;"
                    " is this the right database? With --anyway it is emptied, and what only they know is gone."
                )
            await republish.empty(database, wanted)
        typer.echo(f"{service}: {projection} is empty.")
        for source, kinds in sources:
            for kind in kinds:
                await _say_again(source, kind, data)

    asyncio.run(work())


async def _say_again(service: Service, kind: str, data: Path) -> None:
    async with database_of(service, data, "again") as database:
        count = await republish.republish(database, service.republish[kind])
    typer.echo(f"{service.name}: {count} {kind} are said again.")


async def _says_anything(service: Service, kinds: Collection[str], data: Path) -> bool:
    async with database_of(service, data, "again") as database:
        return any([await republish.says_anything(database, service.republish[kind]) for kind in kinds])


def _known(service: Service, lack: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise NothingOfThatName(f"{service.name} {lack} named {name!r}; there are {', '.join(known) or 'none'}.")


def add_to(app: typer.Typer) -> None:
    app.command("republish")(republish_kind)
    app.command()(rebuild)
