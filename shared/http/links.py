"""What may follow an answer, as links of OpenAPI: an id that was shown leads to every operation on that thing.

Derived from the paths: below the collection `/orders` a path with `{order_id}` and no other parameter takes the `id` that an
answer of the collection shows, and any operation takes what another answers under the same name, such as `job_id`. Who shows
an ETag gives it to those who read If-Match.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from shared.values import frozen

Document = Mapping[str, Any]

_PARAMETER = re.compile(r"\{(\w+)\}")


@frozen
class _Target:
    """An operation on one thing."""

    operation: str
    parameter: str
    collection: str
    reads_match: bool


def add(document: Document) -> None:
    """Writes the links into each successful answer."""
    targets = list(_targets(document))
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if status.startswith("2") and (found := dict(_links(document, path, operation, response, targets))):
                    response["links"] = found


def _targets(document: Document) -> Iterator[_Target]:
    for path, methods in document["paths"].items():
        names = _PARAMETER.findall(path)
        if len(names) == 1:
            for operation in methods.values():
                read = {one["name"] for one in operation.get("parameters", ())}
                yield _Target(operation["operationId"], names[0], path[: path.index("/{")], "if-match" in read)


def _links(
    document: Document, path: str, operation: Document, response: Document, targets: list[_Target]
) -> Iterator[tuple[str, Document]]:
    shown = _fields(document, response.get("content", {}).get("application/json", {}).get("schema", {}))
    items = "$response.body#"
    if "items" in shown:
        shown, items = _fields(document, shown["items"].get("items", {})), "$response.body#/items/0"
    for target in targets:
        is_of = path == target.collection or path.startswith(f"{target.collection}/{{{target.parameter}}}")
        field = target.parameter if target.parameter in shown else "id" if is_of and "id" in shown else None
        if field is None or operation["operationId"] == target.operation:
            continue
        parameters = {target.parameter: f"{items}/{field}"}
        if target.reads_match and is_of and "ETag" in response.get("headers", {}):
            parameters["header.if-match"] = "$response.header.etag"
        yield target.operation, {"operationId": target.operation, "parameters": parameters}


def _fields(document: Document, schema: Document) -> Document:
    """The properties of an answer, by their names."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    properties: Document = schema.get("properties", {})
    return properties
