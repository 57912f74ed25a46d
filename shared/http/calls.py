"""Calls the endpoint of a route: its arguments read from the request, its answer written as JSON, each once.

What FastAPI would do besides for every request is left out, for the edge has done it: the content type, the body, a
dependency each for the transaction and the caller. `docs/decisions/request-path.md` tells what that is worth.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, serialize_response
from pydantic_core import PydanticUndefined
from starlette.responses import Response

from shared.http.arguments import Arguments

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def call_of(route: APIRoute, in_hand: Mapping[Any, str]) -> Endpoint:
    """What answers a request with the function of a route; `in_hand`: dependencies, as attributes of `request.state`.

    It raises RequestValidationError with all that is wrong with the arguments.
    """
    arguments = Arguments(route.dependant, in_hand)
    takes_a_body = route.body_field is not None

    async def call(request: Request) -> Response:
        body = await request.json() if takes_a_body and await request.body() else PydanticUndefined
        told = _nothing_told() if arguments.tells else None
        values, faults = await arguments.read(request, body, told)
        if faults:
            raise RequestValidationError(faults, body=None if body is PydanticUndefined else body)
        answer = await route.endpoint(**values)
        if isinstance(answer, Response):
            return answer
        await request.state.tx.write_ahead()
        content = await serialize_response(field=route.response_field, response_content=answer, dump_json=True)
        status = route.status_code or 200
        response = Response(content, (told and told.status_code) or status, media_type="application/json")
        if told:
            response.raw_headers.extend(told.raw_headers)
        return response

    return call


def _nothing_told() -> Response:
    """What a function says of its answer besides goes in here: headers, a status."""
    told = Response(status_code=0)
    del told.headers["content-length"]
    return told
