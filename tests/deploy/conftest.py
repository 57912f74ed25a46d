"""Folders for servers, and the databases in which the story was told.

Folders are outside pytest's own, whose permissions each new pytest session of the same user takes back.
"""

import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy import addresses, story
from deploy.platform import token_maker
from deploy.postgres import EmbeddedPostgres
from tests.deploy.said_again import Five, bring_back, keep, one_more, opened, recalls, running


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command that is run in this process sets up its log, to a terminal that is gone after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of its own, into which a server's system user can be let."""
    path = Path(tempfile.mkdtemp(prefix="jicai-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def lasting_folder() -> Iterator[Path]:
    """One for all tests of a module."""
    path = Path(tempfile.mkdtemp(prefix="jicai-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
async def played() -> AsyncIterator[EmbeddedPostgres]:
    """A server with the databases in which the story was told and recalls were opened and closed, kept as `earlier`; and as
    `told` the same after one more order, the work of the lost hour."""
    with tempfile.TemporaryDirectory(prefix="jicai-again-", ignore_cleanup_errors=True) as made:
        folder = Path(made) / "data"
        with running(folder):
            await story.tell(addresses.read(folder), token_maker(folder))
            await recalls(folder)
        await _keep(folder, "earlier")
        with running(folder):
            await one_more(folder)
        await _keep(folder, "told")
        with EmbeddedPostgres.start(folder, durable=False) as server:
            yield server


async def _keep(folder: Path, mark: str) -> None:
    """Copies the databases aside when nothing is under way or due any more."""
    with EmbeddedPostgres.start(folder, durable=False) as server:
        async with opened(server) as five:
            await five.settle()
            assert await five.dead() == []
        await keep(server, mark)


@pytest.fixture
async def five(played: EmbeddedPostgres) -> AsyncIterator[Five]:
    """The five as they were told."""
    await bring_back(played, "told")
    async with opened(played) as databases:
        yield databases
