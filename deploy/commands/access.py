"""`jicai access`: who may do what with whose rows, printed from the matrix."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from deploy import pages
from shared.access import Access
from shared.identity import ROLES

PAGE = "access.md"
HEAD = """# Who may do what

Made by `jicai access` from `shared/access/`. **own**: rows of which the caller's organisation is a party. **region**: these, and
rows of the caller's region and those under it. **all**: every row. Empty: the role may not. A token may carry narrower scopes:
`<service>:read` for reading, `<service>:write` for everything else, `<service>:<operation>` for that one alone.

**key**: an `Idempotency-Key` is *needed* where what is written has no natural key, so that sent twice it would happen twice
(400 `key_missing`); every other write *may* carry one.

What is public is seen by every role that may ask, whatever stands in its cell ([two walls](decisions/walls.md)): in listing the
listings from the public notice on and the relations once confirmed, by `list_listings`, `get_listing`, `list_changes`,
`list_distributions` and `get_distribution`. Their timelines are not public: those are for the rows of the cell alone.

## Every service: operations

| operation | request | scope | hospital | manufacturer | distributor | agency | authority | operator |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| metrics | GET /metrics | operations:read |  |  |  |  |  | all |
| in_flight | GET /in-flight | operations:read |  |  |  |  |  | all |
| clock | GET /clock | operations:read |  |  |  |  |  | all |
| set_clock | PUT /clock | operations:write |  |  |  |  |  | all |
| release_clock | DELETE /clock | operations:write |  |  |  |  |  | all |

The last three are there where the clock may be driven, never in production; a worker's port and the one of
`<SERVICE>_METRICS_PORT` show /metrics without a token.
Nobody needs one for `live` (GET /health/live), `ready` (GET /health/ready), `get_error_page`
(GET /errors/{code}), and the contract.
"""


def access(
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the page is stale.")] = False,
) -> None:
    """Writes docs/access.md from the access matrix."""
    for name in pages.bring(pages.DOCS, {PAGE: page()}, check=check, command="access"):
        typer.echo(f"docs/{name}")


def page() -> str:
    """The whole matrix as Markdown, a table per service."""
    return HEAD + "".join(
        f"\n## {name}\n\n" + "\n".join(_table(name, document)) + "\n" for name, document in pages.openapi().items()
    )


def _table(name: str, document: Mapping[str, Any]) -> Iterator[str]:
    yield "| operation | request | key | " + " | ".join(ROLES) + " |"
    yield "| --- " * (len(ROLES) + 3) + "|"
    matrix = Access.of(name).matrix
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if (row := matrix.get(operation["operationId"])) is not None:
                reaches = " | ".join(row.get(role, "") for role in ROLES)
                yield f"| {operation['operationId']} | {method.upper()} {path} | {_key(operation)} | {reaches} |"


def _key(operation: Mapping[str, Any]) -> str:
    """Whether a write demands the header, which its refusals tell, or may have it; nothing for a read."""
    if all(one["name"].lower() != "idempotency-key" for one in operation.get("parameters", ())):
        return ""
    return "needed" if "key_missing" in str(operation["responses"].get("400")) else "may"


def add_to(app: typer.Typer) -> None:
    app.command()(access)
