"""Holds every answer that a test is given to the OpenAPI of the app: status, code, codes of items, content type, headers."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from fastapi import FastAPI

from shared.http.contract import HEADERS

OF_NO_OPERATION = {"no_such_path", "method_not_allowed"}
"""Said by the router, of what is no operation."""


class Contract:
    """The OpenAPI document of one app, as something that answers are compared with."""

    def __init__(self, app: FastAPI) -> None:
        self._document = app.openapi()
        paths = sorted(self._document["paths"], key=lambda path: path.count("{"))
        self._paths = [
            (re.compile(re.sub(r"\\{\w+\\}", value, re.escape(path))), path)
            for value in ("[^/]+", ".+")  # some ids hold a slash
            for path in paths
        ]

    def named(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """What stands there, or what is referred to."""
        if "$ref" not in part:
            return part
        kind, name = part["$ref"].split("/")[-2:]
        named: Mapping[str, Any] = self._document["components"][kind][name]
        return named

    def operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        """The operation that answers there."""
        for pattern, template in self._paths:
            found: Mapping[str, Any] | None = self._document["paths"][template].get(method.lower())
            if found is not None and pattern.fullmatch(path):
                return found
        return None

    async def hold(self, answer: httpx.Response) -> None:
        """A hook of httpx: fails the test when the answer is not one of the contract's."""
        await answer.aread()
        operation = self.operation(answer.request.method, answer.request.url.path)
        if operation is not None and _code(answer) not in OF_NO_OPERATION:
            wrong = list(self.complaints(operation, answer))
            assert not wrong, f"{operation['operationId']}: {'; '.join(wrong)}\n{answer.text[:2_000]}"

    def complaints(self, operation: Mapping[str, Any], answer: httpx.Response) -> Iterator[str]:
        """What the contract does not say of an answer of this operation."""
        if str(answer.status_code) not in operation["responses"]:
            yield f"{answer.status_code} {_code(answer)} is not in the contract"
            return
        shown = self.named(operation["responses"][str(answer.status_code)])
        for name, header in shown["headers"].items():
            if self.named(header)["required"] and name not in answer.headers:
                yield f"{answer.status_code} comes without {name}"
        yield from (
            f"{name} is not in the contract" for name in HEADERS.keys() - shown["headers"] if name in answer.headers
        )
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind not in shown["content"]:
            yield f"{answer.status_code} comes as {kind}"
            return
        for code, known in _codes(shown["content"][kind]["schema"], answer):
            if code not in known:
                yield f"{code} is not in the contract"


def _code(answer: httpx.Response) -> str | None:
    """The code of a problem."""
    return str(answer.json()["code"]) if "problem" in answer.headers.get("content-type", "") else None


def _codes(schema: Mapping[str, Any], answer: httpx.Response) -> Iterator[tuple[str, list[str]]]:
    """Each code of an answer, with those that the contract knows at this place."""
    (more,) = schema.get("allOf", ({}, {}))[1:]
    if "code" in more.get("properties", {}):
        yield answer.json()["code"], more["properties"]["code"]["enum"]
    elif "items" in more.get("properties", {}):
        problem = more["properties"]["items"]["items"]["properties"]["problem"]
        for item in answer.json()["items"]:
            if item["problem"]:
                yield item["problem"]["code"], problem["properties"]["code"]["enum"]
