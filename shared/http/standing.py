"""Under which code a caller's enterprise trades: a token that names it by another is refused by every operation alike.

Rows name an organisation by one code, so under another it would see nothing and still could write. What was found is remembered
for KNOWN_SECONDS, so that no request pays for it.
"""

import sqlalchemy as sa

from shared import clock
from shared.db import EVERYTHING, Database
from shared.errors import Forbidden
from shared.http.turns import Turns
from shared.identity import Caller

KNOWN_SECONDS = 60.0
REMEMBERED = 10_000
"""Organisations remembered at most; the longest known is forgotten first, and looked up again."""
ENTERPRISES = {"manufacturer", "distributor"}


class TradesUnderOtherCode(Forbidden):
    """Ask your issuer for a token that names the code of `detail`; GET /enterprises of listing shows it as `code`."""

    title = "The enterprise trades under another code"


class Standing:
    """What a process knows of its callers' codes, from the table in which its service keeps organisations (`code`, `uscc`)."""

    def __init__(self, organisations: sa.Table | None) -> None:
        self._other: sa.Select[tuple[str]] | None = None
        if organisations is not None:
            columns, named = organisations.c, sa.bindparam("named", type_=sa.Text)
            self._other = sa.select(columns.code).where(columns.uscc == named, columns.code != named)
        self._known: dict[str, float] = {}

    async def check(self, caller: Caller, database: Database, turns: Turns) -> None:
        """Raises TradesUnderOtherCode."""
        organisation = caller.organisation
        if self._other is None or caller.roles.isdisjoint(ENTERPRISES):
            return
        if self._known.get(organisation, 0.0) > clock.elapsed():
            return
        async with turns.connection(organisation), database.reading(EVERYTHING) as tx:
            code = await tx.value(self._other, named=organisation)
        if code is not None:
            raise TradesUnderOtherCode(
                "{organisation} is the USCC of an enterprise that trades here under {code}: call with a token that names"
                " {code} as its organisation.",
                organisation=organisation,
                code=code,
            )
        self._known.pop(organisation, None)
        self._known[organisation] = clock.elapsed() + KNOWN_SECONDS
        if len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))
