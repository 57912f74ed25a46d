"""Runs the toy as the one-process platform, for tests that kill it: `python -m tests.deploy.toy_platform FOLDER PORT`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg

from deploy import platform
from deploy.commands.run import log_to_file
from deploy.embedded import CannotStart
from shared.service import Service
from tests.house import table_statements
from tests.toy import let_in, toy


async def make_tables(services: Sequence[Service], urls: Mapping[str, str]) -> None:
    """In place of migrations, which the toy has none of."""
    for service in services:
        connection = await asyncpg.connect(urls[service.name])
        if not await connection.fetchval("SELECT to_regclass('things') IS NOT NULL"):
            await connection.execute(";\n".join(table_statements(service)))
        await connection.close()


if __name__ == "__main__":
    let_in()
    platform.bring_to_head = make_tables
    try:
        log_to_file(Path(sys.argv[1]), "run")
        platform.run([toy], Path(sys.argv[1]), int(sys.argv[2]), tell=False)
    except CannotStart as refusal:
        sys.exit(str(refusal))
