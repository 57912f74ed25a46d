"""What PostgreSQL, or the road to it, may say instead of an answer, by what is to be done about it."""

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

TOO_SLOW = asyncpg.QueryCanceledError
"""One of TRANSIENT: a statement took longer than `statement_seconds`; less at once may pass."""

LACKING = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedObjectError,
)
"""The database has not what this process needs: it is not migrated, or not far enough."""

NOT_MIGRATED = (*LACKING, asyncpg.InsufficientPrivilegeError)
"""The database is of another version than this process; work waits for the one or the other."""
