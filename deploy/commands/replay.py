"""`jicai replay`: plays a province's months of trade through the whole platform, over HTTP."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.commands.options import DATA, Data
from deploy.embedded import CannotStart
from deploy.replay.mapping import SHIPPED, load
from deploy.replay.play import Asked, play
from shared.imports import SheetRefused


class BusName(StrEnum):
    """How the services talk where the replay starts them."""

    LOCAL = "local"
    KAFKA = "kafka"


class MappingRefused(CannotStart):
    """The mapping file cannot be used."""


def replay(
    sheets: Annotated[Path, typer.Argument(help="Folder with the sheets, or one workbook with all of them.")],
    mapping: Annotated[Path, typer.Option(help="What the columns mean.")] = SHIPPED,
    data: Data = DATA,
    bus: Annotated[
        BusName, typer.Option(envvar="BUS", help="Where no platform runs: one process, or ten on Kafka.")
    ] = BusName.LOCAL,
) -> None:
    """Orders, deliveries, codes and payments of real months; started again, it goes on where it was."""
    try:
        read = load(mapping)
    except SheetRefused as refused:
        raise MappingRefused(f"The mapping {mapping} cannot be used: {refused}") from refused
    asked = Asked(sheets, read, data.expanduser().resolve(), bus)
    if not play(asked, Console()):
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    app.command()(replay)
