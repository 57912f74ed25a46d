"""`jicai errors`: a page for every code that an answer can carry."""

from typing import Annotated

import typer

from deploy import pages
from deploy.services import load_all
from shared.http import words


def errors(
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a page is stale.")] = False,
) -> None:
    """Writes docs/errors, one page per code, from the error tree."""
    load_all()
    wanted = {f"{code}.md": words.page(code) or "" for code in words.codes()}
    for name in pages.bring(pages.DOCS / "errors", wanted, check=check, command="errors"):
        typer.echo(f"docs/errors/{name}")


def add_to(app: typer.Typer) -> None:
    app.command()(errors)
