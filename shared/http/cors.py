"""Which pages may ask from a browser: those of the origins that the settings name, and nobody else's (CORS).

Outside the door, so that a page of such an origin can read the door's own refusals too.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from shared.errors import Forbidden
from shared.http import problems
from shared.http.door import SAFETY, language_of
from shared.tongue import speaking

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
ASKED = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-Id", "traceparent")
SHOWN = (
    "ETag",
    "Location",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "X-Request-Id",
    "Idempotency-Replayed",
    "Content-Disposition",
)
REMEMBERED_SECONDS = 600


class OriginRefused(Forbidden):
    title = "Pages of this origin may not ask here"


class Origins(CORSMiddleware):
    """Answers preflights, and says on every answer who may read it. No cookie is ever read, so none is allowed."""

    def __init__(self, app: ASGIApp, *, allow_origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=allow_origins,
            allow_methods=METHODS,
            allow_headers=ASKED,
            expose_headers=SHOWN,
            max_age=REMEMBERED_SECONDS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Yes with what may be sent, or a problem that says what may not."""
        response = super().preflight_response(request_headers)
        if response.status_code != 200:  # noqa: PLR2004
            what = bytes(response.body).decode().removeprefix("Disallowed CORS ")
            refusal = OriginRefused("Not allowed by the settings of this service: {what}.", what=what)
            with speaking(language_of(dict(request_headers.raw))) as choice:
                response = problems.answer(problems.problem_of(refusal), {"Vary": response.headers["vary"]})
            response.raw_headers.extend(choice.headers())
        response.raw_headers.extend(SAFETY)
        return response
