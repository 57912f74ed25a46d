"""The first wall: which rows of a private table the caller of this transaction may see, as a condition."""

from collections.abc import Sequence

import sqlalchemy as sa

from shared.db import Scope


def within(scope: Scope, table: sa.Table) -> sa.ColumnElement[bool]:
    """The rows of which the caller is a party, or that lie in its region; the second wall says the same."""
    private = table.info["private"]
    own: Sequence[str] = private["own"]
    if scope.reach == "all":
        return sa.true()
    seen = [table.c[name] == scope.organisation for name in own]
    if scope.reach == "region":
        seen.append(table.c[private["region"]].startswith(scope.region_prefix, autoescape=True))
    return sa.or_(*seen)
