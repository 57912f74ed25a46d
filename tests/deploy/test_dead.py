"""`jicai dead`, on a real database: what is dead is listed and shown, replayed, and dropped with a reason."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from uuid_utils.compat import uuid7

import deploy.commands.dead as command
from deploy import cli
from shared.db import Database
from shared.inbox import Consumer
from shared.service import Service
from shared.settings import ServiceSettings
from tests.echo import Said, echo, faults
from tests.house import House
from tests.path import message

THING = uuid7()


async def jicai(*words: str) -> Result:
    """In a thread, because a command has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, cli.app, ["dead", *words])


@pytest.fixture
async def heard(house: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """Echo's database with a dead letter and one behind it, and a command line that knows echo."""
    faults.__init__()  # type: ignore[misc]
    settings = house.settings(echo)

    def as_told(_: Service, __: Path) -> ServiceSettings:
        return settings

    monkeypatch.setattr(command, "load", lambda _: echo)
    monkeypatch.setattr(command, "settings_of", as_told)
    database = await house.database(echo)
    bad, after = Said(thing_id=THING, number=1, unbearable=True), Said(thing_id=THING, number=2)
    await Consumer("echo", database, echo.handlers).apply([message(bad), message(after)])
    yield database
    await house.empty(echo)


async def test_letters_are_listed_and_shown(heard: Database) -> None:
    listed = await jicai("list", "echo")
    assert listed.exit_code == 0, listed.output
    assert "dead" in listed.output
    assert "waiting" in listed.output
    shown = await jicai("show", "echo", "1")
    assert "reason: not_bearable: number 1 is too much" in shown.output
    assert f'"thing_id":"{THING}"' in shown.output
    assert "header content-type: application/cloudevents+json" in shown.output


async def test_a_replay_that_fails_says_why_and_one_that_does_not_releases_what_waited(heard: Database) -> None:
    failed = await jicai("replay", "echo", "1")
    assert failed.exit_code == 1
    assert "It still cannot be applied: not_bearable" in failed.output
    faults.bearable = True
    assert (await jicai("replay", "echo", "1")).output == "echo: 2 applied; letter 1 is replayed.\n"
    assert "no dead letters" in (await jicai("list", "echo")).output


async def test_a_drop_asks_for_a_reason_which_history_keeps(heard: Database) -> None:
    assert (await jicai("drop", "echo", "1", "--reason", " ")).exit_code == 2
    dropped = await jicai("drop", "echo", "1", "--reason", "sent by mistake")
    assert dropped.output == "echo: letter 1 is dropped; 1 that waited behind it were applied.\n"


async def test_a_letter_that_is_not_there_is_named(heard: Database) -> None:
    refused = await jicai("show", "echo", "99")
    assert refused.exit_code == 1
    assert "echo has no dead letter 99." in refused.output
