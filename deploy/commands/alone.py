"""`jicai serve` and `jicai work`: one service by itself, told by its environment (`ORDERS_DATABASE_URL`, …)."""

from typing import Annotated

import typer

from deploy import alone
from deploy.commands.options import ServiceName
from deploy.embedded import LOOPBACK
from deploy.services import load
from shared.telemetry import set_up_logging

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 in a container.")]


def serve(
    service: ServiceName, host: Host = LOOPBACK, port: Annotated[int, typer.Option(help="Port of the API.")] = 8000
) -> None:
    """The HTTP API of one service, until told to stop."""
    set_up_logging()
    alone.serve_alone(load(service), host, port)


def work(
    service: ServiceName,
    host: Host = LOOPBACK,
    ops_port: Annotated[int, typer.Option(help="Port for health, metrics, what is in flight.")] = 9000,
    *,
    catch_up: Annotated[
        bool,
        typer.Option(
            "--catch-up",
            help="Relay and consumer alone: after a restore, so that nothing is issued or paid before the audit.",
        ),
    ] = False,
) -> None:
    """The worker of one service: relay, consumer, deadlines, jobs; until told to stop."""
    set_up_logging()
    alone.work_alone(load(service), host, ops_port, catching_up=catch_up)


def add_to(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(work)
