"""Serves an app over HTTP until told to stop: the port is taken first, requests in hand are answered, the exit is clean."""

import asyncio
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.connections import Connection
from deploy.embedded import LOOPBACK, CannotStart
from shared.settings import Limits

SIGNALS = (signal.SIGINT, signal.SIGTERM)
KEEP_ALIVE_SECONDS = 75
"""A resting connection is kept longer than clients and proxies keep theirs (60 s is usual), so that they close it, and
not we under a request that is on its way."""


LAST_CALL_SECONDS = 0.5
"""After the word to stop, every answer still says that its connection ends with it, so that whoever keeps asking leaves
before the resting connections are closed."""


class PortTaken(CannotStart):
    """Another program listens there."""


@contextmanager
def reserved(port: int, host: str = LOOPBACK) -> Iterator[socket.socket]:
    """A socket bound to the port before anything else is started; 0 is any free port. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except (OSError, OverflowError) as refusal:
            if isinstance(refusal, OSError) and refusal.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"Port {port} on {host} is in use; stop what listens there or choose another."
                ) from refusal
            raise PortTaken(f"Port {port} on {host} cannot be used ({refusal}); choose another.") from refusal
        yield bound


def address_of(bound: socket.socket) -> str:
    """The address of a reserved port."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn would raise them again at the end, and the exit would look like a crash."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _LastCall:
    """An app that says on every answer, once `stop` is set, that the connection ends with it."""

    def __init__(self, app: ASGIApp, stop: asyncio.Event) -> None:
        self._app = app
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and self._stop.is_set():
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, answer)


async def serve(
    app: ASGIApp,
    bound: socket.socket,
    stop: asyncio.Event,
    *,
    limits: Limits,
    when_ready: Callable[[], Awaitable[None]],
) -> None:
    """Answers requests until `stop`, then those in hand. `when_ready` runs beside; what it raises ends all."""
    config = uvicorn.Config(
        _LastCall(app, stop),
        loop="none",
        http=partial(Connection, limits),  # type: ignore[arg-type] # called like a class
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(limits.drain_seconds),
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.005)
    telling = asyncio.ensure_future(when_ready())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping, telling}, return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await _last_call(server)
    finally:
        for task in (telling, stopping):
            task.cancel()
        server.should_exit = True
        await serving
        await asyncio.gather(telling, stopping, return_exceptions=True)


async def _last_call(server: uvicorn.Server) -> None:
    """Until every connection has ended, LAST_CALL_SECONDS at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_CALL_SECONDS):
            while server.server_state.connections:  # noqa: ASYNC110  uvicorn has no event for it
                await asyncio.sleep(0.01)


def keep_what_is_loaded() -> None:
    """What a process has loaded when it begins to work stays, so the garbage collector need not walk through it again and
    again: a third of a call of 1,000 orders."""
    gc.collect()
    gc.freeze()


def until_told(
    main: Callable[[asyncio.Event], Coroutine[Any, Any, None]], leaving: Callable[[], None] = lambda: None
) -> None:
    """Runs `main` with an event that Ctrl-C and SIGTERM set, calling `leaving` before."""

    async def run() -> None:
        stop = asyncio.Event()

        def leave() -> None:
            leaving()
            stop.set()

        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, leave)
        keep_what_is_loaded()
        await main(stop)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stoppable(data_dir: Path | None = None) -> Iterator[Callable[[], None]]:
    """While servers start and stop, Ctrl-C and SIGTERM leave through every `with`, once; both are a clean end.

    With a data folder a person waits: it is said that all is being stopped, and at the end where the data is kept. Yields
    what says the first, for who takes the signals over.
    """
    said = False

    def leaving() -> None:
        nonlocal said
        if data_dir is not None and not said:
            os.write(sys.stdout.fileno(), "stopping…\n".encode())  # print is not allowed to meet itself in a signal
        said = True

    def leave(*_: object) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        leaving()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield leaving
    except KeyboardInterrupt:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if said and data_dir is not None:
            print(f"stopped; the data is kept in {data_dir}", flush=True)
