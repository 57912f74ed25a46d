"""The short way to a route: found by its method and the first word of its path, and called without what the edge does itself.

FastAPI asks router by router and route by route, and wraps each call several times for exceptions and for dependencies that
clean up, which no route of ours has; `docs/decisions/request-path.md` tells what that costs. What is not found here goes on
to FastAPI: the contract, its pages, a wrong path or method.
"""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http import problems
from shared.http.calls import Endpoint
from shared.http.edge import Edge


@dataclass(frozen=True, slots=True)
class _Way:
    """A route and what answers for it."""

    route: Edge
    answer: Endpoint

    def parameters(self, path: str) -> dict[str, Any] | None:
        """What stands in the path; None when it is another's."""
        if found := self.route.path_regex.match(path):
            convert = self.route.param_convertors
            return {name: convert[name].convert(value) for name, value in found.groupdict().items()}
        return None


class Straight:
    """The innermost layer before FastAPI's own."""

    def __init__(self, app: ASGIApp, *, routes: Iterable[Edge]) -> None:
        self._app = app
        self._ways: dict[tuple[str, str], list[_Way]] = defaultdict(list)
        for route in routes:
            way = _Way(route, route.get_route_handler())
            for method in route.methods or ():
                self._ways[method, _first(route.path)].append(way)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        way, parameters = found
        scope.update(path_params=parameters, endpoint=way.route.endpoint, route=way.route)
        request = Request(scope, receive, send)
        async with AsyncExitStack() as stack:
            scope["fastapi_inner_astack"] = scope["fastapi_function_astack"] = stack
            try:
                answer = await way.answer(request)
            except tuple(problems.EXPECTED) as error:
                answer = await problems.expected(request, error)
            await answer(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[_Way, dict[str, Any]] | None:
        path = get_route_path(scope)
        for way in self._ways.get((scope["method"], _first(path)), ()):
            parameters = way.parameters(path)
            if parameters is not None:
                return way, parameters
        return None


def _first(path: str) -> str:
    """The first word of a path."""
    return path[1:].partition("/")[0]
