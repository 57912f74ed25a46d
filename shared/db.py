"""The only way to the database, and the only commit: one transaction per request or message, or for requests that come at once.

Statements are built with SQLAlchemy Core, compiled once and run on asyncpg itself; rows come back as plain records or
frozen values. What a transaction adds is collected and written by one statement (a CTE of inserts) right before
the COMMIT, so that a thousand rows cost as many statements as one and the order of the outbox follows the row locks.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import sqlalchemy as sa

from shared import sessions
from shared.faults import TRANSIENT, cause_of, no_fork
from shared.policy import Policy
from shared.sessions import WallBypassed
from shared.settings import Limits
from shared.silence import Silence, away, end
from shared.statements import WALL_SETTINGS, compiled, insert, update, values_of, walled
from shared.values import frozen

Record = asyncpg.Record
T = TypeVar("T")
log = logging.getLogger(__name__)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_BY_KEYS = "set_config('enable_seqscan', 'off', true)"
"""A transaction finds rows by their keys. Plans are kept, and one made while a table was empty would read all of it when it has
grown, comparing each row with each key; a table without an index for it is read from end to end all the same."""

MUCH = 500
"""Rows that take the database so long to write that it is worth not to wait for it at once."""


def metadata() -> sa.MetaData:
    """An empty collection of tables with the project's names for constraints."""
    return sa.MetaData(naming_convention=NAMING)


PLATFORM = metadata()
"""The tables that every service's own database has: outbox, inbox, dead letters, deadlines, history, jobs, …"""


def private(
    own: Sequence[str], region: str | None = None, also: Sequence[str] = (), readers: Sequence[str] = ()
) -> dict[str, Any]:
    """`info` of a private table: the columns of its parties and region, SQL that widens them, SQL of who else may read;
    walls.py has the policies."""
    return {"private": {"own": tuple(own), "region": region, "also": tuple(also), "readers": tuple(readers)}}


def quoted(text: str) -> str:
    """A text as a literal of SQL, for the few words that cannot travel as parameters."""
    return f"'{text.replace(chr(39), chr(39) * 2)}'"


@frozen
class Scope:
    """Whose rows a transaction may see: `all`, those of an organisation (`own`), those of a region (`region`)."""

    reach: str = "none"
    organisation: str = ""
    region_prefix: str = ""

    def covers(self, *own: str | None, region: str | None = None) -> bool:
        """Whether a thing of these parties in this region (six digits) is within reach: the first wall, in words."""
        if self.reach == "all" or (self.organisation and self.organisation in own):
            return True
        return self.reach == "region" and region is not None and region.startswith(self.region_prefix)

    def settings(self) -> tuple[str, str, str]:
        """What row-level security reads, in the order of WALL_SETTINGS."""
        return self.reach, self.organisation, self.region_prefix

    def opening(self) -> str:
        """The first words of a transaction: BEGIN, how it finds rows, and the settings that row-level security reads."""
        settings = (
            f"set_config('{name}', {quoted(value)}, true)"
            for name, value in zip(WALL_SETTINGS, self.settings(), strict=True)
        )
        return f"BEGIN; SELECT {_BY_KEYS}, {', '.join(settings)}"


_REACH = f"SELECT set_config('{WALL_SETTINGS[0]}', $1, true)"
EVERYTHING = Scope(reach="all")
"""What a worker sees: it acts for the platform, not for a caller."""


class Tx:
    """One transaction in hand: reads now, collects what it adds, and never commits by itself.

    `reads_only`: no transaction stands around it; each query is one, with the walls in it.
    """

    def __init__(
        self,
        connection: "asyncpg.pool.PoolConnectionProxy[Record]",
        policy: Policy,
        scope: Scope = EVERYTHING,
        *,
        reads_only: bool = False,
    ) -> None:
        self.connection = connection
        self.policy = policy
        self.scope = scope
        self._walls = scope.settings() if reads_only else None
        self.statements = 0
        self.asked: int | None = None
        """How many rows the question found that was asked with the first words; None: nothing was asked."""
        self.wakes_relay = False
        self._added: dict[tuple[sa.Table, bool], list[Mapping[str, Any]]] = {}
        self._writing: asyncio.Task[None] | None = None

    async def begin(self, ask: str, seconds: float) -> None:
        """The first words; a question that travels with them is answered in `asked`. Raises TimeoutError."""
        if self._walls:
            await self.connection.execute("SELECT 1 AS answers", timeout=seconds)
            return
        opening = self.scope.opening()
        found = await self.connection.execute(f"{opening}; {ask}" if ask else opening, timeout=seconds)
        self.asked = int(found.rpartition(" ")[2]) if ask else None

    async def rows(self, statement: sa.Executable, /, **given: Any) -> list[Record]:
        """Every row of a statement."""
        known = compiled(statement)
        return await self.sql(known.text, *known.arguments(given))

    async def row(self, statement: sa.Executable, /, **given: Any) -> Record | None:
        """The first row, or None."""
        found = await self.rows(statement, **given)
        return found[0] if found else None

    async def value(self, statement: sa.Executable, /, **given: Any) -> Any:
        """The first column of the first row, or None."""
        found = await self.row(statement, **given)
        return found[0] if found else None

    async def all(self, into: type[T], statement: sa.Executable, /, **given: Any) -> list[T]:
        """Every row as a frozen value whose fields are the statement's columns."""
        return values_of(into, await self.rows(statement, **given))

    async def one(self, into: type[T], statement: sa.Executable, /, **given: Any) -> T | None:
        """The first row as a frozen value, or None."""
        found = values_of(into, (await self.rows(statement, **given))[:1])
        return found[0] if found else None

    async def merged(self, query: Callable[..., Awaitable[T]], *wanted: Collection[Any]) -> T:
        """What `query(tx, *wanted)` finds. Requests that share a transaction ask once, each collection being that of all of them
        (`shared/http/together.py`), so more may be found than was wanted."""
        return await query(self, *wanted)

    async def sql(self, text: str, *values: Any) -> list[Record]:
        """Plain SQL, for what Core cannot say; only shared/ and queries may use it."""
        await self.flush()
        self.statements += 1
        if self._walls:
            return await self.connection.fetch(walled(text, len(values)), *values, *self._walls)
        return await self.connection.fetch(text, *values)

    @asynccontextmanager
    async def over_the_wall(self) -> AsyncIterator[None]:
        """In this block row-level security hides nothing: for questions about all whose answer tells of nobody."""
        if self._walls:
            own, self._walls = self._walls, (EVERYTHING.reach, *self._walls[1:])
            try:
                yield
            finally:
                self._walls = own
            return
        await self.sql(_REACH, EVERYTHING.reach)
        yield
        await self.sql(_REACH, self.scope.reach)

    def add(self, table: sa.Table, *rows: Mapping[str, Any], skip_repeated: bool = False) -> None:
        """Rows to insert, all with the same columns; written together before the commit or the next statement."""
        if rows:
            self._added.setdefault((table, skip_repeated), []).extend(rows)

    def forget(self) -> None:
        """Drops what was added and not written yet; for who goes back to a savepoint."""
        self._added.clear()

    async def change(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Sets columns of many rows, each found by its `id`, in one statement; all rows with the same columns."""
        if rows:
            text, values = update(table, rows)
            await self.sql(text, *values)

    async def write_ahead(self) -> None:
        """Begins to write what was added, when it is much: the database works on it while the answer is put together."""
        if sum(map(len, self._added.values())) >= MUCH:
            await self.flush_begun()
            self._writing = asyncio.create_task(self._write())
            await asyncio.sleep(0)  # until the statement is on its way

    async def flush_begun(self, *, given_up: bool = False) -> None:
        """Waits for what was begun to be written, or gives it up; raises what PostgreSQL says of it."""
        if self._writing is None:
            return
        writing, self._writing = self._writing, None
        if given_up:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        else:
            await writing

    async def flush(self) -> None:
        """Writes what was added, all tables in one statement; foreign keys are checked at its end."""
        await self.flush_begun()
        if self._added:
            await self._write()

    async def _write(self) -> None:
        added, self._added = self._added, {}
        parts: list[str] = []
        arguments: list[Any] = []
        for (table, skip_repeated), rows in added.items():
            part, values = insert(table, rows, len(arguments) + 1, skip_repeated=skip_repeated)
            parts.append(part)
            arguments += values
        text = parts[-1]
        if len(parts) > 1:
            chained = ", ".join(f"w{place} AS ({part})" for place, part in enumerate(parts[:-1]))
            text = f"WITH {chained} {text}"
        self.statements += 1
        with no_fork():
            await self.connection.execute(text, *arguments)


class Database:
    """A bounded pool of connections of one role, and the transactions made on it."""

    def __init__(self, pool: asyncpg.Pool, silence: Silence, policy: Policy, limits: Limits) -> None:
        self.pool = pool
        self.silence = silence
        self.policy = policy
        self.limits = limits
        self._at_hand = sessions.AtHand(pool)
        self.wake: Callable[[], None] = lambda: None
        """Called after a commit that recorded events; whoever runs the relay puts its bell here."""

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        policy: Policy,
        role: str | None = None,
        limits: Limits | None = None,
        name: str = "jicai",
        may_wait: bool = False,
    ) -> "Database":
        """Opens the pool; the session runs as `role`, so that row-level security applies to it, and raises WallBypassed where
        it does not. None: whoever the URL names, who may be the owner.

        `may_wait`: a database that is away is waited for by whoever needs it, and used when it comes.
        """
        limits = limits or Limits()
        pool = await sessions.pool(url, role=role, name=name, limits=limits)
        try:
            async with pool.acquire():
                pass
        except TRANSIENT as error:
            if not may_wait or isinstance(error, WallBypassed):
                raise
            log.warning("the database is away at the start", extra={"who": name, "reason": cause_of(error)})
        return cls(pool, Silence(url, limits.answer_seconds), policy, limits)

    async def close(self) -> None:
        """Gives the connections back, waiting for those in use."""
        await self._at_hand.close(self.pool)
        await self.pool.close()

    async def trouble(self) -> str | None:
        """None when the database answers within `answer_seconds` and is migrated, else the reason in words."""
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                connection = await self.pool.acquire()
                try:
                    migrated = await connection.fetchval("SELECT to_regproc('jicai_claim') IS NOT NULL")
                except asyncio.CancelledError:
                    end(connection)  # its release would wait for the same silence
                    raise
                finally:
                    await self.pool.release(connection)
        except WallBypassed as error:
            return str(error)
        except (*TRANSIENT, asyncpg.PostgresError) as error:
            return f"the database does not answer: {type(error).__name__}"
        self.silence.heard()
        return None if migrated else "the database is not migrated; run `jicai migrate`"

    @asynccontextmanager
    async def transaction(self, scope: Scope = EVERYTHING, ask: str = "") -> AsyncIterator[Tx]:
        """One transaction: everything inside becomes true together, or nothing; raises Unavailable without a database.

        `ask`: SQL without parameters that travels with the first words; `Tx.asked` is how many rows its last SELECT found.
        """
        tx = await self._begun(scope, ask)
        try:
            try:
                with self.silence.watched(tx.connection):
                    yield tx
                    await tx.flush()
                    await tx.connection.execute("COMMIT")
            except BaseException:
                await tx.flush_begun(given_up=True)
                await self._roll_back(tx.connection)
                raise
        finally:
            await self._give_back(tx.connection)
        if tx.wakes_relay:
            self.wake()

    @asynccontextmanager
    async def reading(self, scope: Scope) -> AsyncIterator[Tx]:
        """Queries alone, each a transaction of its own: READ COMMITTED would give each a view of its own anyway.

        Raises Unavailable without a database, and what PostgreSQL says of a write.
        """
        tx = await self._begun(scope, reads_only=True)
        try:
            with self.silence.watched(tx.connection):
                yield tx
            self.silence.heard()
        except TRANSIENT as error:
            end(tx.connection)  # its release might wait for the same silence
            raise away() from error
        except asyncio.CancelledError:
            end(tx.connection)
            raise
        finally:
            await self._give_back(tx.connection)

    async def _begun(self, scope: Scope, ask: str = "", *, reads_only: bool = False) -> Tx:
        """A transaction whose first words were answered; raises Unavailable, `pool_wait_seconds` + `answer_seconds` at most."""
        needs_no_words = reads_only and self.silence.heard_lately
        with self.silence.first_words(self.pool):
            tx = Tx(await self._connection(), self.policy, scope, reads_only=reads_only)
            try:
                if not needs_no_words:
                    await tx.begin(ask, self.limits.answer_seconds)
                    self.silence.heard()
            except BaseException as error:
                if isinstance(error, TimeoutError):
                    end(tx.connection)  # its release would wait for the same silence
                await self.pool.release(tx.connection)
                raise
        return tx

    async def _connection(self) -> "asyncpg.pool.PoolConnectionProxy[Record]":
        """Raises TimeoutError, or Unavailable where the database refuses."""
        if connection := self._at_hand.take():
            return connection
        waits = None if self.pool.get_idle_size() else self.limits.pool_wait_seconds  # a bound on the wait costs a task
        try:
            return await self.pool.acquire(timeout=waits)
        except TimeoutError:
            raise
        except (*TRANSIENT, asyncpg.PostgresError) as error:  # it may also not know our role yet
            raise away() from error

    async def _give_back(self, connection: "asyncpg.pool.PoolConnectionProxy[Record]") -> None:
        if not self._at_hand.keep(connection):
            await self.pool.release(connection)

    async def _roll_back(self, connection: Any) -> None:
        """Undone, or the connection is ended: nobody waits a second time for a database that does not answer."""
        try:
            async with asyncio.timeout(self.limits.answer_seconds):
                await connection.execute("ROLLBACK")
        except TRANSIENT as error:  # the server has rolled back by itself, or does so when it sees us gone
            end(connection)
            log.info("rolled back by the loss of the connection", extra={"reason": cause_of(error)})


def lock_number(name: str) -> int:
    """The number of an advisory lock that goes by a name; 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 1
