"""What operations ask of a running process: is it alive, is it ready, what does it count, is anything still in flight."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AwareDatetime, BaseModel
from starlette.responses import JSONResponse, Response

from shared import clock, deadlines, jobs, outbox
from shared.db import Database
from shared.errors import Conflict


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

    now: AwareDatetime


class ClockNotDriven(Conflict):
    title = "The clock cannot be driven so"


async def in_flight(database: Database, lag: int = 0) -> InFlightView:
    """What is under way in one service."""
    dead = await database.pool.fetchval("SELECT count(*) FROM dead_letters WHERE state IN ('dead', 'waiting')")
    return InFlightView(
        outbox=await outbox.waiting(database),
        lag=lag,
        deadlines_due=await deadlines.count_due(database),
        jobs=await jobs.count_open(database),
        dead_letters=int(dead),
    )


async def database_answers(database: Database) -> str | None:
    """None when it does, else the reason in words."""
    return await database.trouble()


def routes(
    *,
    ready: Callable[[], Awaitable[HealthView]],
    flight: Callable[[], Awaitable[InFlightView]],
    may_drive: bool,
) -> APIRouter:
    """The routes of operations, for an API and for a worker alike."""
    router = APIRouter(tags=["operations"], include_in_schema=True)

    @router.get("/health/live", operation_id="live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @router.get("/health/ready", operation_id="ready", response_model=HealthView)
    async def ready_now() -> JSONResponse:
        """Whether requests may be sent here; 503 with the reason when not."""
        view = await ready()
        return JSONResponse(view.model_dump(), status_code=503 if view.status == "unready" else 200)

    @router.get("/metrics", operation_id="metrics", response_class=Response)
    async def metrics() -> Response:
        """What is counted, for Prometheus."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/in-flight", operation_id="in_flight")
    async def flight_now() -> InFlightView:
        """What is promised and not done yet."""
        return await flight()

    if may_drive:
        _clock_routes(router)
    return router


def _clock_routes(router: APIRouter) -> None:
    @router.get("/clock", operation_id="clock")
    async def show_clock() -> ClockView:
        """What the platform's clock shows."""
        return ClockView(now=clock.now(), driven=clock.driven())

    @router.put("/clock", operation_id="set_clock")
    async def set_clock(command: SetClock) -> ClockView:
        """Moves the clock; for trying out and for replays, never in production."""
        try:
            clock.drive(command.now)
        except (ValueError, clock.DrivingRefused) as error:
            raise ClockNotDriven(str(error)) from error
        return await show_clock()

    @router.delete("/clock", operation_id="release_clock")
    async def release_clock() -> ClockView:
        """Back to real time."""
        clock.release()
        return await show_clock()


def install(
    app: FastAPI,
    *,
    ready: Callable[[], Awaitable[HealthView]],
    flight: Callable[[], Awaitable[InFlightView]],
    may_drive: bool,
) -> None:
    """Adds the routes of operations to an app."""
    app.include_router(routes(ready=ready, flight=flight, may_drive=may_drive))
