"""Makes the HTTP face of a service: its routes behind the edge, problems, health, metrics, the id of each request."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from shared import clock, telemetry
from shared.access import Access
from shared.db import Database
from shared.errors import TooLarge
from shared.http import audit, dead_letters, jobs, operations, problems
from shared.http.edge import Edge, Runtime
from shared.identity import Verifier
from shared.outbox import Bell
from shared.policy import Policy
from shared.service import Service
from shared.settings import ServiceSettings

REFUSALS = (400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 429, 503)


class BodyTooLarge(TooLarge):
    title = "The body is too large"


class Door:
    """Outermost: gives every request an id, counts it, bounds its body, and turns a crash into a problem."""

    def __init__(self, app: ASGIApp, *, service: str, body_bytes: int) -> None:
        self._app = app
        self._service = service
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _printable(headers.get(b"x-request-id")) or str(uuid7())
        known = telemetry.request_id.set(request_id)
        trace = telemetry.traceparent.set(_printable(headers.get(b"traceparent")))
        started = clock.elapsed()
        status = 500
        began = False

        async def answer(message: Message) -> None:
            nonlocal status, began
            if message["type"] == "http.response.start":
                status, began = message["status"], True
                message = {
                    **message,
                    "headers": [*message["headers"], (b"x-request-id", request_id.encode())],
                }
            await send(message)

        try:
            await self._bounded(scope, headers, receive, answer)
        except Exception as error:  # the edge: nothing leaves without an answer
            if began:
                raise
            await problems.internal(error)(scope, receive, answer)
        finally:
            operation = scope.get("state", {}).get("operation", "unknown")
            telemetry.REQUESTS.labels(self._service, operation, status).observe(clock.elapsed() - started)
            telemetry.request_id.reset(known)
            telemetry.traceparent.reset(trace)

    async def _bounded(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        limit = self._body_bytes
        upload = b"/imports/" in scope["path"].encode()
        length = headers.get(b"content-length", b"0")
        error = BodyTooLarge(f"The body has more than {limit} bytes.")
        if not upload and length.isdigit() and int(length) > limit:
            await problems.answer(problems.problem_of(error))(scope, receive, send)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit and not upload:
                raise error
            return message

        await self._app(scope, bounded, send)


def _printable(raw: bytes | None) -> str | None:
    if not raw or len(raw) > 100:  # noqa: PLR2004  longer is no id
        return None
    text = raw.decode("latin-1")
    return text if text.isascii() and text.isprintable() else None


def create_app(service: Service, settings: ServiceSettings) -> FastAPI:
    """The API of one service. Opens the database when it starts, checks the matrix before it takes a request."""
    access = Access.of(service.name)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        policy = Policy.load(settings.policy_files)
        database = await Database.open(
            settings.database_url,
            role=settings.api_role,
            policy=policy,
            connections=settings.limits.pool_connections,
            wait_seconds=settings.limits.pool_wait_seconds,
            statement_seconds=settings.limits.statement_seconds,
            name=f"{service.name} api",
        )
        database.wake = Bell(database).ring
        app.state.runtime = Runtime(
            settings=settings,
            policy=policy,
            access=access,
            verifier=Verifier(issuer=settings.issuer, jwks=settings.jwks, audience=settings.audience or service.name),
            database=database,
        )
        clock.allow_driving(settings.driven_clock)
        try:
            yield
        finally:
            await database.close()

    app = FastAPI(
        title=service.title,
        version="1",
        lifespan=lifespan,
        responses={status: {"model": problems.Problem, "description": "Problem details"} for status in REFUSALS},
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.cursor_secret = hashlib.sha256(settings.database_url.encode()).digest()
    app.add_middleware(Door, service=service.name, body_bytes=settings.limits.body_bytes)
    problems.install(app)
    for router in (*service.routers, jobs.router, dead_letters.router, audit.router):
        app.include_router(router)
    _operations(app, settings)
    access.check_complete(route.name for route in app.routes if isinstance(route, Edge))
    return app


def _operations(app: FastAPI, settings: ServiceSettings) -> None:
    def database() -> Database:
        runtime: Runtime = app.state.runtime
        return runtime.database

    async def ready() -> operations.HealthView:
        reason = await operations.database_answers(database())
        return operations.HealthView(status="unready" if reason else "ready", reasons=[reason] if reason else [])

    async def flight() -> operations.InFlightView:
        return await operations.in_flight(database())

    operations.install(app, ready=ready, flight=flight, may_drive=settings.driven_clock)
