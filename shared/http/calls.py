"""Calls the endpoint of a route: its arguments read from the request, its answer written as JSON, each once.

FastAPI reads and checks the arguments, as it declares them in OpenAPI. What it would do besides for every request is left out,
for the edge has done it: the content type, the body, a dependency each for the transaction and the caller.
`docs/decisions/request-path.md` tells what that is worth.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from fastapi import Request
from fastapi.dependencies.utils import solve_dependencies
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, serialize_response
from pydantic_core import PydanticUndefined
from starlette.responses import Response

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def call_of(route: APIRoute, in_hand: Mapping[Any, str]) -> Endpoint:
    """What answers a request with the function of a route; `in_hand`: dependencies, as attributes of `request.state`.

    It raises RequestValidationError with all that is wrong with the arguments.
    """
    known = {one.name: in_hand[one.call] for one in route.dependant.dependencies if one.name and one.call in in_hand}
    needed = [one for one in route.dependant.dependencies if one.name not in known]
    dependant = replace(route.dependant, dependencies=needed)

    async def call(request: Request) -> Response:
        body = await request.json() if route.body_field and await request.body() else PydanticUndefined
        solved = await solve_dependencies(
            request=request,
            dependant=dependant,
            body=body,
            async_exit_stack=request.scope["fastapi_inner_astack"],
            embed_body_fields=route._embed_body_fields,
        )
        if solved.errors:
            raise RequestValidationError(solved.errors, body=None if body is PydanticUndefined else body)
        handed = {name: getattr(request.state, attribute) for name, attribute in known.items()}
        answer = await route.endpoint(**solved.values, **handed)
        if isinstance(answer, Response):
            return answer
        await request.state.tx.write_ahead()
        content = await serialize_response(field=route.response_field, response_content=answer, dump_json=True)
        status = solved.response.status_code or route.status_code or 200
        response = Response(content, status, media_type="application/json")
        response.raw_headers.extend(solved.response.raw_headers)
        return response

    return call
