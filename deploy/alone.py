"""One service as operations deploy it: its API alone, or its worker alone with an address for operations.

Either starts whether or not its database and its broker answer, says that it is not ready, and goes on when they come.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from socket import socket

import asyncpg
from fastapi import FastAPI

from deploy.embedded import CannotStart
from deploy.server import address_of, reserved, serve, stoppable, until_told
from deploy.wiring import kafka_bus, told
from shared import clock
from shared.bus import Bus, BusAway, KafkaBus
from shared.errors import Unavailable
from shared.faults import TRANSIENT
from shared.http import create_app, operations, problems
from shared.http.door import Door
from shared.http.operations import HealthView, InFlightView
from shared.identity import Verifier, trusted
from shared.service import Service
from shared.settings import Limits
from shared.worker import Worker


class DatabaseRefuses(CannotStart):
    """The database answers, and not to this user."""


def serve_alone(service: Service, host: str, port: int) -> None:
    """The HTTP API of one service until told to stop; raises CannotStart."""
    settings = told(service.settings)
    app = create_app(service, settings)
    with ExitStack() as ports:
        measured = None
        if settings.metrics_port is not None:
            measured = ports.enter_context(reserved(settings.metrics_port, host))
        _until_stopped(
            service,
            app,
            _serving(app, measured, settings.limits),
            host=host,
            port=port,
            limits=settings.limits,
        )


@asynccontextmanager
async def _serving(app: FastAPI, measured: socket | None, limits: Limits) -> AsyncIterator[None]:
    """The app's own life, and beside it the port for health and metrics, where there is one."""
    async with app.router.lifespan_context(app):
        if measured is None:
            yield
            return
        stop = asyncio.Event()
        beside = operations.metrics_of(f"{app.title}: metrics", app.state.ready)
        going = asyncio.create_task(serve(beside, measured, stop, limits=limits, when_ready=_at_once))
        try:
            yield
        finally:
            stop.set()
            await going


async def _at_once() -> None:
    """Nothing more is to be said."""


def work_alone(service: Service, host: str, ops_port: int, *, catching_up: bool = False) -> None:
    """The worker of one service until told to stop; raises CannotStart."""
    settings = told(service.settings)
    bus = kafka_bus(service, settings)
    worker = Worker(service, settings, bus, catching_up=catching_up)
    clock.allow_driving(settings.driven_clock, settings.clock_file)
    verifier = Verifier(trusted(settings), service.name, settings.limits)
    app = operations_of(worker, bus, verifier)
    _until_stopped(
        service,
        app,
        _working(worker, bus, verifier),
        host=host,
        port=ops_port,
        limits=settings.limits,
    )


@asynccontextmanager
async def _working(worker: Worker, bus: KafkaBus, verifier: Verifier) -> AsyncIterator[None]:
    stop = asyncio.Event()
    going = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await going
        await bus.stop()
        await verifier.close()


def operations_of(worker: Worker, bus: Bus, verifier: Verifier) -> FastAPI:
    """What operations ask of a worker: health and metrics on this port of its own, what is in flight, the clock."""
    app = FastAPI(title=f"{worker.service.name} worker", version="1", redirect_slashes=False)
    app.add_middleware(Door, service=worker.service.name, limits=worker.settings.limits, verifier_of=lambda _: verifier)
    problems.install(app)

    async def ready() -> HealthView:
        reason, beside = await worker.troubles()
        if reason:
            return HealthView(status="unready", reasons=[reason])
        return HealthView(status="degraded" if beside else "ready", reasons=beside)

    async def flight() -> InFlightView:
        if worker.database is None:
            raise Unavailable("The database has not answered yet.", headers={"Retry-After": "1"})
        try:
            lag = await bus.lag()
        except BusAway as away:
            raise Unavailable(
                "What waits on the broker is not known: {reason}.", headers={"Retry-After": "1"}, reason=str(away)
            ) from away
        return await operations.in_flight(worker.database, lag=lag)

    operations.install(
        app,
        ready=ready,
        flight=flight,
        verifier_of=lambda _: verifier,
        may_drive=worker.settings.driven_clock,
        metrics_open=True,
    )
    return app


def _until_stopped(
    service: Service,
    app: FastAPI,
    running: AbstractAsyncContextManager[object],
    *,
    host: str,
    port: int,
    limits: Limits,
) -> None:
    with stoppable(), reserved(port, host) as bound:

        async def when_ready() -> None:
            print("ready:", service.name, address_of(bound), flush=True)

        async def main(stop: asyncio.Event) -> None:
            try:
                await running.__aenter__()
            except (*TRANSIENT, asyncpg.PostgresError) as error:
                raise DatabaseRefuses(f"The database of {service.name} cannot be used: {error}") from error
            try:
                await serve(app, bound, stop, limits=limits, when_ready=when_ready)
            finally:
                await running.__aexit__(None, None, None)

        until_told(main)
