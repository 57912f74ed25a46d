"""The first wall: every query of a router holds only rows within the caller's reach, said in SQL."""

import re
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from shared.db import Tx

_INSTITUTION = re.compile(r"[HP]\d{11}")
_SUPPLIERS = ("distributor_code", "manufacturer_code")


class Reach(StrEnum):
    """Whose rows: an organisation is an institution or a supplier by its code, so that each has its own index."""

    ALL = "all"
    REGION = "region"
    INSTITUTION = "institution"
    SUPPLIER = "supplier"


def reach_of(tx: Tx) -> Reach:
    """How far the caller of this transaction sees."""
    if tx.scope.reach in (Reach.ALL, Reach.REGION):
        return Reach(tx.scope.reach)
    return Reach.INSTITUTION if _INSTITUTION.fullmatch(tx.scope.organisation) else Reach.SUPPLIER


def within(reach: Reach, table: sa.Table) -> sa.ColumnElement[bool]:
    """The rows of a private table within reach; takes the parameters of `scoped`."""
    organisation = sa.bindparam("scope_organisation", type_=sa.Text)
    match reach:
        case Reach.ALL:
            return sa.true()
        case Reach.REGION:
            return table.c.region.op("^@")(sa.bindparam("scope_region", type_=sa.Text))
        case Reach.INSTITUTION:
            return table.c.institution_code == organisation
        case Reach.SUPPLIER:
            if "distributor_codes" in table.c:
                return sa.or_(
                    organisation == sa.any_(table.c.distributor_codes),
                    organisation == sa.any_(table.c.manufacturer_codes),
                )
            return sa.or_(*(table.c[name] == organisation for name in _SUPPLIERS if name in table.c))


def scoped(tx: Tx) -> dict[str, Any]:
    """What `within` is to be run with."""
    return {"scope_organisation": tx.scope.organisation, "scope_region": tx.scope.region_prefix}
