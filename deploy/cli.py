"""The command line `jicai`: finds each command in its module when it is asked for, and says an expected error in a sentence.

A module of commands is imported only when one of them is used, so that a worker does not pay for what it never calls.
"""

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

from deploy.embedded import CannotStart
from shared.policy import PolicyRefused
from shared.settings import CursorSecretMissing, IssuersWrong

COMMANDS = {
    "run": "run",
    "up": "up",
    "serve": "alone",
    "work": "alone",
    "migrate": "database",
    "new-version": "database",
    "token": "token",
    "topics": "topics",
    "events": "events",
    "import": "sheets",
    "replay": "replay",
    "access": "access",
    "errors": "errors",
    "openapi": "openapi",
    "audit": "audit",
    "dead": "dead",
    "republish": "again",
    "rebuild": "again",
    "rewind": "rewind",
}
"""Command and the module of deploy/commands that has it; the module adds its commands by `add_to`."""

PANELS = {
    "Try it out": ("run", "up", "token", "import", "replay"),
    "Deploy and operate": (
        *("migrate", "serve", "work", "topics", "audit"),
        *("dead", "republish", "rebuild", "rewind"),
    ),
}
REST = "Write the project"
"""How the list of commands is laid out; what no panel names stands in the last."""

EXPECTED = (CannotStart, PolicyRefused, IssuersWrong, CursorSecretMissing)


class Commands(TyperGroup):
    """Expected errors go to standard error as they are, and the exit status is 1."""

    def list_commands(self, ctx: Any) -> list[str]:
        named = [name for names in PANELS.values() for name in names if name in COMMANDS]
        return [*named, *(name for name in COMMANDS if name not in named)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        module.callback()(lambda: None)
        importlib.import_module(f"deploy.commands.{COMMANDS[cmd_name]}").add_to(module)
        group = typer.main.get_group(module)
        found: Any = group.get_command(ctx, cmd_name)
        found.rich_help_panel = next((panel for panel, names in PANELS.items() if cmd_name in names), REST)
        return found

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="jicai", cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def jicai() -> None:
    """Centralised procurement of medicines and consumables, from listing to payment."""


if __name__ == "__main__":
    app()
