"""The first wall: which rows a caller may see among those that are not public to everybody."""

from collections.abc import Sequence

import sqlalchemy as sa

from shared.db import Scope
from shared.values import names_of


def visible(
    scope: Scope, *, public: sa.ColumnElement[bool], own: Sequence[sa.ColumnElement[str]], region: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """Public rows, those of which the caller's organisation is a party, and those of its region or all, by its reach."""
    if scope.reach == "all":
        return sa.true()
    seen = [public]
    if scope.organisation:
        seen += [party == scope.organisation for party in own]
    if scope.reach == "region":
        seen.append(region.startswith(scope.region_prefix, autoescape=True))
    return sa.or_(*seen)


def as_row(value: object) -> dict[str, object]:
    """A frozen value as the row it is kept in."""
    return {name: getattr(value, name) for name in names_of(type(value))}
