"""Folders for servers: outside pytest's own, whose permissions each new pytest session of the same user takes back."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


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
