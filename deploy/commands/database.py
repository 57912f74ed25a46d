"""`jicai migrate` and `jicai new-version`: a service's database, and the next version of its tables."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from deploy.commands.options import ServiceName
from deploy.databases import bring_to_head
from deploy.embedded import CannotStart
from deploy.environment import database_name
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from shared.migrations import ROOT, new_version, versions_of


class DatabaseRefused(CannotStart):
    """The database does not answer, or not to this user."""


def migrate(
    service: ServiceName,
    database_url: Annotated[
        str, typer.Option(envvar="JICAI_OWNER_URL", help="URL of the owner of the tables, who may also make roles.")
    ],
) -> None:
    """Brings the database of one service to the newest version; safe to repeat."""
    try:
        asyncio.run(bring_to_head([load(service)], {service: database_url}))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as refusal:
        raise DatabaseRefused(f"The database of {service} was not migrated: {refusal}") from refusal
    typer.echo(f"{service}: at the newest version.")


def make_version(
    service: ServiceName,
    message: Annotated[str, typer.Argument(help="What the version does, in a few words.")],
) -> None:
    """Writes the next version from what the tables declare; read it before it lands."""
    loaded = load(service)
    folder = versions_of(loaded)
    before = set(folder.glob("*.py"))
    number = max((int(file.name.partition("_")[0]) for file in before if file.name[0].isdigit()), default=0) + 1
    with (
        tempfile.TemporaryDirectory(prefix="jicai") as scratch,
        EmbeddedPostgres.start(Path(scratch), durable=False) as server,
    ):
        url = server.ensure_database(database_name(service))
        asyncio.run(new_version(loaded, url, message, f"{number:04}"))
    for file in set(folder.glob("*.py")) - before:
        for tidy in (["format", "--quiet"], ["check", "--fix", "--quiet"]):
            subprocess.run([sys.executable, "-m", "ruff", *tidy, file], check=False)
        typer.echo(f"{service}: wrote {file.relative_to(ROOT)}")


def add_to(app: typer.Typer) -> None:
    app.command()(migrate)
    app.command("new-version")(make_version)
