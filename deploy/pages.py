"""Pages that are made from the code: written, or compared so that none falls behind."""

from collections.abc import Mapping
from pathlib import Path

from deploy.embedded import CannotStart
from deploy.services import load_all
from shared.http import create_app
from shared.migrations import ROOT

DOCS = ROOT / "docs"


class PagesStale(CannotStart):
    """Pages under docs are not what the code says."""


def bring(folder: Path, wanted: Mapping[str, str], *, check: bool, command: str) -> list[str]:
    """Writes what differs and returns its names; with `check` writes nothing and raises PagesStale for it.

    A Markdown page of the folder that is not wanted any more goes, unless the folder is that of all pages.
    """
    known = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.md")} if folder.exists() else {}
    if folder == DOCS:
        known = {name: text for name, text in known.items() if name in wanted}
    stale = sorted(name for name in wanted.keys() | known.keys() if wanted.get(name) != known.get(name))
    if check and stale:
        raise PagesStale(f"Stale in {folder.relative_to(ROOT)}: {', '.join(stale)}; run `jicai {command}`.")
    for name in stale:
        folder.mkdir(parents=True, exist_ok=True)
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return stale


def openapi() -> dict[str, dict[str, object]]:
    """The OpenAPI document of each service."""
    return {
        service.name: create_app(service, service.settings(database_url="postgresql://nobody@nowhere/none")).openapi()
        for service in load_all()
    }
