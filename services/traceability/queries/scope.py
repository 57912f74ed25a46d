"""The first wall: the condition under which a caller may see a private row, the same as row-level security's."""

from typing import Any

import sqlalchemy as sa

from shared.db import Tx


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


def scope_of(tx: Tx) -> dict[str, Any]:
    """The values of `seen`."""
    return {
        "scope_reach": tx.scope.reach,
        "scope_organisation": tx.scope.organisation,
        "scope_region": tx.scope.region_prefix,
    }
