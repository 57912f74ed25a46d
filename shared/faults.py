"""What PostgreSQL, or the road to it, may say instead of an answer, by what is to be done about it, and when to try again."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

TRANSIENT = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, starting, cancelled
    asyncpg.InsufficientResourcesError,  # disk full, memory, connections
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby that is not yet the primary
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,  # a migration has changed a table under a prepared statement
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection was cut between two words of a statement
    ConnectionError,
    OSError,
    TimeoutError,
)
"""Faults of the road, not of the cargo: the same work may be tried again as it is."""

MET = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.UniqueViolationError)
"""Two met: deadlock, serialisation, the same natural key at once. Nothing of the one was done, and it is tried again."""

TOO_SLOW = asyncpg.QueryCanceledError
"""One of TRANSIENT: a statement took longer than `statement_seconds`; less at once may pass."""

FORKED = "uq_history_follows"
"""The index that lets no two rows of history follow the same one: two deeds about one thing met, and one of them comes again."""

LACKING = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedObjectError,
)
"""The database has not what this process needs: it is not migrated, or not far enough."""

NOT_MIGRATED = (*LACKING, asyncpg.InsufficientPrivilegeError)
"""The database is of another version than this process; work waits for the one or the other."""


LONGEST_PAUSE_SECONDS = 10.0
"""What fails again and again is tried this seldom at last."""


def pause_seconds(times: int, first: float, longest: float = LONGEST_PAUSE_SECONDS) -> float:
    """How long to wait after the failure number `times`, in seconds: twice as long each time, and never in step with others."""
    return min(longest, first * 2.0 ** min(times - 1, 20)) * random.uniform(0.5, 1)  # noqa: S311  jitter, no secret


def cause_of(error: BaseException) -> str:
    """What has happened, for the log: of a connection that was lost the driver and its pool tell only what they can no more do.

    Why the server ended it stands in the server's log; asyncpg throws away what is said while nothing is asked.
    """
    if isinstance(error, asyncpg.InterfaceError) and "released back to the pool" in str(error):
        return "the connection to the database was lost while nothing was asked of it"
    if isinstance(error, asyncpg.InternalClientError):
        return f"the connection to the database was cut in the middle of a statement: {error!r}"
    return repr(error)


@contextmanager
def no_fork() -> Iterator[None]:
    """Around what writes history. Raises SerializationError where another has followed the same row of it meanwhile."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == FORKED:
            raise asyncpg.SerializationError("another deed about the same thing was written meanwhile") from error
        raise
