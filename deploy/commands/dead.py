"""`jicai dead`: the dead letters of one service, straight on its worker's database: list, show, replay, drop.

Replay and drop go through the same inbox as the worker's own, so they may run while the worker does.
"""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.options import DATA, Data, ServiceName
from deploy.commands.reach import settings_of
from deploy.embedded import CannotStart
from deploy.services import load
from shared import dead_letters, settling
from shared.db import Database
from shared.dead_letters import DeadLetter
from shared.faults import TRANSIENT
from shared.identity import Caller
from shared.inbox import Consumer
from shared.policy import Policy

T = TypeVar("T")
PAGE_ROWS = 200
LetterId = Annotated[int, typer.Argument(help="Number of the letter.")]

dead = typer.Typer(no_args_is_help=True, help="Messages that could not be applied, and wait for a person.")


class NoSuchLetter(CannotStart):
    """A number that no letter of this service has."""


class DatabaseAway(CannotStart):
    """The database of the service cannot be used."""


@dead.command("list")
def list_letters(service: ServiceName, data: Data = DATA) -> None:
    """Open letters, the oldest first: the dead ones, and those that wait behind one of the same subject."""
    letters = _with(service, data, _open_letters)
    table = Table()
    for name in ("number", "state", "topic", "subject", "since", "reason"):
        table.add_column(name, overflow="fold")  # cut short, a subject is no use
    for letter in letters:
        since = letter.received_at.isoformat(timespec="seconds")
        table.add_row(str(letter.id), letter.state, letter.topic, letter.subject, since, letter.reason)
    Console().print(table if letters else f"{service}: no dead letters.")


@dead.command()
def show(service: ServiceName, letter_id: LetterId, data: Data = DATA) -> None:
    """One letter, with its headers and its bytes as they came."""
    letter = _with(service, data, lambda consumer: _letter(consumer, letter_id))
    for name in ("id", "state", "topic", "subject", "event_id", "received_at", "settled_at", "reason", "note"):
        typer.echo(f"{name}: {getattr(letter, name)}")
    for name, value in letter.headers.items():
        typer.echo(f"header {name}: {value}")
    typer.echo(letter.payload.decode(errors="replace"))


@dead.command()
def replay(service: ServiceName, letter_id: LetterId, data: Data = DATA) -> None:
    """Sends the letters of this one's subject in again, from the oldest on; stops at the first that still cannot be."""

    async def work(consumer: Consumer) -> tuple[int, DeadLetter]:
        await _letter(consumer, letter_id)
        return await settling.replay(consumer, letter_id, _who()), await _letter(consumer, letter_id)

    applied, letter = _with(service, data, work)
    typer.echo(f"{service}: {applied} applied; letter {letter_id} is {letter.state}.")
    if letter.state == "dead":
        typer.echo(f"It still cannot be applied: {letter.reason}", err=True)
        raise typer.Exit(1)


@dead.command()
def drop(
    service: ServiceName,
    letter_id: LetterId,
    reason: Annotated[str, typer.Option(help="Why it is given up; kept in history.", prompt=True)],
    data: Data = DATA,
) -> None:
    """Gives a letter up for good, with a reason, and sends in what waited behind it."""
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")

    async def work(consumer: Consumer) -> tuple[int, DeadLetter]:
        await _letter(consumer, letter_id)
        return await settling.drop(consumer, letter_id, _who(), reason), await _letter(consumer, letter_id)

    applied, letter = _with(service, data, work)
    typer.echo(f"{service}: letter {letter_id} is {letter.state}; {applied} that waited behind it were applied.")


def _with(service: str, data: Path, work: Callable[[Consumer], Awaitable[T]]) -> T:
    loaded = load(service)
    settings = settings_of(loaded, data)

    async def run() -> T:
        database = await Database.open(
            settings.database_url,
            role=settings.worker_role,
            policy=Policy.load(settings.policy_files),
            limits=settings.limits,
            name=f"{service} dead letters",
        )
        try:
            return await work(Consumer(service, database, loaded.handlers))
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except TRANSIENT as error:
        raise DatabaseAway(
            f"The database of {service} cannot be used now; is the platform running? ({error})"
        ) from error


async def _open_letters(consumer: Consumer) -> list[DeadLetter]:
    async with consumer.database.transaction() as tx:
        return await tx.all(DeadLetter, dead_letters.OPEN, after=0, rows=PAGE_ROWS)


async def _letter(consumer: Consumer, letter_id: int) -> DeadLetter:
    async with consumer.database.transaction() as tx:
        letter = await tx.one(DeadLetter, dead_letters.GET, id=letter_id)
    if letter is None:
        raise NoSuchLetter(f"{consumer.service} has no dead letter {letter_id}.")
    return letter


def _who() -> Caller:
    """The person at the keyboard, as the machine knows them."""
    return Caller(organisation="platform", roles=frozenset({"operator"}), region="000000", person=getpass.getuser())


def add_to(app: typer.Typer) -> None:
    app.add_typer(dead, name="dead")
