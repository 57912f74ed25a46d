"""Every request that a route can be asked with: by its OpenAPI, with ids, filters and bodies that name given rows."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MOST_VALUES = {"code": 2}
"""Of one name, 1 unless said: the first codes of goods are of anomalies, the next of goods received."""

REQUIRED = {"from": "2026-01-01", "to": "2027-12-31", "half": "2026H1"}
KINDS = ["enterprises"]
ALIASES = {"institution": "institution_code", "distributor": "distributor_code", "manufacturer": "manufacturer_code",
           "supplier": "supplier_code", "reporter": "reporter_code", "respondent": "respondent_code",
           "about": "any_id", "about_id": "any_id", "organisation": "institution_code"}  # fmt: skip
"""What a query parameter names, where it is not called like the column."""

Pool = Mapping[str, Sequence[str]]
"""Values by the name they go by in paths, queries and bodies."""


@dataclass(frozen=True)
class Ask:
    """One request to one operation."""

    operation: str
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.method} {self.path}{'?' if query else ''}{query}"


def asks(document: Mapping[str, Any], pool: Pool, *, writes: bool) -> Iterator[Ask]:
    """Every request of an app that names what is in the pool, wherever something can be named."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if (method != "get") == writes:
                yield from _of_operation(document, path, method.upper(), operation, pool)


def _of_operation(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any], pool: Pool
) -> Iterator[Ask]:
    names = re.findall(r"\{(\w+)\}", path)
    queries = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    needed = {one["name"]: REQUIRED[one["name"]] for one in queries if one.get("required")}
    body = _body(document, operation, pool) if method != "GET" else {}
    for values in product(*(_values(pool, name) for name in names)):
        filled = path
        for name, value in zip(names, values, strict=True):
            filled = filled.replace("{" + name + "}", value)
        for extra in _filters(queries, pool):
            yield Ask(operation["operationId"], method, filled, {**needed, **extra}, **body)


def _values(pool: Pool, name: str) -> Sequence[str]:
    if name == "kind":
        return KINDS
    return pool.get(name, ("1",) if name in {"line_number", "letter_id"} else ())


def _filters(queries: Sequence[Mapping[str, Any]], pool: Pool) -> Iterator[dict[str, str]]:
    yield {}
    for one in queries:
        if one["name"] == "limit":
            yield {"limit": "1"}
        for value in pool.get(ALIASES.get(one["name"], one["name"]), ())[:1]:
            yield {one["name"]: value}


def _body(document: Mapping[str, Any], operation: Mapping[str, Any], pool: Pool) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return {"json": _naming(copy.deepcopy(example(document, content["application/json"]["schema"])), pool)}
    if content:
        payments = "".join(f"{one},paid,2026-06-03T09:00:00+08:00\n" for one in pool.get("payment_id", ()))
        return {"content": f"payment_id,result,paid_at\n{payments}".encode()}
    return {}


def example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """The example that a body's schema carries."""
    if "$ref" in schema:
        return example(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    if "examples" in schema:
        return schema["examples"][0]
    if schema.get("type") == "array":
        return [example(document, schema["items"])]
    return {}


def _naming(value: Any, pool: Pool) -> Any:
    """The body with everything that can name a row naming one of the pool."""
    if isinstance(value, dict):
        return {
            name: pool[name][0] if isinstance(inner, str) and pool.get(name) else _naming(inner, pool)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_naming(inner, pool) for inner in value]
    return value
