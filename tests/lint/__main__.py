"""`python -m tests.lint`: the AsyncAPI page by the official parser, the five OpenAPI documents by Spectral; for `make check`.

The linters come from the npm registry, pinned with hashes in package-lock.json; Node itself is in a wheel.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.contract import ASYNCAPI, FOLDER
from deploy.services import load_all
from shared.http import create_app
from shared.service import Service

HERE = Path(__file__).parent
NODE = Path(sys.executable).parent
INSTALLED = HERE / "node_modules" / ".package-lock.json"
AUTHORITY = "NODE_EXTRA_CA_CERTS"
"""Where Node looks for one more authority; a machine that has its own says so at least to pip."""


def main() -> int:
    install()
    complaints = run("node", "asyncapi.mjs", str(FOLDER / ASYNCAPI))
    with tempfile.TemporaryDirectory(prefix="openapi") as folder:
        files = [dump(service, Path(folder)) for service in load_all()]
        spectral = str(HERE / "node_modules" / "@stoplight" / "spectral-cli" / "dist" / "index.js")
        complaints += run("node", spectral, "lint", "--ruleset", "spectral.yaml", "--fail-severity", "warn", *files)
    return min(complaints, 1)


def install() -> None:
    """Installs what package-lock.json says, unless it is there."""
    if INSTALLED.exists() and INSTALLED.stat().st_mtime >= (HERE / "package-lock.json").stat().st_mtime:
        return
    if run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"):
        raise SystemExit("The linters of the contracts could not be installed from the npm registry.")
    INSTALLED.touch()


def run(program: str, *arguments: str) -> int:
    """The exit status of a program of Node, run beside package.json."""
    path = f"{NODE}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {AUTHORITY: os.environ.get("PIP_CERT", ""), **os.environ, "PATH": path}
    return subprocess.run([NODE / program, *arguments], cwd=HERE, env=environment, check=False).returncode


def dump(service: Service, folder: Path) -> str:
    """The OpenAPI document of a service, as a file."""
    settings = service.settings(database_url="postgresql://nobody@nowhere/none")
    file = folder / f"{service.name}.json"
    file.write_text(json.dumps(create_app(service, settings).openapi(), ensure_ascii=False), encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    sys.exit(main())
