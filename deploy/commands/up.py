"""`jicai up`: the same five as ten processes on a real Kafka and a real PostgreSQL."""

from typing import Annotated

import typer

from deploy import processes
from deploy.commands.options import DATA, Data
from deploy.logs import log_to_file
from deploy.services import load_all


def up(
    port: Annotated[
        int, typer.Option(help="APIs on the five ports after it, workers ten further; 0: any free.")
    ] = 8000,
    data: Data = DATA,
    *,
    story: Annotated[bool, typer.Option(help="Tell the main story on the first start.")] = True,
) -> None:
    """Five APIs and five workers on Kafka and PostgreSQL, all of this machine, until Ctrl-C."""
    log_to_file(data, "up")
    processes.up(load_all(), data, port, tell=story)


def add_to(app: typer.Typer) -> None:
    app.command()(up)
