"""The short way to a route: found by its method and the first word of its path, and called without what the edge does itself.

FastAPI asks router by router and route by route, and wraps each call several times for exceptions and for dependencies that
clean up, which no route of ours has; `docs/decisions/request-path.md` tells what that costs. What is not found here goes on
to FastAPI: the contract, its pages, a wrong path or method.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http import problems
from shared.http.calls import Endpoint
from shared.http.edge import Edge

EXPECTED = tuple(problems.EXPECTED)


class Straight:
    """The innermost layer before FastAPI's own."""

    def __init__(self, app: ASGIApp, *, routes: Iterable[Edge]) -> None:
        self._app = app
        self._routes: dict[tuple[str, str], list[Edge]] = defaultdict(list)
        self._answers: dict[str, Endpoint] = {}
        for route in routes:
            self._answers[route.name] = route.get_route_handler()
            for method in route.methods or ():
                self._routes[method, _first(route.path)].append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self.find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        route, parameters = found
        scope.update(path_params=parameters, endpoint=route.endpoint, route=route)
        request = Request(scope, receive, send)
        try:
            answer = await self._answers[route.name](request)
        except EXPECTED as error:
            answer = await problems.expected(request, error)
        await answer(scope, receive, send)

    def find(self, scope: Scope) -> tuple[Edge, dict[str, Any]] | None:
        """The route that answers a request, and what stands in its path for the parameters."""
        path = get_route_path(scope)
        for route in self._routes.get((scope["method"], _first(path)), ()):
            if found := route.path_regex.match(path):
                convert = route.param_convertors
                return route, {name: convert[name].convert(value) for name, value in found.groupdict().items()}
        return None


def _first(path: str) -> str:
    """The first word of a path."""
    return path[1:].partition("/")[0]
