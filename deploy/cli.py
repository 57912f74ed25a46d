"""The command line `jicai`: puts the groups of commands together, and says an expected error in one sentence."""

from typing import Any

import typer
from typer.core import TyperGroup

from deploy.commands import alone, database, events, run, token, topics
from deploy.embedded import CannotStart
from shared.policy import PolicyRefused

EXPECTED = (CannotStart, PolicyRefused)


class OneSentence(TyperGroup):
    """Expected errors go to standard error as they are, and the exit status is 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="jicai",
    cls=OneSentence,
    help="Centralised procurement of medicines and consumables, from listing to payment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (run, alone, database, token, topics, events):
    group.add_to(app)

if __name__ == "__main__":
    app()
