"""How each session with PostgreSQL begins: bounded in time, bound by row-level security, with jsonb read by orjson."""

import asyncio
from contextvars import Context
from typing import Any

import asyncpg
import orjson

from shared.settings import Limits

VANISHED = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""The server gives up a client whose machine or network is gone after some ten seconds, and with it its locks."""

_BYPASSES = """
SELECT current_user AS role, r.rolsuper, r.rolbypassrls, EXISTS (
  SELECT FROM pg_class c WHERE c.relrowsecurity AND pg_has_role(current_user, c.relowner, 'USAGE')) AS owns
FROM pg_roles r WHERE r.rolname = current_user
"""


class WallBypassed(ConnectionError):
    """A session that row-level security does not bind; nothing is read or written through it."""


_ARRAYS = "SELECT " + ", ".join(
    f"NULL::{kind}[]"
    for kind in ("text", "uuid", "int", "bigint", "numeric", "boolean", "date", "timestamptz", "jsonb", "bytea")
)
"""asyncpg asks the database once a connection what each type is that it has not met, some 10 ms a time: asked when a session
begins, and not in the middle of its first transactions."""


async def pool(url: str, *, role: str | None, name: str, limits: Limits) -> asyncpg.Pool:
    """A bounded pool of sessions as `role`, none of which begins before it is asked for; asking raises WallBypassed, and what
    asyncpg does. Told to keep some, asyncpg would fetch them back by itself, with a traceback for each try that fails."""
    server_settings = {
        "application_name": name,
        "statement_timeout": str(int(limits.statement_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(int(limits.statement_seconds * 2000)),
        "plan_cache_mode": "force_generic_plan",
        "jit": "off",
        **VANISHED,
    }
    if role:
        server_settings["role"] = role
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=limits.pool_connections,
        init=_prepare_walled if role else _prepare,
        reset=_tidy,
        connect=_connect,
        server_settings=server_settings,
        timeout=limits.pool_wait_seconds,
        command_timeout=limits.statement_seconds + limits.answer_seconds,
        statement_cache_size=1024,
    )


async def _connect(*told: Any, **how: Any) -> asyncpg.Connection:
    """A connection outlives the request that needs it first: what it says later is not logged under that one's id."""
    connecting: asyncio.Task[asyncpg.Connection] = asyncio.get_running_loop().create_task(
        asyncpg.connect(*told, **how), context=Context()
    )
    try:
        return await connecting
    except asyncio.CancelledError:  # it may have been made in the same turn of the loop: nobody else would end it
        connecting.add_done_callback(_give_up)
        raise


def _give_up(connecting: "asyncio.Task[asyncpg.Connection]") -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


async def _prepare(connection: asyncpg.Connection) -> None:
    """Makes the session ready: jsonb by orjson, and every array type that statements use is known."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value, default=str),
        decoder=lambda raw: orjson.loads(bytes(raw[1:])),
    )
    await connection.prepare(_ARRAYS)


async def _prepare_walled(connection: asyncpg.Connection) -> None:
    """Raises WallBypassed."""
    (found,) = await connection.fetch(_BYPASSES)
    reasons = {"rolsuper": "is a superuser", "rolbypassrls": "has BYPASSRLS", "owns": "owns private tables"}
    for name, reason in reasons.items():
        if found[name]:
            raise WallBypassed(
                f"row-level security does not bind the database role {found['role']}, because it {reason};"
                " run as the role that `jicai migrate` makes for it"
            )
    await _prepare(connection)


async def _tidy(connection: asyncpg.Connection) -> None:
    """Leaves nothing of one use to the next; cheaper than the four statements of asyncpg's own reset."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")


class AtHand:
    """Connections that wait for who comes next instead of in the pool, whose way in takes a task of its own each time.

    At most KEPT, and never the last of the pool, for who asks the pool itself.
    """

    KEPT = 2

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._most = min(self.KEPT, pool.get_max_size() - 1)
        self._kept: list[asyncpg.pool.PoolConnectionProxy[asyncpg.Record]] = []

    def take(self) -> "asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | None":
        """The one kept last, or None; one that was lost meanwhile has left the pool by itself."""
        while self._kept:
            if _is_idle(connection := self._kept.pop()):
                return connection
        return None

    async def close(self, pool: asyncpg.Pool) -> None:
        """Gives back what is kept, and keeps nothing from now on."""
        self._most = 0
        while connection := self.take():
            await pool.release(connection)

    def keep(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> bool:
        """Whether it is kept; else it goes back to the pool."""
        kept = len(self._kept) < self._most and _is_idle(connection)
        if kept:
            self._kept.append(connection)
        return kept


def _is_idle(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> bool:
    try:
        return not connection.is_closed() and not connection.is_in_transaction()
    except asyncpg.InterfaceError:  # the pool has taken it away, for it was lost
        return False
