"""What operations ask of a running process: is it alive, is it ready, what does it count, is anything still in flight.

Health is open to everybody. What is counted, what is in flight and the clock are the operator's alone; a port of its own
(`metrics_of`, or a worker's) shows what is counted to whoever can reach it.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Depends, FastAPI, Request, params
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AwareDatetime, BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from shared import clock, dead_letters, deadlines, jobs, outbox
from shared.access import RoleMayNot, ScopeTooNarrow
from shared.db import Database
from shared.errors import Conflict, Said
from shared.http import problems
from shared.identity import Verifier
from shared.identity.base import refused


class HealthView(BaseModel):
    """`ready`: may be sent requests. `degraded`: works, and something beside it does not."""

    status: Literal["ready", "degraded", "unready"]
    reasons: list[str]


class InFlightView(BaseModel):
    """What has been promised and is not done yet; all zeros: quiet."""

    outbox: int
    lag: int
    deadlines_due: int
    jobs: int
    dead_letters: int


class ClockView(BaseModel):
    """The platform's clock; driven only where that is allowed."""

    now: datetime
    driven: bool


class SetClock(BaseModel):
    """The instant the clock shall show: never earlier than it shows."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"now": "2026-03-02T09:00:00+08:00"}]})

    now: AwareDatetime


class ClockNotDriven(Conflict):
    title = "The clock cannot be driven so"


class Counted(Response):
    """The text form of Prometheus."""

    media_type = CONTENT_TYPE_LATEST.partition(";")[0]


VerifierOf = Callable[[Request], Verifier]
"""Who proves the tokens of a request."""


def authorization_of(request: Request) -> str | None:
    """The header that proves the caller; raises TokenRefused where it stands twice: two readers might each take another."""
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise refused("the header `Authorization` stands more than once")
    return given[0] if given else None


def operator_needed(verifier_of: VerifierOf) -> Callable[[Request], Awaitable[None]]:
    """A dependency that raises NoToken, TokenRefused, IssuerAway, RoleMayNot or ScopeTooNarrow."""

    async def check(request: Request) -> None:
        caller = await verifier_of(request).caller(authorization_of(request))
        if "operator" not in caller.roles:
            roles = ", ".join(sorted(caller.roles))
            raise RoleMayNot("Operations are for operator; the token's roles are {roles}.", roles=roles)
        needed = f"operations:{'read' if request.method == 'GET' else 'write'}"
        if caller.scopes is not None and needed not in caller.scopes:
            named = " ".join(sorted(caller.scopes)) or Said("none")
            raise ScopeTooNarrow("This needs the scope {needed}; the token has {named}.", needed=needed, named=named)

    return check


async def in_flight(database: Database, lag: int = 0) -> InFlightView:
    """What is under way in one service."""
    async with database.transaction() as tx:  # letters are private: without a scope the API's role would count none
        letters = await dead_letters.count(tx)
    return InFlightView(
        outbox=await outbox.waiting(database),
        lag=lag,
        deadlines_due=await deadlines.count_due(database),
        jobs=await jobs.count_open(database),
        dead_letters=sum(letters.values()),
    )


async def database_answers(database: Database) -> str | None:
    """None when it does, else the reason in words."""
    return await database.trouble()


def health_routes(ready: Callable[[], Awaitable[HealthView]]) -> APIRouter:
    """The routes that are open to everybody."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live", operation_id="live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @router.get(
        "/health/ready", operation_id="ready", response_model=HealthView, responses={503: {"model": HealthView}}
    )
    async def ready_now() -> JSONResponse:
        """Whether requests may be sent here; 503 with the reason when not."""
        view = await ready()
        if view.status == "unready":
            return JSONResponse(view.model_dump(), status_code=503, headers={"Retry-After": "1"})
        return JSONResponse(view.model_dump())

    for path, asked in (("/health/live", live), ("/health/ready", ready_now)):  # as load balancers may ask
        router.add_api_route(path, asked, methods=["HEAD"], include_in_schema=False, response_model=None)
    return router


def metrics_routes(needs: Sequence[params.Depends] = ()) -> APIRouter:
    """What is counted, for whom `needs` lets in."""
    router = APIRouter(tags=["operations"], dependencies=needs)

    @router.get("/metrics", operation_id="metrics", response_class=Counted)
    async def metrics() -> Response:
        """What is counted, for Prometheus."""
        return Counted(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


def _flight_routes(flight: Callable[[], Awaitable[InFlightView]], needs: Sequence[params.Depends]) -> APIRouter:
    router = APIRouter(tags=["operations"], dependencies=needs)

    @router.get("/in-flight", operation_id="in_flight")
    async def flight_now() -> InFlightView:
        """What is promised and not done yet."""
        return await flight()

    return router


def _clock_routes(needs: Sequence[params.Depends]) -> APIRouter:
    router = APIRouter(tags=["operations"], dependencies=needs)

    @router.get("/clock", operation_id="clock")
    async def show_clock() -> ClockView:
        """What the platform's clock shows."""
        return ClockView(now=clock.now(), driven=clock.driven())

    @router.put("/clock", operation_id="set_clock")
    async def set_clock(command: SetClock) -> ClockView:
        """Moves the clock; for trying out and for replays, never in production."""
        try:
            clock.drive(command.now)
        except ValueError as error:
            stands, asked = clock.now().isoformat(), command.now.isoformat()
            raise ClockNotDriven(
                "The clock stands at {stands} and never goes back; asked for {asked}.", stands=stands, asked=asked
            ) from error
        return await show_clock()

    @router.delete("/clock", operation_id="release_clock")
    async def release_clock() -> ClockView:
        """Back to real time."""
        clock.release()
        return await show_clock()

    return router


def install(
    app: FastAPI,
    *,
    ready: Callable[[], Awaitable[HealthView]],
    flight: Callable[[], Awaitable[InFlightView]],
    verifier_of: VerifierOf,
    may_drive: bool,
    metrics_open: bool = False,
) -> None:
    """Adds the routes of operations to an app. `metrics_open`: its port is for operations alone."""
    operator = [Depends(operator_needed(verifier_of))]
    app.include_router(health_routes(ready))
    app.include_router(metrics_routes(() if metrics_open else operator))
    app.include_router(_flight_routes(flight, operator))
    if may_drive:
        app.include_router(_clock_routes(operator))


def metrics_of(title: str, ready: Callable[[], Awaitable[HealthView]]) -> FastAPI:
    """What is served on a port of its own: health, and what is counted."""
    app = FastAPI(title=title, version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    problems.install(app)
    app.include_router(health_routes(ready))
    app.include_router(metrics_routes())
    return app
