"""Every example that the HTTP contract shows is true: what may be sent is sent to the real app, what may come fits its schema."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from deploy.services import NAMES, load
from shared.access import Access
from shared.service import Service
from tests.house import House

Headers = Callable[..., dict[str, str]]
ANY_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
NOT_READ = {"invalid_request", "unreadable_body", "not_json", "key_missing", "unknown_parameter", "value_not_storable",
            "precondition_required", "body_too_large", "no_such_path", "method_not_allowed"}  # fmt: skip
"""Refusals of the form of a request; an example may only be refused for what the platform knows or does not know."""

PEOPLE = {
    "hospital": ("H33010200059", "330100"),
    "manufacturer": ("91330100MA2QHXY019", "330100"),
    "distributor": ("91330100MA2QHXY019", "330100"),
    "agency": ("11330100MB1QHXY06W", "330100"),
    "authority": ("11330000MB1QHXY05L", "330000"),
    "operator": ("operator", "000000"),
}


@pytest.fixture(params=NAMES)
def service(request: pytest.FixtureRequest) -> Service:
    return load(request.param)


@pytest.fixture
async def document(service: Service, house: House, _apps: Callable[[Service], Awaitable[FastAPI]]) -> dict[str, Any]:
    return (await _apps(service)).openapi()


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def shown(document: Mapping[str, Any], content: Mapping[str, Any]) -> list[Any]:
    """The examples of a body: its own, those of its schema, or a list of one of its items'."""
    if "example" in content:
        return [content["example"]]
    if "examples" in content:
        return [one["value"] for one in content["examples"].values()]
    return of_schema(document, content["schema"])


def of_schema(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Any]:
    if "$ref" in schema:
        return of_schema(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    if "examples" in schema:
        return list(schema["examples"])
    if schema.get("type") == "array":
        return [[one] for one in of_schema(document, schema["items"])]
    return [one for inner in schema.get("anyOf", ()) for one in of_schema(document, inner)]


def fits(document: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def filled(path: str, operation: Mapping[str, Any]) -> str:
    """The path with something of the right form for each part."""
    for one in operation.get("parameters", ()):
        if one["in"] == "path":
            schema = one["schema"]
            value = schema.get("enum", [1 if schema.get("type") == "integer" else ANY_ID])[0]
            path = path.replace("{" + one["name"] + "}", str(value))
    return path


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    bare = [
        f"{method} {path} {kind}"
        for method, path, operation in operations(document)
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        if "officedocument" not in kind and not shown(document, content)
    ]
    assert bare == []


async def test_every_example_of_a_body_is_read_by_the_real_app_and_answered_as_documented(
    service: Service, document: dict[str, Any], client: httpx.AsyncClient, caller: Headers
) -> None:
    tried, wrong = 0, []
    for method, path, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            for role in Access.of(service.name).matrix.get(operation["operationId"], ()):
                for number, example in enumerate(shown(document, content)):
                    headers = caller(role, *PEOPLE[role]) | {"if-match": "*", "content-type": kind}
                    headers["idempotency-key"] = f"{operation['operationId']} {role} {number}"
                    sent = {"json": example} if kind == "application/json" else {"content": example.encode()}
                    answer = await client.request(method, filled(path, operation), headers=headers, **sent)
                    tried += 1
                    wrong += [f"{role} {method} {path}: {why}" for why in complaints(document, operation, answer)]
    assert tried > 0
    assert wrong == []


def complaints(document: Mapping[str, Any], operation: Mapping[str, Any], answer: httpx.Response) -> Iterator[str]:
    """What is wrong with an answer to an example."""
    documented = operation["responses"].get(str(answer.status_code))
    if documented is None or answer.status_code >= 500:
        yield f"{answer.status_code} is not documented: {answer.text}"
        return
    if "$ref" in documented:
        documented = document["components"]["responses"][documented["$ref"].rpartition("/")[2]]
    body = answer.json()
    kind = answer.headers["content-type"].partition(";")[0]
    if kind not in documented.get("content", {}):
        yield f"{answer.status_code} comes as {kind}, documented is {', '.join(documented.get('content', {}))}"
        return
    yield from fits(document, documented["content"][kind]["schema"], body)
    problems = [body] if answer.status_code >= 400 else [one.get("problem") for one in items(body)]
    for problem in problems:
        if problem and problem["code"] in NOT_READ:
            yield f"{problem['code']}: {problem.get('errors', problem)}"


def items(body: Any) -> list[dict[str, Any]]:
    found = body.get("items", []) if isinstance(body, dict) else []
    return [one for one in found if isinstance(one, dict)]


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    """Of bodies, answers, parameters and fields alike, wherever it stands."""
    wrong: list[str] = []

    def look(where: str, schema: Any) -> None:
        if isinstance(schema, list):
            for number, inner in enumerate(schema):
                look(f"{where}/{number}", inner)
        if not isinstance(schema, dict):
            return
        if isinstance(schema.get("examples"), list):
            plain = {name: value for name, value in schema.items() if name != "examples"}
            wrong.extend(f"{where}: {why}" for one in schema["examples"] for why in fits(document, plain, one))
        for name, inner in schema.items():
            if name not in {"examples", "example"}:
                look(f"{where}/{name}", inner)

    look("", document["paths"])
    look("", document["components"])
    assert wrong == []


async def test_the_pages_need_no_network(service: Service, client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r"(?:href|src)=\"([^\"]+)\"", page.text) + re.findall(r"url: '([^']+)'", page.text)
    assert len(links) >= 3
    for link in links:
        assert "//" not in link, link
        asset = await client.get(link)
        assert (link, asset.status_code) == (link, 200)
        assert len(asset.content) > 100
