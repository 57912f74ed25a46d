"""The OpenAPI document of an app as it really answers: who may ask, every refusal by its code, every header, what may follow.

What a route refuses is read from its code (refusals.py); what is refused on the way to it follows from what the route is:
whether it takes a token, a body, a key. So a router says nothing of this.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from shared import idempotency
from shared.access import Access, RoleMayNot, ScopeTooNarrow
from shared.errors import Unavailable
from shared.http import door, links, openapi, rates, standing, turns, uploads, words
from shared.http.address import UnknownParameter, ValueNotStorable
from shared.http.body import TooManyItems, UnreadableBody
from shared.http.edge import READS, Busy, Edge, KeyEmpty, KeyRepeated, NotJson
from shared.http.invalid import InvalidRequest
from shared.http.paths import routes_of
from shared.http.refusals import Found, Refusal, found_in
from shared.http.schemas import BulkAnswer
from shared.identity import ROLES, IssuerAway, NoToken, TokenRefused

Document = dict[str, Any]

PROBLEM = {"$ref": "#/components/schemas/Problem"}
KIND = "application/problem+json"
TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An access token of an issuer that this service trusts (OpenID Connect), with organisation, roles and region.",
}
ID = "the id of this request, to tell operations; yours if you sent one of 1 to 100 letters, digits, `-`, `_`, `.` and `:`"
TEXT, WHOLE = {"type": "string"}, {"type": "integer", "minimum": 1}
HEADERS: Mapping[str, Mapping[str, Any]] = {
    "X-Request-Id": {"description": ID, "schema": TEXT},
    "RateLimit": {"description": "what is left of the rate, by operation (IETF draft)", "schema": TEXT},
    "RateLimit-Policy": {"description": "how often the operation may be called (IETF draft)", "schema": TEXT},
    "Retry-After": {"description": "seconds to wait before the same request is sent again", "schema": WHOLE},
    "WWW-Authenticate": {"description": "what a token must be or have (RFC 6750)", "schema": TEXT},
    "Idempotency-Replayed": {"description": "this is the first answer again", "schema": {"const": "true", **TEXT}},
    "ETag": {"description": "the version of what is shown, for If-Match", "schema": TEXT},
    "Location": {"description": "where what was made or asked for is found", "schema": {"format": "uri-reference", **TEXT}},
    "Content-Disposition": {"description": "the name of the file", "schema": TEXT},
    "Content-Language": {"description": "what the sentences are in, where any is said by Accept-Language", "schema": TEXT},
    "Vary": {"description": "names Accept-Language where a sentence is said by it", "schema": TEXT},
}  # fmt: skip
SET_BY_ROUTES = ("ETag", "Location", "Content-Disposition", "Content-Language")
IN_LANGUAGE = ("Content-Language", "Vary")
WITH_REFUSAL = {
    "401": {"WWW-Authenticate": True},
    "403": {"WWW-Authenticate": False},
    "409": {"Retry-After": False},
    "429": {"Retry-After": True, "RateLimit": False, "RateLimit-Policy": False},
    "503": {"Retry-After": True},
}
"""The headers of a refusal by its status, and whether they are always there."""

ADMITTED: set[Refusal] = {
    *(NoToken, TokenRefused, IssuerAway, RoleMayNot, ScopeTooNarrow),
    *(rates.RateExceeded, turns.OrganisationBusy, Unavailable, UnknownParameter),
}
BEFORE: set[Refusal] = {door.HeadUnreadable, door.HeadTooLarge, door.HeadTooSlow, door.TooCrowded}
"""What any connection may hear before its request is known, or instead of it."""
BODY: set[Refusal] = {door.BodyTooLarge, door.BodyTooSlow, door.EncodedBody}
JSON: set[Refusal] = {NotJson, UnreadableBody, TooManyItems}
UPLOAD: set[Refusal] = {uploads.UploadTooLarge, door.EncodedBody}
KEY: set[Refusal] = {
    KeyRepeated,
    KeyEmpty,
    idempotency.KeyTooLong,
    idempotency.KeyReused,
    idempotency.StillRunning,
    Busy,
}


def install(app: FastAPI, access: Access) -> None:
    """Completes the document when it is first asked for, by the way that FastAPI names for it."""
    make = app.openapi

    @cache
    def document() -> Document:
        made = openapi.plainly_named(make())
        components = made["components"]
        components |= {"securitySchemes": {"token": TOKEN}, "responses": {}}
        for route in routes_of([app.router]):
            if isinstance(route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():
                    _complete(made["paths"][route.path_format][method.lower()], route, access, components["responses"])
        components["headers"] = dict(_headers_named(made))
        links.add(made)
        return made

    app.openapi = document  # type: ignore[method-assign]


def _complete(operation: Document, route: APIRoute, access: Access, refusals_named: Document) -> None:
    found = Found()
    for one in _dependants(route.dependant):
        found.take(found_in(one.call))
    refusals = found.raised | _on_the_way(route, access, body="requestBody" in operation)
    operation["security"] = []
    if NoToken in refusals:
        operation["security"] = [{"token": []}]
        operation["description"] = f"{operation.get('description', '')}\n\n{_who(route, access)}".strip()
    answers = {status: one for status, one in operation["responses"].items() if not _is_problem(one)}
    for status, response in answers.items():
        response["headers"] = _shown(_with_answer(status, route, found))
        if found.made and _is_bulk(route):
            _name_problems_of_items(response, found.made | {InvalidRequest})
    for status, codes in _by_status(refusals).items():
        name = ".".join((status, *codes))
        refusals_named[name] = _refusal(status, codes)
        answers.setdefault(status, {"$ref": f"#/components/responses/{name}"})
    operation["responses"] = answers


def _by_status(refusals: set[Refusal]) -> dict[str, dict[str, str]]:
    """Titles by code, by status; a fault of ours can always happen."""
    found: dict[str, dict[str, str]] = {str(one.status): {} for one in refusals} | {
        "500": {"internal": words.BY_THE_EDGE["internal"][1]}
    }
    for one in sorted(refusals, key=lambda one: one.code):
        found[str(one.status)][one.code] = one.title
    return dict(sorted(found.items()))


def _dependants(dependant: Dependant) -> Iterator[Dependant]:
    """A route and all that it depends on."""
    yield dependant
    for inner in dependant.dependencies:
        yield from _dependants(inner)


def _on_the_way(route: APIRoute, access: Access, *, body: bool) -> set[Refusal]:
    """What is refused before the route is reached, and when what it did is kept."""
    asked = [one for each in _dependants(route.dependant) for one in (*each.path_params, *each.query_params)]
    found = set(BEFORE) if route.path.startswith(door.HEALTH) else BEFORE | {door.TookTooLong}
    if body:
        found |= UPLOAD if route.path.startswith(door.UPLOADS) else BODY
    if route.body_field or any(one.field_info.annotation is not str or one.field_info.metadata for one in asked):
        found.add(InvalidRequest)
    if not isinstance(route, Edge):
        return found
    found |= ADMITTED
    if access.matrix[route.name].keys() & standing.ENTERPRISES:
        found.add(standing.TradesUnderOtherCode)
    if access.matrix[route.name].keys() >= set(ROLES):
        found.remove(RoleMayNot)
    if route.body_field:
        found |= JSON
    if asked or body:
        found.add(ValueNotStorable)
    return found | KEY if _writes(route) else found


def _writes(route: APIRoute) -> bool:
    return isinstance(route, Edge) and not (route.methods or set()) <= READS


def _is_bulk(route: APIRoute) -> bool:
    return isinstance(route.response_model, type) and issubclass(route.response_model, BulkAnswer)


def _is_problem(response: Document) -> bool:
    return any(one.get("schema") == PROBLEM for one in response.get("content", {}).values())


def _who(route: APIRoute, access: Access) -> str:
    """Whose token is taken, in words."""
    if not isinstance(route, Edge):
        return "For operator."
    reach = "read" if not _writes(route) else "write"
    roles = ", ".join(access.matrix[route.name])
    return f"For {roles}; of a token with scopes, `{access.service}:{reach}` or `{access.service}:{route.name}`."


def _with_answer(status: str, route: APIRoute, found: Found) -> dict[str, bool]:
    """The headers of an answer, and whether they are always there."""
    names = {"X-Request-Id": True}
    if status in WITH_REFUSAL:  # health: not ready
        return names | WITH_REFUSAL[status]
    if isinstance(route, Edge):
        names |= {"RateLimit": True, "RateLimit-Policy": True} | dict.fromkeys(IN_LANGUAGE, False)
    if _writes(route):
        names |= {"Idempotency-Replayed": False}
    return names | {name: True for name in SET_BY_ROUTES if name.lower() in found.headers}


def _shown(names: Mapping[str, bool]) -> Document:
    """Headers by reference; a component has a name of its own for where its header always comes."""
    return {
        name: {"$ref": f"#/components/headers/{name}{'.always' if always else ''}"} for name, always in names.items()
    }


def _refusal(status: str, codes: Mapping[str, str]) -> Document:
    told = [f"* `{code}`: {title}" for code, title in codes.items()]
    schema = {"allOf": [PROBLEM, {"properties": {"code": {"enum": list(codes)}}}]}
    names = {"X-Request-Id": True} | dict.fromkeys(IN_LANGUAGE, True) | WITH_REFUSAL.get(status, {})
    return {"description": "\n".join(told), "headers": _shown(names), "content": {KIND: {"schema": schema}}}


def _headers_named(document: Document) -> Iterator[tuple[str, Document]]:
    """The headers that answers refer to."""
    told = [one for path in document["paths"].values() for each in path.values() for one in each["responses"].values()]
    answers = [*told, *document["components"]["responses"].values()]
    for name in sorted(
        {one["$ref"].rpartition("/")[2] for each in answers for one in each.get("headers", {}).values()}
    ):
        header, _, always = name.partition(".")
        yield name, {**HEADERS[header], "required": bool(always)}


def _name_problems_of_items(response: Document, refusals: set[Refusal]) -> None:
    """An item is refused by itself: which codes its problem can carry."""
    codes = sorted({one.code for one in refusals})
    problem = {"properties": {"code": {"enum": codes}}}
    items = {"properties": {"items": {"items": {"properties": {"problem": problem}}}}}
    content = response["content"]["application/json"]
    content["schema"] = {"allOf": [content["schema"], items]}
