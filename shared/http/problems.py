"""Every refusal as application/problem+json (RFC 9457): a stable code, a plain sentence, and each fault with its place."""

import logging
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared import telemetry
from shared.db import TRANSIENT
from shared.errors import ServiceError, Unavailable
from shared.http import words

log = logging.getLogger(__name__)

SHOWN_CHARACTERS = 200
"""How much of a given value an error repeats."""

_ROUTER_CODES = {404: "no_such_path", 405: "method_not_allowed", 400: "unreadable_body"}


class FaultView(BaseModel):
    """One thing wrong in what was sent."""

    pointer: str
    code: str
    given: str | None
    rule: str
    allowed: str


class Problem(BaseModel):
    """RFC 9457 problem details, with the faults of the body in `errors`."""

    type: str
    code: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[FaultView] = []


def shown(value: Any) -> str | None:
    """A given value as text, short and printable."""
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value)
    text = "".join(character if character.isprintable() else "�" for character in text[: SHOWN_CHARACTERS + 1])
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def pointer(location: Sequence[Any]) -> str:
    """A JSON Pointer (RFC 6901) of a place in the body; other parts of a request are named as `query/limit`."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in location]
    if parts and parts[0] == "body":
        return "/" + "/".join(parts[1:]) if len(parts) > 1 else ""
    return "/".join(parts)


def page_of(code: str) -> str:
    """Where every API tells what a code means."""
    return f"/errors/{code}"


def problem_of(error: ServiceError) -> Problem:
    """The answer to an expected refusal."""
    return Problem(
        type=page_of(error.code),
        code=error.code,
        title=words.title(error.code, error.title),
        status=error.status,
        detail=error.detail,
        request_id=telemetry.request_id.get(),
        errors=[
            FaultView(
                pointer=fault.pointer,
                code=fault.code,
                given=shown(fault.given),
                rule=fault.rule,
                allowed=fault.allowed,
            )
            for fault in error.faults
        ],
    )


def answer(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as a response."""
    return Response(
        orjson.dumps(problem.model_dump(exclude_none=True)),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)  # noqa: S101  registered for it
    return answer(problem_of(error), error.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for it
    faults = [_fault(found) for found in error.errors()]
    count = len(faults)
    problem = Problem(
        **_by_the_edge("invalid_request"),
        status=422,
        detail=words.detail(
            "invalid_request",
            f"{count} {'fault' if count == 1 else 'faults'} in the request; nothing was changed.",
            count=count,
        ),
        request_id=telemetry.request_id.get(),
        errors=faults,
    )
    return answer(problem)


def _by_the_edge(code: str) -> dict[str, str]:
    _, english = words.BY_THE_EDGE.get(code, (0, code.replace("_", " ").capitalize()))
    return {"type": page_of(code), "code": code, "title": words.title(code, english)}


def _fault(found: dict[str, Any]) -> FaultView:
    context = found.get("ctx") or {}
    allowed = context.get("expected") or ", ".join(
        f"{name} {value}" for name, value in context.items() if name != "error"
    )
    return FaultView(
        pointer=pointer(found["loc"]),
        code=found["type"],
        given=shown(found.get("input")),
        rule=words.rule(found["type"], found["msg"], context),
        allowed=str(allowed or found["msg"]),
    )


async def _from_router(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it
    detail = str(error.detail)
    if error.status_code == 404:  # noqa: PLR2004
        detail = f"There is nothing at {shown(request.url.path)}; /openapi.json lists what there is."
    if error.status_code == 405:  # noqa: PLR2004
        detail = f"{request.method} is not answered at {shown(request.url.path)}; allowed: {(error.headers or {}).get('Allow')}"
    code = _ROUTER_CODES.get(error.status_code, f"http_{error.status_code}")
    problem = Problem(
        **_by_the_edge(code),
        status=error.status_code,
        detail=detail,
        request_id=telemetry.request_id.get(),
    )
    return answer(problem, dict(error.headers or {}))


def internal(error: Exception) -> Response:
    """What a caller learns of a fault of ours: try again when the road was bad, else an id and nothing more."""
    if isinstance(error, ServiceError):
        return answer(problem_of(error), error.headers)
    if isinstance(error, TRANSIENT):
        log.warning("database away during a request", extra={"reason": repr(error)})
        away = Unavailable("The database does not answer now; send the same request again.")
        return answer(problem_of(away), {"Retry-After": "2"})
    log.error("a request failed", exc_info=error)
    problem = Problem(
        **_by_the_edge("internal"),
        status=500,
        detail="The fault is ours and was logged under this request id.",
        request_id=telemetry.request_id.get(),
    )
    return answer(problem)


def install(app: FastAPI) -> None:
    """Makes every refusal of this app a problem."""
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _from_router)
