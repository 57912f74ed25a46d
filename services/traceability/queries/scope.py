"""The first wall: the condition under which a caller may see a private row, the same as row-level security's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from shared.db import Tx

_REACH = "SELECT set_config('app.reach', $1, true)"


def seen(table: sa.Table) -> sa.ColumnElement[bool]:
    """Rows of which the caller is a party, or of its region, or all; bind with `**scope_of(tx)`."""
    private = table.info["private"]
    reach = sa.bindparam("scope_reach", type_=sa.Text)
    organisation = sa.bindparam("scope_organisation", type_=sa.Text)
    region = sa.bindparam("scope_region", type_=sa.Text)
    return sa.or_(
        reach == "all",
        *(table.c[name] == organisation for name in private["own"]),
        sa.and_(reach == "region", table.c[private["region"]].op("^@")(region)),
    )


@asynccontextmanager
async def over_the_wall(tx: Tx) -> AsyncIterator[None]:
    """In this block row-level security hides nothing: for questions whose answer is about all, and tells of nobody."""
    await tx.sql(_REACH, "all")
    yield
    await tx.sql(_REACH, tx.scope.reach)


def scope_of(tx: Tx) -> dict[str, Any]:
    """The values of `seen`."""
    return {
        "scope_reach": tx.scope.reach,
        "scope_organisation": tx.scope.organisation,
        "scope_region": tx.scope.region_prefix,
    }
