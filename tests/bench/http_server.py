"""One server process of a measurement: the anchor, or the API of orders, whole or without one of its walls.

Both run on the same uvicorn, with uvloop, httptools, one worker and the same word to the garbage collector; the
address is the first line that it prints.
"""

import argparse
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from deploy.environment import Embedded
from deploy.server import keep_what_is_loaded
from deploy.services import load
from shared import history
from shared.db import Scope
from shared.http import create_app
from shared.identity import Caller, Verifier
from tests.bench.http_anchor import HOSPITAL, anchor_app

WITHOUT: dict[str, Callable[[], None]] = {}
"""What is taken away by name; idempotency is taken away by the client, who sends no key."""


def _away(taking: Callable[[], None]) -> Callable[[], None]:
    WITHOUT[taking.__name__.strip("_")] = taking
    return taking


@_away
def _token() -> None:
    someone = Caller(HOSPITAL, frozenset({"hospital"}), "330100", "bench")

    async def anybody(*_: Any) -> Caller:
        return someone

    Verifier.caller = anybody  # type: ignore[method-assign]


@_away
def _rls() -> None:
    Scope.opening = lambda _: "BEGIN"  # type: ignore[method-assign]


@_away
def _history() -> None:
    history.note = lambda *_: None


def _app(told: argparse.Namespace) -> FastAPI:
    if told.kind == "anchor":
        return anchor_app(told.url)
    service = load("orders")
    settings = Embedded(told.data, {"orders": told.url}).settings(service)
    if told.without:
        WITHOUT[told.without]()
    if told.without == "rls":
        settings = settings.model_copy(update={"api_role": None})
    return create_app(service, settings)


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["ours", "anchor"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--without", choices=sorted(WITHOUT))
    told = parser.parse_args()
    logging.disable(logging.INFO)
    bound = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{bound.getsockname()[1]}\n")
    sys.stdout.flush()
    app = _app(told)
    keep_what_is_loaded()
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="error")
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
