"""The OpenAPI document of an app as it really answers: a refusal comes as application/problem+json, so it is shown as that."""

from typing import Any

from fastapi import FastAPI

PROBLEM = {"$ref": "#/components/schemas/Problem"}


def show_problems_as_they_come(app: FastAPI) -> None:
    """Mends the document when it is first asked for, by the way that FastAPI names for it."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        fresh = app.openapi_schema is None
        document = made()
        if fresh:
            for methods in document["paths"].values():
                for operation in methods.values():
                    for response in operation["responses"].values():
                        _as_it_comes(response.get("content", {}))
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _as_it_comes(content: dict[str, Any]) -> None:
    if content.get("application/json", {}).get("schema") == PROBLEM:
        content["application/problem+json"] = content.pop("application/json")
