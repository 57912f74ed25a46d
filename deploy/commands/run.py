"""`jicai run`: all five services in one process."""

from typing import Annotated

import typer

from deploy import platform
from deploy.commands.options import DATA, Data
from deploy.logs import log_to_file
from deploy.services import load_all


def run(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8000,
    data: Data = DATA,
    *,
    story: Annotated[bool, typer.Option(help="Tell the main story on the first start.")] = True,
) -> None:
    """All five services in one process, with their own PostgreSQL in the data folder, until Ctrl-C."""
    log_to_file(data, "run")
    platform.run(load_all(), data, port, tell=story)


def add_to(app: typer.Typer) -> None:
    app.command()(run)
