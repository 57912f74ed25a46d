"""The short way to a route leads where FastAPI would have led, on every path of the five services."""

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Match

from deploy.services import NAMES, load
from shared.http.edge import Edge
from shared.http.paths import routes_of
from shared.http.straight import Straight

STANDS_FOR = {"uuid": "01890a5d-ac96-774b-bcce-b302099a8057", "int": "7", "path": "CG/2026 ö%", "str": "CG-1"}


def routes(service: str) -> list[Edge]:
    return [route for route in routes_of(load(service).routers) if isinstance(route, Edge)]


def asked(route: APIRoute) -> Iterator[dict[str, object]]:
    """What is asked for at a route: with each kind of value in place of its parameters, below a mount too."""
    for value in STANDS_FOR.values():
        path = route.path_format.format(**dict.fromkeys(route.param_convertors, value))
        for method in route.methods or ():
            for root in ("", "/mounted"):
                yield {"type": "http", "method": method, "path": root + path, "root_path": root}


@pytest.mark.parametrize("service", NAMES)
def test_it_leads_to_the_first_route_that_matches(service: str) -> None:
    known = routes(service)
    straight = Straight(lambda *_: None, routes=known)  # type: ignore[arg-type,return-value]
    seen = set()
    for route in known:
        for scope in asked(route):
            led = ((one, one.matches(scope)) for one in known)
            expected = next(((one, child["path_params"]) for one, (match, child) in led if match is Match.FULL), None)
            assert straight.find(scope) == expected, scope
            seen |= {expected[0].name} if expected else set()
    assert seen == {route.name for route in known}


def test_what_is_not_there_is_left_to_fastapi() -> None:
    straight = Straight(lambda *_: None, routes=routes("orders"))  # type: ignore[arg-type,return-value]
    for method, path in (("DELETE", "/orders"), ("GET", "/"), ("GET", "/openapi.json"), ("GET", "/orders/a/b/c/d")):
        assert straight.find({"type": "http", "method": method, "path": path}) is None
