"""How commands reach the databases: one that is not migrated, or does not know us, is said in a sentence."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy import cli
from deploy.environment import database_name
from deploy.postgres import EmbeddedPostgres
from deploy.services import load
from tests.house import House

SETTLEMENT = load("settlement")


async def jicai(*words: str) -> tuple[int, str]:
    """Its exit status and what it complains of; in a thread, because a command has a loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, cli.app, list(words))
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("dead", "list", "settlement"),
        ("dead", "show", "settlement", "1"),
        ("dead", "replay", "settlement", "--all"),
        ("republish", "settlement", "payables"),
        ("rebuild", "settlement", "recalls", "--anyway"),
    ],
)
async def test_a_database_that_is_not_migrated_is_said_in_a_sentence(
    house: House, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    house.url(SETTLEMENT)  # for its roles, which the server has for all databases
    empty = house.postgres.ensure_database("not_migrated")
    for service in ("SETTLEMENT", "TRACEABILITY"):
        monkeypatch.setenv(f"{service}_DATABASE_URL", empty)
    status, said = await jicai(*words)
    assert status == 1
    assert " is not migrated to what is needed here; run `jicai migrate`." in said
    assert len(said.splitlines()) == 1


async def test_a_database_that_knows_no_role_of_ours_is_not_migrated_either(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETTLEMENT_DATABASE_URL", house.postgres.ensure_database("not_migrated"))
    monkeypatch.setenv("SETTLEMENT_WORKER_ROLE", "nobody_knows")
    status, said = await jicai("dead", "list", "settlement")
    assert (status, said.startswith("The database of settlement is not migrated")) == (1, True)


async def test_an_audit_of_a_database_that_is_not_migrated_says_so(tmp_path: Path) -> None:
    with EmbeddedPostgres.start(tmp_path, durable=False) as server:
        url = server.ensure_database(database_name("listing"))
        status, said = await jicai("audit", "--url", url.rpartition("/")[0])
    assert (status, said.startswith("The database of listing is not migrated")) == (1, True)
