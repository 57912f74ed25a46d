"""`jicai events`: the contract of the events, written out or compared."""

from typing import Annotated

import typer

from deploy import contract
from deploy.embedded import CannotStart


class ContractStale(CannotStart):
    """The files in docs/events are not what the classes say."""


def events(
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is stale.")] = False,
    release: Annotated[bool, typer.Option("--release", help="From now on others rely on the present schemas.")] = False,
) -> None:
    """Writes a JSON Schema and an example per event and asyncapi.yaml into docs/events."""
    if check:
        if stale := contract.stale():
            raise ContractStale(f"Stale in docs/events: {', '.join(stale)}; run `make events`.")
        return
    for name in contract.write():
        typer.echo(f"docs/events/{name}")
    if release:
        for name in contract.release():
            typer.echo(f"{name}: released")


def add_to(app: typer.Typer) -> None:
    app.command()(events)
