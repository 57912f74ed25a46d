"""One service as operations deploy it: its API alone, or its worker alone with an address for operations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
from fastapi import FastAPI

from deploy.embedded import CannotStart
from deploy.server import address_of, reserved, serve, stoppable, until_told
from deploy.wiring import kafka_bus, told
from shared import clock
from shared.bus import KafkaBus
from shared.db import TRANSIENT
from shared.errors import Unavailable
from shared.http import create_app, operations, problems
from shared.http.operations import HealthView, InFlightView
from shared.service import Service
from shared.worker import Worker


class DatabaseAway(CannotStart):
    """The database does not answer at the start."""


def serve_alone(service: Service, host: str, port: int) -> None:
    """The HTTP API of one service until told to stop; raises CannotStart."""
    settings = told(service.settings)
    app = create_app(service, settings)
    _until_stopped(
        service,
        app,
        app.router.lifespan_context(app),
        host=host,
        port=port,
        drain_seconds=settings.limits.drain_seconds,
    )


def work_alone(service: Service, host: str, ops_port: int) -> None:
    """The worker of one service until told to stop; raises CannotStart."""
    settings = told(service.settings)
    bus = kafka_bus(service, settings)
    worker = Worker(service, settings, bus)
    clock.allow_driving(settings.driven_clock, settings.clock_start)
    app = operations_of(worker, bus)
    _until_stopped(
        service, app, _working(worker, bus), host=host, port=ops_port, drain_seconds=settings.limits.drain_seconds
    )


@asynccontextmanager
async def _working(worker: Worker, bus: KafkaBus) -> AsyncIterator[None]:
    stop = asyncio.Event()
    going = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await going
        await bus.stop()


def operations_of(worker: Worker, bus: KafkaBus) -> FastAPI:
    """What operations ask of a worker: health, metrics, what is in flight, the clock."""
    app = FastAPI(title=f"{worker.service.name} worker", version="1")
    problems.install(app)

    async def ready() -> HealthView:
        reason, beside = await worker.troubles()
        if reason:
            return HealthView(status="unready", reasons=[reason])
        return HealthView(status="degraded" if beside else "ready", reasons=beside)

    async def flight() -> InFlightView:
        if worker.database is None:
            raise Unavailable("The database has not answered yet.")
        return await operations.in_flight(worker.database, lag=await bus.lag())

    operations.install(app, ready=ready, flight=flight, may_drive=worker.settings.driven_clock)
    return app


def _until_stopped(
    service: Service,
    app: FastAPI,
    running: AbstractAsyncContextManager[object],
    *,
    host: str,
    port: int,
    drain_seconds: float,
) -> None:
    with stoppable(), reserved(port, host) as bound:

        async def when_ready() -> None:
            print("ready:", service.name, address_of(bound), flush=True)

        async def main(stop: asyncio.Event) -> None:
            try:
                await running.__aenter__()
            except (*TRANSIENT, asyncpg.PostgresError) as error:
                raise DatabaseAway(f"The database of {service.name} cannot be used: {error}") from error
            try:
                await serve(app, bound, stop, drain_seconds=drain_seconds, when_ready=when_ready)
            finally:
                await running.__aexit__(None, None, None)

        until_told(main)
