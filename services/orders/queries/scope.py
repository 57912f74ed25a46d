"""The first wall: every query of a router holds only rows within the caller's reach, said in SQL."""

import re
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array

from shared.db import Tx

_INSTITUTION = re.compile(r"[HP]\d{11}")
_SUPPLIERS = ("distributor_code", "manufacturer_code")
_PARTIES = ("institution_code", *_SUPPLIERS)
_ORGANISATION = sa.bindparam("scope_organisation", type_=sa.Text)


class Reach(StrEnum):
    """Whose rows: an organisation is an institution or a supplier by its code, so that each has its own index; a region holds
    the caller's own rows too, wherever they lie."""

    ALL = "all"
    REGION = "region"
    INSTITUTION = "institution"
    SUPPLIER = "supplier"


def reach_of(tx: Tx) -> Reach:
    """How far the caller of this transaction sees."""
    if tx.scope.reach in (Reach.ALL, Reach.REGION):
        return Reach(tx.scope.reach)
    return Reach.INSTITUTION if is_institution(tx.scope.organisation) else Reach.SUPPLIER


def is_institution(code: str) -> bool:
    """Whether a code is of an institution, by its form."""
    return _INSTITUTION.fullmatch(code) is not None


def within(reach: Reach, table: sa.Table) -> sa.ColumnElement[bool]:
    """The rows of a private table within reach, for lists: found by the index of the caller's organisation.

    Takes the parameters of `scoped`.
    """
    match reach:
        case Reach.ALL:
            return sa.true()
        case Reach.REGION:
            return sa.or_(_in_region(table), _of_any_party(table))
        case Reach.INSTITUTION:
            return table.c.institution_code == _ORGANISATION
        case Reach.SUPPLIER:
            singles = [table.c[name] == _ORGANISATION for name in _SUPPLIERS if name in table.c]
            return sa.or_(*singles, *_among(table))


def of_party(reach: Reach, table: sa.Table) -> sa.ColumnElement[bool]:
    """The same rows, for those whose keys are known: said so that the planner goes by the key and by no other index.

    Plans are made once, maybe while the tables are empty, when every row of an organisation seems to be few.
    """
    return within(reach, table) if reach in (Reach.ALL, Reach.REGION) else _of_any_party(table)


def _in_region(table: sa.Table) -> sa.ColumnElement[bool]:
    return table.c.region.op("^@")(sa.bindparam("scope_region", type_=sa.Text))


def _of_any_party(table: sa.Table) -> sa.ColumnElement[bool]:
    parties = array([table.c[name] for name in _PARTIES if name in table.c])
    return sa.or_(sa.any_(parties) == _ORGANISATION, *_among(table))


def _among(table: sa.Table) -> list[sa.ColumnElement[bool]]:
    lists = (f"{name}s" for name in _SUPPLIERS)
    return [sa.any_(table.c[name]) == _ORGANISATION for name in lists if name in table.c]


def scoped(tx: Tx) -> dict[str, Any]:
    """What both are to be run with."""
    return {"scope_organisation": tx.scope.organisation, "scope_region": tx.scope.region_prefix}
