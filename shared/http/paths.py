"""What a service answers at a path: the methods there, and the path that was probably meant where there is nothing."""

import difflib
from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, Route


def routes_of(routers: Iterable[APIRouter]) -> Iterator[BaseRoute]:
    """The routes themselves: an app only refers to the routers that it includes, and so does a router."""
    for router in routers:
        for route in router.routes:
            included = getattr(route, "original_router", None)
            if included is None:
                yield route
            else:
                yield from routes_of([included])


def _routes(request: Request) -> list[Route]:
    return [route for route in routes_of([request.app.router]) if isinstance(route, Route)]


def root_of(request: Request) -> str:
    """What stands before every path of this app; inside a folder of files that it shows, `root_path` is that folder."""
    root: str = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    return root


def methods_at(request: Request) -> list[str]:
    """Every method that some route answers at the path of this request, in order; where none does a file is shown."""
    there = (route for route in _routes(request) if route.matches(request.scope)[0] is not Match.NONE)
    return sorted({method for route in there for method in route.methods or ()}) or ["GET", "HEAD"]


def near_miss(request: Request) -> str | None:
    """The path of ours that is written most like the one asked for, its ids kept; None where none is alike."""
    root = root_of(request)
    asked = request.scope["path"].removeprefix(root).rstrip("/").split("/")
    if len(asked) > MOST_PARTS or sum(map(len, asked)) > LONGEST_PATH:
        return None
    ours = {
        (_alike(route.path, asked), "/".join(_filled(route.path, asked)))
        for route in _routes(request)
        if route.path.count("/") + 1 == len(asked) and _may_be(route, asked)
    }
    alike, found = max(ours, default=(0.0, ""))
    return root + found if alike >= ALIKE else None


MOST_PARTS, LONGEST_PATH = 10, 200
"""Nobody mistypes a path of more."""
ALIKE = 0.75
"""How alike two paths are written, from 0 to 1."""


def _may_be(route: Route, asked: list[str]) -> bool:
    """Whether what was asked for can stand where this path has parameters: a word is no id, a mistyped id is one."""
    parts = zip(route.path.split("/"), asked, strict=True)
    given = {part.strip("{}").partition(":")[0]: value for part, value in parts if part.startswith("{")}
    fields = route.dependant.path_params if isinstance(route, APIRoute) else ()
    words = {name: value for name, value in given.items() if not any(character.isdigit() for character in value)}
    return not any(field.name in words and field.validate(words[field.name], {}, loc=())[1] for field in fields)


def _alike(path: str, asked: list[str]) -> float:
    """How alike the words of the two are written; what stands in place of a parameter says nothing."""
    words = [pair for pair in zip(path.split("/"), asked, strict=True) if not pair[0].startswith("{")]
    ours, theirs = ("/".join(part) for part in zip(*words, strict=True))
    return difflib.SequenceMatcher(None, theirs.lower(), ours).ratio()


def _filled(path: str, asked: list[str]) -> Iterator[str]:
    """The parts of a path of ours, with what was asked for in place of its parameters."""
    for part, given in zip(path.split("/"), asked, strict=True):
        yield given if part.startswith("{") else part
