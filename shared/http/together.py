"""Requests of one organisation for one operation that come while another is under way share a transaction: the next one.

Each is still carried out by itself, with an answer, a key, deeds and events of its own; what they share is BEGIN, the question
that `Tx.merged` asks, the one write and the COMMIT. Nobody waits for company: who comes alone goes at once. Whatever is out of
the ordinary, a key that was used, a second look at the database, an error of a statement, is not settled in company: the
transaction is undone for whom it concerns, and they are carried out alone, as if they had come so (`Apart`). Where the database
was lost in the middle each is told so, as one alone would be.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from contextvars import Context
from itertools import chain
from typing import Any, cast

from shared.db import Database, Record, Scope, Tx
from shared.errors import Unavailable
from shared.faults import MET, TOO_SLOW, TRANSIENT
from shared.http.turns import Turns
from shared.idempotency import Key, question_of
from shared.policy import Policy
from shared.values import frozen

MOST = 50
"""Requests in one transaction; who finds it full is carried out alone."""


class Apart(Exception):
    """This request is to be carried out alone; nothing of it was done."""


Question = Callable[..., Awaitable[Any]]


@frozen
class Alike:
    """Who can share: requests of one organisation for one operation that see the same rows."""

    organisation: str
    operation: str
    scope: Scope


@frozen
class _Asked:
    query: Question
    wanted: tuple[Collection[Any], ...]
    answer: asyncio.Future[Any]


class Together:
    """The transactions of one process that are shared."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._next: dict[Alike, _Company] = {}
        """What has not begun."""
        self._driving: dict[Alike, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def transaction(self, database: Database, alike: Alike, key: Key | None) -> AsyncIterator[Tx]:
        """A share in a transaction, which is committed when the block ends; raises Apart, Unavailable, and what
        PostgreSQL says when it is lost."""
        company = self._join(database, alike, key)
        share = Share(company, database.policy, alike.scope)
        try:
            await company.begun.wait()
            company.check()
            yield share
            await company.stand(share)
        except BaseException as error:
            company.leave(share)
            if key and isinstance(error, Exception):  # its key is locked until then, for the company has claimed it
                await company.ended.wait()
            raise

    def _join(self, database: Database, alike: Alike, key: Key | None) -> "_Company":
        if (company := self._next.get(alike)) is None:
            company = self._next[alike] = _Company()
            if alike not in self._driving:
                self._driving[alike] = asyncio.create_task(self._drive(database, alike), context=Context())
        company.join(key)
        return company

    async def _drive(self, database: Database, alike: Alike) -> None:
        """One transaction after the other, as long as somebody has come meanwhile."""
        try:
            while (company := self._next.get(alike)) and company.members:
                try:
                    async with self._turns.connection(alike.organisation):
                        del self._next[alike]
                        await self._carry(database, company, alike.scope)
                except Unavailable as error:  # no connection came free
                    self._next.pop(alike).end(error)
        finally:  # whatever ends it, the next one to come starts it again
            del self._driving[alike]
            if left := self._next.pop(alike, None):
                left.end(Apart())

    async def _carry(self, database: Database, company: "_Company", scope: Scope) -> None:
        """Whatever it comes to is told to each of the company."""
        why: BaseException | None = None
        try:
            async with database.transaction(scope, question_of(company.keys.values())) as tx:
                await company.go(tx)
        except BaseException as error:
            why = error
            if not isinstance(error, Exception):
                raise
        finally:
            company.end(why)


class _Company:
    """The requests in one transaction: each waits for an answer of the database, stands by for the COMMIT, or has left."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.begun, self.ended = asyncio.Event(), asyncio.Event()
        self.members = 0
        self._settled = asyncio.Event()
        self._asking: list[_Asked] = []
        self._standing: list[Share] = []
        self._why: BaseException | None = None
        """Why it came to nothing."""

    def join(self, key: Key | None) -> None:
        """Raises Apart when it is full, or the key is here already."""
        if self.members == MOST or (key and key.key in self.keys):
            raise Apart
        self.members += 1
        if key:
            self.keys[key.key] = key

    def leave(self, share: "Share") -> None:
        """This one does not want it any more, refused or gone."""
        self.members -= 1
        if share in self._standing:
            self._standing.remove(share)
        self._settled.set()

    async def ask(self, query: Question, wanted: tuple[Collection[Any], ...]) -> Any:
        """What is found for everybody who asks the same."""
        asked = _Asked(query, wanted, asyncio.get_running_loop().create_future())
        self._asking.append(asked)
        self._settled.set()
        try:
            return await asked.answer
        finally:
            if asked in self._asking:
                self._asking.remove(asked)

    async def stand(self, share: "Share") -> None:
        """Returns when what this one adds was committed with the rest; raises what `check` raises."""
        self._standing.append(share)
        self._settled.set()
        await self.ended.wait()
        self.check()

    async def go(self, tx: Tx) -> None:
        """Asks for all, as often as they ask, and adds what those add who stand by at the end; raises Apart."""
        if tx.asked:
            raise Apart
        self.begun.set()
        await self._all_settled()
        while self._asking:
            await self._answer(tx)
            await self._all_settled()
        for share in self._standing:
            share.hand_over(tx)

    def end(self, why: BaseException | None) -> None:
        """It was committed, or came to nothing."""
        self._why = why
        self.begun.set()
        self.ended.set()
        for asked in self._asking:
            if not asked.answer.done():  # cancelled in this turn of the loop
                asked.answer.set_exception(Apart())

    def check(self) -> None:
        """Raises why it came to nothing: as it is where nobody can know of the COMMIT or there is no database, else Apart."""
        if isinstance(self._why, (Unavailable, *TRANSIENT)) and not isinstance(self._why, (*MET, TOO_SLOW)):
            raise self._why
        if self._why is not None:
            raise Apart from self._why

    async def _all_settled(self) -> None:
        while len(self._asking) + len(self._standing) < self.members:
            self._settled.clear()
            await self._settled.wait()

    async def _answer(self, tx: Tx) -> None:
        query = self._asking[0].query
        same = [asked for asked in self._asking if asked.query is query]
        columns = zip(*(asked.wanted for asked in same), strict=True)
        found = await query(tx, *(list(dict.fromkeys(chain(*column))) for column in columns))
        for asked in same:
            if asked in self._asking:  # it has not left meanwhile
                self._asking.remove(asked)
                if not asked.answer.done():  # nor is about to
                    asked.answer.set_result(found)


class Share(Tx):
    """A part of a transaction that others have a part of too: it adds rows and asks what can be asked for all."""

    def __init__(self, company: _Company, policy: Policy, scope: Scope) -> None:
        super().__init__(cast("Any", None), policy, scope)  # it speaks to no connection itself
        self.asked = 0
        self._company = company

    async def sql(self, text: str, *values: Any) -> list[Record]:
        """Raises Apart: what only one of them asks is not asked in company."""
        raise Apart

    async def merged(self, query: Question, *wanted: Collection[Any]) -> Any:
        """Asked once, for all who ask the same meanwhile."""
        return await self._company.ask(query, wanted)

    async def write_ahead(self) -> None:
        """Nothing is written before the others are ready."""

    def hand_over(self, tx: Tx) -> None:
        """What it adds is added there."""
        for (table, skip_repeated), rows in self._added.items():
            tx.add(table, *rows, skip_repeated=skip_repeated)
        tx.wakes_relay |= self.wakes_relay
