"""A shared transaction whose members are cancelled at any moment: the others have their answer, and the next are carried out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from shared.db import Database, Scope, Tx
from shared.errors import Conflict
from shared.http.together import Alike, Apart, Together
from shared.http.turns import Turns
from shared.idempotency import Key
from shared.settings import Limits

WHO = "H33010200059"
ALIKE = Alike(WHO, "place", Scope("own", WHO))


class Loose:
    """In place of a database: BEGIN, questions and COMMIT take a turn of the loop each; told to, a question or a COMMIT fails."""

    policy: Any = None

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.committed = 0

    @asynccontextmanager
    async def transaction(self, scope: Scope, ask: str) -> AsyncIterator[Tx]:
        await asyncio.sleep(0)
        yield Tx(cast("Any", None), self.policy, scope)
        await asyncio.sleep(0)
        if self.fails == "commit":
            raise LookupError
        self.committed += 1

    async def question(self, tx: Tx, wanted: Sequence[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        if self.fails == "question":
            raise LookupError
        return wanted


@pytest.mark.parametrize("fails", ["", "question", "commit"])
@pytest.mark.parametrize("turns_of_the_loop", range(14))
async def test_whoever_goes_at_whatever_moment_the_rest_hear_and_the_next_are_carried_out(
    fails: str, turns_of_the_loop: int
) -> None:
    loose, turns = Loose(fails), Turns(Limits())
    together, database = Together(turns), cast("Database", loose)

    async def member(number: int) -> bool:
        """Whether it was carried out in company."""
        with turns.under_way(WHO):
            try:
                async with together.transaction(database, ALIKE, None) as tx:
                    assert number in await tx.merged(loose.question, [number])
            except Apart:
                return False
        return True

    async with asyncio.timeout(20):
        members = [asyncio.create_task(member(number)) for number in range(3)]
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        members[0].cancel()
        _, *rest = await asyncio.gather(*members, return_exceptions=True)
        assert rest == [not fails] * 2
        loose.fails = ""
        assert await member(9)
    assert loose.committed == (1 if fails else 2)


async def test_who_leaves_with_a_key_comes_out_when_the_company_that_has_claimed_it_is_over() -> None:
    loose, turns = Loose(), Turns(Limits())
    key = Key.of(organisation=WHO, operation="place", key="k", path="/", body=b"")
    with turns.under_way(WHO), pytest.raises(Conflict):
        async with Together(turns).transaction(cast("Database", loose), ALIKE, key):
            raise Conflict("no")
    assert loose.committed == 1
