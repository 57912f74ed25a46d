"""Every refusal as application/problem+json (RFC 9457): a stable code, a plain sentence, and each fault with its place."""

import logging
from collections.abc import Awaitable, Callable

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared import telemetry
from shared.errors import Fault, JsonText, Said, ServiceError, Unavailable, as_json, shown
from shared.faults import LACKING, TRANSIENT, cause_of
from shared.http import paths, words
from shared.http.invalid import InvalidRequest
from shared.tongue import spoken

log = logging.getLogger(__name__)


class FaultView(BaseModel):
    """One thing wrong in what was sent."""

    pointer: str = Field(
        description="where: a JSON Pointer (RFC 6901) into the body; a parameter is `query/limit`, `path/order_id`,"
        " `header/if-match`, the row of a sheet `row 2`"
    )
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


def _given(fault: Fault) -> str | None:
    """What was given as the JSON that was sent; what stands in the address as it stands there."""
    if fault.given is None:
        return None
    in_body = fault.pointer[:1] in ("", "/") and not isinstance(fault.given, JsonText)
    return shown(as_json(fault.given) if in_body else fault.given)


def fault_view(fault: Fault) -> FaultView:
    """A fault as its reader sees it."""
    return FaultView(
        pointer=fault.pointer,
        code=fault.code,
        given=_given(fault),
        rule=spoken(fault.rule),
        allowed=spoken(fault.allowed),
    )


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
        detail=spoken(error.detail),
        request_id=telemetry.request_id.get(),
        errors=[fault_view(fault) for fault in error.faults],
    )


def answer(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as a response."""
    return Response(
        orjson.dumps(problem.model_dump()),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)  # noqa: S101  registered for it
    return answer(problem_of(error), error.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for it
    return answer(problem_of(InvalidRequest.of(error.errors())))


def _by_the_edge(code: str, status: int, detail: Said) -> Problem:
    _, english = words.BY_THE_EDGE.get(code, (0, code.replace("_", " ").capitalize()))
    return Problem(
        type=page_of(code),
        code=code,
        title=words.title(code, english),
        status=status,
        detail=spoken(detail),
        request_id=telemetry.request_id.get(),
    )


async def _from_router(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it
    if error.status_code == 404:  # noqa: PLR2004
        return answer(_by_the_edge("no_such_path", 404, _nothing_at(request)))
    if error.status_code == 405:  # noqa: PLR2004
        methods = ", ".join(paths.methods_at(request))
        where = {"method": request.method, "path": shown(request.url.path)}
        detail = Said("{method} is not answered at {path}; allowed: {methods}.", **where, methods=methods)
        return answer(_by_the_edge("method_not_allowed", 405, detail), {"Allow": methods})
    code = f"http_{error.status_code}"
    return answer(_by_the_edge(code, error.status_code, Said(str(error.detail))), dict(error.headers or {}))


def _nothing_at(request: Request) -> Said:
    contract, near = f"{paths.root_of(request)}/openapi.json", paths.near_miss(request)
    where = {"path": shown(request.url.path), "contract": contract}
    if near is None:
        return Said("There is nothing at {path}; {contract} lists what there is.", **where)
    return Said("There is nothing at {path}; did you mean {near}? {contract} lists what there is.", **where, near=near)


def internal(error: Exception) -> Response:
    """What a caller learns of a fault of ours: try again when the road was bad, else an id and nothing more."""
    if isinstance(error, ServiceError):
        return answer(problem_of(error), error.headers)
    if isinstance(error, TRANSIENT):
        log.warning("database away during a request", extra={"reason": cause_of(error)})
        away = Unavailable(
            "The database does not answer now; the request may or may not have been done. Send the same one again, a write"
            " under the same Idempotency-Key or number: nothing is done twice."
        )
        return answer(problem_of(away), {"Retry-After": "2"})
    if isinstance(error, LACKING):
        log.error("the database is not migrated", extra={"reason": cause_of(error)})
        behind = Unavailable(
            "The database is not migrated to what is needed here; nothing was changed. Send it again later."
        )
        return answer(problem_of(behind), {"Retry-After": "10"})
    log.error("a request failed", exc_info=error)
    detail = Said("The fault is ours and was logged under this request id.")
    return answer(_by_the_edge("internal", 500, detail))


EXPECTED: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    ServiceError: _refused,
    RequestValidationError: _invalid,
    HTTPException: _from_router,
}
"""What may be raised to be answered, and by what."""


async def expected(request: Request, error: Exception) -> Response:
    """The answer to one of EXPECTED."""
    kind = next(kind for kind in EXPECTED if isinstance(error, kind))
    return await EXPECTED[kind](request, error)


def install(app: FastAPI) -> None:
    """Makes every refusal of this app a problem."""
    for kind, answering in EXPECTED.items():
        app.add_exception_handler(kind, answering)
