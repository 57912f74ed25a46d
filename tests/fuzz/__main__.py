"""`python -m tests.fuzz`: talks with the five services for MINUTES=30, each round with a seed of its own.

Seeds are printed and kept in .data/fuzz/seeds.txt, findings in .data/fuzz/findings.txt as curl lines with `$TOKEN`; one
seed is tried again with SEED=…. Fails when anything was found.
"""

import asyncio
import os
import secrets
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from fastapi import FastAPI
from rich.console import Console

from deploy.issuer import make_token
from deploy.postgres import EmbeddedPostgres
from deploy.services import load_all
from deploy.story import cast
from shared import clock
from shared.http import create_app
from tests.access.worlds import play
from tests.fuzz.asking import Asking, asking_of
from tests.house import House

KEPT = Path(".data") / "fuzz"
EXAMPLES = 20
STORIES, STEPS = 10, 30
console = Console()


async def main(minutes: float, first_seed: int | None) -> int:
    """Rounds until the time is over; returns 1 when something was found."""
    KEPT.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str, str], str] = {}
    with TemporaryDirectory(prefix="fuzz") as folder, EmbeddedPostgres.start(Path(folder), durable=False) as postgres:
        house = House(postgres, Path(folder))
        try:
            async with AsyncExitStack() as stack:
                await _rounds(house, stack, time.monotonic() + minutes * 60, first_seed, found)
        finally:
            await house.close()
    console.print(f"{len(found)} findings", *(" ".join(key) for key in found), sep="\n  ")
    return int(bool(found))


async def _rounds(
    house: House, stack: AsyncExitStack, until: float, first_seed: int | None, found: dict[tuple[str, str, str], str]
) -> None:
    def token(role: str, organisation: str, region: str = "330100", person: str = "fuzz") -> str:
        return make_token(house.data_dir, organisation=organisation, roles=[role], region=region, person=person)

    apps = {service.name: await _app(house, service, stack) for service in load_all()}
    clock.allow_driving(True)
    (world,) = await play(house, apps, token, [cast.load()])
    while time.monotonic() < until:
        number = first_seed if first_seed is not None else secrets.randbelow(2**32)
        first_seed = None
        with (KEPT / "seeds.txt").open("a") as seeds:
            seeds.write(f"{number}\n")
        for name, app in apps.items():
            asking = await asking_of(name, app, world, token, house)
            await asyncio.to_thread(_talk, asking, number)
            counts = " ".join(f"{status}×{count}" for status, count in sorted(asking.asked.answers.items()))
            console.print(f"seed {number} {name}: {counts}, {len(asking.asked.findings)} findings")
            _keep(name, number, asking, found)


def _talk(asking: Asking, number: int) -> None:
    asking.operations(EXAMPLES, number)
    asking.stories(STORIES, STEPS, number)


def _keep(name: str, number: int, asking: Asking, found: dict[tuple[str, str, str], str]) -> None:
    with (KEPT / "findings.txt").open("a", encoding="utf-8", errors="backslashreplace") as file:
        for (operation, fault), words in asking.asked.findings.items():
            if (name, operation, fault) not in found:
                found[name, operation, fault] = words
                file.write(f"seed {number} {name} {operation}: {fault}\n{words}\n\n")


async def _app(house: House, service: Any, stack: AsyncExitStack) -> FastAPI:
    settings = house.settings(service)
    limits = settings.limits.model_copy(update={"requests_burst": 1_000_000, "pool_connections": 3})
    app = create_app(service, settings.model_copy(update={"limits": limits}))
    await stack.enter_async_context(app.router.lifespan_context(app))
    return app


if __name__ == "__main__":
    told = os.environ.get("SEED")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(float(os.environ.get("MINUTES", "30")), int(told) if told else None)))
