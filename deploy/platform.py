"""All five services in one process: an API and a worker each, events handed over directly, PostgreSQL beside.

Nothing is lost by being one process: an event's outbox row stays until every service that listens has committed it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.routing import Mount, Router

from deploy import addresses, story
from deploy.addresses import Address
from deploy.children import kept
from deploy.databases import bring_to_head
from deploy.embedded import look_after
from deploy.environment import Embedded, database_name
from deploy.issuer import jwks_file, make_token
from deploy.postgres import EmbeddedPostgres
from deploy.server import address_of, reserved, serve, stoppable, until_told
from deploy.visitor import TokenFor
from shared import clock
from shared.bus import LocalBus
from shared.http import create_app, error_pages, operations, problems
from shared.http.door import Door
from shared.http.edge import Runtime
from shared.http.operations import HealthView, InFlightView
from shared.identity import Verifier
from shared.service import Service
from shared.settings import ServiceSettings
from shared.worker import Worker


class Platform:
    """The services of one process, put behind one address: /listing, /orders, …"""

    def __init__(self, services: Sequence[Service], settings: Mapping[str, ServiceSettings]) -> None:
        bus = LocalBus([service.name for service in services])
        self.workers = [Worker(service, settings[service.name], bus) for service in services]
        self.apps = {service.name: create_app(service, settings[service.name]) for service in services}
        self.may_drive = all(told.driven_clock for told in settings.values())
        self.clock_file = next((told.clock_file for told in settings.values()), None)
        self.limits = next(iter(settings.values())).limits
        each = [Mount(f"/{name}", app) for name, app in self.apps.items()]
        self.app = Router(each, redirect_slashes=False, default=self._root())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens the APIs and sets the workers going; at the end finishes what is in hand and closes all."""
        stop = asyncio.Event()
        clock.allow_driving(self.may_drive, self.clock_file)
        async with AsyncExitStack() as stack:
            for worker in self.workers:
                await worker.open()
                app = self.apps[worker.service.name]
                await stack.enter_async_context(app.router.lifespan_context(app))
                runtime: Runtime = app.state.runtime
                runtime.database.wake = worker.wake
            going = [asyncio.create_task(worker.run(stop)) for worker in self.workers]
            try:
                yield
            finally:
                stop.set()
                await asyncio.gather(*going)

    def _root(self) -> FastAPI:
        """What is asked of the platform as a whole, and what is asked of nobody; behind a door like each service's."""
        root = FastAPI(title="jicai", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
        root.add_middleware(Door, service="platform", limits=self.limits, verifier_of=self._verifier)
        problems.install(root)

        @root.get("/", operation_id="index")
        async def index() -> dict[str, str]:
            """Where the services are."""
            return {name: f"/{name}" for name in self.apps}

        root.include_router(error_pages.router)
        operations.install(
            root, ready=self._ready, flight=self._in_flight, verifier_of=self._verifier, may_drive=self.may_drive
        )
        return root

    def _verifier(self, _: Request) -> Verifier:
        """Any of the services' will do: they trust the same issuer."""
        runtime: Runtime = next(iter(self.apps.values())).state.runtime
        return runtime.verifier

    async def _ready(self) -> HealthView:
        opened = {worker.service.name: worker.database for worker in self.workers if worker.database}
        found = await asyncio.gather(*map(operations.database_answers, opened.values()))
        reasons = [f"{name}: {reason}" for name, reason in zip(opened, found, strict=True) if reason]
        return HealthView(status="unready" if reasons else "ready", reasons=reasons)

    async def _in_flight(self) -> InFlightView:
        """Looks twice when it sees nothing: an event may have moved from a service not yet asked to one already asked."""
        seen = await self._counted()
        return await self._counted() if seen == QUIET else seen

    async def _counted(self) -> InFlightView:
        each = [await operations.in_flight(worker.database) for worker in self.workers if worker.database]
        return InFlightView(**{name: sum(getattr(one, name) for one in each) for name in InFlightView.model_fields})


WATCH_SECONDS = 1.0
"""How often it is looked whether PostgreSQL still runs."""
QUIET = InFlightView(outbox=0, lag=0, deadlines_due=0, jobs=0, dead_letters=0)


def run(services: Sequence[Service], data_dir: Path, port: int, *, tell: bool = True) -> None:
    """The embedded default from start to stop; prints `ready:` with the addresses when it is. Raises CannotStart."""
    data_dir = data_dir.expanduser().resolve()
    with stoppable(data_dir) as leaving, reserved(port) as bound, kept(data_dir):
        fresh = not (data_dir / "postgres").exists()
        if fresh:
            print(f"Making PostgreSQL and the databases in {data_dir}: about ten seconds, this once.", flush=True)
        with EmbeddedPostgres.start(data_dir) as postgres:
            jwks_file(data_dir)
            urls = {service.name: postgres.url(database_name(service.name)) for service in services}
            if fresh:
                for service in services:
                    postgres.ensure_database(database_name(service.name))

            async def main(stop: asyncio.Event) -> None:
                await bring_to_head(services, urls)
                embedded = Embedded(data_dir, urls)
                platform = Platform(services, {service.name: embedded.settings(service) for service in services})
                base = address_of(bound)
                where = {name: Address(api=f"{base}/{name}", ops=base) for name in platform.apps}

                async def when_ready() -> None:
                    addresses.write(data_dir, where)
                    if fresh and tell:
                        await story.tell(where, token_maker(data_dir), data_dir)
                    print("ready:", base, *(address.api for address in where.values()), flush=True)

                async with platform.running(), _watched(postgres):
                    if clock.driven():
                        print(
                            f"The clock is driven and shows {clock.now():%Y-%m-%d %H:%M} UTC; DELETE /clock ends that."
                        )
                    await serve(platform.app, bound, stop, limits=platform.limits, when_ready=when_ready)

            try:
                until_told(main, leaving)
            finally:
                addresses.addresses_file(data_dir).unlink(missing_ok=True)


@asynccontextmanager
async def _watched(postgres: EmbeddedPostgres) -> AsyncIterator[None]:
    """Meanwhile a PostgreSQL that dies is started again, and the console says so."""

    async def watch() -> None:
        while await asyncio.to_thread(look_after, "PostgreSQL", postgres):  # noqa: ASYNC110
            await asyncio.sleep(WATCH_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def token_maker(data_dir: Path) -> TokenFor:
    """Tokens of the embedded issuer, by role, organisation, region and person."""

    def token_for(role: str, organisation: str, region: str, person: str = "somebody") -> str:
        return make_token(data_dir, organisation=organisation, roles=[role], region=region, person=person)

    return token_for
