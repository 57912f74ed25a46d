"""Makes the HTTP face of a service: its routes behind the edge, problems, health, metrics, the id of each request."""

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.routing import BaseRoute

from shared import clock
from shared.access import Access
from shared.db import Database
from shared.http import audit, contract, dead_letters, error_pages, jobs, operations, problems
from shared.http.cors import Origins
from shared.http.door import Door
from shared.http.edge import Edge, Runtime
from shared.http.paths import routes_of
from shared.http.rates import Rates
from shared.http.standing import Standing
from shared.http.straight import Straight
from shared.http.together import Together
from shared.http.turns import Turns
from shared.identity import Verifier, trusted
from shared.outbox import Bell
from shared.policy import Policy
from shared.service import Service
from shared.settings import CursorSecretMissing, ServiceSettings


def create_app(service: Service, settings: ServiceSettings) -> FastAPI:
    """The API of one service. Opens the database when it starts, checks the matrix before it takes a request."""
    access = Access.of(service.name)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.cursor_secret = _cursor_secret(service.name, settings)
        runtime = app.state.runtime = await _runtime(service, settings, access)
        clock.allow_driving(settings.driven_clock, settings.clock_file)
        try:
            yield
        finally:
            await runtime.verifier.close()
            await runtime.database.close()

    app = FastAPIOffline(  # /docs with its assets, for places without the network
        title=service.title,
        description=f"The HTTP API of {service.name}. Refusals are problem details (RFC 9457) with a stable `code`.",
        version="1",
        redirect_slashes=False,  # a redirect would lead to whatever host the caller names
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the service tells its own
        responses={422: {"model": problems.Problem}},  # which refusals there are, contract.py says
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app)
    contract.install(app, access)
    for router in (*service.routers, jobs.router, dead_letters.router, audit.router, error_pages.router):
        app.include_router(router)
    _operations(app, settings)
    known = list(routes_of([app.router]))
    app.openapi_tags = _tags(known)
    at_the_edge = [route for route in known if isinstance(route, Edge)]
    access.check_complete(route.name for route in at_the_edge)
    app.add_middleware(Straight, routes=at_the_edge)
    app.add_middleware(Door, service=service.name, limits=settings.limits, verifier_of=_verifier_of)
    if settings.allowed_origins:
        app.add_middleware(Origins, allow_origins=settings.allowed_origins)
    return app


def _tags(routes: Iterable[BaseRoute]) -> list[dict[str, str]]:
    tags = {str(tag) for route in routes if isinstance(route, APIRoute) for tag in route.tags}
    return [{"name": tag} for tag in sorted(tags)]


def _cursor_secret(service: str, settings: ServiceSettings) -> bytes:
    """What cursors are signed with: told, or made of the database's password, which every process of a service has.

    Raises CursorSecretMissing where there is neither: made anew in each process, a cursor would be good in one alone.
    """
    if settings.cursor_secret is not None:
        return hashlib.sha256(settings.cursor_secret.get_secret_value().encode()).digest()
    password = urlsplit(settings.database_url).password
    if not password:
        raise CursorSecretMissing(
            f"Nothing is there to sign the cursors of {service} with: its database URL has no password; set"
            f" {service.upper()}_CURSOR_SECRET, 32 characters or more, the same for each of its processes."
        )
    return _slowly(password, service)


@cache
def _slowly(password: str, service: str) -> bytes:
    """Takes so long that nobody finds the password by trying, with a cursor and its signature in hand."""
    return hashlib.scrypt(password.encode(), salt=f"cursors of {service}".encode(), n=2**14, r=8, p=1)


async def _runtime(service: Service, settings: ServiceSettings, access: Access) -> Runtime:
    """What the edge has in hand from the start to the end of the app."""
    policy = Policy.load(settings.policy_files)
    turns = Turns(settings.limits)
    return Runtime(
        settings=settings,
        policy=policy,
        access=access,
        verifier=Verifier(trusted(settings), service.name, settings.limits),
        database=await _database(service, settings, policy),
        rates=Rates(settings.limits.requests_per_second, settings.limits.requests_burst),
        turns=turns,
        together=Together(turns),
        standing=Standing(service.organisations),
    )


async def _database(service: Service, settings: ServiceSettings, policy: Policy) -> Database:
    """The service's database as its API sees it; one that is away is used when it comes."""
    database = await Database.open(
        settings.database_url,
        may_wait=True,
        role=settings.api_role,
        policy=policy,
        limits=settings.limits,
        name=f"{service.name} api",
    )
    database.wake = Bell(database).ring
    return database


def _verifier_of(request: Request) -> Verifier:
    runtime: Runtime = request.app.state.runtime
    return runtime.verifier


def _operations(app: FastAPI, settings: ServiceSettings) -> None:
    def database() -> Database:
        runtime: Runtime = app.state.runtime
        return runtime.database

    async def ready() -> operations.HealthView:
        reason = await operations.database_answers(database())
        return operations.HealthView(status="unready" if reason else "ready", reasons=[reason] if reason else [])

    async def flight() -> operations.InFlightView:
        return await operations.in_flight(database())

    app.state.ready = ready
    operations.install(app, ready=ready, flight=flight, verifier_of=_verifier_of, may_drive=settings.driven_clock)
