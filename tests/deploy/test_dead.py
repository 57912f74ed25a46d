"""`jicai dead`, on a real database: what is dead is listed and shown, replayed, and dropped with a reason."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from uuid_utils.compat import uuid7

import deploy.commands.dead as command
from deploy import cli
from deploy.commands import reach
from shared import settling
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
    monkeypatch.setattr(reach, "settings_of", as_told)
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


async def test_a_long_list_says_how_many_there_are_and_how_to_see_the_rest(
    heard: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PAGE_ROWS", 1)
    first = (await jicai("list", "echo")).output.splitlines()
    assert (first[0].split()[0], first[-1]) == ("1", "1 of 2 letters; those behind them: --after 1")
    rest = (await jicai("list", "echo", "--after", "1")).output.splitlines()
    assert (rest[0].split()[0], rest[-1]) == ("2", "1 of 2 letters; those behind them: --after 2")
    assert (await jicai("list", "echo", "--after", "2")).output == "echo: no dead letters there.\n"


async def test_letters_are_listed_by_state_and_topic_and_the_settled_ones_too(heard: Database) -> None:
    waiting = (await jicai("list", "echo", "--state", "waiting", "--topic", "source")).output
    assert waiting.startswith("2 waiting 2")
    assert "no dead letters" in (await jicai("list", "echo", "--topic", "elsewhere")).output
    await jicai("drop", "echo", "1", "--reason", "sent by mistake")
    assert "sent by mistake" in (await jicai("list", "echo", "--state", "dropped")).output


async def test_a_line_of_the_list_holds_the_beginning_of_a_long_reason_and_show_the_whole(heard: Database) -> None:
    reason = "长" * 100 + "\nend"
    await heard.pool.execute("UPDATE dead_letters SET reason = $1 WHERE id = 1", reason)
    lines = (await jicai("list", "echo")).output.splitlines()
    assert lines[1] == "    " + "长" * 75 + "…"
    assert f"reason: {reason}" in (await jicai("show", "echo", "1")).output


async def test_a_replay_that_fails_says_why_and_one_that_does_not_releases_what_waited(heard: Database) -> None:
    failed = await jicai("replay", "echo", "1")
    assert failed.exit_code == 1
    assert "not_bearable: number 1 is too much" in failed.stderr
    faults.bearable = True
    assert (await jicai("replay", "echo", "1")).output == "echo: 2 applied.\n"
    assert "no dead letters" in (await jicai("list", "echo")).output


async def test_a_replay_of_a_letter_that_waits_names_the_one_it_waits_behind_and_why(heard: Database) -> None:
    refused = await jicai("replay", "echo", "2")
    assert (refused.exit_code, refused.stdout) == (1, "echo: 0 applied.\n")
    _, letter, why = refused.stderr.splitlines()
    assert letter.startswith("1 dead ")
    assert why.strip() == "not_bearable: number 1 is too much"


async def test_all_letters_are_replayed_in_order_and_those_that_stay_are_named(heard: Database) -> None:
    other = Said(thing_id=uuid7(), number=3)
    consumer = Consumer("echo", heard, echo.handlers)
    monster = replace(message(other), value=message(other).value.replace(b".v1", b".v9"))
    await consumer.apply([monster])
    assert "no dead letters" not in (await jicai("list", "echo")).output
    faults.bearable = True
    assert (await jicai("replay", "echo", "--all", "--topic", "elsewhere")).output == "echo: 0 applied.\n"
    replayed = await jicai("replay", "echo", "--all", "--topic", "source")
    assert (replayed.exit_code, replayed.stdout) == (1, "echo: 2 applied.\n")
    assert "3 dead " in replayed.stderr
    assert "is a version that is not read here" in replayed.stderr


@pytest.mark.parametrize("words", [(), ("1", "--all"), ("1", "--topic", "source")])
async def test_what_is_replayed_must_be_said_in_one_way(heard: Database, words: tuple[str, ...]) -> None:
    assert (await jicai("replay", "echo", *words)).exit_code == 2


async def test_a_drop_asks_for_a_reason_which_history_keeps(heard: Database) -> None:
    assert (await jicai("drop", "echo", "1", "--reason", " ")).exit_code == 2
    dropped = await jicai("drop", "echo", "1", "--reason", "sent by mistake")
    assert dropped.output == "echo: letter 1 is dropped; 1 of its subject were applied.\n"


@pytest.mark.parametrize("words", [("replay", "echo", "1"), ("drop", "echo", "1", "--reason", "for another reason")])
async def test_a_settled_letter_is_refused_with_how_it_was_settled(heard: Database, words: tuple[str, ...]) -> None:
    await jicai("drop", "echo", "1", "--reason", "sent by mistake")
    refused = await jicai(*words)
    assert refused.exit_code == 1
    assert "Dead letter 1 is settled already: dropped by" in refused.stderr
    assert "sent by mistake" in refused.stderr


async def test_a_drop_that_was_cut_off_before_what_waited_goes_on_when_it_is_given_once_more(
    heard: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as cut:
        cut.setattr(settling, "replay", lost)
        assert (await jicai("drop", "echo", "1", "--reason", "sent by mistake")).exit_code == 1
    assert (await jicai("list", "echo")).output.startswith("2 waiting ")
    again = await jicai("drop", "echo", "1", "--reason", "sent by mistake")
    assert again.output == "echo: letter 1 is dropped; 1 of its subject were applied.\n"


async def test_a_letter_that_is_not_there_is_named(heard: Database) -> None:
    refused = await jicai("show", "echo", "99")
    assert refused.exit_code == 1
    assert "echo: There is no dead letter 99." in refused.output
    assert (await jicai("show", "echo", "99999999999999999999")).exit_code == 2
