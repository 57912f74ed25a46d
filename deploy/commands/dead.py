"""`jicai dead`: the dead letters of one service, straight on its worker's database: list, show, replay, drop.

Replay and drop go through the same inbox as the worker's own, so they may run while the worker does.
"""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from deploy.commands.options import DATA, Data, ServiceName
from deploy.commands.reach import database_of
from deploy.embedded import CannotStart
from deploy.services import load
from shared import dead_letters, settling
from shared.dead_letters import DeadLetter, LetterState
from shared.errors import ServiceError, number_of
from shared.identity import Caller
from shared.inbox import Consumer

T = TypeVar("T")
PAGE_ROWS = 200
REASON_CHARACTERS = 76
"""Of a reason in a list; `show` has it whole."""

NUMBERS = {"min": 1, "max": 2**63 - 1}
LetterId = Annotated[int, typer.Argument(help="Number of the letter.", **NUMBERS)]
Topic = Annotated[str | None, typer.Option(help="Of this topic alone.")]

dead = typer.Typer(no_args_is_help=True, help="Messages that could not be applied, and wait for a person.")


class LetterRefused(CannotStart):
    """A letter that is not there, or is settled already."""


class LettersStay(CannotStart):
    """What still cannot be applied, and why."""


@dead.command("list")
def list_letters(
    service: ServiceName,
    state: Annotated[
        LetterState | None, typer.Option(help="Of this state alone; those that are open unless given.")
    ] = None,
    topic: Topic = None,
    after: Annotated[int, typer.Option(help="Those behind this number.", min=0, max=NUMBERS["max"])] = 0,
    data: Data = DATA,
) -> None:
    """Letters, the oldest first: the dead ones, and those that wait behind one of the same subject."""

    async def work(consumer: Consumer) -> tuple[int, list[DeadLetter]]:
        async with consumer.database.transaction() as tx:
            listed = dead_letters.LISTED[state]
            count = await tx.value(dead_letters.COUNTED[state], topic=topic)
            return count, await tx.all(DeadLetter, listed, topic=topic, after=after, rows=PAGE_ROWS)

    count, letters = _with(service, data, work)
    typer.echo("\n".join(_lines(letters)) if letters else f"{service}: no dead letters{' there' if count else ''}.")
    if count > len(letters) > 0:
        rest = f"; those behind them: --after {letters[-1].id}" if len(letters) == PAGE_ROWS else ""
        typer.echo(f"{len(letters)} of {number_of(count, 'letter')}{rest}")


@dead.command()
def show(service: ServiceName, letter_id: LetterId, data: Data = DATA) -> None:
    """One letter, with its headers and its bytes as they came."""

    async def work(consumer: Consumer) -> DeadLetter:
        async with consumer.database.transaction() as tx:
            return await dead_letters.get(tx, letter_id)

    letter = _with(service, data, work)
    for name in ("id", "state", "topic", "subject", "event_id", "received_at", "settled_at", "reason", "note"):
        typer.echo(f"{name}: {getattr(letter, name)}")
    for name, value in letter.headers.items():
        typer.echo(f"header {name}: {value}")
    typer.echo(letter.payload.decode(errors="replace"))


@dead.command()
def replay(
    service: ServiceName,
    letter_id: Annotated[int | None, typer.Argument(help="Number of the letter.", **NUMBERS)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open letter, instead of one subject's.")] = False,  # noqa: FBT002
    topic: Topic = None,
    data: Data = DATA,
) -> None:
    """Sends the letters of this one's subject in again, from the oldest on; stops at the first that still cannot be.

    With --all those of every subject, or of every one on a --topic. Exit status 1: something stays, and why.
    """
    if everything is (letter_id is not None) or (topic and not everything):
        raise typer.BadParameter("give the number of one letter, or --all, with or without --topic")

    async def work(consumer: Consumer) -> list[settling.Outcome]:
        if letter_id is None:
            return await settling.replay_all(consumer, topic, _who())
        outcome = await settling.replay(consumer, letter_id, _who())
        if outcome == settling.NOTHING:
            async with consumer.database.transaction() as tx:
                await dead_letters.get_open(tx, letter_id)  # raises how it was settled
        return [outcome]

    outcomes = _with(service, data, work)
    typer.echo(f"{service}: {sum(outcome.applied for outcome in outcomes)} applied.")
    if stays := _what_stays(outcomes):
        raise LettersStay(stays)


@dead.command()
def drop(
    service: ServiceName,
    letter_id: LetterId,
    reason: Annotated[str, typer.Option(help="Why it is given up; kept in history.", prompt=True)],
    data: Data = DATA,
) -> None:
    """Gives a letter up for good, with a reason, and sends in what waited behind it; cut off, the same goes on once more."""
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")

    async def work(consumer: Consumer) -> settling.Outcome:
        return await settling.drop(consumer, letter_id, _who(), reason)

    outcome = _with(service, data, work)
    typer.echo(f"{service}: letter {letter_id} is dropped; {outcome.applied} of its subject were applied.")
    if stays := _what_stays([outcome]):
        typer.echo(stays)


def _with(service: str, data: Path, work: Callable[[Consumer], Awaitable[T]]) -> T:
    loaded = load(service)

    async def run() -> T:
        async with database_of(loaded, data, "dead letters") as database:
            return await work(Consumer(service, database, loaded.handlers))

    try:
        return asyncio.run(run())
    except ServiceError as refusal:
        raise LetterRefused(f"{service}: {refusal.detail}") from refusal


def _what_stays(outcomes: Iterable[settling.Outcome]) -> str:
    """What still cannot be applied, and why; empty when nothing stays."""
    staying = [outcome.stays for outcome in outcomes if outcome.stays]
    if not staying:
        return ""
    subjects = "its subject waits behind it" if len(staying) == 1 else f"{len(staying)} subjects wait behind them"
    return "\n".join([f"Still cannot be applied, and {subjects}:", *_lines(staying, whole=len(staying) == 1)])


def _lines(letters: Iterable[DeadLetter], *, whole: bool = False) -> list[str]:
    """Two for each letter: which it is, and its reason, as much of it as a line holds unless the `whole` is asked for."""
    lines: list[str] = []
    for letter in letters:
        since = f"{letter.received_at:%Y-%m-%dT%H:%MZ}"
        reason = " ".join((letter.note or letter.reason).split())
        cut = reason[: REASON_CHARACTERS - 1] + "…" if len(reason) > REASON_CHARACTERS else reason
        lines += [
            f"{letter.id} {letter.state} {since} {letter.topic} {letter.subject}",
            f"    {reason if whole else cut}",
        ]
    return lines


def _who() -> Caller:
    """The person at the keyboard, as the machine knows them."""
    return Caller(organisation="platform", roles=frozenset({"operator"}), region="000000", person=getpass.getuser())


def add_to(app: typer.Typer) -> None:
    app.add_typer(dead, name="dead")
