"""`jicai openapi`: the HTTP contract of each service as a file that clients rely on, written out or compared."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy import pages, promises
from deploy.embedded import CannotStart

FOLDER = pages.DOCS / "openapi"
SHOWN = 20
"""Broken promises that are named; what changes everywhere breaks hundreds."""


class PromiseBroken(CannotStart):
    """A change of the HTTP contract that clients would not survive."""


class OpenapiStale(CannotStart):
    """The files in docs/openapi are not what the services say."""


def openapi(
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is stale.")] = False,
    broken: Annotated[bool, typer.Option("--break", help="Write although clients will break; say so to them.")] = False,
) -> None:
    """Writes the OpenAPI document of each service into docs/openapi; refuses a change that breaks clients."""
    for name in bring(FOLDER, pages.openapi(), check=check, may_break=broken):
        typer.echo(f"docs/openapi/{name}")


def bring(folder: Path, documents: dict[str, dict[str, object]], *, check: bool, may_break: bool = False) -> list[str]:
    """Brings the files up to date and returns which changed; raises PromiseBroken, and with `check` OpenapiStale."""
    wanted = {f"{name}.json": document for name, document in documents.items()}
    known = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}
    gone = [f"{name}: is gone" for name in known if name not in wanted]
    breaches = gone + [
        f"{name} {breach}"
        for name, document in known.items()
        if name in wanted
        for breach in promises.broken(document, _plain(wanted[name]))
    ]
    if breaches and not may_break:
        more = f"; and {len(breaches) - SHOWN} more" if len(breaches) > SHOWN else ""
        named = "; ".join(breaches[:SHOWN]) + more
        raise PromiseBroken(f"Clients rely on this: {named}. If it is meant, run `jicai openapi --break`.")
    stale = sorted(name for name in wanted.keys() | known.keys() if known.get(name) != _plain(wanted.get(name)))
    if check and stale:
        raise OpenapiStale(f"Stale in docs/openapi: {', '.join(stale)}; run `jicai openapi`.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in wanted:
            text = json.dumps(wanted[name], ensure_ascii=False, indent=1) + "\n"
            (folder / name).write_text(text, encoding="utf-8")
        else:
            (folder / name).unlink()
    return stale


def _plain(document: object) -> Any:
    """As it would be read from a file."""
    return json.loads(json.dumps(document))


def add_to(app: typer.Typer) -> None:
    app.command()(openapi)
