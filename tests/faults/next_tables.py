"""`python -m tests.faults.next_tables migrate settlement`: `jicai` as it will be when payables have a column more.

Its versions stand in a folder of their own: today's, and what `next_version` has added there since, so that the column can
come and go any number of times on top of whatever head there is.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from deploy.cli import app
from services.settlement.tables import payables
from shared import migrations
from shared.db import Tx
from shared.service import Service
from tests.faults import witness

FOLDER = "JICAI_NEXT_VERSIONS"
"""The variable with the folder."""
COLUMN, ORIGIN = "origin", "delivery"

_VERSION = """\"\"\"The column of the next version {does}.\"\"\"

import sqlalchemy as sa
from alembic import op

revision, down_revision = "{number:04}", "{head}"


def upgrade() -> None:
{steps}
"""
# An index that is made beside those who write waits for all of them, as long as it takes; a try that failed leaves half of one.
_COMES = """\
    op.add_column("payables", sa.Column("origin", sa.Text), if_not_exists=True)
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_payables_origin")
        op.create_index("ix_payables_origin", "payables", ["origin"], postgresql_concurrently=True)
        op.execute("RESET lock_timeout")"""
_GOES = """\
    op.drop_column("payables", "origin", if_exists=True)"""


def add_version(folder: Path, *, comes: bool) -> None:
    """Writes the next version of settlement's tables: the column comes, or it goes."""
    if not folder.exists():
        shutil.copytree(Path(migrations.ROOT / "services" / "settlement" / "migrations"), folder)
    head = max(file.name.partition("_")[0] for file in folder.glob("*.py"))
    number, does = int(head) + 1, "comes" if comes else "goes"
    text = _VERSION.format(does=does, number=number, head=head, steps=_COMES if comes else _GOES)
    (folder / f"{number:04}_{does}.py").write_text(text)


def write_more() -> None:
    """From now on this process says of each payable that it opens where it comes from."""
    payables.append_column(sa.Column(COLUMN, sa.Text))
    add = Tx.add

    def add_more(self: Tx, table: sa.Table, *rows: Mapping[str, Any], **how: Any) -> None:
        add(self, table, *({**row, COLUMN: ORIGIN} if table is payables else row for row in rows), **how)

    Tx.add = add_more  # type: ignore[method-assign]


def versions_of(_: Service) -> Path:
    """Where the next version has its versions."""
    return Path(os.environ[FOLDER])


def main() -> None:
    """The command line of the next version."""
    witness.write_down()
    migrations.versions_of = versions_of
    write_more()
    app()


if __name__ == "__main__":
    main()
