"""`jicai rewind`: after a service was restored to an earlier hour, lets it read that hour again from Kafka."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer

from deploy.commands.options import ServiceName
from deploy.embedded import CannotStart
from deploy.services import load
from deploy.wiring import BrokerRefused, connection_of, told
from shared.bus import BusAway, GroupAtWork, rewind
from shared.events import topic_of


class NoInstant(CannotStart):
    """Neither or both of the ways to say how far back were given, or an instant that can be read in two ways."""


class StillAtWork(CannotStart):
    """A worker of the service runs."""


def rewind_service(
    service: ServiceName,
    since: Annotated[
        str | None, typer.Option(help="The hour of the backup, with its zone: 2026-03-02T08:00:00+08:00.")
    ] = None,
    *,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Everything that Kafka still has.")] = False,
) -> None:
    """Puts a service back to an earlier instant on every topic it listens to; its worker must be stopped.

    Says what becomes of each partition before anything changes. What comes again is applied once: the inbox, restored with
    the rest, knows what was applied. Take an instant some minutes before the backup: clocks differ.
    """
    instant = _instant(since, from_beginning=from_beginning)
    loaded = load(service)
    topics = sorted({topic_of(kind) for kind in loaded.handlers})
    if not topics:
        typer.echo(f"{service} listens to nobody.")
        return
    settings = told(loaded.settings)
    try:
        steps = asyncio.run(rewind(loaded.name, topics, instant, typer.echo, **connection_of(settings)))
    except GroupAtWork as refusal:
        raise StillAtWork(str(refusal)) from refusal
    except BusAway as away:
        raise BrokerRefused(f"Kafka at {settings.kafka_bootstrap}: {away}") from away
    back = [step for step in steps if step.back]
    typer.echo(f"{service}: {len(back)} of {len(steps)} partitions are put back." if back else "Nothing to change.")


def _instant(since: str | None, *, from_beginning: bool) -> datetime | None:
    """None: from the beginning."""
    if (since is None) is not from_beginning:
        raise NoInstant("Say how far back: either --since with an instant, or --from-beginning.")
    if since is None:
        return None
    try:
        instant = datetime.fromisoformat(since)
    except ValueError:
        raise NoInstant(f"{since!r} is no instant such as 2026-03-02T08:00:00+08:00.") from None
    if instant.tzinfo is None:
        raise NoInstant(f"{since!r} says no zone; write +08:00 or Z behind it.")
    return instant


def add_to(app: typer.Typer) -> None:
    app.command("rewind")(rewind_service)
