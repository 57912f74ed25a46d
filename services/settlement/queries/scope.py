"""The first wall: which rows a caller may see, said in SQL before row-level security says it again."""

from typing import Any

import sqlalchemy as sa

from shared.db import Scope


def seen_by(scope: Scope, own: tuple[sa.ColumnElement[str], ...], region: sa.ColumnElement[str]) -> Any:
    """The condition under which a row of these parties in this region is within reach."""
    if scope.reach == "all":
        return sa.true()
    within: list[sa.ColumnElement[bool]] = [sa.false()]
    if scope.organisation:
        within += [column == scope.organisation for column in own]
    if scope.reach == "region":
        within.append(region.op("^@")(scope.region_prefix))
    return sa.or_(*within)


def parties(scope: Scope, table: sa.Table) -> Any:
    """The same for a table with the columns of both parties."""
    return seen_by(scope, (table.c.institution_code, table.c.distributor_code), table.c.region)
